//! `JUnit` XML for continuous integration: one test case a scenario and a target.

use std::fmt::Write as _;

use lob_metrics::{Run, Status, Verdict};

use crate::analysis::{condition, floor_note, value};
use crate::escape::html as xml;

pub(crate) fn report(run: &Run) -> String {
    let mut cases = String::new();
    let (mut failures, mut errors, mut skipped) = (0, 0, 0);
    for s in &run.scenarios {
        let reason = xml(s.reason.as_deref().unwrap_or("no reason was given"));
        let body = match s.status {
            Status::Passed => String::new(),
            Status::Failed => {
                errors += 1;
                format!("<error message=\"{reason}\"/>")
            }
            Status::TimedOut => {
                errors += 1;
                format!("<error message=\"stopped at its time cap: {reason}\"/>")
            }
            // JUnit has no word between: it has not passed, and it has not failed.
            Status::Partly => {
                skipped += 1;
                format!("<skipped message=\"partly: {reason}\"/>")
            }
            Status::Skipped => {
                skipped += 1;
                format!("<skipped message=\"{reason}\"/>")
            }
        };
        case(&mut cases, &s.suite, &s.id, s.elapsed_s, &body);
    }
    for t in &run.targets {
        let asked = condition(t.target.direction, t.target.unit, t.target.hard_limit);
        let reason = t.reason.as_deref().map_or(String::new(), |r| format!(" ({r})"));
        let text = xml(&format!("{}{reason}, asked {asked}", value(t.target.unit, t.value)));
        let body = match t.verdict {
            Verdict::Pass if run.is_strict() && t.floor_held == Some(false) => {
                failures += 1;
                let note = floor_note(t).unwrap_or_default();
                format!("<failure message=\"{text}, {}\"/>", xml(&note))
            }
            Verdict::Pass => String::new(),
            Verdict::Fail => {
                failures += 1;
                format!("<failure message=\"{text}\"/>")
            }
            Verdict::NotMeasured => {
                skipped += 1;
                format!("<skipped message=\"{text}\"/>")
            }
        };
        case(&mut cases, "targets", &t.target.metric, 0.0, &body);
    }
    let tests = run.scenarios.len() + run.targets.len();
    let time = seconds(run.elapsed_s);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\" timestamp=\"{}\">\n{cases}</testsuite>\n</testsuites>\n",
        xml(&run.title),
        xml(run.started_at.trim_end_matches('Z'))
    )
}

fn case(out: &mut String, suite: &str, name: &str, elapsed_s: f64, body: &str) {
    let (suite, name, time) = (xml(suite), xml(name), seconds(elapsed_s));
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "<testcase classname=\"{suite}\" name=\"{name}\" time=\"{time}\">{body}</testcase>"
    );
}

/// The schema of the format knows plain decimal seconds only.
fn seconds(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { "0".to_owned() }
}
