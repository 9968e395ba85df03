//! Single calls as events: recorded into a ring per thread, taken as a [`Trace`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::registry::registry;
use super::tree::Node;
use super::{CURRENT, TRACE, enable, names, ring, set_flag};
use crate::clock;

/// Events a thread's ring has room for; fixed for a thread by its first event.
static CAPACITY: AtomicUsize = AtomicUsize::new(0);
/// Lost events already reported.
static LOST_REPORTED: AtomicU64 = AtomicU64::new(0);

const SCOPE: u64 = 0;
const FIELD: u64 = 1;
const FLOW_START: u64 = 2;
const FLOW_STEP: u64 = 3;
const FLOW_END: u64 = 4;

/// Switches scopes on, and with them the recording of every single call. Off at the start.
///
/// Each thread gets room for `events_per_thread` events of 32 bytes when it records its first; a
/// thread whose room is full loses further events until [`take_trace`] makes room, and the loss is
/// counted. A thread that has room already keeps the room it has. After a thread's first event
/// nothing is allocated.
pub fn enable_trace(events_per_thread: usize) {
    CAPACITY.store(events_per_thread.max(1), Ordering::Relaxed);
    enable(true);
    set_flag(TRACE, true);
}

/// Stops the recording of single calls; scopes stay as they are.
pub fn disable_trace() {
    set_flag(TRACE, false);
}

/// What [`take_trace`] found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The events, ordered by `t_s`; of two that begin together the longer comes first.
    pub events: Vec<TraceEvent>,
    /// Name of every thread that has entered a scope, by number less one.
    pub threads: Vec<String>,
    /// Events lost since the trace before, because a thread's ring was full.
    pub lost: u64,
    /// The wall clock at `t_s` 0, in nanoseconds since 1970.
    pub start_unix_ns: u64,
}

/// One event of a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceEvent {
    /// Number of the thread; 1 is the first that entered a scope.
    pub thread: u32,
    /// Name of the scope or the flow.
    pub name: &'static str,
    /// When it began, in seconds since the profiler's clock was started.
    pub t_s: f64,
    /// What happened.
    pub kind: TraceKind,
}

/// What a [`TraceEvent`] stands for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TraceKind {
    /// A call of a scope.
    Scope {
        /// How long it lasted, in seconds.
        duration_s: f64,
        /// Fields set inside it, in order.
        fields: Vec<(&'static str, f64)>,
    },
    /// Work was handed over here.
    FlowStart {
        /// Which flow.
        id: u64,
    },
    /// The work was taken up and handed on.
    FlowStep {
        /// Which flow.
        id: u64,
    },
    /// The work arrived.
    FlowEnd {
        /// Which flow.
        id: u64,
    },
}

/// All events recorded since the last call, of all threads.
#[must_use]
pub fn take_trace() -> Trace {
    let clock = Clock { zero: clock::start_ticks(), seconds: clock::seconds_per_tick() };
    let (mut events, mut lost) = (Vec::new(), 0);
    let registry = registry();
    for &root in &registry.trees {
        let Some(ring) = root.ring() else { continue };
        let mut reader = Reader { names: BTreeMap::new(), fields: Vec::new(), clock };
        ring.drain(&mut |words| events.extend(reader.event(words, root)));
        lost += ring.lost();
    }
    let duration = |event: &TraceEvent| match event.kind {
        TraceKind::Scope { duration_s, .. } => duration_s,
        _ => 0.0,
    };
    events
        .sort_by(|a, b| a.t_s.total_cmp(&b.t_s).then_with(|| duration(b).total_cmp(&duration(a))));
    let before = LOST_REPORTED.swap(lost, Ordering::Relaxed);
    Trace {
        events,
        threads: registry.threads.clone(),
        lost: lost.saturating_sub(before),
        start_unix_ns: clock::start_unix_ns(),
    }
}

#[derive(Clone, Copy)]
struct Clock {
    zero: u64,
    seconds: f64,
}

/// Turns the words of one ring back into events.
struct Reader {
    names: BTreeMap<u32, &'static str>,
    /// Fields of scopes not closed yet: the node they belong to, key and value.
    fields: Vec<(u32, &'static str, f64)>,
    clock: Clock,
}

impl Reader {
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a packed word")]
    fn event(&mut self, words: ring::Words, root: &'static Node) -> Option<TraceEvent> {
        let (node, kind, thread) =
            (words[0] as u32, (words[0] >> 32) & 0xff, (words[0] >> 40) as u32);
        let interned = || names::name_of(words[3] as u32).unwrap_or("?");
        let (name, kind) = match kind {
            SCOPE => {
                let duration_s = words[2] as f64 * self.clock.seconds;
                (self.name(node, root), TraceKind::Scope { duration_s, fields: self.fields(node) })
            }
            FIELD => {
                self.fields.push((node, interned(), f64::from_bits(words[2])));
                return None;
            }
            FLOW_START => (interned(), TraceKind::FlowStart { id: words[2] }),
            FLOW_STEP => (interned(), TraceKind::FlowStep { id: words[2] }),
            _ => (interned(), TraceKind::FlowEnd { id: words[2] }),
        };
        let t_s = words[1].saturating_sub(self.clock.zero) as f64 * self.clock.seconds;
        Some(TraceEvent { thread, name, t_s, kind })
    }

    fn name(&mut self, node: u32, root: &'static Node) -> &'static str {
        if !self.names.contains_key(&node) {
            root.walk(&mut |node| {
                self.names.insert(node.id, node.name());
            });
        }
        self.names.get(&node).copied().unwrap_or("?")
    }

    fn fields(&mut self, node: u32) -> Vec<(&'static str, f64)> {
        let mine = self.fields.extract_if(.., |(owner, ..)| *owner == node);
        mine.map(|(_, key, value)| (key, value)).collect()
    }
}

pub(super) fn record_scope(node: &'static Node, start: u64, elapsed: u64) {
    record(node, SCOPE, [start, elapsed, 0]);
}

/// Records something about the innermost open scope of this thread, if any.
pub(super) fn record_here(what: Here, key: &'static str) {
    let Some(node) = CURRENT.get() else { return };
    let Some((_, key)) = names::intern(key) else { return };
    let (kind, value) = match what {
        Here::Field(value) => (FIELD, value.to_bits()),
        Here::FlowStart(id) => (FLOW_START, id),
        Here::FlowStep(id) => (FLOW_STEP, id),
        Here::FlowEnd(id) => (FLOW_END, id),
    };
    record(node, kind, [clock::ticks(), value, u64::from(key)]);
}

/// What [`record_here`] records.
pub(super) enum Here {
    Field(f64),
    FlowStart(u64),
    FlowStep(u64),
    FlowEnd(u64),
}

fn record(node: &'static Node, kind: u64, [time, value, key]: [u64; 3]) {
    let ring = node.ring_or_new(CAPACITY.load(Ordering::Relaxed));
    let packed = (u64::from(node.owner()) << 40) | (kind << 32) | u64::from(node.id);
    ring.push([packed, time, value, key]);
}

/// Events lost since the process began, because a thread's ring was full.
#[must_use]
pub fn trace_events_lost() -> u64 {
    registry().trees.iter().filter_map(|root| root.ring()).map(ring::Ring::lost).sum()
}
