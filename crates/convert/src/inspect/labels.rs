//! How many rows have which label.

use lob_store::{BinFile, LabelValues, NamedLabel, StoreError};
use serde::Serialize;

/// Bins whose labels are read at once.
const READ_ROWS: u64 = 1 << 16;

/// How many bins have a label, and which class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelCounts {
    /// Name of the label.
    pub name: String,
    /// Bins with a value or a class.
    pub known: u64,
    /// Bins of each class, lowest class first; empty where the label has none.
    pub class_counts: Vec<u64>,
}

impl LabelCounts {
    fn of(label: &NamedLabel) -> Self {
        let class_counts = vec![0; label.classes as usize];
        Self { name: label.name.clone(), known: 0, class_counts }
    }

    fn read(&mut self, values: &LabelValues) {
        for (value, class) in values.value.iter().zip(&values.class) {
            self.known += u64::from(value.is_some() || class.is_some());
            let at = class.and_then(|class| usize::try_from(class).ok());
            if let Some(count) = at.and_then(|at| self.class_counts.get_mut(at)) {
                *count += 1;
            }
        }
    }
}

/// Adds the counts of a file.
pub(super) fn add(all: &mut Vec<LabelCounts>, of_file: Vec<LabelCounts>) {
    for counts in of_file {
        let Some(sum) = all.iter_mut().find(|sum| sum.name == counts.name) else {
            all.push(counts);
            continue;
        };
        sum.known += counts.known;
        let most = sum.class_counts.len().max(counts.class_counts.len());
        sum.class_counts.resize(most, 0);
        sum.class_counts.iter_mut().zip(counts.class_counts).for_each(|(sum, n)| *sum += n);
    }
}

#[derive(Default)]
pub(super) struct FileLabels {
    /// Bins with a class of the first label, and how many of each.
    pub(super) samples: u64,
    pub(super) class_counts: Vec<u64>,
    pub(super) ts_event_range: Option<(u64, u64)>,
    /// All labels.
    pub(super) counts: Vec<LabelCounts>,
}

impl FileLabels {
    pub(super) fn read(&mut self, file: &BinFile) -> Result<(), StoreError> {
        self.class_counts = vec![0; file.meta().label.classes as usize];
        self.counts = file.meta().labels.iter().map(LabelCounts::of).collect();
        let mut start = 0;
        while start < file.len() {
            let end = file.len().min(start + READ_ROWS);
            let columns = file.labels(start..end)?;
            for label in columns.label.into_iter().flatten() {
                self.samples += 1;
                let class = usize::try_from(label).unwrap_or(usize::MAX);
                if let Some(count) = self.class_counts.get_mut(class) {
                    *count += 1;
                }
            }
            for ts in columns.ts_event.into_iter().filter(|ts| *ts != u64::MAX) {
                let (first, last) = self.ts_event_range.unwrap_or((ts, ts));
                self.ts_event_range = Some((first.min(ts), last.max(ts)));
            }
            for (label, counts) in file.meta().labels.iter().zip(&mut self.counts) {
                counts.read(&file.label_values(&label.name, start..end)?);
            }
            start = end;
        }
        Ok(())
    }
}
