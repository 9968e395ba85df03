//! Allocations charged to scopes, where the program counts them.

use std::collections::BTreeMap;

use super::collect::Reader;
use super::look::{Place, Selection, path, places};
use super::registry::{Registry, registry};
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
    take_allocs(Reader::Everything, Selection::All)
}

pub(super) fn take_allocs(
    reader: Reader,
    selection: Selection,
) -> Result<Vec<ScopeAllocs>, Unavailable> {
    alloc::allocations_are_counted()?;
    let mut merged: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
    let Registry { trees, everything, recordings, .. } = &mut *registry();
    let look = match reader {
        Reader::Everything => Some(everything),
        Reader::Recording(id) => recordings.iter_mut().find(|look| look.id == id),
    };
    let Some(look) = look else { return Ok(Vec::new()) };
    for (tree, root) in trees.iter().enumerate() {
        let places = places(root, selection);
        let news = |place: &Place| Sums::from(look.news_of_allocs(tree, place.node));
        let mut found: Vec<Sums> = places.iter().map(news).collect();
        for (i, place) in places.iter().enumerate() {
            if let Some(above) = place.above {
                let inner = found[i].total;
                let own = &mut found[above].own;
                (0..3).for_each(|k| own[k] = own[k].saturating_sub(inner[k]));
            }
        }
        for (place, sums) in places.iter().zip(found) {
            let Some(from) = place.from else { continue };
            if place.node.depth() > 0 && sums.total[0] + sums.total[2] > 0 {
                merged.entry(path(place.node, from)).or_default().add(&sums);
            }
        }
    }
    Ok(merged.into_iter().map(|(path, sums)| sums.stat(path.join("/"))).collect())
}

/// Blocks allocated, bytes allocated and bytes freed: with and without inner scopes.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    total: [u64; 3],
    own: [u64; 3],
}

impl From<[u64; 3]> for Sums {
    fn from(total: [u64; 3]) -> Self {
        Self { total, own: total }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for i in 0..3 {
            self.total[i] += other.total[i];
            self.own[i] += other.own[i];
        }
    }

    fn stat(&self, path: String) -> ScopeAllocs {
        ScopeAllocs {
            path,
            allocations: self.total[0],
            self_allocations: self.own[0],
            allocated_bytes: self.total[1],
            self_allocated_bytes: self.own[1],
            net_bytes: self.total[1].wrapping_sub(self.total[2]).cast_signed(),
        }
    }
}
