//! `report.md` of a profile.

use lob_metrics::{Artifact, Run, Scenario};

use crate::analysis::{value, when};
use crate::escape::{code, markdown, markdown_ticked};
use crate::profile;
use crate::text::severity_word;

/// Rows of a table; the rest stands in `report.html`.
const MAX_ROWS: usize = 12;

pub(crate) fn report(run: &Run, s: &Scenario) -> String {
    let (verdict, rest) = profile::findings(s);
    let mut out = vec![format!("# {}: {}", profile::word(s), markdown(&run.title)), String::new()];
    out.extend(s.reason.as_deref().map(|reason| format!("{}.", markdown_ticked(reason))));
    out.extend(verdict.map(|finding| format!("{}.", markdown_ticked(&finding.text))));
    out.push(String::new());
    for finding in rest {
        let severity = severity_word(finding.severity);
        out.push(format!("- {severity}: {}", markdown_ticked(&finding.text)));
    }
    out.push(String::new());
    out.push(format!(
        "Run {} of {}, {}.",
        code(&run.id),
        markdown(&when(&run.started_at)),
        super::host_line(run)
    ));
    for artifact in &s.artifacts {
        table(artifact, &mut out);
    }
    out.extend(["", "## Measurements", "", "| Metric | Value |", "|---|--:|"].map(str::to_owned));
    for m in &s.measurements {
        let shown = m.value().map_or_else(
            || markdown(m.reason().unwrap_or("not measured")),
            |found| value(m.unit, Some(found)),
        );
        out.push(format!("| {} | {shown} |", code(&m.metric)));
    }
    out.push(String::new());
    out.join("\n")
}

fn table(artifact: &Artifact, out: &mut Vec<String>) {
    let Artifact::Table { title, headings, cells } = artifact else { return };
    out.extend([String::new(), format!("## {}", markdown(title)), String::new()]);
    let head: Vec<String> = headings.iter().map(|h| markdown(&h.name)).collect();
    out.push(format!("| {} |", head.join(" | ")));
    let line: Vec<&str> =
        headings.iter().map(|h| if h.unit.is_some() { "--:" } else { "---" }).collect();
    out.push(format!("|{}|", line.join("|")));
    for row in cells.iter().take(MAX_ROWS) {
        let row: Vec<String> =
            headings.iter().zip(row).map(|(h, cell)| markdown_ticked(&cell.text(h.unit))).collect();
        out.push(format!("| {} |", row.join(" | ")));
    }
    if let Some(hidden) = cells.len().checked_sub(MAX_ROWS).filter(|hidden| *hidden > 0) {
        out.extend([String::new(), format!("{hidden} more in report.html.")]);
    }
}
