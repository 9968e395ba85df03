//! History files: one line a run.

use std::path::Path;

use lob_metrics::{HistoryEntry, read_history};

use crate::RunsError;

/// Reads a history file; one that does not exist yet is empty.
///
/// # Errors
/// The file cannot be read, or a line of it is no entry.
pub fn read_history_file(path: &Path) -> Result<Vec<HistoryEntry>, RunsError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(RunsError::io("read", path))?;
    read_history(&text).map_err(|source| RunsError::History { path: path.to_owned(), source })
}

/// Adds a run to the end of a history file, which is made if need be.
///
/// # Errors
/// The entry has no JSON form, or the file cannot be written to.
pub fn append_history(path: &Path, entry: &HistoryEntry) -> Result<(), RunsError> {
    crate::append_file(path, &entry.to_line().map_err(RunsError::Line)?)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_history_grows_by_lines_and_names_the_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/history.jsonl");
        assert_eq!(read_history_file(&path).unwrap(), []);
        let entry = HistoryEntry::of(&lob_fixtures::sample_run());
        append_history(&path, &entry).unwrap();
        append_history(&path, &entry).unwrap();
        assert_eq!(read_history_file(&path).unwrap(), [entry.clone(), entry]);
        crate::append_file(&path, "{}\n").unwrap();
        let error = read_history_file(&path).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("history.jsonl") && cause.contains("line 3"), "{cause}");
    }
}
