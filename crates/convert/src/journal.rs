//! The journal of finished inputs: one JSON document a line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ConvertError, summary::InputOutcome};

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

/// All whole lines and their bytes. The last line may be cut off by a kill and is then left out.
pub(crate) fn parse(path: &Path, text: &str) -> Result<(Vec<JournalLine>, u64), ConvertError> {
    let whole = text.rfind('\n').map_or("", |at| &text[..=at]);
    let lines = whole.lines().enumerate().map(|(i, line)| {
        let parsed: JournalLine = serde_json::from_str(line)
            .map_err(|error| sidecar(path, format!("line {}: {error}", i + 1)))?;
        if parsed.version != VERSION {
            let found = parsed.version;
            return Err(sidecar(path, format!("version `{found}`, expected `{VERSION}`")));
        }
        Ok(parsed)
    });
    Ok((lines.collect::<Result<_, _>>()?, whole.len() as u64))
}

fn sidecar(path: &Path, reason: String) -> ConvertError {
    ConvertError::Sidecar { path: path.to_owned(), reason }
}
