//! The children of a node: a list for readers, a table for the thread that owns the tree.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::tree::{Key, Link, Node};

/// Places of the first table.
const FIRST_PLACES: usize = 8;

/// Written by the owning thread alone. The list is in the order in which the children were made;
/// the table, open addressing of at most half its places, is read by the owner only.
pub(super) struct Children {
    table: AtomicPtr<Link>,
    /// Places of the table, a power of two; 0 without a table.
    places: AtomicUsize,
    count: AtomicUsize,
    first: Link,
    last: Link,
}

impl Children {
    pub(super) const fn new() -> Self {
        Self {
            table: AtomicPtr::new(std::ptr::null_mut()),
            places: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            first: Link::new(),
            last: Link::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static Node> {
        std::iter::successors(self.first.get(), |node| node.next_sibling.get())
    }

    /// The places of the table; none before the first child.
    #[inline]
    fn places(&self) -> &'static [Link] {
        let places = self.places.load(Ordering::Relaxed);
        if places == 0 {
            return &[];
        }
        // SAFETY: `grow` stored the pointer to a slice of that many places that is never freed, and
        // then their number. Only the owning thread calls this, and a tree changes its owner under
        // the registry's lock.
        unsafe { std::slice::from_raw_parts(self.table.load(Ordering::Relaxed), places) }
    }

    /// The child of that name. Only for the owning thread.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<&'static Node> {
        let places = self.places();
        if places.is_empty() {
            return None;
        }
        let mask = places.len() - 1;
        let mut place = key.hash();
        loop {
            // At least half of the places are empty, so the search ends.
            let node = places[place & mask].get()?;
            if node.key() == key {
                return Some(node);
            }
            place += 1;
        }
    }

    /// Adds a child that is not there yet. Only for the owning thread.
    pub(super) fn push(&self, node: &'static Node) {
        let count = self.count.load(Ordering::Relaxed) + 1;
        if 2 * count > self.places().len() {
            self.grow();
        }
        self.count.store(count, Ordering::Relaxed);
        insert(self.places(), node);
        match self.last.get() {
            Some(last) => last.next_sibling.set(node),
            None => self.first.set(node),
        }
        self.last.set(node);
    }

    /// A table of twice the places. The old one is kept by nobody and given up: all tables a node
    /// has had are smaller together than the present one.
    fn grow(&self) {
        let places = (2 * self.places.load(Ordering::Relaxed)).max(FIRST_PLACES);
        let table: Vec<Link> = std::iter::repeat_with(Link::new).take(places).collect();
        let table: &'static [Link] = Vec::leak(table);
        self.iter().for_each(|node| insert(table, node));
        self.table.store(table.as_ptr().cast_mut(), Ordering::Relaxed);
        self.places.store(places, Ordering::Relaxed);
    }
}

fn insert(places: &[Link], node: &'static Node) {
    let mask = places.len() - 1;
    let mut place = node.key().hash();
    while places[place & mask].get().is_some() {
        place += 1;
    }
    places[place & mask].set(node);
}
