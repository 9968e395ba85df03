//! The sampling itself: Linux on x86-64 and AArch64.

mod capture;
mod child;
mod countdown;
mod image;
mod reader;
mod records;
mod signal;
mod sites;
mod space;
mod symbols;
mod table;

pub(crate) use child::ChildSampler;
pub use signal::LineProfiler;
pub use sites::{AllocSites, track_alloc_sites};
