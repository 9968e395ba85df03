//! Allocations charged to scopes, where the program counts them.

use std::collections::BTreeMap;

use super::collect::path_of;
use super::tree::{Entry, Node, registry};
use super::{ALLOCS, set_flag};
use crate::{Unavailable, alloc};

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
    alloc::allocations_are_counted()?;
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
