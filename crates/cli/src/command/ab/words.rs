//! The outcome in words.

use anyhow::Result;
use lob_metrics::stats::PairedVerdict;
use lob_metrics::{AbEnd, AbLook, AbOutcome, AbResult, shown};

use super::launch::Record;
use super::{Args, SideName, others};
use crate::output;

/// Metrics that the verdict names before it only counts them.
const NAMED: usize = 6;

/// A shell command that has something to do.
pub(super) fn command_line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the command is empty, expected a shell command".to_owned());
    }
    Ok(text.to_owned())
}

/// The machine while the commands ran.
pub(super) struct Machine {
    share: Option<f64>,
    load_1m: Option<f64>,
}

impl Machine {
    pub(super) fn now(share: Option<f64>) -> Self {
        Self { share, load_1m: lob_profiler::load_average().ok().map(|[load, ..]| load) }
    }
}

/// Launches that failed and were compared all the same.
pub(super) struct Failures {
    of: [(usize, usize, Option<i32>); 2],
}

impl Failures {
    pub(super) fn of(records: &[Record]) -> Self {
        let count = |side: SideName| {
            let of_side: Vec<&Record> = records.iter().filter(|r| r.side == side).collect();
            let failed: Vec<&&Record> = of_side.iter().filter(|r| r.failed).collect();
            (failed.len(), of_side.len(), failed.last().and_then(|r| r.exit_code))
        };
        Self { of: [count(SideName::Baseline), count(SideName::Candidate)] }
    }

    fn lines(&self) -> Vec<String> {
        let sides = [SideName::Baseline, SideName::Candidate].into_iter().zip(self.of);
        let failed = sides.filter(|(_, (failed, ..))| *failed > 0);
        let line = |(side, (failed, launches, code)): (SideName, (usize, usize, Option<i32>))| {
            let how = code.map_or("by a signal".to_owned(), |code| format!("with {code}"));
            format!("{failed} of {launches} launches of the {side} failed, the last {how}")
        };
        failed.map(line).collect()
    }
}

pub(super) fn progress(look: &AbLook<'_>) {
    let what = if look.confirming { "confirming, " } else { "" };
    let clear = look.results.iter().filter(|r| r.verdict != PairedVerdict::Inconclusive).count();
    let first = look.results.first().map_or_else(String::new, |r| format!("; {}", line(r)));
    eprintln!("{what}{} pairs: {clear} of {} verdicts{first}", look.pairs, look.results.len());
}

fn line(result: &AbResult) -> String {
    let unit = result.metric.unit;
    let [low, high] = result.interval;
    let repeats = result.metric.exact.is_some() && low.total_cmp(&high).is_eq();
    // Where every launch says the same there is nothing to be unsure of.
    let interval = if repeats {
        String::new()
    } else {
        format!(" [{:+.1}, {:+.1}]", low * 100.0, high * 100.0)
    };
    let verdict = if result.not_judged { "not judged".to_owned() } else { word(result.verdict) };
    format!(
        "{verdict:<13}{:<28}{:>12} -> {:<12}{:+.1} %{interval}, up to {:.1} % does not count",
        shown(&result.metric.name).to_string(),
        unit.format(result.baseline),
        unit.format(result.candidate),
        result.effect * 100.0,
        result.min_effect * 100.0
    )
}

pub(super) fn word(verdict: PairedVerdict) -> String {
    format!("{verdict:?}").to_lowercase()
}

/// What is said of each metric: `CPU time equal; wall time cannot be judged here (load 9.1)`.
pub(super) fn headline(outcome: &AbOutcome, machine: &Machine) -> String {
    // What is wrong first, then what takes part in the verdict, CPU time before wall time.
    let order = |r: &&AbResult| {
        let blame = match r.verdict {
            PairedVerdict::Regression => 0,
            PairedVerdict::Improvement => 1,
            _ => 2,
        };
        let own = ["cpu_time", "wall_time", "peak_rss"];
        (blame, own.iter().position(|name| *name == r.metric.name).unwrap_or(own.len()))
    };
    let mut metrics: Vec<&AbResult> = outcome.metrics.iter().collect();
    metrics.sort_by_key(order);
    let mut parts: Vec<String> =
        metrics.iter().take(NAMED).map(|r| said(r, outcome.disturbed, machine)).collect();
    if metrics.len() > NAMED {
        let rest = &metrics[NAMED..];
        let open = rest.iter().filter(|r| r.verdict == PairedVerdict::Inconclusive).count();
        parts.push(format!("{} further metrics, {open} of them open", rest.len()));
    }
    parts.join("; ")
}

