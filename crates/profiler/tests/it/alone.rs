//! Tests that need the machine to themselves: they run last and one at a time.

mod command;
#[cfg(target_os = "linux")]
mod heap;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod hotspots;
mod lines;
#[cfg(target_os = "linux")]
mod memory;
mod profile;
mod waits;
