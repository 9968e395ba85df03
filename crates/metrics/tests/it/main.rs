//! The Run document as a file format.

mod document;
#[path = "../../../../fixtures/evidence.rs"]
mod evidence;
mod schema;
mod seeds;
