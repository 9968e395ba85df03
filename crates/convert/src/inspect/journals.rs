//! What the journals of a store say together.

use std::{collections::BTreeMap, path::Path};

use lob_metrics::shown;
use serde::Serialize;

use crate::{ConvertError, journal, out_dir::journals};

/// One journal of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalInspection {
    /// Whose it is: `alone`, a shard such as `shard-0-of-4`, or the task of a cluster.
    pub writer: String,
    /// Inputs it notes as finished.
    pub inputs: u64,
    /// Their records.
    pub records: u64,
    /// Rows made of them.
    pub rows: u64,
}

/// All journals of the store in `root`, and what is wrong between them.
pub(super) fn read(root: &Path) -> Result<(Vec<JournalInspection>, Vec<String>), ConvertError> {
    let (mut found, mut health) = (Vec::new(), Vec::new());
    let mut settings = BTreeMap::new();
    for (path, bytes) in journals::on_disk(root)? {
        let lines = match journal::parse(&path, &bytes) {
            Ok((lines, whole_bytes)) => {
                if whole_bytes < bytes.len() as u64 {
                    health.push(format!(
                        "`{}` ends in half a line: a killed run",
                        shown(path.display())
                    ));
                }
                lines
            }
            Err(error) => {
                health.push(error.to_string());
                continue;
            }
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let writer = if name.starts_with('.') { "alone".to_owned() } else { name.into_owned() };
        // The last line of an input counts: it may have been converted or delivered again.
        let mut last = BTreeMap::new();
        for line in lines {
            settings.entry(line.settings).or_insert_with(|| writer.clone());
            let input = &line.outcome.input;
            let key = |id: Option<&str>| (input.source(), id.map(str::to_owned));
            for replaced in &input.replaces {
                last.remove(&key(Some(replaced)));
            }
            let rows = line.outcome.outputs.iter().map(|output| output.rows).sum::<u64>();
            last.insert(key(input.identity()), (input.records, rows));
        }
        let (records, rows) = last.values().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
        found.push(JournalInspection { writer, inputs: last.len() as u64, records, rows });
    }
    if settings.len() > 1 {
        let writers: Vec<_> = settings.into_values().collect();
        health.push(format!("journals of different settings: {}", writers.join(", ")));
    }
    Ok((found, health))
}
