//! `--trace FILE`: what a viewer or a collector is given, on every command that takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{fixture, json, lob_fails, lob_ok, shown};

/// Figures are rounded to a nanosecond; sums of two are compared.
const ROUNDING_US: f64 = 0.01;

/// What a trace holds, by the trace event format.
pub(crate) struct Checked {
    /// Calls by name of the scope.
    pub(crate) scopes: BTreeMap<String, usize>,
    pub(crate) threads: BTreeSet<String>,
    pub(crate) processes: Vec<String>,
    pub(crate) lost: u64,
}

/// Reads a trace as a viewer does: every event has its fields, every thread that has scopes has a
/// name, and the scopes of a thread nest.
pub(crate) fn check(file: &Path) -> Checked {
    let document = json(&std::fs::read_to_string(file).unwrap());
    let events = document["traceEvents"].as_array().unwrap();
    let lost = document["otherData"]["lost_events"].as_u64().unwrap();
    let (mut scopes, mut processes) = (BTreeMap::new(), Vec::new());
    let mut names: BTreeMap<(u64, u64), String> = BTreeMap::new();
    let mut spans: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap();
        let number = |key: &str| event[key].as_f64().filter(|n| *n >= 0.0).unwrap();
        let thread = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        match (text("ph"), text("name")) {
            ("M", "thread_name") => {
                names.insert(thread, event["args"]["name"].as_str().unwrap().to_owned());
            }
            ("M", "process_name") => {
                processes.push(event["args"]["name"].as_str().unwrap().to_owned());
            }
            ("X", name) => {
                *scopes.entry(name.to_owned()).or_insert(0) += 1;
                spans.entry(thread).or_default().push((number("ts"), number("ts") + number("dur")));
            }
            ("s" | "t" | "f", name) => assert!(!name.is_empty() && number("ts") >= 0.0),
            other => panic!("an event of kind {other:?}"),
        }
    }
    for (thread, spans) in &mut spans {
        assert!(names.contains_key(thread), "thread {thread:?} has no name");
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
    let threads = names.into_values().filter(|name| !name.is_empty()).collect();
    Checked { scopes, threads, processes, lost }
}

fn convert<'a>(input: &'a Path, out: &'a Path) -> Vec<&'a str> {
    let mut args = vec!["convert", shown(input), "--out", shown(out), "--quiet"];
    args.extend(["--ticks-per-bin", "5", "--lookback", "20", "--lookforward", "20"]);
    args.extend(["--offset", "5", "--label-classes", "3"]);
    args
}

const TRAIN: [&str; 15] = [
    "train",
    "generated:simple",
    "--window",
    "16",
    "--rows",
    "256",
    "--encoder",
    "simple",
    "--batch-size",
    "16",
    "--device",
    "cpu",
    "--steps",
    "3",
    "--quiet",
];

