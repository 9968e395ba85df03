//! Nested scopes: an aggregate call tree per thread, without a lock on the hot path.
//!
//! A scope costs two clock reads and a handful of plain loads and stores into a node that only its
//! own thread writes. The nodes are never freed: a thread that ends leaves its tree, counts
//! included, to the next thread that starts, so memory is bounded by the threads alive at once.

mod collect;
mod cost;
mod tree;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

pub use collect::{scope_calls_total, take_scopes};
pub use cost::calibrate_scope_cost;
pub use tree::{MAX_SCOPES_PER_THREAD, scopes_dropped};

use crate::clock;
use tree::Node;

static ENABLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The innermost open scope, or the root; `None` until the thread's first scope.
    static CURRENT: Cell<Option<&'static Node>> = const { Cell::new(None) };
}

/// Switches scopes on or off for the whole process. They start off.
///
/// A scope entered while the switch was on is still recorded when it is left.
pub fn enable(on: bool) {
    if on {
        clock::start();
    }
    ENABLED.store(on && cfg!(not(feature = "compile-out")), Ordering::Relaxed);
}

/// Whether scopes are recorded.
#[inline]
#[must_use]
pub fn is_enabled() -> bool {
    cfg!(not(feature = "compile-out")) && ENABLED.load(Ordering::Relaxed)
}

/// Enters a scope that lasts until the guard is dropped, also by a panic.
///
/// Nests below the scope open on the same thread. Scopes with one name and one parent are one
/// entry in [`take_scopes`], whatever thread they ran on. The name may contain `/`.
///
/// ```
/// lob_profiler::enable(true);
/// {
///     let _outer = lob_profiler::scope("convert");
///     let _inner = lob_profiler::scope("decode");
/// }
/// let paths: Vec<String> = lob_profiler::take_scopes().into_iter().map(|s| s.path).collect();
/// assert_eq!(paths, ["convert", "convert/decode"]);
/// ```
#[inline]
pub fn scope(name: &'static str) -> ScopeGuard {
    if is_enabled() { ScopeGuard::enter(name) } else { ScopeGuard::inert() }
}

/// Enters a scope: `let _scope = lob_profiler::scope!("render");`.
///
/// Bind the guard to a name; `let _ = ...` would end the scope at once.
#[macro_export]
macro_rules! scope {
    ($name:expr) => {
        $crate::scope($name)
    };
}

/// An open scope; dropping it records the time since it was entered.
///
/// Not `Send`: a scope belongs to the call tree of the thread that entered it.
#[derive(Debug)]
#[must_use = "a scope lasts as long as its guard: bind it to a name"]
pub struct ScopeGuard {
    open: Option<Open>,
    _not_send: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Open {
    node: &'static Node,
    start: u64,
}

impl ScopeGuard {
    #[inline]
    const fn inert() -> Self {
        Self { open: None, _not_send: PhantomData }
    }

    #[inline]
    fn enter(name: &'static str) -> Self {
        // Read first: the CPU looks the node up while the slow clock read is under way.
        let start = clock::ticks();
        let Some(parent) = CURRENT.get().or_else(tree::adopt) else { return Self::inert() };
        let Some(node) = parent.child(name) else { return Self::inert() };
        CURRENT.set(Some(node));
        node.open(start);
        Self { open: Some(Open { node, start }), _not_send: PhantomData }
    }
}

impl Drop for ScopeGuard {
    #[inline]
    fn drop(&mut self) {
        let Some(Open { node, start }) = &self.open else { return };
        node.close(clock::ticks().saturating_sub(*start));
        // Guards dropped out of order: the outer one has already moved further up.
        if CURRENT.get().is_some_and(|current| current.depth() >= node.depth()) {
            CURRENT.set(node.parent());
        }
    }
}
