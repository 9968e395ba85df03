//! `lob profile` on programs that leak, wait and work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::{lob, shown};

const PROGRAM: &str = include_str!("profile/program.rs");

/// The program, compiled once with debug information.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A folder of this process: other runners start each test in one of its own.
        let name = format!("profiled-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let (source, binary) = (dir.join("program.rs"), dir.join("program"));
        std::fs::write(&source, PROGRAM).unwrap();
        let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
        let status = Command::new(if rustc.exists() { rustc } else { "rustc".into() })
            .args(["--edition", "2024", "-C", "debuginfo=1", "-C", "opt-level=1", "-o"])
            .args([&binary, &source])
            .status()
            .unwrap();
        assert!(status.success(), "the program to be profiled does not compile");
        binary
    })
}

struct Profiled {
    said: String,
    findings: Vec<String>,
    out: PathBuf,
    run: Value,
}

fn profiled(mode: &str) -> Profiled {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profile-{mode}"));
    let _ = std::fs::remove_dir_all(&out);
    let program = shown(program());
    let output = lob(&["profile", "--interval-ms", "5", "--out", shown(&out), "--", program, mode]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let last = String::from_utf8(output.stdout).unwrap();
    assert!(last.trim_end().ends_with("report.html"), "{last}");
    let run: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    let findings = run["scenarios"][0]["findings"].as_array().unwrap();
    let findings = findings.iter().map(|f| f["text"].as_str().unwrap().to_owned()).collect();
    Profiled { said, findings, out, run }
}

impl Profiled {
    fn finding(&self, start: &str) -> Option<&String> {
        self.findings.iter().find(|text| text.starts_with(start))
    }

    /// Whether the kernel let the program's stacks be sampled; it says why not.
    fn sampled(&self) -> bool {
        let refused = self.said.contains("note: no flame graph: `perf_event_open`");
        assert_ne!(refused, self.out.join("flame.svg").exists(), "{}", self.said);
        !refused
    }
}

/// The line of the program marked with a word, as findings name it.
fn marked(word: &str) -> String {
    let line = PROGRAM.lines().position(|line| line.ends_with(word)).unwrap() + 1;
    format!("program.rs:{line}")
}

#[test]
fn a_leak_of_kilobytes_is_named_with_its_line_where_allocations_are_tracked() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-allocs");
    let (program, place) = (shown(program()), marked("// creeps"));
    let mut said = String::new();
    // While other work stops it for a tenth of a second it does not grow: one of a few runs is as
    // it should be.
    let code = (0..4).map(|_| {
        let _ = std::fs::remove_dir_all(&out);
        let words = [
            "profile",
            "--allocs",
            "--fail-on",
            "leak",
            "--out",
            shown(&out),
            "--",
            program,
            "creep",
        ];
        let output = lob(&words);
        said = String::from_utf8(output.stderr).unwrap();
        output.status.code()
    });
    assert!(code.into_iter().any(|code| code == Some(1)), "no leak was found: {said}");
    assert!(said.contains("Warning: leak of blocks from ") && said.contains(&place), "{said}");
    let table = std::fs::read_to_string(out.join("allocations.csv")).unwrap();
    let number = place.rsplit(':').next().unwrap();
    let row = table.lines().find(|line| line.contains("to_the_end")).unwrap();
    assert!(row.contains(&format!("program.rs\",{number},")), "{row}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("allocations.csv") && page.contains("leak of blocks from"));
}

#[test]
fn a_leak_is_named_with_its_line() {
    let leaking = profiled("leak");
    let leak = leaking.finding("leak, unless").expect("no leak was found");
    assert!(leak.contains("memory grows to the end"), "{leak}");
    assert!(leaking.said.contains(leak.as_str()), "{}", leaking.said);
    if leaking.sampled() {
        let line = leaking.finding("leak: ").expect("no line was named");
        assert!(line.contains(&marked("// leaks")), "{line}, {}", marked("// leaks"));
    }
}

#[test]
fn a_leak_can_be_made_a_failure() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-fail-on");
    let program = shown(program());
    let code = |fail_on: &str, mode: &str| {
        let args = ["profile", "--interval-ms", "5", "--out", shown(&out), "--fail-on", fail_on];
        lob(&[&args[..], &["--", program, mode]].concat()).status.code()
    };
    // While other work stops it for a tenth of a second it does not grow.
    assert!((0..4).any(|_| code("leak", "leak") == Some(1)));
    assert!((0..4).any(|_| code("leak,warning", "leak") == Some(1)));
    assert_eq!(code("leak,warning", "wait"), Some(0));
    assert_eq!(code("nonsense", "wait"), Some(2));
}

