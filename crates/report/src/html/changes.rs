//! What became of every metric since the baseline.

use lob_metrics::{Change, ChangeVerdict};

use super::heading;
use crate::analysis::{value, when};
use crate::baseline::{Baseline, signed};
use crate::escape::html as e;

/// Rows shown; `comparison.md` holds the rest.
const MAX_ROWS: usize = 200;

/// Badge class and word of a verdict.
pub(super) const fn word(verdict: ChangeVerdict) -> (&'static str, &'static str) {
    match verdict {
        ChangeVerdict::Regression => ("fail", "worse"),
        ChangeVerdict::Lost => ("fail", "lost"),
        ChangeVerdict::Improvement => ("pass", "better"),
        ChangeVerdict::Changed => ("none", "changed"),
        ChangeVerdict::New => ("none", "new"),
        ChangeVerdict::Unchanged => ("none", "unchanged"),
        ChangeVerdict::NotComparable => ("none", "not comparable"),
    }
}

pub(super) fn table(baseline: &Baseline<'_>) -> String {
    let loud = baseline.loud();
    let rows: String = loud.iter().take(MAX_ROWS).map(|c| row(c)).collect();
    let hidden = loud.len().saturating_sub(MAX_ROWS);
    let note = match hidden {
        0 => String::new(),
        n => format!("<p class=\"sub\">{n} more stand in comparison.md.</p>"),
    };
    let table = match loud.is_empty() {
        true => "<p>Every metric is within 10 % of the baseline.</p>".to_owned(),
        false => format!(
            "<div class=\"scroll\"><table><thead><tr><th>Metric</th><th>Scenario</th><th class=\"n\">Baseline</th><th class=\"n\">This run</th><th class=\"n\">Change</th><th class=\"n\">q</th><th>Verdict</th></tr></thead><tbody>{rows}</tbody></table></div>{note}"
        ),
    };
    let other = if baseline.same_machine {
        ""
    } else {
        "<p class=\"callout warning\">The baseline comes from another machine: speeds do not compare.</p>"
    };
    format!(
        "<section id=\"changes\">{}<p>Against <code>{}</code> of {}: {}. Advisory: two stored runs see a different machine, only a paired test decides.</p>{other}{table}</section>",
        heading(2, "changes", "Since the baseline"),
        e(&baseline.run.id),
        e(&when(&baseline.run.started_at)),
        e(&baseline.summary())
    )
}

fn row(c: &Change) -> String {
    let (class, word) = word(c.verdict);
    let q = c.q_value.map_or_else(|| "–".to_owned(), |q| format!("{q:.3}"));
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{q}</td><td><span class=\"badge {class}\">{word}</span></td></tr>",
        e(&c.metric),
        e(&c.scenario),
        value(c.unit, c.base),
        value(c.unit, c.current),
        signed(c.relative)
    )
}
