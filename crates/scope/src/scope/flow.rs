//! Work that is handed from thread to thread, and values attached to scopes. Both are seen in
//! traces only and cost a load and a branch otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use super::trace::{Here, record_here};
use super::{TRACE, flags};

/// A piece of work on its way from one thread to another; a trace viewer draws an arrow.
///
/// Send the value along with the work. Each call belongs to the scope open around it.
///
/// ```
/// lob_scope::enable_trace(1000);
/// let flow = {
///     let _produce = lob_scope::scope("produce");
///     lob_scope::Flow::start("batch")
/// };
/// std::thread::spawn(move || {
///     let _consume = lob_scope::scope("consume");
///     flow.end();
/// })
/// .join()
/// .unwrap();
/// assert_eq!(lob_scope::take_trace().events.len(), 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a flow that nobody ends leads nowhere"]
pub struct Flow {
    id: u64,
    name: &'static str,
}

impl Flow {
    /// Hands work over.
    pub fn start(name: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if !tracing() {
            return Self { id: 0, name };
        }
        let flow = Self { id: NEXT.fetch_add(1, Ordering::Relaxed), name };
        record_here(Here::FlowStart(flow.id), name);
        flow
    }

    /// Takes the work up and hands it on.
    pub fn step(self) {
        self.record(Here::FlowStep(self.id));
    }

    /// Receives the work for good.
    pub fn end(self) {
        self.record(Here::FlowEnd(self.id));
    }

    fn record(self, what: Here) {
        // Number 0 was started while nothing was recorded: an end alone would be an error.
        if self.id != 0 && tracing() {
            record_here(what, self.name);
        }
    }
}

/// Attaches a value to the innermost open scope of this thread; the trace shows it with the call.
/// The key counts towards [`super::MAX_DYNAMIC_NAMES`].
#[inline]
pub fn scope_field(key: &'static str, value: f64) {
    if tracing() {
        record_here(Here::Field(value), key);
    }
}

#[inline]
fn tracing() -> bool {
    flags() & TRACE != 0
}
