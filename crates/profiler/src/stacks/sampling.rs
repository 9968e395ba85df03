//! The sampling itself: Linux on x86-64 and AArch64.

mod buffer;
mod capture;
mod child;
mod countdown;
mod engine;
mod heap;
mod image;
mod kernel;
mod memory;
mod perf_map;
mod process;
mod python;
mod reader;
mod records;
mod signal;
mod sites;
mod space;
mod symbols;
mod table;

pub(crate) use child::ChildSampler;
pub(crate) use heap::{Context, Contexts};
pub use signal::LineProfiler;
pub use sites::{AllocSites, track_alloc_sites};
