//! What one reader of the trees has seen so far, and what is new to it.

use std::sync::atomic::Ordering;

use super::tree::{Key, Node};
use crate::sketch::Counts;

/// What a reader has seen, by tree and by node.
pub(super) struct Look {
    pub(super) id: u64,
    trees: Vec<Vec<Seen>>,
    allocs: Vec<Vec<[u64; 3]>>,
}

/// A node as a reader last saw it. Times in ticks.
struct Seen {
    /// Calls finished.
    finished: u64,
    /// Calls handed out, the one open at the time included.
    calls: u64,
    total: u64,
    counts: Counts,
    /// Shortest and longest call since then, as far as other readers have taken them off the node.
    min: u64,
    max: u64,
}

impl Seen {
    const fn nothing() -> Self {
        Self { finished: 0, calls: 0, total: 0, counts: Counts::none(), min: u64::MAX, max: 0 }
    }
}

/// What a node recorded since the last look. Times in ticks.
pub(super) struct News {
    pub(super) calls: u64,
    pub(super) total: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) counts: Counts,
}

impl Look {
    pub(super) const fn new(id: u64) -> Self {
        Self { id, trees: Vec::new(), allocs: Vec::new() }
    }

    fn seen(&mut self, tree: usize, node: &Node) -> &mut Seen {
        entry(&mut self.trees, tree, node.id as usize, Seen::nothing)
    }

    /// Notes the extremes that a reader has taken off a node.
    pub(super) fn note(&mut self, tree: usize, node: &Node, (min, max): (u64, u64)) {
        let seen = self.seen(tree, node);
        seen.min = seen.min.min(min);
        seen.max = seen.max.max(max);
    }

    /// What is new of a node whose extremes have been noted. Cumulative figures never fall below
    /// what was reported, see [`Node::close`].
    pub(super) fn news(&mut self, tree: usize, node: &Node, now: u64) -> News {
        let seen = self.seen(tree, node);
        let counts = node.sketch.news(&mut seen.counts);
        seen.finished += counts.total();
        let total = node.total.load(Ordering::Acquire);
        let open_since = node.open_since.load(Ordering::Relaxed);
        let (open_calls, open_ticks) =
            if open_since == 0 { (0, 0) } else { (1, now.saturating_sub(open_since)) };
        let (calls, total) = (seen.finished + open_calls, total + open_ticks);
        let news = News {
            calls: calls.saturating_sub(seen.calls),
            total: total.saturating_sub(seen.total),
            min: std::mem::replace(&mut seen.min, u64::MAX),
            max: std::mem::take(&mut seen.max),
            counts,
        };
        seen.calls = seen.calls.max(calls);
        seen.total = seen.total.max(total);
        news
    }

    /// Blocks allocated, bytes allocated and bytes freed in a node since the last look.
    pub(super) fn news_of_allocs(&mut self, tree: usize, node: &Node) -> [u64; 3] {
        let seen = entry(&mut self.allocs, tree, node.id as usize, || [0; 3]);
        let now = node.allocs.sums();
        let before = std::mem::replace(seen, now);
        std::array::from_fn(|i| now[i].wrapping_sub(before[i]))
    }
}

/// Takes a node's extremes off it.
pub(super) fn take_extremes(node: &Node) -> (u64, u64) {
    (node.min.swap(u64::MAX, Ordering::Relaxed), node.max.swap(0, Ordering::Relaxed))
}

fn entry<T>(table: &mut Vec<Vec<T>>, tree: usize, node: usize, new: impl Fn() -> T) -> &mut T {
    if table.len() <= tree {
        table.resize_with(tree + 1, Vec::new);
    }
    let nodes = &mut table[tree];
    if nodes.len() <= node {
        nodes.resize_with(node + 1, new);
    }
    &mut nodes[node]
}

/// Which scopes a reader takes.
#[derive(Clone, Copy)]
pub(super) enum Selection {
    /// All of them.
    All,
    /// Those below the scopes of one profile, and those of threads that are in no profile's scope
    /// at all, as far as they are outside of other profiles.
    Profile(Key),
}

/// A node of a tree, parents first.
pub(super) struct Place {
    pub(super) node: &'static Node,
    /// Index of the parent among the places.
    pub(super) above: Option<usize>,
    /// Depth at which its path begins; `None` where it is not selected.
    pub(super) from: Option<u32>,
    is_mine: bool,
}

/// All nodes of a tree, and which of them are selected.
pub(super) fn places(root: &'static Node, selection: Selection) -> Vec<Place> {
    #[derive(Clone, Copy)]
    enum Inside {
        Nothing,
        Mine(u32),
        Other,
    }
    let mut found: Vec<Place> = Vec::new();
    let mut stack = vec![(root, None, Inside::Nothing)];
    while let Some((node, above, outside)) = stack.pop() {
        let inside = match selection {
            Selection::Profile(mine) if node.key() == mine => Inside::Mine(node.depth()),
            Selection::Profile(_) if node.is_profile.load(Ordering::Relaxed) => match outside {
                Inside::Mine(from) => Inside::Mine(from),
                _ => Inside::Other,
            },
            _ => outside,
        };
        let from = match inside {
            Inside::Nothing => (node.depth() > 0).then_some(1),
            Inside::Mine(from) => Some(from),
            Inside::Other => None,
        };
        let index = found.len();
        found.push(Place { node, above, from, is_mine: matches!(inside, Inside::Mine(_)) });
        stack.extend(node.children().map(|child| (child, Some(index), inside)));
    }
    // Where the profile has been on a thread, the rest of the thread is not part of it.
    if found.iter().any(|place| place.is_mine) {
        found.iter_mut().filter(|place| !place.is_mine).for_each(|place| place.from = None);
    }
    found
}

/// Names from the outermost scope of the path to the node. A name may hold `/` itself: it is
/// split, so that the order by components keeps parents first.
pub(super) fn path(node: &'static Node, from: u32) -> Vec<String> {
    let mut path: Vec<&str> = std::iter::successors(Some(node), |node| node.parent())
        .take_while(|node| node.depth() >= from.max(1))
        .map(Node::name)
        .collect();
    path.reverse();
    path.iter()
        .filter(|name| !name.is_empty())
        .flat_map(|name| name.split('/'))
        .map(str::to_owned)
        .collect()
}
