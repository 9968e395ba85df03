//! The scopes of one stretch of work, kept apart from those of others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::allocs::{ScopeAllocs, take_allocs};
use super::collect::{Reader, ScopeStat, stats, take};
use super::look::{Look, Selection};
use super::names::{MAX_DYNAMIC_NAMES, OTHER_NAMES};
use super::registry::registry;
use super::shapes::{self, ScopeShapes};
use super::tree::Key;
use super::{ScopeGuard, recordings_changed, scope};
use crate::{Unavailable, clock};

/// Copies of names that no recording uses at present, and how many names have been copied. Each
/// recording has a copy of its own, by whose address its scopes are told from those of another
/// recording of the same name.
static COPIES: Mutex<Copies> = Mutex::new(Copies { free: BTreeMap::new(), made: 0 });

struct Copies {
    free: BTreeMap<&'static str, Vec<&'static str>>,
    made: usize,
}

fn copies() -> MutexGuard<'static, Copies> {
    // Both halves are changed together or not at all.
    COPIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records the scopes of one stretch of work for itself, whatever else is recorded meanwhile:
/// recordings nest and overlap, also across threads, and [`super::take_scopes`] is not disturbed.
/// Scopes are on while a recording is open.
///
/// A recording holds what happens inside the scopes it [`enter`](Self::enter)s, on any thread, and
/// the scopes of threads that are in the scope of no recording, such as workers that the work has
/// started. What another recording's scope holds belongs to that one, and to those it is nested in.
///
/// ```
/// let recording = lob_scope::ScopeRecording::start("request");
/// {
///     let _request = recording.enter();
///     let _step = lob_scope::scope("step");
/// }
/// let scopes = recording.finish().scopes;
/// assert_eq!(scopes.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["request", "request/step"]);
/// ```
#[derive(Debug)]
#[must_use = "the result is what `finish` returns"]
pub struct ScopeRecording {
    id: u64,
    name: &'static str,
    /// When it began, for shapes.
    from: u64,
}

/// What a [`ScopeRecording`] held.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedScopes {
    /// Its scopes, parents first; the paths begin with its name.
    pub scopes: Vec<ScopeStat>,
    /// Allocations per scope, where they are counted and [`super::track_scope_allocs`] is on.
    pub allocs: Result<Vec<ScopeAllocs>, Unavailable>,
    /// Shapes per scope, where [`super::record_shapes`] is on and the code says them.
    pub shapes: Vec<ScopeShapes>,
}

impl ScopeRecording {
    /// Begins a recording. After [`MAX_DYNAMIC_NAMES`] different names, further ones are called
    /// [`OTHER_NAMES`].
    pub fn start(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let recording = Self { id, name: copy_of(name), from: shapes::moment() };
        registry().recordings.push(Look::new(recording.id));
        recordings_changed(1);
        // What there is already belongs to somebody else.
        let _ = recording.take();
        recording
    }

    /// Enters the recording's scope on the calling thread, below whatever is open there.
    pub fn enter(&self) -> ScopeGuard {
        let guard = scope(self.name);
        if let Some(open) = &guard.open {
            open.node.is_profile.store(true, Ordering::Relaxed);
        }
        guard
    }

    /// Ends the recording.
    #[must_use]
    pub fn finish(self) -> RecordedScopes {
        self.take()
        // Dropping `self` takes it off the list.
    }

    fn take(&self) -> RecordedScopes {
        let (reader, selection) =
            (Reader::Recording(self.id), Selection::Profile(Key::of(self.name)));
        let scopes = take(reader, selection);
        RecordedScopes {
            scopes: if scopes.is_empty() {
                Vec::new()
            } else {
                stats(&scopes, clock::seconds_per_tick())
            },
            allocs: take_allocs(reader, selection),
            shapes: shapes::since(self.from, selection),
        }
    }
}

impl Drop for ScopeRecording {
    fn drop(&mut self) {
        registry().recordings.retain(|look| look.id != self.id);
        recordings_changed(-1);
        copies().free.entry(self.name).or_default().push(self.name);
    }
}

/// A copy of the name that no other open recording has.
fn copy_of(name: &str) -> &'static str {
    let mut copies = copies();
    if let Some(copy) = copies.free.get_mut(name).and_then(Vec::pop) {
        return copy;
    }
    let is_new = !copies.free.contains_key(name);
    let name = if is_new && copies.made >= MAX_DYNAMIC_NAMES { OTHER_NAMES } else { name };
    if let Some(copy) = copies.free.get_mut(name).and_then(Vec::pop) {
        return copy;
    }
    let copy: &'static str = Box::leak(name.to_owned().into_boxed_str());
    copies.made += 1;
    copies.free.entry(copy).or_default();
    copy
}
