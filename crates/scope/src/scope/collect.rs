//! Taking the results: deltas since the last look, self time per tree, merged over threads.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::tree::{Entry, Node, Reported, registry};
use crate::clock;
use crate::sketch::QuantileSketch;

/// Time spent in one scope, over all its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeStat {
    /// Names from the outermost scope, joined by `/`.
    pub path: String,
    /// Number of calls.
    pub calls: u64,
    /// Wall time over all calls in seconds.
    pub total_s: f64,
    /// Wall time without the time of nested scopes, in seconds.
    pub self_s: f64,
    /// Shortest call in seconds.
    pub min_s: f64,
    /// Longest call in seconds.
    pub max_s: f64,
    /// Median call in seconds.
    pub p50_s: f64,
    /// 95th percentile in seconds.
    pub p95_s: f64,
    /// 99th percentile in seconds.
    pub p99_s: f64,
}

/// Everything recorded since the last call, merged over all threads, also ended ones.
///
/// Parents come before their children; siblings are in the order of their names. A scope still
/// open counts as one call with the time it has lasted so far; the rest of its time is reported
/// next time. `self_s` is the scope's time less that of its direct children on the same thread, so
/// self times add up to the total of the outermost scopes and nothing is counted twice.
#[must_use]
pub fn take_scopes() -> Vec<ScopeStat> {
    let seconds_per_tick = clock::seconds_per_tick();
    let mut merged: BTreeMap<Vec<String>, Gathered> = BTreeMap::new();
    for entry in &mut registry().trees {
        let now = clock::ticks();
        gather(entry, now, &mut |path, gathered| match merged.get_mut(path) {
            Some(sum) => sum.add(&gathered),
            None => {
                merged.insert(path.to_vec(), gathered);
            }
        });
    }
    merged.iter().map(|(path, sum)| sum.stat(path.join("/"), seconds_per_tick)).collect()
}

/// Scopes entered and left since the process began. With [`super::calibrate_scope_cost`] this
/// gives what profiling itself has cost.
#[must_use]
pub fn scope_calls_total() -> u64 {
    let mut calls = 0;
    for entry in &registry().trees {
        entry.root.walk(&mut |node| calls += node.sketch.count());
    }
    calls
}

/// What one node, or several of one path, recorded since the last look. Times in ticks.
struct Gathered {
    calls: u64,
    total: u64,
    own: u64,
    min: u64,
    max: u64,
    counts: QuantileSketch,
}

impl Gathered {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.total += other.total;
        self.own += other.own;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.counts.add(&other.counts);
    }

    fn stat(&self, path: String, seconds_per_tick: f64) -> ScopeStat {
        let seconds = |ticks: f64| ticks * seconds_per_tick;
        // Without a finished call, the time so far is all that is known of its length.
        let (min, max) = if self.max == 0 && self.min == u64::MAX {
            (self.total as f64, self.total as f64)
        } else {
            (self.min.min(self.max) as f64, self.max as f64)
        };
        let quantile = |q| seconds(self.counts.quantile(q).unwrap_or(max).clamp(min, max));
        ScopeStat {
            path,
            calls: self.calls,
            total_s: seconds(self.total as f64),
            self_s: seconds(self.own as f64),
            min_s: seconds(min),
            max_s: seconds(max),
            p50_s: quantile(0.50),
            p95_s: quantile(0.95),
            p99_s: quantile(0.99),
        }
    }
}

/// Hands every path of a tree with news to `sink`, and marks the news as reported.
fn gather(entry: &mut Entry, now: u64, sink: &mut impl FnMut(&[String], Gathered)) {
    let mut found: Vec<(&'static Node, Gathered)> = Vec::new();
    let mut by_id: BTreeMap<u32, usize> = BTreeMap::new();
    let reported = &mut entry.reported;
    entry.root.walk(&mut |node| {
        while reported.len() <= node.id as usize {
            reported.push(Reported {
                finished: 0,
                calls: 0,
                total: 0,
                buckets: QuantileSketch::new(),
            });
        }
        by_id.insert(node.id, found.len());
        found.push((node, look(node, &mut reported[node.id as usize], now)));
    });
    for i in 0..found.len() {
        let (node, total) = (found[i].0, found[i].1.total);
        if let Some(parent) = node.parent() {
            let own = &mut found[by_id[&parent.id]].1.own;
            *own = own.saturating_sub(total);
        }
    }
    for (node, gathered) in found {
        if node.depth() > 0 && (gathered.calls > 0 || gathered.total > 0) {
            sink(&path_of(node), gathered);
        }
    }
}

/// Reads a node once. Cumulative figures never fall below what was reported, see
/// [`Node::close`].
fn look(node: &Node, reported: &mut Reported, now: u64) -> Gathered {
    let mut counts = QuantileSketch::new();
    reported.finished += node.sketch.drain(&mut reported.buckets, &mut counts);
    let total = node.total.load(Ordering::Acquire);
    let open_since = node.open_since.load(Ordering::Relaxed);
    let (open_calls, open_ticks) =
        if open_since == 0 { (0, 0) } else { (1, now.saturating_sub(open_since)) };
    let (calls, total) = (reported.finished + open_calls, total + open_ticks);
    let news = Gathered {
        calls: calls.saturating_sub(reported.calls),
        total: total.saturating_sub(reported.total),
        own: total.saturating_sub(reported.total),
        min: node.min.swap(u64::MAX, Ordering::Relaxed),
        max: node.max.swap(0, Ordering::Relaxed),
        counts,
    };
    reported.calls = reported.calls.max(calls);
    reported.total = reported.total.max(total);
    news
}

pub(super) fn path_of(node: &'static Node) -> Vec<String> {
    let mut path: Vec<&str> = std::iter::successors(Some(node), |n| n.parent())
        .map(Node::name)
        .filter(|name| !name.is_empty())
        .collect();
    path.reverse();
    // A name may hold `/` itself: split it, so that the order by components keeps parents first.
    path.iter().flat_map(|name| name.split('/')).map(str::to_owned).collect()
}
