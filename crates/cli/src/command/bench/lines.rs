//! What `lob bench` says on standard error.

use lob_bench::{Progress, Spec};
use lob_metrics::{Run, Scenario, Status, Unit};

pub(super) fn summary(run: &Run) {
    if let Some(share) = run.busy_share() {
        let share = Unit::Fraction.format(share);
        eprintln!(
            "the machine was busy: other programs used {share} of its cores while its limits were \
             measured, so that shares of them are at most what is shown"
        );
    }
    for note in &run.notes {
        eprintln!("note: {note}");
    }
    for target in run.targets.iter().filter(|t| t.verdict == lob_metrics::Verdict::Fail) {
        let found = target.value.map_or("no value".to_owned(), |v| target.target.unit.format(v));
        eprintln!("missed: {} is {found}", target.target.metric);
    }
    for target in run.below_floor() {
        let unit = target.target.unit;
        let of = |value: Option<f64>| value.map_or("no value".to_owned(), |v| unit.format(v));
        let (metric, found, floor) = (&target.target.metric, of(target.value), of(target.floor_at));
        eprintln!("below its floor: {metric} is {found}, the floor here is {floor}");
    }
    for advice in &run.recommendations {
        eprintln!("advice: {} ({})", advice.text, advice.evidence);
    }
}

/// One line a scenario on standard error.
pub(super) struct Lines {
    pub(super) quiet: bool,
}

impl Progress for Lines {
    fn begin(&mut self, position: usize, total: usize, spec: &Spec) {
        if !self.quiet {
            eprint!("[{position}/{total}] {:<22}", spec.id);
        }
    }

    fn end(&mut self, scenario: &Scenario) {
        if self.quiet {
            return;
        }
        let took = Unit::Seconds.format(scenario.elapsed_s);
        match (scenario.status, &scenario.reason) {
            (Status::Passed, _) => {
                eprintln!("{took:>10}   {}", headline(scenario).unwrap_or_default());
            }
            (Status::Partly, reason) => {
                let reason = reason.as_deref().unwrap_or("no reason was given");
                eprintln!("{took:>10}   {}", headline(scenario).unwrap_or_default());
                eprintln!("{:>44}partly: {reason}", "");
            }
            (status, reason) => {
                let reason = reason.as_deref().unwrap_or("no reason was given");
                eprintln!("{took:>10}   {status:?}: {reason}");
            }
        }
    }
}

/// The measurement that stands for its scenario: the one held against the machine's limit.
fn headline(scenario: &Scenario) -> Option<String> {
    let measurement = scenario
        .measurements
        .iter()
        .find(|m| m.share_of_limit.is_some())
        .or_else(|| scenario.measurements.iter().find(|m| m.value().is_some()))?;
    let value = measurement.unit.format(measurement.value()?);
    let share = measurement.share_of_limit.zip(measurement.limit_name.as_deref());
    let share = share.map(|(share, name)| {
        let share = measurement.share_in_words(&format!("{:.0} %", share * 100.0));
        format!(", {share} of {name}")
    });
    let share = share.unwrap_or_default();
    Some(format!("{} {value}{share}", measurement.metric))
}
