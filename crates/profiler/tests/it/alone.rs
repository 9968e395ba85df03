//! Tests that need the machine to themselves: they run last and one at a time.

mod command;
mod lines;
#[cfg(target_os = "linux")]
mod memory;
mod profile;
mod waits;
