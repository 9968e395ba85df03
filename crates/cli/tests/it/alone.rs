//! Tests that need the machine to themselves: they run last and one at a time.

mod bench;
mod manners;
mod profile;
mod serve;
