//! The replay against a naive model, against real files, and against broken records.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod cases;
mod model;
mod real;
mod seeds;
mod support;

use lob_fixtures::evidence;
