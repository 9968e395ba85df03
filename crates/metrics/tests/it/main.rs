//! The Run document as a file format.

mod document;
mod schema;
