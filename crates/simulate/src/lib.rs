//! Conversions over a file system that fails, tears, reorders and forgets, all by a seed.
//!
//! A [`Machine`] is a disk in memory and the processes that use it. It fails operations, and at a
//! crash of its power it forgets what was not synced: each write to a file by itself, whole or in
//! part, and each name in a folder by itself. [`simulate`] runs conversions of the real code over
//! one, crashes them, lets others recover, and compares every tree with that of an undisturbed run.
//! All that happens follows from the seed.

mod counts;
mod disk;
mod machine;
mod market;
mod process;
mod run;
mod scenario;
mod verdict;

pub use self::{
    counts::Counts,
    machine::{Ignored, Machine},
    market::Market,
    scenario::{Violation, simulate},
};
