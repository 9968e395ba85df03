//! The simulated market as its readers see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod files;
mod market;
mod messy;
mod realism;
mod truth;
