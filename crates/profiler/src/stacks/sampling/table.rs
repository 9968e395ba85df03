//! Stacks counted: one entry for every different stack.

use std::collections::BTreeMap;

use super::capture::Sample;
use super::image::Images;
use super::space::{NAMED, Place, Space, UnwindCache};
use crate::stacks::report::Frame;

/// Different stacks kept apart; later ones are counted by their innermost frame alone.
const MAX_STACKS: usize = 50_000;

/// What was seen of one stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Number of the stack, in the order they were first seen.
    pub(super) id: usize,
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
    pub(super) names: Names,
    cache: UnwindCache,
    scratch: Vec<Place>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            images: Images::default(),
            stacks: BTreeMap::new(),
            names: Names::default(),
            cache: UnwindCache::new(),
            scratch: Vec::new(),
        }
    }

    /// Unwinds a sample in its address space and counts its stack.
    pub(super) fn add(&mut self, space: &Space, sample: &Sample<'_>) {
        let mut places = std::mem::take(&mut self.scratch);
        let whole = self.unwind(space, sample, &mut places);
        self.count(&places, !whole, sample.weight, sample.size);
        self.scratch = places;
    }

    /// The stack of a sample, innermost first; returns whether it goes all the way.
    pub(super) fn unwind(
        &mut self,
        space: &Space,
        sample: &Sample<'_>,
        places: &mut Vec<Place>,
    ) -> bool {
        space.unwind(sample, &mut self.cache, places)
    }

    /// Counts a stack; returns its number.
    pub(super) fn count(&mut self, places: &[Place], cut: bool, weight: u64, size: u64) -> usize {
        let kept = if self.stacks.len() >= MAX_STACKS { 1.min(places.len()) } else { places.len() };
        let new = Seen { id: self.stacks.len(), ..Seen::default() };
        let seen = self.stacks.entry((places[..kept].to_vec(), cut)).or_insert(new);
        seen.samples += 1;
        seen.calls += (weight / size.max(1)).max(1);
        seen.weight += weight;
        seen.id
    }
}

/// Frames that are known by name and not by address.
#[derive(Default)]
pub(super) struct Names {
    list: Vec<Frame>,
    ids: BTreeMap<Frame, usize>,
}

impl Names {
    /// The place that stands for a frame.
    pub(super) fn place(&mut self, frame: &Frame) -> Place {
        if let Some(id) = self.ids.get(frame) {
            return (NAMED, *id as u64);
        }
        let place = self.later(frame.clone());
        self.ids.insert(frame.clone(), self.list.len() - 1);
        place
    }

    /// A place whose frame may be set later.
    pub(super) fn later(&mut self, frame: Frame) -> Place {
        self.list.push(frame);
        (NAMED, self.list.len() as u64 - 1)
    }

    pub(super) fn set(&mut self, (_, id): Place, frame: Frame) {
        if let Some(at) = usize::try_from(id).ok().and_then(|id| self.list.get_mut(id)) {
            *at = frame;
        }
    }

    pub(super) fn frame(&self, id: u64) -> Option<&Frame> {
        self.list.get(usize::try_from(id).ok()?)
    }
}
