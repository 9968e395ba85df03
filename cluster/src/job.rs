//! What all tasks of a job share; travels inside the plan.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::place::Place;

/// How each file is converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Folder of the store, the same path on every machine, or its place in a bucket.
    pub(crate) out: Place,
    /// Flags for `lob convert`, as given after `--`.
    pub(crate) flags: Vec<String>,
    /// Longest time for one file in seconds; 0 for no limit.
    pub(crate) timeout_s: u64,
}

/// Name of the journal of the task that converts this input: the same on every attempt, so that a
/// second attempt waits for the first, finds its result and repeats nothing.
pub(crate) fn journal_name(input: &str) -> String {
    let digest = Sha256::digest(input.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("task-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_names_are_stable_and_plain() {
        let name = journal_name("/data/2024-01-02.mbo.dbn.zst");
        assert_eq!(name, journal_name("/data/2024-01-02.mbo.dbn.zst"));
        assert_ne!(name, journal_name("/data/2024-01-03.mbo.dbn.zst"));
        assert_eq!(name.len(), 37);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
}
