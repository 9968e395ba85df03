//! Inputs that were left out because others hold their market.

use std::path::PathBuf;

use serde::Serialize;

/// An input that was left out because another one holds its market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DuplicateSummary {
    /// The input left out.
    pub path: PathBuf,
    /// The one that was taken.
    pub of: PathBuf,
    /// How much of it the other holds.
    pub why: DuplicateKind,
    /// Whether an earlier run had put the other one into the store.
    pub in_store: bool,
}

/// How much of an input that was left out another one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DuplicateKind {
    /// Every record, and no other.
    Copy,
    /// Every record, and more.
    Part,
    /// The same books in the other schema.
    OtherSchema,
}

impl std::fmt::Display for DuplicateSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, of) = (self.path.display(), self.of.display());
        write!(f, "`{path}` is left out: ")?;
        match self.why {
            DuplicateKind::Copy => write!(f, "its records are those of `{of}`")?,
            DuplicateKind::Part => write!(f, "all its records are in `{of}`")?,
            DuplicateKind::OtherSchema => {
                write!(f, "`{of}` holds the books of the same instruments and time")?;
            }
        }
        if self.in_store { write!(f, ", which is in the store") } else { Ok(()) }
    }
}
