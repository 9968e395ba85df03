//! The replay against a naive model, against real files, and against broken records.

mod cases;
mod model;
mod real;
mod support;