fn said(result: &AbResult, disturbed: bool, machine: &Machine) -> String {
    let name = match result.metric.name.as_str() {
        "cpu_time" => "CPU time".to_owned(),
        "wall_time" => "wall time".to_owned(),
        "peak_rss" => "peak memory".to_owned(),
        other => shown(other).to_string(),
    };
    let [low, high] = result.interval.map(|x| x * 100.0);
    let effect = result.effect * 100.0;
    match result.verdict {
        PairedVerdict::Equivalent => format!("{name} equal"),
        PairedVerdict::Regression => format!("{name} {effect:+.1} %, worse"),
        PairedVerdict::Improvement => format!("{name} {effect:+.1} %, better"),
        // Also where the CPU time is open as well, and nothing is excused.
        PairedVerdict::Inconclusive if disturbed && result.metric.on_wall_clock => {
            let machine = others::in_words(machine.share, machine.load_1m);
            format!("{name} cannot be judged here ({machine})")
        }
        PairedVerdict::Inconclusive => format!("{name} open, between {low:+.1} and {high:+.1} %"),
    }
}

/// Why an open verdict was left open.
fn why_open(args: &Args, outcome: &AbOutcome) -> String {
    if outcome.verdict != PairedVerdict::Inconclusive || outcome.confirmed == Some(false) {
        return String::new();
    }
    match outcome.ended {
        AbEnd::Futile => format!("; {} pairs would hardly settle it", args.max_pairs),
        AbEnd::Time => format!("; the budget of {} s is spent", args.budget_s),
        _ => String::new(),
    }
}

pub(super) fn report(
    args: &Args,
    outcome: &AbOutcome,
    machine: &Machine,
    failures: &Failures,
) -> Result<()> {
    let headline = headline(outcome, machine);
    if args.json {
        let mut document = serde_json::to_value(outcome)?;
        document["headline"] = headline.into();
        document["machine"] =
            serde_json::json!({ "others_cpu_share": machine.share, "load_1m": machine.load_1m });
        let [baseline, candidate] = failures.of.map(|(failed, ..)| failed);
        document["failed_launches"] =
            serde_json::json!({ "baseline": baseline, "candidate": candidate });
        return output::print_json(&document);
    }
    for result in &outcome.metrics {
        output::print_line(&line(result))?;
    }
    for line in failures.lines() {
        output::print_line(&line)?;
    }
    let confirmed = match outcome.confirmed {
        Some(true) => ", found again in a fresh sitting",
        Some(false) => ", a regression was not found again in a fresh sitting",
        None => "",
    };
    let (verdict, open) = (word(outcome.verdict), why_open(args, outcome));
    output::print_line(&format!(
        "{verdict} after {} pairs{confirmed}: {headline}{open}",
        outcome.pairs
    ))
}

#[cfg(test)]
mod tests {
    use lob_metrics::{AbMetric, Direction, Unit};

    use super::*;

    fn result(name: &str, exact: Option<f64>, verdict: PairedVerdict) -> AbResult {
        let metric = AbMetric {
            name: name.to_owned(),
            unit: Unit::Seconds,
            direction: Direction::LowerIsBetter,
            exact,
            on_wall_clock: name == "wall_time",
        };
        AbResult {
            metric,
            baseline: 1.0,
            candidate: 1.0,
            effect: 0.01,
            interval: if exact.is_some() { [0.01; 2] } else { [-0.02, 0.04] },
            min_effect: 0.05,
            noise_floor: 0.0,
            p_value: None,
            q_value: None,
            verdict,
            not_judged: verdict == PairedVerdict::Inconclusive && name == "wall_time",
        }
    }

    #[test]
    fn the_headline_says_what_can_be_judged_and_what_cannot() {
        use PairedVerdict::{Equivalent, Inconclusive, Regression};
        let busy = Machine { share: Some(0.853), load_1m: Some(9.07) };
        let outcome = |metrics: Vec<AbResult>| AbOutcome {
            verdict: Equivalent,
            metrics,
            pairs: 20,
            confirmed: None,
            ended: AbEnd::Futile,
            disturbed: true,
        };
        let equal = outcome(vec![
            result("wall_time", None, Inconclusive),
            result("cpu_time", None, Equivalent),
        ]);
        assert_eq!(
            headline(&equal, &busy),
            "CPU time equal; wall time cannot be judged here (other programs use 85 % of it, load 9.1)"
        );
        let worse = outcome(vec![
            result("cpu_time", None, Inconclusive),
            result("x", Some(0.0), Regression),
        ]);
        assert_eq!(
            headline(&worse, &busy),
            "x +1.0 %, worse; CPU time open, between -2.0 and +4.0 %"
        );
        let many = outcome((0..9).map(|n| result(&format!("m{n}"), None, Equivalent)).collect());
        assert!(headline(&many, &busy).ends_with("3 further metrics, 0 of them open"));
    }

    #[test]
    fn an_exact_figure_has_no_interval() {
        let line = line(&result("peak_rss", Some(0.05), PairedVerdict::Equivalent));
        assert!(!line.contains('[') && line.contains("+1.0 %, up to 5.0 %"), "{line}");
    }
}
