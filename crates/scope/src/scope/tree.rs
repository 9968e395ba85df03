//! One thread's call tree, and the list of all trees.
//!
//! Every field of a node has a single writer, the thread that owns the tree, so plain relaxed
//! loads and stores are enough and cost what ordinary memory does. Readers may see a call half
//! recorded; [`super::collect`] is written so that this loses at most that call until the next
//! look and never counts anything twice.

use std::fmt;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::CURRENT;
use super::alloc_cells::AllocCells;
use super::ring::Ring;
use crate::sketch::{AtomicSketch, QuantileSketch};

/// Distinct scopes (paths) one thread may hold. Further ones are not recorded but counted by
/// [`scopes_dropped`]; their time stays with the scope around them.
pub const MAX_SCOPES_PER_THREAD: u32 = 1024;

static DROPPED: AtomicU64 = AtomicU64::new(0);
static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { trees: Vec::new(), free: Vec::new(), threads: Vec::new() });

/// Threads whose names are remembered for traces; later ones are shown by number.
const MAX_THREAD_NAMES: usize = 4096;

/// Times a scope was entered but not recorded because its thread held
/// [`MAX_SCOPES_PER_THREAD`] different ones already.
#[must_use]
pub fn scopes_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A scope in one thread's call tree. What every call touches comes first, on two cache lines.
#[repr(C, align(64))]
pub(crate) struct Node {
    name: &'static str,
    first_child: Link,
    next_sibling: Link,
    parent: Option<&'static Self>,
    /// Ticks at which the scope was entered; 0 when it is not open.
    pub(super) open_since: AtomicU64,
    pub(super) total: AtomicU64,
    pub(super) min: AtomicU64,
    pub(super) max: AtomicU64,
    /// Index within the tree; the root is 0.
    pub(super) id: u32,
    depth: u32,
    tree: &'static Tree,
    pub(super) allocs: AllocCells,
    /// Also counts the calls.
    pub(super) sketch: AtomicSketch,
}

/// A place for one node, set once.
struct Link(AtomicPtr<Node>);

impl Link {
    const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    #[inline]
    fn get(&self) -> Option<&'static Node> {
        // SAFETY: the pointer is null or was made by `set` from a reference to a node that is
        // never freed and only ever shared; the acquire pairs with the release there.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn set(&self, node: &'static Node) {
        self.0.store(std::ptr::from_ref(node).cast_mut(), Ordering::Release);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name).field("depth", &self.depth).finish()
    }
}

/// What all nodes of a tree share.
struct Tree {
    nodes: AtomicU32,
    /// Number of the thread that owns the tree now.
    owner: AtomicU32,
    /// Made when the thread's first event is recorded.
    ring: OnceLock<Ring>,
}

impl Node {
    /// A fresh tree; it lives as long as the process.
    pub(super) fn new_root() -> &'static Self {
        let tree = Box::leak(Box::new(Tree {
            nodes: AtomicU32::new(1),
            owner: AtomicU32::new(0),
            ring: OnceLock::new(),
        }));
        Box::leak(Box::new(Self::new("", None, 0, tree)))
    }

    fn new(
        name: &'static str,
        parent: Option<&'static Self>,
        id: u32,
        tree: &'static Tree,
    ) -> Self {
        Self {
            name,
            parent,
            depth: parent.map_or(0, |p| p.depth + 1),
            id,
            tree,
            first_child: Link::new(),
            next_sibling: Link::new(),
            open_since: AtomicU64::new(0),
            allocs: AllocCells::new(),
            total: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            sketch: AtomicSketch::new(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn parent(&self) -> Option<&'static Self> {
        self.parent
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(self.first_child.get(), |n| n.next_sibling.get())
    }

    /// The child of that name. Names are compared by address: two literals that spell the same
    /// but were not merged by the linker become two nodes, which [`super::collect`] adds up.
    #[inline]
    pub(super) fn child(&'static self, name: &'static str) -> Option<&'static Self> {
        let mut next = self.first_child.get();
        while let Some(node) = next {
            if std::ptr::eq(node.name.as_ptr(), name.as_ptr()) && node.name.len() == name.len() {
                return Some(node);
            }
            next = node.next_sibling.get();
        }
        self.add_child(name)
    }

    #[cold]
    fn add_child(&'static self, name: &'static str) -> Option<&'static Self> {
        let id = self.tree.nodes.load(Ordering::Relaxed);
        if id > MAX_SCOPES_PER_THREAD {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.tree.nodes.store(id + 1, Ordering::Relaxed);
        let node: &'static Self = Box::leak(Box::new(Self::new(name, Some(self), id, self.tree)));
        let place = self.children().last().map_or(&self.first_child, |last| &last.next_sibling);
        // Only the owning thread adds nodes, so the place at the end of the list is still empty.
        place.set(node);
        Some(node)
    }

    #[inline]
    pub(super) fn open(&self, now: u64) {
        self.open_since.store(now, Ordering::Relaxed);
    }

    /// Records one call. `open_since` is cleared first, the sum is released after it and the call
    /// is counted last: a reader that sees a new count also sees the sum and the scope closed, so
    /// it sees too little at worst and never too much.
    #[inline]
    pub(super) fn close(&self, elapsed: u64) {
        self.open_since.store(0, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed).wrapping_add(elapsed);
        self.total.store(total, Ordering::Release);
        if elapsed < self.min.load(Ordering::Relaxed) {
            self.min.store(elapsed, Ordering::Relaxed);
        }
        if elapsed > self.max.load(Ordering::Relaxed) {
            self.max.store(elapsed, Ordering::Relaxed);
        }
        self.sketch.record(elapsed);
    }

    /// The ring of the tree's thread, made on first use with room for `capacity` events.
    pub(super) fn ring_or_new(&self, capacity: usize) -> &'static Ring {
        self.tree.ring.get_or_init(|| Ring::new(capacity))
    }

    pub(super) fn ring(&self) -> Option<&'static Ring> {
        self.tree.ring.get()
    }

    /// Number of the thread that owns the tree now; 1 is the first that entered a scope.
    pub(super) fn owner(&self) -> u32 {
        self.tree.owner.load(Ordering::Relaxed)
    }

    /// This node and all below it, parents first.
    pub(super) fn walk(&'static self, visit: &mut impl FnMut(&'static Self)) {
        let mut stack = vec![self];
        while let Some(node) = stack.pop() {
            visit(node);
            stack.extend(node.children());
        }
    }
}

/// What earlier looks at a node have already reported.
pub(super) struct Reported {
    /// Calls seen finished.
    pub(super) finished: u64,
    /// Calls handed out, the one open at the time included.
    pub(super) calls: u64,
    pub(super) total: u64,
    pub(super) buckets: QuantileSketch,
}

pub(super) struct Entry {
    pub(super) root: &'static Node,
    /// By node id.
    pub(super) reported: Vec<Reported>,
    /// Allocations handed out, by node id.
    pub(super) reported_allocs: Vec<[u64; 3]>,
}

/// All trees ever made, and which of them no thread owns at present.
pub(super) struct Registry {
    pub(super) trees: Vec<Entry>,
    free: Vec<usize>,
    /// Names of the threads that owned a tree, by number less one.
    pub(super) threads: Vec<String>,
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
        Some(index) => (index, registry.trees[index].root),
        None => {
            let root = Node::new_root();
            let entry = Entry { root, reported: Vec::new(), reported_allocs: Vec::new() };
            registry.trees.push(entry);
            (registry.trees.len() - 1, root)
        }
    };
    root.tree.owner.store(number, Ordering::Relaxed);
    Ownership { index, root }
}