#[test]
fn the_trace_of_a_command_holds_its_scopes_by_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (input, store) = (fixture("small.mbp-10.dbn.zst"), folder.path().join("store"));
    let traced = |name: &str, args: &[&str]| {
        let file = folder.path().join(name);
        lob_ok(&[args, &["--trace", shown(&file)]].concat());
        let found = check(&file);
        assert_eq!(found.lost, 0, "{name}");
        assert!(found.threads.contains("main"), "{name}: {:?}", found.threads);
        found
    };
    let converted = traced("convert.json", &convert(&input, &store));
    for scope in ["lob convert", "convert_input", "decode_and_bin", "label_and_write"] {
        assert_eq!(converted.scopes.get(scope), Some(&1), "{:?}", converted.scopes);
    }
    let args = ["load", shown(&store), "--bins", "8", "--workers", "2", "--quiet"];
    let loaded = traced("load.json", &args);
    assert_eq!(loaded.scopes["lob load"], 1);
    assert!(loaded.scopes["render"] > 1 && loaded.scopes["wait_for_batch"] > 1);
    assert!(loaded.threads.iter().any(|name| name.starts_with("lob-loader")), "the workers too");
    let trained = traced("train.json", &TRAIN);
    for scope in ["forward", "loss", "backward", "optimiser"] {
        assert!(trained.scopes[scope] >= 3, "{:?}", trained.scopes);
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_collector_is_given_spans_that_nest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spans.json");
    lob_ok(&[&TRAIN[..], &["--trace", shown(&file), "--trace-format", "otlp"]].concat());
    let document = json(&std::fs::read_to_string(&file).unwrap());
    let resource = &document["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "lob train");
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let ids: BTreeSet<&str> = spans.iter().map(|s| s["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len(), "every span has its own id");
    let root = spans.iter().find(|span| span["name"] == "lob train").unwrap();
    assert_eq!(root["parentSpanId"], "");
    let steps: Vec<&Value> = spans.iter().filter(|span| span["name"] == "optimiser").collect();
    assert_eq!(steps.len(), 3);
    for span in spans {
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
        let parent = span["parentSpanId"].as_str().unwrap();
        assert!(parent.is_empty() || ids.contains(parent), "{span}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_still_writes_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (input, store) = (fixture("small.mbp-10.dbn.zst"), folder.path().join("store"));
    let file = folder.path().join("trace.json");
    lob_ok(&convert(&input, &store));
    let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
        .args(["load", shown(&store), "--bins", "8", "--epochs", "100000000"])
        .args(["--monitor-every", "1", "--trace", shown(&file)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(!file.exists(), "written at the end: {line}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let found = check(&file);
    assert_eq!(found.scopes["lob load"], 1);
    assert!(found.scopes["wait_for_batch"] > 0);
}

#[test]
fn a_long_trace_is_cut_short_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (input, store) = (fixture("small.mbp-10.dbn.zst"), folder.path().join("store"));
    let file = folder.path().join("trace.json");
    lob_ok(&convert(&input, &store));
    // Two scopes and four fields a batch at least, all on one thread, which has room for 65,536.
    let output = super::lob(
        &[
            &["load", shown(&store), "--bins", "2", "--workers", "0", "--batch-size", "1"][..],
            &["--batches", "15000", "--quiet", "--trace", shown(&file)],
        ]
        .concat(),
    );
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("are left out"), "{said}");
    let found = check(&file);
    assert!(found.lost > 0);
    let calls: usize = found.scopes.values().sum();
    assert!((10_000..=65_536).contains(&calls), "{calls} calls");
    assert!(std::fs::metadata(&file).unwrap().len() < 16 << 20);
}

#[test]
fn a_trace_takes_no_other_files_place() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("market.mbp-10.dbn.zst");
    std::fs::copy(fixture("small.mbp-10.dbn.zst"), &input).unwrap();
    let before = std::fs::read(&input).unwrap();
    let out = folder.path().join("store");
    let refused = |file: &Path, hint: &str| {
        let said = lob_fails(&[&convert(&input, &out)[..], &["--trace", shown(file)]].concat());
        assert!(said.contains("--trace") && said.contains(hint), "{said}");
        assert!(!out.exists(), "no work before the trace is known to have a place");
    };
    refused(&input, "choose another file");
    refused(folder.path(), "is a folder");
    assert_eq!(std::fs::read(&input).unwrap(), before);
    let said = lob_fails(&["load", shown(&out), "--trace-format", "otlp"]);
    assert!(said.contains("--trace <FILE>"), "{said}");
    let said = lob_fails(&["load", shown(&out), "--trace", "t.json", "--trace-format", "chrome"]);
    assert!(said.contains("`perfetto` or `otlp`"), "{said}");

    // A command that fails has a trace of how far it came; a trace is replaced by the next.
    let file = folder.path().join("traces/failed.json");
    for _ in 0..2 {
        lob_fails(&["load", shown(&out), "--trace", shown(&file)]);
        assert_eq!(check(&file).scopes["lob load"], 1);
    }
    // A trace that cannot be written fails the command, whose own output is whole.
    let nowhere = input.join("trace.json");
    let said = lob_fails(&[&convert(&input, &out)[..], &["--trace", shown(&nowhere)]].concat());
    assert!(said.contains("the trace is lost"), "{said}");
    lob_ok(&["inspect", shown(&out)]);
}
