//! Traces for OpenTelemetry collectors, as OTLP/JSON.
//!
//! Names and layout are those of the OpenTelemetry protocol specification 1.x, "JSON Protobuf
//! Encoding" (identifiers in hexadecimal, 64-bit numbers as strings).

use std::collections::BTreeMap;

use lob_metrics::stats::SplitMix64;
use lob_scope::{Trace, TraceEvent, TraceKind};
use serde_json::{Value, json};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;

/// A trace as an OTLP/JSON document (`ExportTraceServiceRequest`): one trace, a span for every
/// call of a scope, nested as the calls were, with fields as attributes. A flow from one scope to
/// another is a link of the later one. A collector takes it over HTTP:
/// `curl -H 'Content-Type: application/json' -d @trace.json http://localhost:4318/v1/traces`.
///
/// ```
/// lob_scope::enable_trace(100);
/// drop(lob_scope::scope("work"));
/// let document = lob_profiler::otlp_json(&lob_scope::take_trace(), "lob");
/// let document: serde_json::Value = serde_json::from_str(&document).unwrap();
/// let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
/// assert_eq!(spans[0]["name"], "work");
/// ```
#[must_use]
pub fn otlp_json(trace: &Trace, service: &str) -> String {
    let start_ns = trace.start_unix_ns;
    let seed = mix(start_ns ^ u64::from(std::process::id()).rotate_left(48));
    let trace_id = format!("{:016x}{:016x}", seed.max(1), mix(seed));
    let resource = json!({ "attributes": [
        text("service.name", service),
        integer("process.pid", u64::from(std::process::id())),
    ]});
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let mut out = format!(
        "{{\"resourceSpans\":[{{\"resource\":{resource},\"scopeSpans\":[{{\"scope\":{scope},\"spans\":["
    );
    // One span at a time: as values, all of them would take ten times the room of their text.
    let spans = Spans { start_ns, seed, trace_id, trace };
    for (number, found) in spans.found().iter().enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        out.push_str(&spans.span(number, found).to_string());
    }
    out.push_str("\n]}]}]}\n");
    out
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn integer(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn number(key: &str, value: f64) -> Value {
    // JSON has no infinities; the encoding spells them as strings.
    let value = if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    json!({ "key": key, "value": { "doubleValue": value } })
}

/// Spreads a counter over all bits.
fn mix(x: u64) -> u64 {
    SplitMix64::new(x).next_u64()
}

struct Spans<'a> {
    start_ns: u64,
    seed: u64,
    trace_id: String,
    trace: &'a Trace,
}

/// A call of a scope, and the spans it belongs to, by number.
struct Found<'a> {
    event: &'a TraceEvent,
    duration_s: f64,
    fields: &'a [(&'static str, f64)],
    parent: Option<usize>,
    /// Spans from which flows came.
    links: Vec<usize>,
}

