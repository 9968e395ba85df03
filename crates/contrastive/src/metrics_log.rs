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
        lob_store::write_file(&path, &kept).map_err(|source| io(&path, source))?;
        let file = File::options().append(true).open(&path);
        let out = BufWriter::new(file.map_err(|source| io(&path, source))?);
        Ok(Self { path, out })
    }

    pub(crate) fn write(&mut self, report: &StepReport) -> Result<(), ContrastiveError> {
        let line = serde_json::to_string(report).map_err(std::io::Error::from);
        let written = line.and_then(|line| writeln!(self.out, "{line}"));
        written.map_err(|source| io(&self.path, source))
    }

    /// Hands the lines so far to the operating system.
    pub(crate) fn flush(&mut self) -> Result<(), ContrastiveError> {
        self.out.flush().map_err(|source| io(&self.path, source))
    }
}

/// The lines of the first `steps` steps; none where there is no log.
fn kept_lines(path: &Path, steps: usize) -> Result<Vec<u8>, ContrastiveError> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io(path, source)),
    };
    let mut kept = Vec::new();
    for line in file.lines() {
        let line = line.map_err(|source| io(path, source))?;
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

fn io(path: &Path, source: std::io::Error) -> ContrastiveError {
    ContrastiveError::Io { action: "write", path: path.to_owned(), source }
}
