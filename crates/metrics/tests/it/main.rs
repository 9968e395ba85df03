//! The Run document as a file format, and runs judged and compared.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod compare;
mod document;
mod history;
mod schema;
mod seeds;
mod target;

use lob_fixtures::evidence;
