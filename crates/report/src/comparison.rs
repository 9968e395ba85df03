//! Two runs side by side: `comparison.md`.

use lob_metrics::{Change, ChangeVerdict, Run};

use crate::Rendered;
use crate::analysis::value;
use crate::escape::{code, markdown};

/// Rows of unchanged metrics shown; changed ones are always all shown.
const MAX_UNCHANGED: usize = 100;

/// Renders the outcome of [`lob_metrics::compare`] as Markdown: changed metrics first.
///
/// ```
/// use lob_metrics::{CompareConfig, Run, compare};
/// let run = Run::sample();
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
        "Advisory: two stored runs see a different machine; `lob ab` decides.".to_owned(),
        String::new(),
        "| Metric | Scenario | Base | Current | Change | q | Verdict |".to_owned(),
        "|---|---|--:|--:|--:|--:|---|".to_owned(),
    ];
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|c| order(c.verdict));
    let loud = sorted.iter().filter(|c| order(c.verdict) < order(ChangeVerdict::Unchanged)).count();
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
    format!("{} of {}", code(&run.id), markdown(&run.started_at))
}

const fn order(verdict: ChangeVerdict) -> u8 {
    match verdict {
        ChangeVerdict::Regression => 0,
        ChangeVerdict::Lost => 1,
        ChangeVerdict::Improvement => 2,
        ChangeVerdict::Changed => 3,
        ChangeVerdict::New => 4,
        ChangeVerdict::Unchanged => 5,
        ChangeVerdict::NotComparable => 6,
    }
}

const fn word(verdict: ChangeVerdict) -> &'static str {
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
    let relative = c.relative.map_or_else(|| "–".to_owned(), |r| format!("{:+.1} %", 100.0 * r));
    let q = c.q_value.map_or_else(|| "–".to_owned(), |q| format!("{q:.3}"));
    format!(
        "| {} | {} | {} | {} | {relative} | {q} | {} |",
        code(&c.metric),
        code(&c.scenario),
        value(c.unit, c.base),
        value(c.unit, c.current),
        word(c.verdict)
    )
}

#[cfg(test)]
mod tests {
    use lob_metrics::{CompareConfig, compare};

    use super::*;

    #[test]
    fn what_got_worse_stands_first_with_its_sign() {
        let base = Run::sample();
        let mut current = base.clone();
        let throughput = &mut current.scenarios[2].measurements[0];
        throughput.value = throughput.value.map(|v| 0.5 * v);
        let latency = &mut current.scenarios[3].measurements[1];
        latency.value = latency.value.map(|v| 0.5 * v);
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
