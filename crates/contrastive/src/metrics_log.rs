use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{ContrastiveError, StepReport};

/// Name of the log in a run's folder.
const FILE_NAME: &str = "metrics.jsonl";

/// `metrics.jsonl`: one line of JSON for each step. Lines after the checkpoint that a run goes on
/// from are dropped, so that every step stands there once.
#[derive(Debug)]
pub(crate) struct MetricsLog {
    path: PathBuf,
    out: BufWriter<File>,
}

impl MetricsLog {
    /// Opens the log of a run that goes on after `steps` steps.
    pub(crate) fn open(folder: &Path, steps: usize) -> Result<Self, ContrastiveError> {
        let path = folder.join(FILE_NAME);
        let kept = if steps == 0 { Vec::new() } else { kept_lines(&path, steps)? };
        lob_store::write_file(&path, &kept).map_err(|source| io("write", &path, source))?;
        let file = File::options().append(true).open(&path);
        let out = BufWriter::new(file.map_err(|source| io("write", &path, source))?);
        Ok(Self { path, out })
    }

    pub(crate) fn write(&mut self, report: &StepReport) -> Result<(), ContrastiveError> {
        let line = serde_json::to_string(report).map_err(std::io::Error::from);
        let written = line.and_then(|line| writeln!(self.out, "{line}"));
        written.map_err(|source| io("write", &self.path, source))
    }

    /// Hands the lines so far to the operating system.
    pub(crate) fn flush(&mut self) -> Result<(), ContrastiveError> {
        self.out.flush().map_err(|source| io("write", &self.path, source))
    }
}

/// The lines of the first `steps` steps; none where there is no log.
fn kept_lines(path: &Path, steps: usize) -> Result<Vec<u8>, ContrastiveError> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io("read", path, source)),
    };
    let mut kept = Vec::new();
    for (number, line) in (1..).zip(file.split(b'\n')) {
        let line = line.map_err(|source| io("read", path, source))?;
        let line = String::from_utf8(line).map_err(|_| {
            let reason = format!("line {number} is not UTF-8; mend it, or delete the file");
            io("read", path, std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
        })?;
        // A killed process may have left half a line at the end.
        let step = serde_json::from_str::<serde_json::Value>(&line).ok();
        let step = step.and_then(|value| value["step"].as_u64());
        if step.is_some_and(|step| step <= steps as u64) {
            kept.extend_from_slice(line.as_bytes());
            kept.push(b'\n');
        }
    }
    Ok(kept)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> ContrastiveError {
    ContrastiveError::Log { action, path: path.to_owned(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Fault 16 of the review: it said that the model file could not be written.
    #[test]
    fn a_log_that_is_no_text_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, b"{\"step\":1}\n{\"step\":2}\r\n{\"st\xff").unwrap();
        let message = MetricsLog::open(folder.path(), 2).unwrap_err().to_string();
        let expected = "line 3 is not UTF-8; mend it, or delete the file";
        let expected = format!("cannot read the log `{}`: {expected}", path.display());
        assert_eq!(message, expected);
        // What cannot be read is not taken away either.
        assert!(std::fs::read(&path).unwrap().ends_with(b"\xff"));
        MetricsLog::open(folder.path(), 0).unwrap();
    }

    #[test]
    fn half_a_line_at_the_end_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st").unwrap();
        MetricsLog::open(folder.path(), 2).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":1}\n{\"step\":2}\n");
    }
}
