//! One binary for the tests that need more than one module.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "tests compare exactly, count small things and say what they skip"
)]

mod ahead;
mod bins;
mod dtype;
mod flow;
mod golden;
mod label;
mod npy;
mod price;
mod reference;
mod render;
mod source;

use lob_fixtures::evidence;
