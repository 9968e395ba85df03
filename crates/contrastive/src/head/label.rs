//! What a head is to tell: a class for each window.

use std::collections::HashMap;
use std::path::Path;

use lob_store::{LabelKind, LabelUnit, LabelValues, NamedLabel, Store, StoreError};

use crate::{BinSeries, Choice, ContrastiveError, Prepared, open_store};

/// Bins that a label calculated from the mids looks ahead.
const AHEAD: usize = 10;

/// Rows of a label read at once.
const BLOCK_ROWS: u64 = 8192;

/// A label for a head: its classes by name, and that of each window at its last bin.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadLabel {
    /// Name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Bins it looks ahead; 0 where that is not said in bins.
    pub horizon_bins: u64,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Class of each window; `None` where there is none.
    pub classes: Vec<Option<u32>>,
}

impl HeadLabel {
    /// The label of this name; without one the store's nearest label that looks forward by at least
    /// ten bins, and without such labels the direction of the mid ten bins ahead.
    ///
    /// # Errors
    /// [`ContrastiveError::NotInStore`] for a name that not every file has, and what reading the
    /// store reports.
    pub fn of(
        path: &Path,
        choice: &Choice,
        prepared: &Prepared,
        name: Option<&str>,
    ) -> Result<Self, ContrastiveError> {
        let store = open_store(path, choice)?;
        let labels = prepared.facts.as_ref().map(|facts| &facts.labels[..]).unwrap_or_default();
        let usual = store.default_label();
        let is_usual = |label: &&NamedLabel| label.name == usual && label.kind.is_forward();
        let found = match name {
            Some(name) => {
                Some(labels.iter().find(|label| label.is_called(name)).ok_or_else(|| {
                    let found: Vec<_> = labels.iter().map(|label| label.name.as_str()).collect();
                    ContrastiveError::NotInStore {
                        path: path.to_owned(),
                        wanted: format!("the label `{name}`"),
                        found: found.join(", "),
                    }
                })?)
            }
            None => labels.iter().find(is_usual),
        };
        match found {
            Some(label) => Self::stored(&store, label, prepared),
            None => Self::calculated(&store, prepared),
        }
    }

    fn stored(
        store: &Store,
        label: &NamedLabel,
        prepared: &Prepared,
    ) -> Result<Self, ContrastiveError> {
        let has_classes = label.classes > 1;
        if !has_classes && label.kind != LabelKind::Forward {
            return Err(ContrastiveError::Config {
                name: "head-label",
                expected: "a label with classes",
                found: format!("{}, which has none", label.name),
            });
        }
        let window = prepared.window as u64;
        let (mut at, mut block) = ((usize::MAX, 0), LabelValues::default());
        let mut classes = Vec::with_capacity(prepared.origins.len());
        for (idx, origin) in prepared.origins.iter().enumerate() {
            let row = origin.row + window - 1;
            let place = (origin.file, row / BLOCK_ROWS);
            let Some(file) = store.files().get(origin.file) else {
                classes.push(None);
                continue;
            };
            if at != place {
                let first = place.1 * BLOCK_ROWS;
                let rows = first..file.len().min(first + BLOCK_ROWS);
                let failed = |source: StoreError| ContrastiveError::Source {
                    window: idx,
                    source: source.into(),
                };
                block = file.label_values(&label.name, rows).map_err(failed)?;
                at = place;
            }
            let row = usize::try_from(row % BLOCK_ROWS).unwrap_or(usize::MAX);
            classes.push(match has_classes {
                true => {
                    let class = block.class.get(row).copied().flatten();
                    class.and_then(|c| u32::try_from(c).ok()).filter(|&c| c < label.classes)
                }
                false => block.value.get(row).copied().flatten().map(direction),
            });
        }
        let n_classes = if has_classes { label.classes } else { 3 };
        Ok(Self {
            name: label.name.clone(),
            description: format!("stored label `{}` ({})", label.name, label.kind),
            horizon_bins: if label.unit == LabelUnit::Bins { label.horizon } else { 0 },
            class_names: class_names(label.kind, n_classes),
            classes,
        })
    }

    /// Down, flat or up: the mid some bins after a window's last one against its own, in one segment.
    fn calculated(store: &Store, prepared: &Prepared) -> Result<Self, ContrastiveError> {
        let series = BinSeries::read(store.files())?;
        let rows: HashMap<(usize, u64), usize> =
            series.rows.iter().enumerate().map(|(at, row)| ((row.file, row.row), at)).collect();
        let window = prepared.window as u64;
        let class = |file: usize, row: u64| {
            let now = *rows.get(&(file, row + window - 1))?;
            let then = now + AHEAD;
            let is_one = series.segments.get(then)? == series.segments.get(now)?;
            let change = series.rows.get(then)?.mid_steps - series.rows[now].mid_steps;
            is_one.then(|| direction(change))
        };
        Ok(Self {
            name: format!("forward_{AHEAD}"),
            description: format!(
                "the mid {AHEAD} bins later against the last mid, calculated: the store has no label \
                 that looks forward"
            ),
            horizon_bins: AHEAD as u64,
            class_names: class_names(LabelKind::Forward, 3),
            classes: prepared.origins.iter().map(|o| class(o.file, o.row)).collect(),
        })
    }
}

fn direction(change: f64) -> u32 {
    1 + u32::from(change > 0.0) - u32::from(change < 0.0)
}

/// Names of the classes of a label of this kind.
fn class_names(kind: LabelKind, n: u32) -> Vec<String> {
    let names: &[&str] = match (kind, n) {
        (LabelKind::Forward, 3) => &["down", "flat", "up"],
        (LabelKind::NextChange, 2) => &["down", "up"],
        (LabelKind::NextTradeSide, 2) => &["sell", "buy"],
        (LabelKind::TrueRegime, 4) => &NamedLabel::REGIMES,
        _ => return (0..n).map(|class| format!("class_{class}")).collect(),
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}
