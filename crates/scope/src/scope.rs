//! Nested scopes: an aggregate call tree per thread, without a lock on the hot path.
//!
//! A scope costs two clock reads and a handful of plain loads and stores into a node that only its
//! own thread writes. The nodes are never freed: a thread that ends leaves its tree, counts
//! included, to the next thread that starts, so memory is bounded by the threads alive at once.

mod alloc_cells;
mod allocs;
mod children;
mod collect;
mod cost;
mod flow;
mod future;
mod look;
mod names;
#[cfg(feature = "nvtx")]
mod nvtx;
mod recording;
mod registry;
mod ring;
mod shapes;
mod trace;
mod tree;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

pub use allocs::{ScopeAllocs, take_scope_allocs, track_scope_allocs};
pub use collect::{ScopeStat, scope_calls_total, take_scopes};
pub use cost::calibrate_scope_cost;
pub use flow::{Flow, scope_field};
pub use future::ScopedFuture;
pub use names::{MAX_DYNAMIC_NAMES, OTHER_NAMES, dynamic_names_refused, scope_named};
#[cfg(feature = "nvtx")]
pub use nvtx::{NvtxRange, nvtx_scopes};
pub use recording::{RecordedScopes, ScopeRecording};
pub use shapes::{MAX_SHAPES_PER_SCOPE, ScopeShapes, record_shapes, scope_shape};
pub use trace::{
    Trace, TraceEvent, TraceKind, disable_trace, enable_trace, take_trace, trace_events_lost,
};
pub use tree::{MAX_SCOPES_PER_THREAD, scopes_dropped};

use crate::clock;
use tree::Node;

/// Scopes are recorded.
const ENABLED: u32 = 1;
/// The CPU's counter is the clock.
const COUNTER: u32 = 2;
/// Every call becomes an event in its thread's ring.
const TRACE: u32 = 4;
/// Allocations are charged to scopes.
const ALLOCS: u32 = 8;
/// Scopes are NVTX ranges too.
#[cfg(feature = "nvtx")]
const NVTX: u32 = 16;
/// The common case, which one comparison finds.
const PLAIN: u32 = ENABLED | COUNTER;

/// What is switched on; one word, so that the hot path loads once.
static FLAGS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The innermost open scope, or the root; `None` until the thread's first scope.
    static CURRENT: Cell<Option<&'static Node>> = const { Cell::new(None) };
}

/// Who wants scopes: the program, and the recordings open now.
static WANTED: Mutex<(bool, i64)> = Mutex::new((false, 0));

/// Switches scopes on or off for the whole process. They start off, and stay on while a
/// [`ScopeRecording`] is open.
///
/// A scope entered while the switch was on is still recorded when it is left.
pub fn enable(on: bool) {
    switch(|wanted| wanted.0 = on);
}

/// One recording more or less is open.
fn recordings_changed(by: i64) {
    switch(|wanted| wanted.1 += by);
}

fn switch(change: impl FnOnce(&mut (bool, i64))) {
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut wanted);
    let on = wanted.0 || wanted.1 > 0;
    if on {
        set_flag(COUNTER, clock::start());
    }
    set_flag(ENABLED, on);
}

fn set_flag(flag: u32, on: bool) {
    if on && cfg!(not(feature = "compile-out")) {
        FLAGS.fetch_or(flag, Ordering::Relaxed);
    } else {
        FLAGS.fetch_and(!flag, Ordering::Relaxed);
    }
}

#[inline]
fn flags() -> u32 {
    if cfg!(feature = "compile-out") { 0 } else { FLAGS.load(Ordering::Relaxed) }
}

/// Whether single calls are recorded.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn is_tracing() -> bool {
    flags() & TRACE != 0
}

/// Whether scopes are recorded.
#[inline]
#[must_use]
pub fn is_enabled() -> bool {
    flags() & ENABLED != 0
}

/// Enters a scope that lasts until the guard is dropped, also by a panic.
///
/// Nests below the scope open on the same thread. Scopes with one name and one parent are one
/// entry in [`take_scopes`], whatever thread they ran on. The name may contain `/`.
///
/// ```
/// lob_scope::enable(true);
/// {
///     let _outer = lob_scope::scope("convert");
///     let _inner = lob_scope::scope("decode");
/// }
/// let paths: Vec<String> = lob_scope::take_scopes().into_iter().map(|s| s.path).collect();
/// assert_eq!(paths, ["convert", "convert/decode"]);
/// ```
#[inline]
pub fn scope(name: &'static str) -> ScopeGuard {
    let flags = flags();
    if flags & ENABLED == 0 {
        return ScopeGuard::new(None);
    }
    // The clock is read first: the CPU looks the node up while the slow read is under way. What is
    // rare is called by value, so that the guard stays in registers.
    let start = if flags & COUNTER != 0 { clock::read_counter() } else { clock::ticks() };
    let open = open(name, start);
    if flags != PLAIN
        && let Some(open) = open
    {
        open_extras(open.node, flags);
    }
    ScopeGuard::new(open)
}

