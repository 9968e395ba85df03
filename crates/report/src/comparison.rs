//! Two runs side by side: `comparison.md`.

use std::collections::BTreeSet;

use lob_metrics::{Change, ChangeVerdict, Measurement, Run, Scenario, Unit};

use crate::Rendered;
use crate::analysis::{value, when};
use crate::baseline::signed;
use crate::escape::{code, markdown};

/// Rows of unchanged metrics shown; changed ones are always all shown.
const MAX_UNCHANGED: usize = 100;

/// Renders the outcome of [`lob_metrics::compare`] as Markdown: changed metrics first.
///
/// ```
/// use lob_metrics::{CompareConfig, Run, compare};
/// let run = lob_fixtures::sample_run();
/// let changes = compare(&run, &run, &CompareConfig::default())?;
/// let file = lob_report::render_comparison(&run, &run, &changes);
/// assert_eq!(file.file_name, "comparison.md");
/// # Ok::<(), lob_metrics::MetricsError>(())
/// ```
#[must_use]
pub fn render_comparison(base: &Run, current: &Run, changes: &[Change]) -> Rendered {
    let count = |verdict| changes.iter().filter(|c| c.verdict == verdict).count();
    let regressions = count(ChangeVerdict::Regression);
    let title = match regressions {
        0 => "No regression".to_owned(),
        1 => "1 regression".to_owned(),
        n => format!("{n} regressions"),
    };
    let mut out = vec![
        format!("# {title}"),
        String::new(),
        format!("{} against {}.", side(current), side(base)),
        format!(
            "{} improved, {} regressed, {} lost, {} new, {} unchanged.",
            count(ChangeVerdict::Improvement),
            regressions,
            count(ChangeVerdict::Lost),
            count(ChangeVerdict::New),
            count(ChangeVerdict::Unchanged)
        ),
        kinds(changes),
        "Advisory: two stored runs see a different machine; only a paired test decides.".to_owned(),
        String::new(),
        "| Metric | Scenario | Base | Current | Change | q | Verdict |".to_owned(),
        "|---|---|--:|--:|--:|--:|---|".to_owned(),
    ];
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|c| (c.verdict.rank(), c.role.is_process()));
    let loud = sorted.iter().filter(|c| c.verdict.rank() < ChangeVerdict::Unchanged.rank()).count();
    let shown = sorted.len().min(loud + MAX_UNCHANGED);
    out.extend(sorted[..shown].iter().map(|c| row(c)));
    if shown < sorted.len() {
        out.push(String::new());
        out.push(format!("{} more are unchanged.", sorted.len() - shown));
    }
    out.push(String::new());
    Rendered { file_name: "comparison.md".to_owned(), bytes: out.join("\n").into_bytes() }
}

fn side(run: &Run) -> String {
    format!("{} of {}", code(&run.id), markdown(&when(&run.started_at)))
}

/// How latency, memory and throughput fared, each as a whole.
fn kinds(changes: &[Change]) -> String {
    let of = |name: &str, kind: fn(Unit) -> bool| {
        let known: Vec<f64> =
            changes.iter().filter(|c| kind(c.unit)).filter_map(|c| c.relative).collect();
        let mut sorted: Vec<f64> = known.into_iter().filter(|r| r.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len().saturating_sub(1) / 2).copied();
        format!("{name} {}", signed(middle))
    };
    let parts = [
        of("latency", |unit| unit == Unit::Seconds),
        of("memory", |unit| unit == Unit::Bytes),
        of("throughput", is_rate),
    ];
    format!("Median change: {}.", parts.join(", "))
}

/// Whether a unit is a throughput.
pub(crate) const fn is_rate(unit: Unit) -> bool {
    matches!(
        unit,
        Unit::SamplesPerSecond
            | Unit::RecordsPerSecond
            | Unit::ValuesPerSecond
            | Unit::BytesPerSecond
            | Unit::FlopPerSecond
    )
}

