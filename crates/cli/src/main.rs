//! The `lob` command.
fn main() {}
