//! Writing and reading store files through the public interface.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]

/// For the tests that count what reading costs.
#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

mod damage;
mod fingerprint;
mod formats;
mod round_trip;
mod seeds;
mod table;
mod ticks;
mod truth;
mod walk;

use lob_fixtures::{bins as made, evidence};
