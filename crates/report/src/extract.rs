//! Small JSON files under the names of the seed documents. Each holds one view of the run; samples
//! and pictures stay in `run.json`, except that the raw file of a suite keeps its samples.

use std::io;

use lob_metrics::{Measurement, MetricsError, Role, Run, Scenario, Status, Timeline, Unit};
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value, json};

use crate::analysis::{bottleneck, slowest, stage_rates, tally};
use crate::comparison::is_rate;
use crate::hardware::{is_of_gpu, no_gpu_reason};

/// Points of a memory series kept in `memory_profile.json`.
const MAX_POINTS: usize = 200;

/// `benchmark_results.json`: every headline value.
pub(crate) fn benchmark_results(run: &Run) -> Result<String, MetricsError> {
    let results = by_scenario(run, |s| {
        let values = s.measurements.iter().map(|m| (m.metric.clone(), headline(m)));
        Value::Object(values.collect())
    });
    let t = tally(run);
    let targets = json!({"held": t.held, "missed": t.missed, "not_measured": t.not_measured});
    let mut document = identity(run);
    document["passed"] = json!(run.passed());
    document["targets"] = targets;
    document["results"] = results;
    written(&document)
}

/// `comprehensive_benchmark_results.json`: timings, memory, settings and errors by scenario, and
/// what they add up to.
pub(crate) fn comprehensive(run: &Run) -> Result<String, MetricsError> {
    let scenarios = by_scenario(run, |s| {
        let of = |wanted: fn(Unit) -> bool| -> Value {
            let chosen = s.measurements.iter().filter(|m| wanted(m.unit));
            Value::Object(chosen.map(|m| (m.metric.clone(), headline(m))).collect())
        };
        json!({
            "suite": s.suite,
            "status": s.status,
            "elapsed_s": s.elapsed_s,
            "config": s.config,
            "timings": of(|unit| unit == Unit::Seconds),
            "memory": of(|unit| unit == Unit::Bytes),
            "throughput": of(is_rate),
            "other": of(|unit| !is_rate(unit) && !matches!(unit, Unit::Seconds | Unit::Bytes)),
            "findings": s.findings,
        })
    });
    let failed = |s: &&Scenario| matches!(s.status, Status::Failed | Status::TimedOut);
    let errors: Vec<Value> = run
        .scenarios
        .iter()
        .filter(failed)
        .map(|s| json!({"scenario": s.id, "status": s.status, "reason": s.reason}))
        .collect();
    let rates = stage_rates(run);
    let mut document = identity(run);
    document["passed"] = json!(run.passed());
    document["elapsed_s"] = json!(run.elapsed_s);
    document["host"] = json!(run.host);
    document["roof"] = json!(run.roof);
    document["slowest_stage"] = slowest(&rates).map_or(Value::Null, |i| {
        let stage = &rates[i];
        json!({"scenario": stage.scenario.id, "metric": stage.measurement.metric,
            "unit": stage.measurement.unit, "value": stage.per_s})
    });
    document["largest_self_time"] = bottleneck(run).map_or(Value::Null, |b| {
        json!({"scenario": b.scenario.id, "scope": b.scope.path, "self_s": b.scope.self_s,
            "share": b.share_of_run})
    });
    document["scenarios"] = scenarios;
    document["errors"] = Value::Array(errors);
    document["recommendations"] = json!(run.recommendations);
    written(&document)
}

