//! Taking the results: deltas since the last look, self time per tree, merged over threads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::look::{News, Selection, path, places, take_extremes};
use super::registry::{Registry, registry};
use crate::clock;

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
    stats(&take(Reader::Everything, Selection::All), seconds_per_tick)
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Everything,
    Recording(u64),
}

/// What is new to a reader, by path.
pub(super) fn take(reader: Reader, selection: Selection) -> BTreeMap<Vec<String>, Gathered> {
    let mut merged: BTreeMap<Vec<String>, Gathered> = BTreeMap::new();
    let Registry { trees, everything, recordings, .. } = &mut *registry();
    for (tree, root) in trees.iter().enumerate() {
        let now = clock::ticks();
        let places = places(root, selection);
        let mut found: Vec<Gathered> = Vec::with_capacity(places.len());
        for place in &places {
            let extremes = take_extremes(place.node);
            if extremes != (u64::MAX, 0) {
                everything.note(tree, place.node, extremes);
                recordings.iter_mut().for_each(|other| other.note(tree, place.node, extremes));
            }
            let look = match reader {
                Reader::Everything => Some(&mut *everything),
                Reader::Recording(id) => recordings.iter_mut().find(|look| look.id == id),
            };
            let Some(look) = look else { return merged };
            found.push(Gathered::from(look.news(tree, place.node, now)));
        }
        for (i, place) in places.iter().enumerate() {
            if let Some(above) = place.above {
                found[above].own = found[above].own.saturating_sub(found[i].news.total);
            }
        }
        for (place, gathered) in places.iter().zip(found) {
            let Some(from) = place.from else { continue };
            if place.node.depth() > 0 && (gathered.news.calls > 0 || gathered.news.total > 0) {
                match merged.entry(path(place.node, from)) {
                    Entry::Vacant(empty) => drop(empty.insert(gathered)),
                    Entry::Occupied(mut sum) => sum.get_mut().add(&gathered),
                }
            }
        }
    }
    merged
}

/// The figures of paths, parents first.
pub(super) fn stats(
    merged: &BTreeMap<Vec<String>, Gathered>,
    seconds_per_tick: f64,
) -> Vec<ScopeStat> {
    merged.iter().map(|(path, sum)| sum.stat(path.join("/"), seconds_per_tick)).collect()
}

/// Scopes entered and left since the process began. With [`super::calibrate_scope_cost`] this
/// gives what profiling itself has cost.
#[must_use]
pub fn scope_calls_total() -> u64 {
    let mut calls = 0;
    for root in &registry().trees {
        root.walk(&mut |node| calls += node.sketch.count());
    }
    calls
}

/// What one node, or several of one path, recorded since the last look.
pub(super) struct Gathered {
    news: News,
    /// Ticks without those of the children.
    own: u64,
}

impl From<News> for Gathered {
    fn from(news: News) -> Self {
        Self { own: news.total, news }
    }
}

impl Gathered {
    fn add(&mut self, other: &Self) {
        self.own += other.own;
        let (mine, theirs) = (&mut self.news, &other.news);
        mine.calls += theirs.calls;
        mine.total += theirs.total;
        mine.min = mine.min.min(theirs.min);
        mine.max = mine.max.max(theirs.max);
        mine.counts.add(&theirs.counts);
    }

    fn stat(&self, path: String, seconds_per_tick: f64) -> ScopeStat {
        let News { calls, total, min, max, ref counts } = self.news;
        let seconds = |ticks: f64| ticks * seconds_per_tick;
        // Without a finished call, the time so far is all that is known of its length.
        let (min, max) = if max == 0 && min == u64::MAX {
            (total as f64, total as f64)
        } else {
            (min.min(max) as f64, max as f64)
        };
        let quantile = |q| seconds(counts.quantile(q).unwrap_or(max).clamp(min, max));
        ScopeStat {
            path,
            calls,
            total_s: seconds(total as f64),
            self_s: seconds(self.own as f64),
            min_s: seconds(min),
            max_s: seconds(max),
            p50_s: quantile(0.50),
            p95_s: quantile(0.95),
            p99_s: quantile(0.99),
        }
    }
}
