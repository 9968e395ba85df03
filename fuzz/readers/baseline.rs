//! Any two Run documents as a baseline and a run held against it, and any text as the history of a
//! machine: what can be read can be compared, judged, drawn and put on record.

use lob_metrics::{CompareConfig, HistoryEntry, Run, compare, read_history, trends};
use lob_report::{pull_request_summary, render_comparison, render_runs};

/// Parts the two documents; no JSON holds it.
const BETWEEN: char = '\0';

pub(crate) fn check(text: &str) {
    if let Ok(entries) = read_history(text) {
        drop(trends(&entries));
    }
    let (base, current) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let Ok(base) = Run::from_json(base) else { return };
    let current = Run::from_json(current).unwrap_or_else(|_| lob_fixtures::sample_run());
    drop(compare(&base, &current, &CompareConfig::default()));
    let config = CompareConfig { force: true, ..CompareConfig::default() };
    let changes = compare(&base, &current, &config).expect("force compares whatever can be read");
    let metrics = |run: &Run| run.measurements().count();
    assert!(changes.len() <= metrics(&base) + metrics(&current));
    drop(render_comparison(&base, &current, &changes));
    drop(render_runs(&[&base, &current]));
    if let Ok(summary) = pull_request_summary(&current, Some(&base)) {
        // What a comment holds.
        assert!(summary.len() <= 65_536, "{} bytes", summary.len());
    }
    let mut lines = String::new();
    for run in [&base, &current] {
        lines.push_str(&HistoryEntry::of(run).to_line().expect("a run that could be read"));
    }
    assert_eq!(read_history(&lines).expect("our own lines").len(), 2);
}
