//! The replay against a naive model, against real files, and against broken records.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod cases;
#[path = "../../../../fixtures/evidence.rs"]
mod evidence;
mod model;
mod real;
mod seeds;
mod support;