impl Spans<'_> {
    fn found(&self) -> Vec<Found<'_>> {
        let mut spans: Vec<Found<'_>> = Vec::new();
        // By thread: the spans open at this moment, as number and end.
        let mut open: BTreeMap<u32, Vec<(usize, f64)>> = BTreeMap::new();
        // Where each flow was last seen.
        let mut flows: BTreeMap<u64, usize> = BTreeMap::new();
        for event in &self.trace.events {
            let stack = open.entry(event.thread).or_default();
            // Flows lie inside the scope around them, up to the rounding of the clock.
            let instant = !matches!(event.kind, TraceKind::Scope { .. });
            let slack = if instant { 1e-8 } else { 0.0 };
            while stack.last().is_some_and(|(_, end)| *end + slack <= event.t_s) {
                stack.pop();
            }
            let parent = stack.last().map(|(number, _)| *number);
            match &event.kind {
                TraceKind::Scope { duration_s, fields } => {
                    stack.push((spans.len(), event.t_s + duration_s));
                    let (duration_s, links) = (*duration_s, Vec::new());
                    spans.push(Found { event, duration_s, fields, parent, links });
                }
                TraceKind::FlowStart { id }
                | TraceKind::FlowStep { id }
                | TraceKind::FlowEnd { id } => {
                    let Some(here) = parent else { continue };
                    if let Some(from) = flows.insert(*id, here) {
                        spans[here].links.push(from);
                    }
                }
                // A kind added later is no span.
                _ => {}
            }
        }
        spans
    }

    fn span(&self, number: usize, found: &Found<'_>) -> Value {
        let link =
            |from: &usize| json!({ "traceId": self.trace_id, "spanId": self.span_id(*from) });
        let Found { event, duration_s, fields, parent, links } = found;
        json!({
            "traceId": self.trace_id,
            "spanId": self.span_id(number),
            "parentSpanId": parent.map(|parent| self.span_id(parent)).unwrap_or_default(),
            "name": event.name,
            "kind": INTERNAL,
            "startTimeUnixNano": self.unix_ns(event.t_s).to_string(),
            "endTimeUnixNano": self.unix_ns(event.t_s + duration_s).to_string(),
            "attributes": self.attributes(event.thread, fields),
            "links": links.iter().map(link).collect::<Vec<Value>>(),
        })
    }

    fn attributes(&self, thread: u32, fields: &[(&str, f64)]) -> Value {
        let name = (thread as usize).checked_sub(1).and_then(|index| self.trace.threads.get(index));
        let mut out = vec![integer("thread.id", u64::from(thread))];
        out.extend(name.map(|name| text("thread.name", name)));
        out.extend(fields.iter().map(|(key, value)| number(key, *value)));
        Value::Array(out)
    }

    fn span_id(&self, number: usize) -> String {
        // Mixing is one to one, so different numbers give different identifiers; zero is no
        // identifier, and one in 2^64 numbers would give it.
        format!("{:016x}", mix(self.seed ^ mix(number as u64)).max(1))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds since the profiler's clock was started, not below zero"
    )]
    fn unix_ns(&self, t_s: f64) -> u64 {
        self.start_ns + (t_s * 1e9).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(thread: u32, name: &'static str, t_s: f64, duration_s: f64) -> TraceEvent {
        let fields = vec![("rows", 7.0), ("loss", f64::NAN)];
        TraceEvent { thread, name, t_s, kind: TraceKind::Scope { duration_s, fields } }
    }

    #[test]
    fn spans_nest_by_time_and_flows_become_links() {
        let flow = |thread, t_s, kind| TraceEvent { thread, name: "f", t_s, kind };
        let trace = Trace {
            events: vec![
                scope(1, "outer", 1.0, 2.0),
                scope(1, "inner", 1.5, 0.5),
                flow(1, 1.6, TraceKind::FlowStart { id: 9 }),
                scope(1, "next", 2.0, 0.5),
                scope(2, "other", 2.0, 1.0),
                flow(2, 2.5, TraceKind::FlowEnd { id: 9 }),
            ],
            threads: vec!["main".to_owned(), "worker".to_owned()],
            lost: 0,
            start_unix_ns: 1_700_000_000_000_000_000,
        };
        let document: Value = serde_json::from_str(&otlp_json(&trace, "test")).unwrap();
        let resource = &document["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "test");
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        let names: Vec<&str> = spans.iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["outer", "inner", "next", "other"]);
        assert_eq!(spans[0]["parentSpanId"], "");
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[2]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[3]["parentSpanId"], "");
        assert_eq!(spans[3]["links"][0]["spanId"], spans[1]["spanId"]);
        for span in spans {
            let hex = |key: &str| span[key].as_str().unwrap().to_owned();
            assert_eq!((hex("traceId").len(), hex("spanId").len()), (32, 16));
            assert!(hex("spanId").bytes().all(|b| b.is_ascii_hexdigit()));
            let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
            // After the year 2020, and as long as the scope was.
            assert!(time("startTimeUnixNano") > 1_577_836_800_000_000_000);
            assert!(time("endTimeUnixNano") >= time("startTimeUnixNano") + 499_999_999);
        }
        let attributes = spans[3]["attributes"].as_array().unwrap();
        assert_eq!(attributes[1]["value"]["stringValue"], "worker");
        assert_eq!(attributes[2]["value"]["doubleValue"], 7.0);
        assert_eq!(attributes[3]["value"]["doubleValue"], "NaN");
    }

    #[test]
    fn identifiers_differ() {
        let trace = Trace::default();
        let spans = Spans { start_ns: 1, seed: 5, trace_id: String::new(), trace: &trace };
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|n| spans.span_id(n)).collect();
        assert_eq!(ids.len(), 1000);
    }
}
