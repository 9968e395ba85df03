//! Names made at run time: interned once, limited in number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ScopeGuard, is_enabled, scope};

/// Distinct names [`scope_named`] accepts in the life of the process.
pub const MAX_DYNAMIC_NAMES: usize = 1000;

/// The scope that takes the calls of names refused.
pub const OTHER_NAMES: &str = "(other names)";

static REFUSED: AtomicU64 = AtomicU64::new(0);
static NAMES: Mutex<Names> = Mutex::new(Names { ids: BTreeMap::new(), list: Vec::new() });

struct Names {
    ids: BTreeMap<&'static str, u32>,
    list: Vec<&'static str>,
}

thread_local! {
    /// The names this thread has used, so that using them again takes no lock.
    static KNOWN: RefCell<BTreeMap<&'static str, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// Enters a scope whose name is made at run time, such as `request_{id}`.
///
/// A name is copied and kept for good the first time it is used, so names must be few: after
/// [`MAX_DYNAMIC_NAMES`] of them, calls of new names are recorded together as [`OTHER_NAMES`] and
/// counted by [`dynamic_names_refused`]. Put what varies without limit into a
/// [`scope_field`](super::scope_field) instead. Scopes below one parent are searched one after
/// the other; beyond some dozens the search costs more than the clock.
///
/// ```
/// lob_scope::enable(true);
/// for batch_size in [16, 32] {
///     let _scope = lob_scope::scope!("batch_size_{}", batch_size);
/// }
/// let paths: Vec<String> = lob_scope::take_scopes().into_iter().map(|s| s.path).collect();
/// assert_eq!(paths, ["batch_size_16", "batch_size_32"]);
/// ```
pub fn scope_named(name: &str) -> ScopeGuard {
    if !is_enabled() {
        return ScopeGuard::new(None);
    }
    scope(intern(name).map_or(OTHER_NAMES, |(name, _)| name))
}

/// Times [`scope_named`] was called with a new name after the limit.
#[must_use]
pub fn dynamic_names_refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// The kept copy of a name and its number; `None` past the limit.
pub(super) fn intern(name: &str) -> Option<(&'static str, u32)> {
    let known =
        KNOWN.try_with(|known| known.borrow().get_key_value(name).map(|(name, id)| (*name, *id)));
    if let Ok(Some(found)) = known {
        return Some(found);
    }
    let found = intern_shared(name)?;
    // While the thread is being torn down the cache is gone, and the lock is taken every time.
    let _ = KNOWN.try_with(|known| known.borrow_mut().insert(found.0, found.1));
    Some(found)
}

/// The name of a number given out by [`intern`].
pub(super) fn name_of(id: u32) -> Option<&'static str> {
    names().list.get(id as usize).copied()
}

#[cold]
fn intern_shared(name: &str) -> Option<(&'static str, u32)> {
    let mut names = names();
    if let Some((name, id)) = names.ids.get_key_value(name) {
        return Some((name, *id));
    }
    let id = u32::try_from(names.list.len()).ok()?;
    if names.list.len() >= MAX_DYNAMIC_NAMES {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.list.push(kept);
    names.ids.insert(kept, id);
    Some((kept, id))
}

fn names() -> MutexGuard<'static, Names> {
    // Both halves are changed together or not at all.
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
