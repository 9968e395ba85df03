//! Stacks counted: one entry for every different stack.

use std::collections::BTreeMap;

use super::capture::Sample;
use super::image::Images;
use super::space::{Place, Space, UnwindCache};

/// Different stacks kept apart; later ones are counted by their innermost frame alone.
const MAX_STACKS: usize = 50_000;

/// What was seen of one stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) samples: u64,
    /// Calls the samples stand for.
    pub(super) calls: u64,
    pub(super) weight: u64,
}

/// A stack, innermost frame first, and whether its outermost frames are missing.
pub(super) type Key = (Vec<Place>, bool);

/// Stacks with their counts, and what is needed to add to them.
pub(super) struct Table {
    pub(super) images: Images,
    pub(super) stacks: BTreeMap<Key, Seen>,
    cache: UnwindCache,
    scratch: Vec<Place>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            images: Images::default(),
            stacks: BTreeMap::new(),
            cache: UnwindCache::new(),
            scratch: Vec::new(),
        }
    }

    /// Unwinds a sample in its address space and counts its stack.
    pub(super) fn add(&mut self, space: &Space, sample: &Sample<'_>) {
        let whole = space.unwind(sample, &mut self.cache, &mut self.scratch);
        if self.stacks.len() >= MAX_STACKS {
            self.scratch.truncate(1);
        }
        let seen = self.stacks.entry((self.scratch.clone(), !whole)).or_default();
        seen.samples += 1;
        seen.calls += (sample.weight / sample.size.max(1)).max(1);
        seen.weight += sample.weight;
    }
}
