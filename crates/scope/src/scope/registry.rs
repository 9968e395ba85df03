//! All trees ever made, which thread owns which, and what each look at them has seen.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::CURRENT;
use super::look::Look;
use super::tree::Node;

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    trees: Vec::new(),
    free: Vec::new(),
    threads: Vec::new(),
    everything: Look::new(0),
    recordings: Vec::new(),
});

/// Threads whose names are remembered for traces; later ones are shown by number.
const MAX_THREAD_NAMES: usize = 4096;

pub(super) struct Registry {
    pub(super) trees: Vec<&'static Node>,
    /// Trees that no thread owns at present.
    free: Vec<usize>,
    /// Names of the threads that owned a tree, by number less one.
    pub(super) threads: Vec<String>,
    /// What `take_scopes` has handed out.
    pub(super) everything: Look,
    /// What the recordings open now have seen.
    pub(super) recordings: Vec<Look>,
}

pub(super) fn registry() -> MutexGuard<'static, Registry> {
    // The registry holds no half-made state: a panic elsewhere leaves it usable.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ties a tree to a thread; dropped when the thread ends.
struct Ownership {
    index: usize,
    root: &'static Node,
}

impl Drop for Ownership {
    fn drop(&mut self) {
        CURRENT.set(None);
        // A guard that was forgotten would otherwise count as open for ever.
        self.root.walk(&mut |node| node.open_since.store(0, Ordering::Relaxed));
        registry().free.push(self.index);
    }
}

thread_local! {
    static OWNERSHIP: OnceLock<Ownership> = const { OnceLock::new() };
}

/// Gives the calling thread a tree and returns its root; `None` while the thread is being torn
/// down.
#[cold]
pub(super) fn adopt() -> Option<&'static Node> {
    let root = OWNERSHIP.try_with(|own| own.get_or_init(take_tree).root).ok()?;
    CURRENT.set(Some(root));
    Some(root)
}

fn take_tree() -> Ownership {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    let mut registry = registry();
    // Numbered under the lock, so that names and numbers go together.
    let number = THREADS.fetch_add(1, Ordering::Relaxed) + 1;
    if registry.threads.len() < MAX_THREAD_NAMES {
        let name = std::thread::current().name().map(str::to_owned);
        registry.threads.push(name.unwrap_or_else(|| format!("thread {number}")));
    }
    let (index, root) = match registry.free.pop() {
        Some(index) => (index, registry.trees[index]),
        None => {
            let root = Node::new_root();
            registry.trees.push(root);
            (registry.trees.len() - 1, root)
        }
    };
    root.set_owner(number);
    Ownership { index, root }
}
