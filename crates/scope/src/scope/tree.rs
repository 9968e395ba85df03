//! One thread's call tree.
//!
//! Every field of a node has a single writer, the thread that owns the tree, so plain relaxed
//! loads and stores are enough and cost what ordinary memory does. Readers may see a call half
//! recorded; [`super::collect`] is written so that this loses at most that call until the next
//! look and never counts anything twice.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::alloc_cells::AllocCells;
use super::children::Children;
use super::names::OTHERS;
use super::ring::Ring;
use crate::sketch::{AtomicSketch, NO_OCTAVE, Octave};

/// Distinct scopes (paths) one thread may hold. Calls of further ones are recorded together as
/// [`OTHER_NAMES`](super::OTHER_NAMES) below the same parent and counted by [`scopes_dropped`].
pub const MAX_SCOPES_PER_THREAD: u32 = 16_384;

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Times a scope was entered without an entry of its own, because its thread held
/// [`MAX_SCOPES_PER_THREAD`] different ones already.
#[must_use]
pub fn scopes_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A scope in one thread's call tree. The first cache line is all that a call among its like
/// touches, beside the counts.
#[repr(C, align(64))]
pub(crate) struct Node {
    /// Where the name stands, and how long it is; see [`Key`].
    address: usize,
    bytes: u32,
    last_octave: AtomicU32,
    octave: AtomicPtr<Octave>,
    last_child: Link,
    /// Ticks at which the scope was entered; 0 when it is not open.
    pub(super) open_since: AtomicU64,
    pub(super) total: AtomicU64,
    pub(super) min: AtomicU64,
    pub(super) max: AtomicU64,
    parent: Option<&'static Self>,
    name: &'static str,
    children: Children,
    pub(super) next_sibling: Link,
    /// Index within the tree; the root is 0.
    pub(super) id: u32,
    depth: u32,
    /// The scope of a profile, which takes what is below it.
    pub(super) is_profile: AtomicBool,
    tree: &'static Tree,
    pub(super) allocs: AllocCells,
    /// Also counts the calls.
    pub(super) sketch: AtomicSketch,
}

/// A name as it is compared: by address, so that two literals that spell the same but were not
/// merged by the linker become two nodes, which [`super::collect`] adds up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    address: usize,
    bytes: u32,
}

impl Key {
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "names of 4 GiB that share their first byte are told apart by nobody"
    )]
    pub(super) fn of(name: &'static str) -> Self {
        Self { address: name.as_ptr().addr(), bytes: name.len() as u32 }
    }

    /// Fibonacci hashing; a table takes the lower bits of this half.
    #[inline]
    pub(super) fn hash(self) -> usize {
        ((self.address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
    }
}

/// A place for one node. Only the owning thread sets it.
pub(super) struct Link(AtomicPtr<Node>);

impl Link {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&'static Node> {
        // SAFETY: the pointer is null or was made by `set` from a reference to a node that is
        // never freed and only ever shared; the acquire pairs with the release there.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    pub(super) fn set(&self, node: &'static Node) {
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
            address: Key::of(name).address,
            bytes: Key::of(name).bytes,
            name,
            parent,
            depth: parent.map_or(0, |p| p.depth + 1),
            id,
            tree,
            last_octave: AtomicU32::new(NO_OCTAVE),
            octave: AtomicPtr::new(std::ptr::null_mut()),
            last_child: Link::new(),
            children: Children::new(),
            next_sibling: Link::new(),
            is_profile: AtomicBool::new(false),
            open_since: AtomicU64::new(0),
            allocs: AllocCells::new(),
            total: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            sketch: AtomicSketch::new(),
        }
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        Key { address: self.address, bytes: self.bytes }
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
        self.children.iter()
    }

    /// The child of that name, made when there is none.
    #[inline]
    pub(super) fn child(&'static self, name: &'static str) -> Option<&'static Self> {
        let key = Key::of(name);
        match self.last_child.get() {
            Some(last) if last.key() == key => Some(last),
            _ => self.other_child(name, key),
        }
    }

    #[inline]
    fn other_child(&'static self, name: &'static str, key: Key) -> Option<&'static Self> {
        let child = match self.children.find(key) {
            Some(child) => child,
            None => self.add_child(name)?,
        };
        self.last_child.set(child);
        Some(child)
    }

    #[cold]
    fn add_child(&'static self, name: &'static str) -> Option<&'static Self> {
        let id = self.tree.nodes.load(Ordering::Relaxed);
        if id <= MAX_SCOPES_PER_THREAD {
            return Some(self.push(name, id));
        }
        DROPPED.fetch_add(1, Ordering::Relaxed);
        if self.key() == Key::of(OTHERS) {
            return None;
        }
        // One such node below each of the others at most, so their number has a limit too.
        let others = self.children.find(Key::of(OTHERS));
        Some(others.unwrap_or_else(|| self.push(OTHERS, id)))
    }

    fn push(&'static self, name: &'static str, id: u32) -> &'static Self {
        self.tree.nodes.store(id + 1, Ordering::Relaxed);
        let node: &'static Self = Box::leak(Box::new(Self::new(name, Some(self), id, self.tree)));
        self.children.push(node);
        node
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
        self.sketch.record(&self.last_octave, &self.octave, elapsed);
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

    pub(super) fn set_owner(&self, thread: u32) {
        self.tree.owner.store(thread, Ordering::Relaxed);
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

const _: () = assert!(std::mem::offset_of!(Node, parent) == 64, "a call touches one line");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sibling_is_found_again_whatever_their_number() {
        let root = Node::new_root();
        let names: Vec<&'static str> = (0..700).map(|i| &*format!("child {i}").leak()).collect();
        for round in 0..3 {
            for (i, name) in names.iter().enumerate() {
                let child = root.child(name).unwrap();
                assert_eq!((child.name(), child.id as usize), (*name, i + 1), "round {round}");
            }
        }
        let listed: Vec<&str> = root.children().map(Node::name).collect();
        assert_eq!(listed, names, "in the order they were made");
    }

    #[test]
    fn a_prefix_of_a_name_is_another_name() {
        let root = Node::new_root();
        let name: &'static str = "prefixed";
        let (whole, part) = (root.child(name).unwrap(), root.child(&name[..3]).unwrap());
        assert_eq!((whole.name(), part.name()), ("prefixed", "pre"));
        assert!(std::ptr::eq(root.child(name).unwrap(), whole));
    }

    #[test]
    fn beyond_the_limit_calls_are_kept_together() {
        let root = Node::new_root();
        let inner = root.child("inner").unwrap();
        root.tree.nodes.store(MAX_SCOPES_PER_THREAD + 1, Ordering::Relaxed);
        let before = scopes_dropped();
        let other = root.child("one too many").unwrap();
        assert_eq!(other.name(), OTHERS);
        assert!(std::ptr::eq(root.child("and another").unwrap(), other));
        assert!(std::ptr::eq(root.child("inner").unwrap(), inner), "known names stay");
        assert_eq!(inner.child("below").unwrap().name(), OTHERS);
        assert!(other.child("deeper").is_none(), "no end of levels");
        assert!(scopes_dropped() >= before + 4);
    }
}
