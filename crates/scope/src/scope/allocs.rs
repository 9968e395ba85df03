//! Allocations charged to scopes, where the program counts them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::collect::path_of;
use super::tree::{Entry, Node, registry};
use super::{ALLOCS, set_flag};
use crate::{Unavailable, alloc};

/// "Not open, or opened before the switch."
const CLOSED: u64 = u64::MAX;

/// Allocations made inside one scope, on the scope's own thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeAllocs {
    /// Names from the outermost scope, joined by `/`, as in [`super::take_scopes`].
    pub path: String,
    /// Blocks allocated, those of inner scopes included.
    pub allocations: u64,
    /// Blocks allocated outside inner scopes.
    pub self_allocations: u64,
    /// Bytes allocated, those of inner scopes included.
    pub allocated_bytes: u64,
    /// Bytes allocated outside inner scopes.
    pub self_allocated_bytes: u64,
    /// Bytes allocated less bytes freed, inner scopes included: what the scope left behind, or,
    /// below zero, what it cleared away.
    pub net_bytes: i64,
}

/// Switches the charging of allocations to scopes on or off. Off at the start. Adds a few
/// nanoseconds to each scope while on.
pub fn track_scope_allocs(on: bool) {
    set_flag(ALLOCS, on);
}

/// Allocations per scope since the last call, parents first. Only finished calls count.
///
/// # Errors
/// Where [`crate::CountingAllocator`] is not the program's global allocator.
pub fn take_scope_allocs() -> Result<Vec<ScopeAllocs>, Unavailable> {
    if !alloc::is_installed() {
        return Err(alloc::not_installed());
    }
    let mut merged: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
    for entry in &mut registry().trees {
        for (node, sums) in news(entry) {
            if node.depth() > 0 && sums.total[0] + sums.total[2] > 0 {
                merged.entry(path_of(node)).or_default().add(&sums);
            }
        }
    }
    let stat = |(path, sums): (Vec<String>, Sums)| ScopeAllocs {
        path: path.join("/"),
        allocations: sums.total[0],
        self_allocations: sums.own[0],
        allocated_bytes: sums.total[1],
        self_allocated_bytes: sums.own[1],
        net_bytes: sums.total[1].wrapping_sub(sums.total[2]).cast_signed(),
    };
    Ok(merged.into_iter().map(stat).collect())
}

/// Blocks allocated, bytes allocated and bytes freed: with and without inner scopes.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    total: [u64; 3],
    own: [u64; 3],
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for i in 0..3 {
            self.total[i] += other.total[i];
            self.own[i] += other.own[i];
        }
    }
}

/// What a tree recorded since the last look, and marks it as reported.
fn news(entry: &mut Entry) -> Vec<(&'static Node, Sums)> {
    let mut found: Vec<(&'static Node, Sums)> = Vec::new();
    let reported = &mut entry.reported_allocs;
    entry.root.walk(&mut |node| {
        let id = node.id as usize;
        reported.resize(reported.len().max(id + 1), [0; 3]);
        let now = node.allocs.sums();
        let total = std::array::from_fn(|i| now[i].wrapping_sub(reported[id][i]));
        reported[id] = now;
        found.push((node, Sums { total, own: total }));
    });
    let place: BTreeMap<u32, usize> = found.iter().map(|(n, _)| n.id).zip(0..).collect();
    for i in 0..found.len() {
        let (node, Sums { total, .. }) = found[i];
        if let Some(parent) = node.parent() {
            let own = &mut found[place[&parent.id]].1.own;
            (0..3).for_each(|k| own[k] = own[k].saturating_sub(total[k]));
        }
    }
    found
}

/// A node's share of its thread's allocator counts; written by the owning thread alone.
pub(super) struct AllocCells {
    start: [AtomicU64; 3],
    sums: [AtomicU64; 3],
}

impl AllocCells {
    pub(super) const fn new() -> Self {
        Self {
            start: [const { AtomicU64::new(CLOSED) }; 3],
            sums: [const { AtomicU64::new(0) }; 3],
        }
    }

    pub(super) fn open(&self) {
        if let Some(now) = alloc::thread_counts() {
            (0..3).for_each(|i| self.start[i].store(now[i], Ordering::Relaxed));
        }
    }

    pub(super) fn close(&self) {
        if self.start[0].load(Ordering::Relaxed) == CLOSED {
            return;
        }
        if let Some(now) = alloc::thread_counts() {
            for ((sum, start), now) in self.sums.iter().zip(&self.start).zip(now) {
                let grown = now.wrapping_sub(start.load(Ordering::Relaxed));
                sum.store(sum.load(Ordering::Relaxed).wrapping_add(grown), Ordering::Relaxed);
            }
        }
        self.start[0].store(CLOSED, Ordering::Relaxed);
    }

    fn sums(&self) -> [u64; 3] {
        std::array::from_fn(|i| self.sums[i].load(Ordering::Relaxed))
    }
}
