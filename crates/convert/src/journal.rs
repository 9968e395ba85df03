//! The journal of finished inputs: one JSON document a line.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ConvertError, out_dir::place, summary::InputOutcome};

const VERSION: u32 = 2;
/// Its lines name inputs by path, have no fingerprints, and begin warnings with the path.
const WITH_PATHS: u32 = 1;

/// An input that is finished: all its files are in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalLine {
    version: u32,
    /// Fingerprint of the settings it was converted with.
    pub(crate) settings: String,
    /// Paths of outputs are relative to the store's folder, that of the input is its name.
    pub(crate) outcome: InputOutcome,
}

impl JournalLine {
    pub(crate) fn new(settings: &str, mut outcome: InputOutcome) -> Self {
        outcome.input.path = PathBuf::from(outcome.input.name());
        outcome.fingerprint_s = 0.0;
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
    let mut parsed: JournalLine =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match parsed.version {
        VERSION => {}
        WITH_PATHS => {
            let InputOutcome { input, warnings, .. } = &mut parsed.outcome;
            let path = format!("`{}`: ", input.path.display());
            for warning in warnings {
                if let Some(rest) = warning.strip_prefix(&path) {
                    *warning = rest.to_owned();
                }
            }
        }
        found => return Err(format!("version `{found}`, expected `{WITH_PATHS}` or `{VERSION}`")),
    }
    for output in &parsed.outcome.outputs {
        place::check_output(output)?;
    }
    Ok(parsed)
}

fn sidecar(path: &Path, reason: String) -> ConvertError {
    ConvertError::Sidecar { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_version_2_is_read() {
        let bytes = include_bytes!("../../../fixtures/formats/journal-v2.jsonl");
        let (lines, n) = parse(Path::new("journal"), bytes).unwrap();
        assert_eq!((lines.len(), n), (2, bytes.len() as u64));
        let [first, second] = [&lines[0].outcome, &lines[1].outcome];
        assert_eq!(first.input.path, Path::new("source.mbp-10.dbn.zst"));
        assert_eq!(first.input.source(), second.input.source());
        assert_eq!(second.input.replaces, [first.input.identity().unwrap()]);
        assert!(first.warnings[0].starts_with("`6AM4`"), "{:?}", first.warnings);
        let again: String =
            lines.iter().map(|line| line.to_text(Path::new("journal")).unwrap()).collect();
        // Keys may have come since; what is read of them is the same.
        assert_eq!(parse(Path::new("journal"), again.as_bytes()).unwrap().0, lines);
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let text = include_str!("../../../fixtures/formats/journal-v2.jsonl");
        let text = text.replacen("\"version\":2", "\"version\":3", 1);
        let error = parse(Path::new("journal"), text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("version `3`, expected `1` or `2`"), "{error}");
    }
}