#[test]
fn waiting_for_io_is_said() {
    let waiting = profiled("wait");
    let said = waiting.finding("I/O-bound").expect("no wait was found");
    assert!(said.contains("pipes"), "{said}");
    assert!(waiting.finding("leak").is_none() && waiting.finding("CPU-bound").is_none());
}

#[test]
fn hot_lines_are_named_with_their_shares() {
    let busy = profiled("work");
    assert!(busy.finding("CPU-bound").is_some(), "{:?}", busy.findings);
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(busy.out.join("trace.json")).unwrap())
            .unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    assert!(events.iter().any(|e| e["ph"] == "C" && e["name"] == "rss (B)"));
    let measured = busy.run["scenarios"][0]["measurements"].as_array().unwrap();
    assert!(measured.iter().any(|m| m["metric"] == "command.instructions"));
    if !busy.sampled() {
        return;
    }
    let shares: Vec<(f64, &String)> = busy
        .findings
        .iter()
        .filter(|text| text.starts_with("hot line: "))
        .map(|text| (text["hot line: ".len()..].split(' ').next().unwrap().parse().unwrap(), text))
        .collect();
    let of = |word: &str| shares.iter().find(|(_, text)| text.contains(&marked(word)));
    let (most, _) = of("// three parts").unwrap_or_else(|| panic!("{:?}", busy.findings));
    let (least, _) = of("// one part").unwrap_or_else(|| panic!("{:?}", busy.findings));
    // 75 and 25 % of a few hundred samples.
    assert!((60.0..90.0).contains(most) && (10.0..40.0).contains(least), "{shares:?}");
    let folded = std::fs::read_to_string(busy.out.join("profile.folded")).unwrap();
    assert!(folded.lines().any(|line| line.contains("program::main;")), "{folded}");
    let svg = std::fs::read_to_string(busy.out.join("flame.svg")).unwrap();
    assert!(svg.contains("program::work") && svg.ends_with("</svg>\n"));
}

/// The line of a table of differences that ends with a function.
fn row<'a>(table: &'a str, function: &str) -> Option<&'a str> {
    table.lines().find(|line| line.starts_with("  ") && line.ends_with(function))
}

#[test]
fn a_regression_put_in_on_purpose_is_found_with_its_function() {
    let (fast, slow) = (profiled("fast"), profiled("slow"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-difference");
    let _ = std::fs::remove_dir_all(&out);
    let (base, current) = (shown(&fast.out), shown(&slow.out));
    let output = lob(&["profile", "--diff", base, current, "--out", shown(&out)]);
    if !fast.sampled() {
        assert_eq!(output.status.code(), Some(2), "there is nothing to compare");
        return;
    }
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.contains("; more of it in program::regression (+"), "{table}");
    assert!(row(&table, "program::regression").is_some(), "{table}");
    assert!(row(&table, "program::parse").is_none(), "that took as long as before: {table}");
    assert!(table.trim_end().ends_with("difference.svg"), "{table}");
    let svg = std::fs::read_to_string(out.join("difference.svg")).unwrap();
    assert!(svg.contains("program::regression: +"), "the picture says so too");

    let backwards = lob(&["profile", "--diff", current, base, "--out", shown(&out)]);
    let table = String::from_utf8(backwards.stdout).unwrap();
    assert!(table.contains(" less CPU time in a launch") && table.contains("-"), "{table}");

    // Two Runs with their profiles beside them.
    let runs = [fast.out.join("run.json"), slow.out.join("run.json")];
    let compared = lob(&["compare", shown(&runs[0]), shown(&runs[1]), "--profiles", "--force"]);
    let said = String::from_utf8(compared.stdout).unwrap();
    assert!(row(&said, "program::regression").is_some(), "{said}");
    // And what has no profile is named.
    let missing = lob(&["profile", "--diff", shown(&out.join("none")), current]);
    assert_eq!(missing.status.code(), Some(2));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("holds neither `profile.speedscope.json` nor"), "{said}");
}

#[test]
fn a_comparison_names_the_function_that_took_the_extra_time() {
    let program = shown(program());
    let [base, candidate] = ["fast", "slow"].map(|mode| format!("{program} {mode}"));
    let output = lob(&[
        "ab",
        "--baseline",
        &base,
        "--candidate",
        &candidate,
        "--pairs",
        "8",
        "--max-pairs",
        "8",
        "--metrics",
        "cpu_time",
        "--profile=2",
    ]);
    let said = String::from_utf8(output.stdout).unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    if talk.contains("note: no profile: `perf_event_open`") {
        return;
    }
    assert!(row(&said, "program::regression").is_some(), "{said}{talk}");
    assert!(row(&said, "program::parse").is_none(), "{said}");
}
