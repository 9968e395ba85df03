//! A profile's scopes by name, wherever they stand, as a sorted table.

use std::collections::BTreeMap;

use lob_metrics::Unit;

use crate::Profile;

/// One name of scopes, over all places where it was entered.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyAverage {
    /// Name of the scope: the last part of its path.
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Seconds in the scopes themselves, inner ones excluded.
    pub self_s: f64,
    /// Seconds with inner scopes. A scope inside another of its own name counts twice.
    pub total_s: f64,
    /// Share of `self_s` in that of all names, 0..=1; the shares add up to 1.
    pub share: f64,
    /// Bytes allocated in the scopes themselves; `None` where allocations were not charged to
    /// scopes.
    pub self_allocated_bytes: Option<u64>,
    /// Bytes allocated less bytes freed, inner scopes included; `None` as above.
    pub net_bytes: Option<i64>,
    /// Different shapes the scopes worked on, where they are recorded.
    pub shapes: Vec<Vec<usize>>,
}

impl KeyAverage {
    /// Mean seconds of a call.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        self.total_s / self.calls.max(1) as f64
    }
}

/// What a table of [`KeyAverage`]s is sorted by, largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOrder {
    /// Time in the scopes themselves.
    #[default]
    SelfTime,
    /// Time with inner scopes.
    TotalTime,
    /// Mean time of a call.
    MeanTime,
    /// Number of calls.
    Calls,
    /// Bytes allocated in the scopes themselves; names without are last.
    SelfMemory,
}

/// The scopes of a profile by name, sorted, at most `row_limit` of them.
///
/// ```
/// use std::time::Duration;
/// use lob_profiler::key_averages::{KeyOrder, key_averages};
/// use lob_profiler::profile;
/// let (_, profile) = profile("steps", Duration::from_millis(10), || {
///     (0..3).for_each(|_| drop(lob_scope::scope("forward")));
/// });
/// let rows = key_averages(&profile, KeyOrder::Calls, 10);
/// assert_eq!((rows[0].name.as_str(), rows[0].calls), ("forward", 3));
/// ```
#[must_use]
pub fn key_averages(profile: &Profile, order: KeyOrder, row_limit: usize) -> Vec<KeyAverage> {
    let mut rows: BTreeMap<&str, KeyAverage> = BTreeMap::new();
    for scope in &profile.scopes {
        let name = last(&scope.path);
        let row = rows.entry(name).or_insert_with(|| KeyAverage {
            name: name.to_owned(),
            calls: 0,
            self_s: 0.0,
            total_s: 0.0,
            share: 0.0,
            self_allocated_bytes: None,
            net_bytes: None,
            shapes: Vec::new(),
        });
        row.calls += scope.calls;
        row.self_s += scope.self_s;
        row.total_s += scope.total_s;
    }
    for allocs in &profile.allocs {
        if let Some(row) = rows.get_mut(last(&allocs.path)) {
            *row.self_allocated_bytes.get_or_insert(0) += allocs.self_allocated_bytes;
            *row.net_bytes.get_or_insert(0) += allocs.net_bytes;
        }
    }
    for shapes in &profile.shapes {
        if let Some(row) = rows.get_mut(last(&shapes.path)) {
            row.shapes.extend(shapes.shapes.iter().cloned());
            row.shapes.sort();
            row.shapes.dedup();
        }
    }
    let all_s: f64 = rows.values().map(|row| row.self_s).sum();
    let mut rows: Vec<KeyAverage> = rows.into_values().collect();
    if all_s > 0.0 {
        rows.iter_mut().for_each(|row| row.share = row.self_s / all_s);
    }
    let key = |row: &KeyAverage| match order {
        KeyOrder::SelfTime => row.self_s,
        KeyOrder::TotalTime => row.total_s,
        KeyOrder::MeanTime => row.mean_s(),
        KeyOrder::Calls => row.calls as f64,
        KeyOrder::SelfMemory => row.self_allocated_bytes.map_or(-1.0, |bytes| bytes as f64),
    };
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    rows.truncate(row_limit);
    rows
}

