//! A real cluster of processes on loopback, with faults. Run by `cargo xtask cluster-test`, which
//! builds `lob` and names it in `LOB_BIN`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod faults;
mod lab;
mod s3;
mod same;
