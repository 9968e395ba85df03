//! Traces in the format Chrome's `about:tracing` began and Perfetto reads ("Trace Event Format",
//! JSON object form).

use std::fmt::Write;

use crate::{Trace, TraceEvent, TraceKind};

impl Trace {
    /// The trace as one JSON document that `ui.perfetto.dev` and `chrome://tracing` open.
    ///
    /// Scopes are complete events (`X`) with their fields as arguments, flows are `s`, `t` and
    /// `f` events bound to the scope around them, threads carry their names. Times are in
    /// microseconds with three decimals. `otherData` holds the number of events
    /// lost and the wall clock at time 0, as text since it does not fit a JSON number.
    #[must_use]
    pub fn to_chrome_json(&self) -> String {
        let pid = std::process::id();
        let mut out = String::with_capacity(128 * (self.events.len() + self.threads.len() + 1));
        let _ = write!(
            out,
            "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"lost_events\":{},\"start_unix_ns\":\"{}\"}},\
             \"traceEvents\":[",
            self.lost, self.start_unix_ns
        );
        let mut separator = "\n";
        for (number, name) in (1u32..).zip(&self.threads) {
            let _ = write!(
                out,
                "{separator}{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{pid},\"tid\":{number},\
                 \"args\":{{\"name\":{}}}}}",
                json_string(name)
            );
            separator = ",\n";
        }
        for event in &self.events {
            out.push_str(separator);
            write_event(&mut out, pid, event);
            separator = ",\n";
        }
        out.push_str("\n]}\n");
        out
    }
}

// Writing into a `String` cannot fail, so the results of `write!` are dropped.
fn write_event(out: &mut String, pid: u32, event: &TraceEvent) {
    let _ = write!(
        out,
        "{{\"name\":{},\"cat\":\"lob\",\"pid\":{pid},\"tid\":{},\"ts\":{:.3}",
        json_string(event.name),
        event.thread,
        event.t_s * 1e6
    );
    let _ = match &event.kind {
        TraceKind::Scope { duration_s, fields } => {
            let _ = write!(out, ",\"ph\":\"X\",\"dur\":{:.3}", duration_s * 1e6);
            if !fields.is_empty() {
                let field = |(key, value): &(&str, f64)| {
                    format!("{}:{}", json_string(key), json_number(*value))
                };
                let fields: Vec<String> = fields.iter().map(field).collect();
                let _ = write!(out, ",\"args\":{{{}}}", fields.join(","));
            }
            Ok(())
        }
        TraceKind::FlowStart { id } => write!(out, ",\"ph\":\"s\",\"id\":{id}"),
        TraceKind::FlowStep { id } => write!(out, ",\"ph\":\"t\",\"id\":{id}"),
        TraceKind::FlowEnd { id } => write!(out, ",\"ph\":\"f\",\"bp\":\"e\",\"id\":{id}"),
    };
    out.push('}');
}

/// A JSON number; what JSON cannot say becomes a string.
fn json_number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format!("\"{value}\"") }
}

/// A JSON string with its quotes (RFC 8259, section 7).
fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_is_valid_json() {
        let event = |name, kind| TraceEvent { thread: 1, name, t_s: 1e-6, kind };
        let fields = vec![("rows", 7.0), ("loss", f64::NAN)];
        let trace = Trace {
            events: vec![
                event("a \"b\"\n\\", TraceKind::Scope { duration_s: 2.5e-6, fields }),
                event("f", TraceKind::FlowStart { id: 1 }),
                event("f", TraceKind::FlowStep { id: 1 }),
                event("f", TraceKind::FlowEnd { id: 1 }),
            ],
            threads: vec!["main".to_owned()],
            lost: 3,
            start_unix_ns: 5,
        };
        let json: serde_json::Value = serde_json::from_str(&trace.to_chrome_json()).unwrap();
        assert_eq!(json["otherData"]["lost_events"], 3);
        assert_eq!(json["otherData"]["start_unix_ns"], "5");
        let events = json["traceEvents"].as_array().unwrap();
        let phases: Vec<&str> = events.iter().map(|e| e["ph"].as_str().unwrap()).collect();
        assert_eq!(phases, ["M", "X", "s", "t", "f"]);
        assert_eq!(events[1]["name"], "a \"b\"\n\\");
        assert_eq!(events[1]["dur"], 2.5);
        assert_eq!(events[1]["args"]["rows"], 7.0);
        assert_eq!(events[1]["args"]["loss"], "NaN");
    }

    #[test]
    fn an_empty_trace_is_a_document_too() {
        let json: serde_json::Value =
            serde_json::from_str(&Trace::default().to_chrome_json()).unwrap();
        assert_eq!(json["traceEvents"], serde_json::json!([]));
    }
}