/// [`key_averages`] as a table in text, one line a name.
#[must_use]
pub fn key_averages_table(profile: &Profile, order: KeyOrder, row_limit: usize) -> String {
    let rows = key_averages(profile, order, row_limit);
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(5);
    let mut out = format!(
        "{:<width$} {:>9} {:>10} {:>7} {:>10} {:>10} {:>10}  shapes\n",
        "scope", "calls", "self", "share", "total", "mean", "allocated"
    );
    let time = |seconds| Unit::Seconds.format(seconds);
    for row in &rows {
        let memory = row.self_allocated_bytes.map(|bytes| Unit::Bytes.format(bytes as f64));
        let shapes: Vec<String> = row.shapes.iter().map(|shape| format!("{shape:?}")).collect();
        let line = format!(
            "{:<width$} {:>9} {:>10} {:>7} {:>10} {:>10} {:>10}  {}",
            row.name,
            row.calls,
            time(row.self_s),
            Unit::Fraction.format(row.share),
            time(row.total_s),
            time(row.mean_s()),
            memory.as_deref().unwrap_or("-"),
            shapes.join(" ")
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use lob_scope::{ScopeAllocs, ScopeShapes, ScopeStat};

    use super::*;

    fn scope(path: &str, calls: u64, self_s: f64, total_s: f64) -> ScopeStat {
        let path = path.to_owned();
        let (min_s, max_s, p50_s, p95_s, p99_s) = (0.0, 0.0, 0.0, 0.0, 0.0);
        ScopeStat { path, calls, total_s, self_s, min_s, max_s, p50_s, p95_s, p99_s }
    }

    fn sample() -> Profile {
        let allocs = |path: &str, bytes| ScopeAllocs {
            path: path.to_owned(),
            allocations: 1,
            self_allocations: 1,
            allocated_bytes: bytes,
            self_allocated_bytes: bytes,
            net_bytes: -1,
        };
        Profile {
            name: "run".to_owned(),
            wall_s: 10.0,
            measurements: Vec::new(),
            scopes: vec![
                scope("run", 1, 1.0, 10.0),
                scope("run/a", 2, 1.0, 4.0),
                scope("run/a/matmul", 6, 3.0, 3.0),
                scope("run/b", 4, 4.0, 5.0),
                scope("run/b/matmul", 4, 1.0, 1.0),
            ],
            allocs: vec![allocs("run/a/matmul", 100), allocs("run/b/matmul", 20)],
            shapes: vec![
                ScopeShapes { path: "run/a/matmul".to_owned(), shapes: vec![vec![32, 8]] },
                ScopeShapes { path: "run/b/matmul".to_owned(), shapes: vec![vec![32, 8], vec![8]] },
            ],
            timeline: Vec::new(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn scopes_of_one_name_are_one_row() {
        let rows = key_averages(&sample(), KeyOrder::SelfTime, 10);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), 4);
        assert!(names[..2].contains(&"matmul") && names[..2].contains(&"b"), "4 s each: {names:?}");
        let matmul = rows.iter().find(|row| row.name == "matmul").unwrap();
        assert_eq!((matmul.calls, matmul.self_allocated_bytes), (10, Some(120)));
        assert!((matmul.self_s - 4.0).abs() < 1e-12 && (matmul.mean_s() - 0.4).abs() < 1e-12);
        assert_eq!(matmul.shapes, [vec![8], vec![32, 8]]);
        let shares: f64 = rows.iter().map(|row| row.share).sum();
        assert!((shares - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_order_has_its_own_first_and_the_limit_holds() {
        let first = |order| key_averages(&sample(), order, 1)[0].name.clone();
        assert_eq!(first(KeyOrder::TotalTime), "run");
        assert_eq!(first(KeyOrder::MeanTime), "run");
        assert_eq!(first(KeyOrder::Calls), "matmul");
        assert_eq!(first(KeyOrder::SelfMemory), "matmul");
        assert!(key_averages(&sample(), KeyOrder::Calls, 0).is_empty());
        let text = key_averages_table(&sample(), KeyOrder::Calls, 2);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("[8] [32, 8]"), "{text}");
    }
}
