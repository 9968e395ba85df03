//! How the traces of a launch's processes become one document.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lob_metrics::shown;
use lob_profiler::TraceFormat;
use serde_json::{Value, json};

/// Where the process of a scenario leaves its trace.
pub(crate) fn trace_file(work: &Path, scenario: &str) -> PathBuf {
    work.join(format!("{scenario}.trace.json"))
}

/// Documents of several processes on their way to becoming one. Held as text: parsed, a trace
/// takes ten times the memory.
#[derive(Debug)]
pub(crate) struct Merged {
    format: TraceFormat,
    /// Elements of the array that makes up the document.
    elements: Vec<String>,
    processes: u32,
    /// Wall clock at the zero of the times, that of the first process.
    start_unix_ns: Option<u64>,
    lost: u64,
}

impl Merged {
    pub(crate) const fn new(format: TraceFormat) -> Self {
        Self { format, elements: Vec::new(), processes: 0, start_unix_ns: None, lost: 0 }
    }

    /// Adds the trace that the process of a scenario has left, if it came to that.
    pub(crate) fn take(&mut self, work: &Path, scenario: &str) -> Result<()> {
        let file = trace_file(work, scenario);
        let Ok(document) = std::fs::read_to_string(&file) else { return Ok(()) };
        self.add(scenario, &document)?;
        std::fs::remove_file(&file)
            .with_context(|| format!("cannot remove `{}`", shown(file.display())))
    }

    /// Adds what [`TraceFormat::document`] wrote in the process called `name`.
    pub(crate) fn add(&mut self, name: &str, document: &str) -> Result<()> {
        let mut document: Value =
            serde_json::from_str(document).with_context(|| format!("trace of `{name}`"))?;
        self.processes += 1;
        match self.format {
            TraceFormat::Perfetto => self.add_events(name, &mut document),
            TraceFormat::Otlp => {
                let spans = document["resourceSpans"].as_array();
                self.elements.extend(spans.into_iter().flatten().map(Value::to_string));
            }
        }
        Ok(())
    }

    fn add_events(&mut self, name: &str, document: &mut Value) {
        let (about, pid) = (&document["otherData"], self.processes);
        self.lost += about["lost_events"].as_u64().unwrap_or(0);
        let start = about["start_unix_ns"].as_str().and_then(|text| text.parse().ok());
        let zero = *self.start_unix_ns.get_or_insert(start.unwrap_or(0));
        let offset_us = start.unwrap_or(zero).saturating_sub(zero) as f64 / 1e3;
        let title = json!({
            "ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": { "name": name },
        });
        self.elements.push(title.to_string());
        for event in document["traceEvents"].as_array_mut().into_iter().flatten() {
            event["pid"] = pid.into();
            if let Some(t_us) = event["ts"].as_f64() {
                event["ts"] = (t_us + offset_us).into();
            }
            // Flows are numbered by each process for itself.
            if let Some(id) = event["id"].as_u64() {
                event["id"] = format!("{pid}.{id}").into();
            }
            self.elements.push(event.to_string());
        }
    }

    /// The one document.
    pub(crate) fn finish(self) -> String {
        let elements = self.elements.join(",\n");
        match self.format {
            TraceFormat::Perfetto => format!(
                "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"lost_events\":{},\"start_unix_ns\":\"{}\"}},\
                 \"traceEvents\":[\n{elements}\n]}}\n",
                self.lost,
                self.start_unix_ns.unwrap_or(0)
            ),
            TraceFormat::Otlp => format!("{{\"resourceSpans\":[\n{elements}\n]}}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use lob_scope::{Trace, TraceEvent, TraceKind};

    use super::*;

    fn trace(name: &'static str, start_unix_ns: u64) -> Trace {
        let event = |kind| TraceEvent { thread: 1, name, t_s: 1e-6, kind };
        Trace {
            events: vec![
                event(TraceKind::Scope { duration_s: 2e-6, fields: Vec::new() }),
                event(TraceKind::FlowStart { id: 1 }),
            ],
            threads: vec!["main".to_owned()],
            lost: 2,
            start_unix_ns,
        }
    }

    fn merged(format: TraceFormat) -> Value {
        let mut merged = Merged::new(format);
        for (name, start_unix_ns) in [("first", 5_000_000), ("second", 5_007_000)] {
            let document = format.document(&trace(name, start_unix_ns), name);
            merged.add(name, &document).unwrap();
        }
        assert!(merged.add("third", "no JSON").unwrap_err().to_string().contains("`third`"));
        serde_json::from_str(&merged.finish()).unwrap()
    }

    #[test]
    fn processes_keep_their_names_and_share_one_clock() {
        let document = merged(TraceFormat::Perfetto);
        assert_eq!(document["otherData"]["lost_events"], 4);
        let events = document["traceEvents"].as_array().unwrap();
        let of = |name: &str, ph: &str| {
            let found = events.iter().find(|e| e["name"] == name && e["ph"] == ph).unwrap();
            (found["pid"].as_u64().unwrap(), found["ts"].as_f64())
        };
        assert_eq!(of("first", "X"), (1, Some(1.0)));
        // It began 7 microseconds later.
        assert_eq!(of("second", "X"), (2, Some(8.0)));
        let names: Vec<&Value> = events
            .iter()
            .filter(|e| e["name"] == "process_name")
            .map(|e| &e["args"]["name"])
            .collect();
        assert_eq!(names, ["first", "second"]);
        let flows: Vec<&Value> =
            events.iter().filter(|e| e["ph"] == "s").map(|e| &e["id"]).collect();
        assert_eq!(flows, ["1.1", "2.1"], "two processes, two flows");
    }

    #[test]
    fn spans_of_each_process_are_a_resource() {
        let document = merged(TraceFormat::Otlp);
        let resources = document["resourceSpans"].as_array().unwrap();
        assert_eq!(resources.len(), 2);
        let service = &resources[1]["resource"]["attributes"][0]["value"]["stringValue"];
        assert_eq!(service, "second");
        assert_eq!(resources[1]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"], "5008000");
    }
}