/// `memory_profile.json`: peaks, sizes and the memory of every scenario over time.
pub(crate) fn memory_profile(run: &Run) -> Result<String, MetricsError> {
    let scenarios = by_scenario(run, |s| {
        let sizes = s.measurements.iter().filter(|m| m.unit == Unit::Bytes);
        let series: Vec<Value> =
            s.timeline.iter().filter(|t| t.unit == Unit::Bytes).map(thinned).collect();
        json!({
            "measurements": Value::Object(sizes.map(|m| (m.metric.clone(), headline(m))).collect()),
            "timeline": series,
        })
    });
    let peak = run
        .measurements()
        .filter(|(_, m)| m.role == Role::PeakRss)
        .filter_map(|(s, m)| Some((s, m.value().filter(|v| v.is_finite())?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let gpu = run.measurements().find(|(_, m)| m.unit == Unit::Bytes && is_of_gpu(m));
    let mut document = identity(run);
    document["memory_bytes_of_host"] = json!(run.host.memory_bytes);
    document["peak"] =
        peak.map_or(Value::Null, |(s, bytes)| json!({"scenario": s.id, "bytes": bytes}));
    document["gpu"] = gpu
        .map_or_else(|| json!({"value": null, "reason": no_gpu_reason(run)}), |(_, m)| headline(m));
    document["scenarios"] = scenarios;
    written(&document)
}

/// `suites/{suite}_raw.json`: the measurements of one suite with all their samples.
pub(crate) fn suite_raw(run: &Run, suite: &str) -> Result<String, MetricsError> {
    let mut scenarios = Map::new();
    for s in run.scenarios.iter().filter(|s| s.suite == suite) {
        let measurements: Vec<Value> = s.measurements.iter().map(|m| json!(m)).collect();
        let entry = json!({"config": s.config, "status": s.status, "reason": s.reason,
            "elapsed_s": s.elapsed_s, "measurements": measurements});
        scenarios.insert(s.id.clone(), entry);
    }
    let mut document = identity(run);
    document["suite"] = json!(suite);
    document["scenarios"] = Value::Object(scenarios);
    written(&document)
}

fn identity(run: &Run) -> Value {
    json!({"run": run.id, "started_at": run.started_at, "title": run.title,
        "details": "run.json holds every sample, scope and picture"})
}

fn by_scenario(run: &Run, content: impl Fn(&Scenario) -> Value) -> Value {
    let entries = run.scenarios.iter().map(|s| (s.id.clone(), content(s)));
    Value::Object(entries.collect())
}

/// A value with what a reader needs to judge it.
fn headline(m: &Measurement) -> Value {
    let mut entry = json!({"value": m.value(), "unit": m.unit});
    if let Some(ci95) = m.ci95 {
        entry["ci95"] = json!(ci95);
    }
    if let Some(summary) = m.summary {
        entry["n"] = json!(summary.n);
        if m.unit == Unit::Seconds {
            entry["p95"] = json!(summary.p95);
            entry["p99"] = json!(summary.p99);
        }
    }
    if m.provenance() != lob_metrics::Provenance::Measured {
        entry["provenance"] = json!(m.provenance());
    }
    if let Some(reason) = m.reason() {
        entry["reason"] = json!(reason);
    }
    if m.role.is_process() {
        entry["of"] = json!("the whole process of the scenario");
    }
    entry
}

/// At most [`MAX_POINTS`] points of a series, each the highest of its stretch: peaks survive.
fn thinned(t: &Timeline) -> Value {
    let points: Vec<(f64, f64)> = t.t_s.iter().copied().zip(t.values.iter().copied()).collect();
    let stretch = points.len().div_ceil(MAX_POINTS).max(1);
    let kept = points.chunks(stretch).filter_map(|c| c.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
    let (t_s, values): (Vec<f64>, Vec<f64>) = kept.copied().unzip();
    json!({"metric": t.metric, "unit": t.unit, "t_s": t_s, "values": values})
}

/// JSON indented by two spaces whose arrays stay on one line: readable, and a series of a thousand
/// numbers does not take a thousand lines.
fn written(document: &Value) -> Result<String, MetricsError> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Indented::default());
    serde::Serialize::serialize(document, &mut serializer)
        .map_err(|source| MetricsError::NotWritten { source })?;
    bytes.push(b'\n');
    // The serializer writes UTF-8 only, so nothing is replaced.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Default)]
struct Indented {
    objects: PrettyFormatter<'static>,
    /// Objects inside arrays stay on the line of the array.
    arrays: usize,
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.arrays += 1;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.arrays -= 1;
        out.write_all(b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.arrays > 0 { out.write_all(b"{") } else { self.objects.begin_object(out) }
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.arrays > 0 { out.write_all(b"}") } else { self.objects.end_object(out) }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        match (self.arrays > 0, first) {
            (true, true) => Ok(()),
            (true, false) => out.write_all(b", "),
            (false, first) => self.objects.begin_object_key(out, first),
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.arrays > 0 { Ok(()) } else { self.objects.end_object_value(out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_stay_on_one_line_and_read_back() {
        let document = json!({"a": {"b": [1, {"c": 2, "d": []}], "e": {}}, "f": []});
        let text = written(&document).unwrap();
        assert_eq!(
            text,
            "{\n  \"a\": {\n    \"b\": [1,{\"c\": 2, \"d\": []}],\n    \"e\": {}\n  },\n  \"f\": []\n}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }

    #[test]
    fn a_long_series_keeps_its_peak() {
        let mut values = vec![1.0; 10_000];
        values[4321] = 9.0;
        let t_s = (0..10_000).map(f64::from).collect();
        let series = Timeline { metric: "rss".to_owned(), unit: Unit::Bytes, t_s, values };
        let kept = thinned(&series);
        let values = kept["values"].as_array().unwrap();
        assert!(values.len() <= MAX_POINTS && values.contains(&json!(9.0)));
    }
}
