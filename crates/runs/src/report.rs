//! Reports in a folder.

use std::path::{Path, PathBuf};

use lob_metrics::Run;
use lob_report::{Beside, Format};

use crate::{RunsError, write_file};

/// Draws a Run, beside what is known of earlier ones, in every format into a folder, which is made
/// if need be. Returns the files.
///
/// # Errors
/// A format cannot be drawn, or a file cannot be written.
pub fn write_reports(
    run: &Run,
    beside: &Beside<'_>,
    out: &Path,
) -> Result<Vec<PathBuf>, RunsError> {
    let mut files = Vec::new();
    for rendered in lob_report::render_all_beside(run, beside, &Format::ALL)? {
        let path = out.join(&rendered.file_name);
        write_file(&path, &rendered.bytes)?;
        files.push(path);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_among_the_reports_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = lob_fixtures::sample_run();
        let files = write_reports(&run, &Beside::default(), folder.path()).unwrap();
        assert!(files.iter().all(|file| file.is_file()));
        assert_eq!(crate::read_run(&folder.path().join("run.json")).unwrap(), run);
        let error = crate::read_run(&folder.path().join("report.html")).unwrap_err();
        assert!(matches!(error, RunsError::NotARun { .. }), "{error}");
    }
}
