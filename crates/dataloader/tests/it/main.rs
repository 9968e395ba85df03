//! Data sets and loaders over made-up stores, through the public interface.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dataset;
mod loader;
mod maker;
mod split;
mod stop;

use lob_fixtures::stores as made;
