//! The journal of finished inputs: one JSON document a line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ConvertError, out_dir::place, summary::InputOutcome};

const VERSION: u32 = 1;

/// An input that is finished: all its files are in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalLine {
    version: u32,
    /// Fingerprint of the settings it was converted with.
    pub(crate) settings: String,
    /// Paths are relative to the store's folder.
    pub(crate) outcome: InputOutcome,
}

impl JournalLine {
    pub(crate) fn new(settings: &str, outcome: InputOutcome) -> Self {
        Self { version: VERSION, settings: settings.to_owned(), outcome }
    }

    pub(crate) fn to_text(&self, path: &Path) -> Result<String, ConvertError> {
        match serde_json::to_string(self) {
            Ok(text) => Ok(text + "\n"),
            Err(error) => Err(sidecar(path, error.to_string())),
        }
    }
}

/// All whole lines and their bytes. The last line may be cut off by a kill or, after a loss of
/// power, have zeros in the place of what did not reach the disk; it is then left out.
///
/// # Errors
/// A line is no line of a journal, or names files that no conversion makes.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<JournalLine>, u64), ConvertError> {
    let end = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut whole = &bytes[..end(bytes)];
    let last = end(&whole[..whole.len().saturating_sub(1)]);
    if whole[last..].contains(&0) {
        whole = &whole[..last];
    }
    let lines = whole.split_inclusive(|&byte| byte == b'\n').enumerate();
    let lines = lines.map(|(i, line)| {
        parse_line(line).map_err(|reason| sidecar(path, format!("line {}: {reason}", i + 1)))
    });
    Ok((lines.collect::<Result<_, _>>()?, whole.len() as u64))
}

fn parse_line(line: &[u8]) -> Result<JournalLine, String> {
    let parsed: JournalLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if parsed.version != VERSION {
        return Err(format!("version `{}`, expected `{VERSION}`", parsed.version));
    }
    for output in &parsed.outcome.outputs {
        place::check_output(output)?;
    }
    Ok(parsed)
}

fn sidecar(path: &Path, reason: String) -> ConvertError {
    ConvertError::Sidecar { path: path.to_owned(), reason }
}
