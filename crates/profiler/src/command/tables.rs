//! What was found, as tables and rows over time for a report.

use std::collections::BTreeMap;

use lob_metrics::{Artifact, Cell, Column, Lane, Unit};

use super::doing::Doing;
use super::waits::{Row, Waits};

/// Threads with a row of their own.
const MAX_THREADS: usize = 32;
/// Stretches drawn of one thread.
const MAX_STRETCHES: usize = 160;
/// Sentences about what the program waited for.
const MAX_REASONS: usize = 12;
/// Share of the time below which a sentence says nothing.
const MIN_SHARE: f64 = 0.005;

/// Threads over time, what the program waited for, and each thread's time by what it did.
pub(super) fn of_waits(waits: &Waits) -> Vec<Artifact> {
    if waits.rows.is_empty() {
        return Vec::new();
    }
    // Where threads come and go, those that matter stand in the order they came.
    let mut shown: Vec<&Row> = waits.rows.iter().take(MAX_THREADS).collect();
    shown.sort_by(|a, b| a.lane.from_s.total_cmp(&b.lane.from_s));
    vec![lanes(&shown), reasons(waits), threads(waits)]
}

fn lanes(rows: &[&Row]) -> Artifact {
    let lane = |row: &&Row| {
        let lane = row.lane.at_most(MAX_STRETCHES);
        let class = |doing| Doing::ALL.iter().position(|known| *known == doing).unwrap_or(0);
        let (to_s, class): (Vec<f64>, Vec<u32>) = lane
            .stretches
            .iter()
            .map(|(end_s, doing)| (rounded(*end_s), u32::try_from(class(*doing)).unwrap_or(0)))
            .unzip();
        Lane { name: row.name.clone(), from_s: rounded(lane.from_s), to_s, class }
    };
    Artifact::Lanes {
        title: "Threads over time".to_owned(),
        class_names: Doing::ALL.map(|doing| doing.word().to_owned()).to_vec(),
        lanes: rows.iter().map(lane).collect(),
    }
}

/// A tenth of a millisecond is finer than any sample.
fn rounded(s: f64) -> f64 {
    (s * 1e4).round() / 1e4
}

fn reasons(waits: &Waits) -> Artifact {
    let whole: f64 = waits.seconds.values().sum();
    let share = |s: f64| s / whole.max(1e-12);
    let told = waits.reasons.iter().filter(|reason| share(reason.s) >= MIN_SHARE);
    let row = |reason: &super::waits::Reason| -> Vec<Cell> {
        let what = reason.what.as_str();
        vec![reason.doing.word().into(), share(reason.s).into(), reason.s.into(), what.into()]
    };
    Artifact::Table {
        title: "What the program did, as a whole".to_owned(),
        headings: vec![
            Column::new("Kind", None),
            Column::new("Share", Some(Unit::Fraction)),
            Column::new("Time", Some(Unit::Seconds)),
            Column::new("Thread and what", None),
        ],
        cells: told.take(MAX_REASONS).map(row).collect(),
    }
}

fn threads(waits: &Waits) -> Artifact {
    let mut total: BTreeMap<Doing, f64> = BTreeMap::new();
    for row in &waits.rows {
        for (doing, seconds) in &row.seconds {
            *total.entry(*doing).or_default() += seconds;
        }
    }
    let kinds: Vec<Doing> = Doing::ALL
        .into_iter()
        .filter(|doing| total.get(doing).is_some_and(|seconds| *seconds > 1e-6))
        .collect();
    let mut headings = vec![Column::new("Thread", None), Column::new("Seen", Some(Unit::Seconds))];
    headings.extend(kinds.iter().map(|doing| Column::new(doing.word(), Some(Unit::Fraction))));
    headings.push(Column::new("Longest wait", None));
    let row = |row: &Row| -> Vec<Cell> {
        let lived_s = row.lived_s();
        let mut cells: Vec<Cell> = vec![row.name.as_str().into(), lived_s.into()];
        let share = |doing| row.seconds.get(doing).copied().unwrap_or(0.0) / lived_s.max(1e-12);
        cells.extend(kinds.iter().map(|doing| Cell::from(share(doing))));
        cells.push(row.most.as_str().into());
        cells
    };
    let hidden = waits.rows.len().saturating_sub(MAX_THREADS) + waits.forgotten;
    let title = match hidden {
        0 => "Threads and what they did".to_owned(),
        _ => format!("Threads and what they did ({hidden} that ran less are left out)"),
    };
    Artifact::Table {
        title,
        headings,
        cells: waits.rows.iter().take(MAX_THREADS).map(row).collect(),
    }
}
