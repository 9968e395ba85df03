//! The public surface, driven as other crates drive it.

#![allow(clippy::cast_possible_truncation, reason = "test sizes are small")]

mod allocator;
mod scopes;
mod sensors;

#[global_allocator]
static ALLOCATOR: lob_profiler::CountingAllocator = lob_profiler::CountingAllocator;
