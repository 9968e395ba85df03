//! `regression_test_results.log`: one line a metric, each judged in its own direction.

use lob_metrics::{Change, ChangeVerdict, Run};

use crate::analysis::{value, when};
use crate::baseline::{Baseline, LOOSE, signed};
use crate::escape::line;

pub(crate) fn log(run: &Run, baseline: Option<&Baseline<'_>>) -> String {
    let mut out =
        vec![format!("regression test of run {}, {}", line(&run.id), line(&when(&run.started_at)))];
    let Some(baseline) = baseline else {
        out.push("result: NOT TESTED, no baseline was given".to_owned());
        out.push(
            "Keep the run.json of this run and give it as the baseline of a later one.".to_owned(),
        );
        out.push(String::new());
        return out.join("\n");
    };
    let base = baseline.run;
    out.push(format!("baseline: run {}, {}", line(&base.id), line(&when(&base.started_at))));
    if !baseline.same_machine {
        out.push(
            "warning: the baseline comes from another machine, speeds do not compare".to_owned(),
        );
    }
    let worse = baseline.count(ChangeVerdict::Regression);
    let verdict = if worse == 0 { "PASS" } else { "FAIL" };
    out.push(format!("result: {verdict}, {}", baseline.summary()));
    out.push("tolerances: 10 % and 20 %; advisory, only a paired test decides".to_owned());
    out.push(String::new());
    out.push(format!(
        "{:<11} {:<11} {:>9}  {:<44} base -> current",
        "at 10 %", "at 20 %", "change", "metric"
    ));
    let mut sorted: Vec<&Change> = baseline.changes.iter().collect();
    sorted.sort_by_key(|c| (c.verdict.rank(), c.role.is_process()));
    out.extend(sorted.into_iter().map(entry));
    out.push(String::new());
    out.join("\n")
}

fn entry(c: &Change) -> String {
    let (tight, loose) = match c.verdict {
        ChangeVerdict::Regression => {
            // A base of zero has no relative change: any growth is beyond every tolerance.
            let beyond = c.relative.is_none_or(|r| r.abs() > LOOSE);
            ("FAIL", if beyond { "FAIL" } else { "pass" })
        }
        ChangeVerdict::Improvement | ChangeVerdict::Unchanged => ("pass", "pass"),
        ChangeVerdict::Changed => ("changed", "changed"),
        ChangeVerdict::Lost => ("LOST", "LOST"),
        ChangeVerdict::New => ("new", "new"),
        ChangeVerdict::NotComparable => ("no verdict", "no verdict"),
    };
    let name = format!("{} [{}]", line(&c.metric), line(&c.scenario));
    format!(
        "{tight:<11} {loose:<11} {:>9}  {name:<44} {} -> {}",
        signed(c.relative),
        value(c.unit, c.base),
        value(c.unit, c.current)
    )
}
