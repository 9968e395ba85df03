//! Names made at run time: interned once, limited in number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ScopeGuard, is_enabled, scope};

/// Distinct names [`scope_named`] accepts in the life of the process.
pub const MAX_DYNAMIC_NAMES: usize = 10_000;

/// The scope that takes the calls of names refused.
pub const OTHER_NAMES: &str = "(other names)";

/// The same at one address, by which names are compared.
pub(super) static OTHERS: &str = OTHER_NAMES;

static REFUSED: AtomicU64 = AtomicU64::new(0);
static NAMES: Mutex<Names> =
    Mutex::new(Names { ids: Ids::with_hasher(Fnv::HASHER), list: Vec::new() });

type Ids = HashMap<&'static str, u32, BuildHasherDefault<Fnv>>;

/// FNV-1a over words of eight bytes: names come from the program itself, so that nobody picks them
/// to collide.
struct Fnv(u64);

impl Fnv {
    const HASHER: BuildHasherDefault<Self> = BuildHasherDefault::new();
}

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
            // A multiplication moves bits up only; the table looks at the top and the bottom.
            self.0 ^= self.0 >> 32;
        }
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

struct Names {
    ids: Ids,
    list: Vec<&'static str>,
}

thread_local! {
    /// The names this thread has used, so that using them again takes no lock.
    static KNOWN: RefCell<Ids> = const { RefCell::new(Ids::with_hasher(Fnv::HASHER)) };
}

/// Enters a scope whose name is made at run time, such as `request_{id}`.
///
/// A name is copied and kept for good the first time it is used, so names must be few: after
/// [`MAX_DYNAMIC_NAMES`] of them, calls of new names are recorded together as [`OTHER_NAMES`] and
/// counted by [`dynamic_names_refused`]. Put what varies without limit into a
/// [`scope_field`](super::scope_field) instead.
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
    scope(intern(name).map_or(OTHERS, |(name, _)| name))
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
