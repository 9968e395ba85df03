//! Files: whole or not at all, and lines that are only ever added.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use lob_metrics::Run;

use crate::RunsError;

/// Writes a file so that it is seen whole or not at all, making its folder if need be.
///
/// # Errors
/// The path names no file, or its folder cannot be made or written to.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RunsError> {
    lob_store::write_file(path, bytes).map_err(RunsError::io("write", path))
}

/// Adds text to the end of a file, in one write, making file and folder if need be.
///
/// # Errors
/// The file cannot be written to.
pub fn append_file(path: &Path, text: &str) -> Result<(), RunsError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(RunsError::io("make", folder))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(RunsError::io("append to", path))
}

/// Reads a Run document and refuses what is none.
///
/// # Errors
/// The file cannot be read, or is no Run document of a version this build knows.
pub fn read_run(path: &Path) -> Result<Run, RunsError> {
    let text = std::fs::read_to_string(path).map_err(RunsError::io("read", path))?;
    Run::from_json(&text).map_err(|source| RunsError::NotARun { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_leaves_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        append_file(&path, " three").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two three");
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        assert!(write_file(&folder.path().join("a"), b"x").is_err());
        assert!(write_file(&path.join("c.txt"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