/// Several runs side by side, oldest first as given: `comparison_of_runs.md`. The last column is
/// the change of the last run against the first. A metric a run does not have reads `–`.
///
/// ```
/// use lob_metrics::Run;
/// let (a, b, c) = (lob_fixtures::sample_run(), lob_fixtures::sample_run(), lob_fixtures::sample_run());
/// let file = lob_report::render_runs(&[&a, &b, &c]);
/// assert!(String::from_utf8_lossy(&file.bytes).contains("+0.0 %"));
/// ```
#[must_use]
pub fn render_runs(runs: &[&Run]) -> Rendered {
    let mut out = vec![format!("# {} runs side by side", runs.len()), String::new()];
    for (i, run) in runs.iter().enumerate() {
        out.push(format!("{}. {}, {}", i + 1, side(run), markdown(&run.title)));
    }
    let hosts: BTreeSet<&str> = runs.iter().map(|r| r.host.fingerprint.as_str()).collect();
    if hosts.len() > 1 {
        out.extend([
            String::new(),
            "The runs come from different machines: speeds do not compare.".to_owned(),
        ]);
    }
    let numbers: String = (1..=runs.len()).map(|i| format!(" {i} |")).collect();
    out.extend([String::new(), format!("| Metric | Scenario |{numbers} Change |")]);
    out.push(format!("|---|---|{}--:|", "--:|".repeat(runs.len())));
    let mut seen = BTreeSet::new();
    for (scenario, m) in runs.iter().flat_map(|run| run.measurements()) {
        if !seen.insert((scenario.id.as_str(), m.metric.as_str())) {
            continue;
        }
        let values: Vec<Option<f64>> = runs
            .iter()
            .map(|run| {
                let same = |(s, x): &(&Scenario, &Measurement)| {
                    s.id == scenario.id && x.metric == m.metric && x.unit == m.unit
                };
                run.measurements().find(same).and_then(|(_, x)| x.value())
            })
            .collect();
        let shown: String = values
            .iter()
            .map(|v| v.map_or_else(|| " – |".to_owned(), |v| format!(" {} |", m.unit.format(v))))
            .collect();
        let ends = values.first().copied().flatten().zip(values.last().copied().flatten());
        let change = signed(ends.filter(|(a, _)| *a != 0.0).map(|(a, b)| b / a - 1.0));
        out.push(format!("| {} | {} |{shown} {change} |", code(&m.metric), code(&scenario.id)));
    }
    out.push(String::new());
    Rendered { file_name: "comparison_of_runs.md".to_owned(), bytes: out.join("\n").into_bytes() }
}

pub(crate) const fn word(verdict: ChangeVerdict) -> &'static str {
    match verdict {
        ChangeVerdict::Regression => "**regression**",
        ChangeVerdict::Lost => "**lost**",
        ChangeVerdict::Improvement => "improvement",
        ChangeVerdict::Changed => "changed",
        ChangeVerdict::New => "new",
        ChangeVerdict::Unchanged => "unchanged",
        ChangeVerdict::NotComparable => "not comparable",
    }
}

fn row(c: &Change) -> String {
    let q = c.q_value.map_or_else(|| "–".to_owned(), |q| format!("{q:.3}"));
    format!("| {} | {q} | {} |", figures(c), word(c.verdict))
}

/// The cells of a change that every table begins with: metric, scenario, base, current, change.
pub(crate) fn figures(c: &Change) -> String {
    let (metric, scenario) = (code(&c.metric), code(&c.scenario));
    let (base, current) = (value(c.unit, c.base), value(c.unit, c.current));
    format!("{metric} | {scenario} | {base} | {current} | {}", signed(c.relative))
}

#[cfg(test)]
mod tests {
    use lob_metrics::{CompareConfig, Reading, compare};

    use super::*;

    #[test]
    fn what_got_worse_stands_first_with_its_sign() {
        let base = lob_fixtures::sample_run();
        let mut current = base.clone();
        let throughput = &mut current.scenarios[2].measurements[0];
        throughput.reading =
            Reading::Measured { value: throughput.value().map(|v| 0.5 * v).unwrap(), note: None };
        let latency = &mut current.scenarios[3].measurements[1];
        latency.reading =
            Reading::Measured { value: latency.value().map(|v| 0.5 * v).unwrap(), note: None };
        let changes = compare(&base, &current, &CompareConfig::default()).unwrap();
        let text = String::from_utf8(render_comparison(&base, &current, &changes).bytes).unwrap();
        let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| `")).collect();
        assert!(text.starts_with("# 1 regression\n"), "{text}");
        assert!(
            rows[0].contains("load.samples_per_s") && rows[0].contains("-50.0 %"),
            "{}",
            rows[0]
        );
        assert!(
            rows[1].contains("train.forward_s") && rows[1].contains("| improvement |"),
            "{}",
            rows[1]
        );
    }
}
