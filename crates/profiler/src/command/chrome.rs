//! The run of a program for viewers of traces ("Trace Event Format", JSON object form).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use lob_metrics::Timeline;
use serde_json::{Value, json};

use super::CommandProfile;
use crate::LineProfile;
use crate::stacks::{FrameKind, StackFrame, tree};

/// Samples with this many intervals between them are not joined to one piece of work.
const GAP: f64 = 4.0;
/// Most pieces of work drawn.
const MAX_SLICES: usize = 300_000;

// Writing into a `String` cannot fail, so the results of `write!` are dropped.
impl CommandProfile {
    /// The run of the program as one JSON document that `ui.perfetto.dev` and `chrome://tracing`
    /// open: the program as one event, its series (memory, CPU share, disk traffic, threads) as
    /// counters, the findings as marks at its end.
    ///
    /// Where stacks were sampled every thread has its own row under its kernel's number and name:
    /// functions seen in neighbouring samples of a thread are one slice. The samples themselves
    /// follow as `samples` and `stackFrames`, which `chrome://tracing` and speedscope read;
    /// Perfetto passes over them.
    #[must_use]
    pub fn to_chrome_json(&self) -> String {
        let scenario = &self.scenario;
        let lines = self.lines.as_ref().ok();
        let pid = lines.and_then(|lines| lines.threads.first()).map_or(1, |thread| thread.pid);
        let end_us = scenario.elapsed_s * 1e6;
        let name = json!(scenario.title);
        let mut out = format!(
            "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n\
             {{\"ph\":\"X\",\"name\":{name},\"cat\":\"lob\",\"pid\":{pid},\"tid\":0,\"ts\":0.000,\
             \"dur\":{end_us:.3}}},\n\
             {{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{pid},\"tid\":0,\
             \"args\":{{\"name\":\"program\"}}}}"
        );
        write_names(&mut out, lines, pid, &name);
        for series in &scenario.timeline {
            write_series(&mut out, series, pid);
        }
        for finding in &scenario.findings {
            let _ = write!(
                out,
                ",\n{{\"ph\":\"i\",\"s\":\"p\",\"name\":{},\"cat\":\"lob\",\"pid\":{pid},\
                 \"tid\":0,\"ts\":{end_us:.3}}}",
                json!(finding.text)
            );
        }
        if let Some(lines) = lines {
            write_slices(&mut out, lines);
        }
        out.push_str("\n]");
        if let Some(lines) = lines {
            write_samples(&mut out, lines);
        }
        out.push_str("}\n");
        out
    }
}

fn write_names(out: &mut String, lines: Option<&LineProfile>, pid: u32, program: &Value) {
    let mut name = |what: &str, pid: u32, tid: u32, name: &Value| {
        let _ = write!(
            out,
            ",\n{{\"ph\":\"M\",\"name\":\"{what}\",\"pid\":{pid},\"tid\":{tid},\
             \"args\":{{\"name\":{name}}}}}"
        );
    };
    name("process_name", pid, 0, program);
    let mut named = BTreeSet::from([pid]);
    for thread in lines.iter().flat_map(|lines| &lines.threads) {
        if named.insert(thread.pid) {
            name("process_name", thread.pid, thread.pid, &json!(thread.process));
        }
        name("thread_name", thread.pid, thread.tid, &json!(thread.name));
    }
}

/// A counter, its unit in its name.
fn write_series(out: &mut String, series: &Timeline, pid: u32) {
    let unit = json!(series.unit);
    let unit = unit.as_str().unwrap_or_default();
    let name = json!(format!("{} ({unit})", series.metric));
    for (t_s, value) in series.t_s.iter().zip(&series.values) {
        let _ = write!(
            out,
            ",\n{{\"ph\":\"C\",\"name\":{name},\"pid\":{pid},\"tid\":0,\"ts\":{:.3},\
             \"args\":{{\"value\":{}}}}}",
            t_s * 1e6,
            number(*value)
        );
    }
}

/// Functions over time: those that neighbouring samples of a thread share are one slice.
fn write_slices(out: &mut String, lines: &LineProfile) {
    let step_s = lines.interval_s * lines.timed_weight as f64;
    let mut by_thread: BTreeMap<usize, Vec<(f64, &[StackFrame])>> = BTreeMap::new();
    for sample in &lines.timed {
        let Some(stack) = lines.stacks.get(sample.stack) else { continue };
        let is_process = stack.frames.first().is_some_and(|f| f.kind == FrameKind::Other);
        let frames = stack.frames.get(usize::from(is_process)..).unwrap_or_default();
        by_thread.entry(sample.thread).or_default().push((sample.t_s, frames));
    }
    let mut written = 0;
    for (thread, samples) in by_thread {
        let Some(thread) = lines.threads.get(thread) else { continue };
        let mut slice = |frame: &StackFrame, from_s: f64, to_s: f64| {
            written += 1;
            if written > MAX_SLICES {
                return;
            }
            let _ = write!(
                out,
                ",\n{{\"ph\":\"X\",\"name\":{},\"cat\":\"{}\",\"pid\":{},\"tid\":{},\
                 \"ts\":{:.3},\"dur\":{:.3}}}",
                json!(frame.name),
                frame.kind.name(),
                thread.pid,
                thread.tid,
                from_s * 1e6,
                (to_s - from_s).max(0.0) * 1e6
            );
        };
        let mut open: Vec<(&StackFrame, f64)> = Vec::new();
        let mut end_s = f64::NEG_INFINITY;
        for (t_s, frames) in samples {
            let joined = t_s - end_s < GAP * step_s;
            let shared = open.iter().zip(frames).take_while(|((a, _), b)| a == b).count();
            let until_s = if joined { t_s } else { end_s };
            for (frame, from_s) in open.drain(if joined { shared } else { 0 }..).rev() {
                slice(frame, from_s, until_s);
            }
            let known = open.len();
            open.extend(frames.iter().skip(known).map(|frame| (frame, t_s)));
            end_s = t_s + step_s;
        }
        for (frame, from_s) in open.into_iter().rev() {
            slice(frame, from_s, end_s);
        }
    }
}

/// The samples as they were taken.
fn write_samples(out: &mut String, lines: &LineProfile) {
    let (nodes, ends) = tree(&lines.stacks);
    out.push_str(",\n\"stackFrames\":{");
    for (id, node) in nodes.iter().enumerate() {
        let comma = if id == 0 { "" } else { "," };
        let parent =
            node.parent.map(|parent| format!(",\"parent\":\"{}\"", parent + 1)).unwrap_or_default();
        let _ = write!(
            out,
            "{comma}\n\"{}\":{{\"name\":{},\"category\":\"{}\"{parent}}}",
            id + 1,
            json!(node.frame.name),
            node.frame.kind.name()
        );
    }
    out.push_str("\n},\n\"samples\":[");
    let mut comma = "";
    for sample in &lines.timed {
        let (Some(thread), Some(Some(end))) =
            (lines.threads.get(sample.thread), ends.get(sample.stack))
        else {
            continue;
        };
        let _ = write!(
            out,
            "{comma}\n{{\"cpu\":0,\"pid\":{},\"tid\":{},\"ts\":{:.3},\"name\":\"cpu\",\"sf\":\"{}\",\
             \"weight\":{}}}",
            thread.pid,
            thread.tid,
            sample.t_s * 1e6,
            end + 1,
            lines.timed_weight
        );
        comma = ",";
    }
    out.push_str("\n]");
}

/// A JSON number; what JSON cannot say becomes a string.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format!("\"{value}\"") }
}
