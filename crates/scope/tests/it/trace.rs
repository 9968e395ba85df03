//! Traces, flows, futures and names made at run time; the exported document is parsed as a viewer
//! would.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lob_scope::{
    Flow, ScopedFuture, TraceKind, disable_trace, enable_trace, scope, scope_field, take_scopes,
    take_trace, thread_alloc_stats,
};
use serde_json::Value;

use crate::scopes::{alone, taken};

/// Figures are rounded to a nanosecond; two of them are compared.
const ROUNDING_US: f64 = 0.002;

/// What a trace document holds.
struct Checked {
    scopes: BTreeMap<String, usize>,
    flows: usize,
}

/// Checks a document in the trace event format: the fields every event must have, named threads,
/// scopes that nest, flows that begin before they end and lie inside scopes.
fn check(document: &str) -> Checked {
    let document: Value = serde_json::from_str(document).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    assert!(document["otherData"]["lost_events"].is_u64());
    let (mut scopes, mut named) = (BTreeMap::new(), Vec::new());
    let mut spans: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let mut flows: BTreeMap<u64, Vec<(String, u64, f64)>> = BTreeMap::new();
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap();
        let number = |key: &str| event[key].as_f64().filter(|n| *n >= 0.0).unwrap();
        let thread = event["tid"].as_u64().unwrap();
        assert!(event["pid"].is_u64() && !text("name").is_empty());
        match text("ph") {
            "M" => {
                assert!(!event["args"]["name"].as_str().unwrap().is_empty());
                named.push(thread);
            }
            "X" => {
                *scopes.entry(text("name").to_owned()).or_insert(0) += 1;
                spans.entry(thread).or_default().push((number("ts"), number("ts") + number("dur")));
            }
            phase @ ("s" | "t" | "f") => {
                let step = (phase.to_owned(), thread, number("ts"));
                flows.entry(event["id"].as_u64().unwrap()).or_default().push(step);
            }
            other => panic!("an event of kind {other}"),
        }
    }
    for (thread, spans) in &mut spans {
        assert!(named.contains(thread), "thread {thread} has no name");
        spans.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut open: Vec<f64> = Vec::new();
        for (start, end) in spans.iter() {
            while open.last().is_some_and(|outer| *outer <= start + ROUNDING_US) {
                open.pop();
            }
            assert!(open.last().is_none_or(|outer| *end <= outer + ROUNDING_US), "overlap");
            open.push(*end);
        }
    }
    for steps in flows.values() {
        assert_eq!(steps.first().unwrap().0, "s");
        assert_eq!(steps.iter().filter(|step| step.0 == "s").count(), 1);
        assert!(steps.is_sorted_by(|a, b| a.2 <= b.2));
        for (_, thread, at) in steps {
            let inside =
                |span: &(f64, f64)| span.0 <= at + ROUNDING_US && at - ROUNDING_US <= span.1;
            assert!(spans[thread].iter().any(inside), "a flow outside every scope");
        }
    }
    Checked { scopes, flows: flows.len() }
}

#[test]
fn calls_fields_and_flows_come_out_as_they_went_in() {
    let _alone = alone();
    enable_trace(1000);
    let _ = take_trace();
    let flow = {
        let _outer = scope("traced \"outer\"");
        {
            let _inner = scope("traced inner");
            scope_field("rows", 7.0);
        }
        scope_field("loss", 0.5);
        Flow::start("handed over")
    };
    let worker = std::thread::Builder::new().name("worker".to_owned());
    let body = move || {
        let _end = scope("traced end");
        flow.end();
    };
    worker.spawn(body).unwrap().join().unwrap();
    disable_trace();
    drop(scope("traced inner"));
    let trace = take_trace();
    let fields = |name: &str| {
        trace.events.iter().find(|e| e.name == name).map(|e| match &e.kind {
            TraceKind::Scope { fields, .. } => fields.clone(),
            _ => Vec::new(),
        })
    };
    assert_eq!(fields("traced inner"), Some(vec![("rows", 7.0)]));
    assert_eq!(fields("traced \"outer\""), Some(vec![("loss", 0.5)]));
    assert_eq!(trace.events.iter().filter(|e| e.name == "traced inner").count(), 1);
    let end = trace.events.iter().find(|e| e.name == "traced end").unwrap();
    assert_eq!(trace.threads[end.thread as usize - 1], "worker");
    let checked = check(&trace.to_chrome_json());
    assert_eq!((checked.scopes.len(), checked.flows), (3, 1));
    assert!(take_trace().events.is_empty());
}

#[test]
fn a_full_ring_loses_events_counts_them_and_allocates_nothing() {
    let _alone = alone();
    enable_trace(100);
    let _ = take_trace();
    let lost = std::thread::spawn(|| {
        drop(scope("filling"));
        let before = thread_alloc_stats().allocations;
        (0..500).for_each(|_| drop(scope("filling")));
        assert_eq!(thread_alloc_stats().allocations, before, "a traced scope has allocated");
    });
    lost.join().unwrap();
    let trace = take_trace();
    let kept = trace.events.iter().filter(|e| e.name == "filling").count() as u64;
    // The thread may have inherited a ring that was made larger.
    assert_eq!(kept + trace.lost, 501);
    assert!(trace.lost > 0 || kept == 501);
    disable_trace();
    assert_eq!(take_trace().lost, 0, "losses are told once");
}

#[test]
fn a_future_is_a_scope_only_while_it_is_polled() {
    struct TwoSteps(u32);
    impl Future for TwoSteps {
        type Output = u32;
        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            drop(scope("step"));
            self.0 += 1;
            if self.0 == 2 { Poll::Ready(self.0) } else { Poll::Pending }
        }
    }
    let _alone = alone();
    enable_trace(1000);
    let _ = take_trace();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = std::pin::pin!(ScopedFuture::new("task a", TwoSteps(0)));
    let mut second = std::pin::pin!(ScopedFuture::new("task b", TwoSteps(0)));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(2));
    assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(2));
    disable_trace();
    for task in ["task a", "task b"] {
        let stats = taken_again(task);
        assert_eq!(stats, [(task.to_owned(), 2), (format!("{task}/step"), 2)]);
    }
    assert_eq!(check(&take_trace().to_chrome_json()).flows, 2);
}

/// Paths and calls at and below `root`; what is taken for one is kept for the next.
fn taken_again(root: &str) -> Vec<(String, u64)> {
    use std::sync::Mutex;
    static KEPT: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap();
    kept.extend(take_scopes().into_iter().map(|s| (s.path, s.calls)));
    let below = format!("{root}/");
    kept.iter().filter(|(p, _)| p == root || p.starts_with(&below)).cloned().collect()
}

#[test]
fn names_made_at_run_time_are_limited() {
    let _alone = alone();
    {
        let _outer = scope("named");
        for n in 0..5 {
            let _inner = lob_scope::scope!("request_{}", n % 2);
        }
    }
    let paths: Vec<(String, u64)> = taken("named").into_iter().map(|s| (s.path, s.calls)).collect();
    let expected = [("named", 1), ("named/request_0", 3), ("named/request_1", 2)];
    assert_eq!(paths, expected.map(|(path, calls)| (path.to_owned(), calls)));
}
