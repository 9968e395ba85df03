//! Runs that are the profile of one program.

use lob_metrics::{Artifact, Finding, Run, Scenario, Severity, Status};

/// The scenario of a profile; `None` for any other run.
pub(crate) fn of(run: &Run) -> Option<&Scenario> {
    match run.scenarios.as_slice() {
        [only] if only.suite == "profile" && only.id == "command" => Some(only),
        _ => None,
    }
}

/// What the program came to, in a word or two.
pub(crate) fn word(s: &Scenario) -> &str {
    if s.status != Status::Passed {
        return "Failed";
    }
    match s.config.get("bound").and_then(|bound| bound.as_str()) {
        Some("cpu") => "CPU-bound",
        Some("disk") => "Waits for disks",
        Some("stream") => "Waits for streams",
        Some("timer") => "Sleeps",
        Some("lock") => "Waits for locks",
        Some("signal") => "Waits for signals",
        Some("stopped") => "Stopped",
        Some("mixed") => "No single limit",
        _ => "Limit unknown",
    }
}

/// The sentence about the limit, and the other findings: the loudest first, else in their order.
pub(crate) fn findings(s: &Scenario) -> (Option<&Finding>, Vec<&Finding>) {
    let mut rest: Vec<&Finding> = s.findings.iter().skip(1).collect();
    let rank = |severity| match severity {
        Severity::Info => 2,
        Severity::Warning => 1,
        Severity::Critical => 0,
    };
    rest.sort_by_key(|finding| rank(finding.severity));
    (s.findings.first(), rest)
}

/// The tables of a scenario about something, by a word of their titles.
pub(crate) fn tables<'a>(
    s: &'a Scenario,
    about: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a Artifact> {
    s.artifacts.iter().filter(move |artifact| match artifact {
        Artifact::Table { title, .. } => about(title),
        _ => false,
    })
}

/// Which part of the page a table belongs to.
pub(crate) fn part(title: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| title.to_lowercase().contains(word));
    if has(&["memory", "alloc", "leak"]) {
        "memory"
    } else if has(&["thread", "program did", "wait"]) {
        "waits"
    } else {
        "functions"
    }
}