/// Enters a scope: `let _scope = lob_scope::scope!("render");`.
///
/// A literal costs nothing extra; with arguments, as in `scope!("request_{id}")`, the name is
/// formatted and interned as by [`scope_named`](crate::scope_named()), and only while scopes are
/// on. Bind the guard to a name; `let _ = ...` would end the scope at once.
#[macro_export]
macro_rules! scope {
    ($name:expr) => {
        $crate::scope($name)
    };
    ($format:literal, $($argument:tt)+) => {
        if $crate::is_enabled() {
            $crate::scope_named(&::std::format!($format, $($argument)+))
        } else {
            $crate::scope("")
        }
    };
}

/// An open scope; dropping it records the time since it was entered.
///
/// Not `Send`: a scope belongs to the call tree of the thread that entered it, so a guard cannot
/// be held across an `.await` of a future that moves between threads. Use [`ScopedFuture`] there.
#[derive(Debug)]
#[must_use = "a scope lasts as long as its guard: bind it to a name"]
pub struct ScopeGuard {
    open: Option<Open>,
    _not_send: PhantomData<*const ()>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    node: &'static Node,
    /// Open before; asked of the guard, the node's line beside the first stays untouched.
    parent: &'static Node,
    start: u64,
}

impl ScopeGuard {
    #[inline]
    const fn new(open: Option<Open>) -> Self {
        Self { open, _not_send: PhantomData }
    }
}

impl Drop for ScopeGuard {
    #[inline]
    fn drop(&mut self) {
        let Some(open) = self.open else { return };
        let flags = flags();
        if flags == PLAIN {
            close(open, clock::read_counter());
        } else {
            close_with_extras(open.node, open.parent, open.start, flags);
        }
    }
}

#[inline]
fn open(name: &'static str, start: u64) -> Option<Open> {
    let parent = CURRENT.get().or_else(registry::adopt)?;
    let node = parent.child(name)?;
    CURRENT.set(Some(node));
    node.open(start);
    Some(Open { node, parent, start })
}

#[inline]
fn close(open: Open, now: u64) {
    let node = open.node;
    node.close(elapsed(open.start, now));
    match CURRENT.get() {
        Some(current) if std::ptr::eq(current, node) => CURRENT.set(Some(open.parent)),
        current => close_out_of_order(current, node),
    }
}

/// Ticks between two readings. A counter that seems to have run backwards (cores a few ticks
/// apart) has not run at all; a branch says so, since a maximum would lengthen the chain of
/// instructions the next clock read waits for.
#[inline]
fn elapsed(start: u64, now: u64) -> u64 {
    let ticks = now.wrapping_sub(start);
    if ticks.cast_signed() >= 0 { ticks } else { ran_backwards() }
}

#[cold]
fn ran_backwards() -> u64 {
    0
}

/// Guards dropped out of order: the outer one has already moved further up.
#[cold]
fn close_out_of_order(current: Option<&'static Node>, node: &'static Node) {
    if current.is_some_and(|current| current.depth() >= node.depth()) {
        CURRENT.set(node.parent());
    }
}

#[inline(never)]
fn open_extras(node: &'static Node, flags: u32) {
    #[cfg(feature = "nvtx")]
    if flags & NVTX != 0 {
        nvtx::open_scope(node.name());
    }
    if flags & ALLOCS != 0 {
        node.allocs.open();
    }
}

#[inline(never)]
fn close_with_extras(node: &'static Node, parent: &'static Node, start: u64, flags: u32) {
    let open = Open { node, parent, start };
    let now = clock::ticks();
    if flags & ALLOCS != 0 {
        open.node.allocs.close();
    }
    close(open, now);
    #[cfg(feature = "nvtx")]
    if flags & NVTX != 0 {
        nvtx::close_scope();
    }
    if flags & TRACE != 0 {
        trace::record_scope(open.node, open.start, elapsed(open.start, now));
    }
}

#[cfg(all(test, feature = "compile-out"))]
mod tests {
    use super::*;

    #[test]
    fn compiled_out_nothing_is_recorded_and_no_switch_changes_that() {
        enable(true);
        enable_trace(10);
        {
            let _outer = scope("outer");
            let _named = scope_named("named");
            scope_field("rows", 1.0);
            Flow::start("flow").end();
        }
        assert!(!is_enabled());
        assert!(take_scopes().is_empty() && take_trace().events.is_empty());
        assert_eq!((scope_calls_total(), calibrate_scope_cost()), (0, 0.0));
    }
}
