//! Inputs, notes, machine, its measured limits, and what measuring cost.

use lob_metrics::{Host, Input, Roof, Run, Unit};

use crate::analysis::percent;
use crate::escape::html as e;

pub(super) fn render(run: &Run) -> String {
    format!(
        "{}{}<section id=\"machine\">{}<div class=\"cards two\"><div class=\"card\"><h3>Environment</h3>{}</div><div class=\"card\"><h3>Measured limits</h3>{}</div></div>{}</section>",
        inputs(&run.inputs),
        notes(&run.notes),
        super::heading(2, "machine", "Machine and tool"),
        list(environment(run)),
        list(roof(&run.roof)),
        overhead(run)
    )
}

/// The machine and the tool alone: of a run that read no file and measured no limit.
pub(super) fn of_tool(run: &Run) -> String {
    format!(
        "{}<section id=\"machine\">{}{}</section>",
        notes(&run.notes),
        super::heading(2, "machine", "Machine and tool"),
        list(environment(run))
    )
}

fn inputs(inputs: &[Input]) -> String {
    if inputs.is_empty() {
        return "<section id=\"inputs\"><h2>Inputs</h2><p>No file was read.</p></section>"
            .to_owned();
    }
    let rows: String = inputs
        .iter()
        .map(|i| {
            let updates = i.mbp10_updates.map_or_else(|| "–".to_owned(), |n| Unit::Count.format(n as f64));
            format!(
                "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{updates}</td><td><code class=\"hash\">{}</code></td></tr>",
                e(&i.path),
                e(&i.schema),
                Unit::Bytes.format(i.bytes as f64),
                Unit::Count.format(i.records as f64),
                e(&i.sha256)
            )
        })
        .collect();
    format!(
        "<section id=\"inputs\"><h2>Inputs</h2><div class=\"scroll\"><table><thead><tr><th>Path</th><th>Schema</th><th class=\"n\">Size</th><th class=\"n\">Records</th><th class=\"n\">MBP-10 updates</th><th>SHA-256</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
}

fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items: String =
        notes.iter().map(|n| format!("<li>{}</li>", super::ticked::ticked(n))).collect();
    format!("<section id=\"notes\"><h2>Notes</h2><ul>{items}</ul></section>")
}

fn environment(run: &Run) -> Vec<(String, String)> {
    let Host { cpu, cores, memory_bytes, kernel, governor, compiler, gpu, fingerprint } = &run.host;
    let text = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "unknown".to_owned());
    let gpus = if gpu.is_empty() { "none found".to_owned() } else { gpu.join(", ") };
    let revision = match (&run.tool.revision, &run.tool.revision_unknown) {
        (Some(revision), _) => format!(" {revision}"),
        (None, Some(reason)) => format!(" (revision unknown: {reason})"),
        (None, None) => String::new(),
    };
    let tool = format!("{} {}{revision}", run.tool.name, run.tool.version);
    let features = if run.tool.features.is_empty() {
        "default".to_owned()
    } else {
        run.tool.features.join(", ")
    };
    let named = [
        ("CPU", text(cpu)),
        ("Cores", cores.map_or_else(|| "unknown".to_owned(), |n| n.to_string())),
        (
            "Memory",
            memory_bytes.map_or_else(|| "unknown".to_owned(), |n| Unit::Bytes.format(n as f64)),
        ),
        ("Kernel", text(kernel)),
        ("Governor", text(governor)),
        ("GPU", gpus),
        ("Compiler", text(compiler)),
        ("Tool", tool),
        ("Features", features),
        ("Command", run.tool.command.join(" ")),
        ("Run", run.id.clone()),
        ("Fingerprint", fingerprint.clone()),
    ];
    named.map(|(name, fact)| (name.to_owned(), fact)).to_vec()
}

fn roof(roof: &Roof) -> Vec<(String, String)> {
    let rate = Unit::BytesPerSecond;
    let mut limits = vec![
        ("Memory fill, one core".to_owned(), shown(rate, roof.fill_bytes_per_s)),
        ("Memory copy, one core".to_owned(), shown(rate, roof.copy_bytes_per_s)),
        ("zstd decode, one core".to_owned(), shown(rate, roof.zstd_decode_bytes_per_s)),
        (
            "f32 matrix product, one core".to_owned(),
            shown(Unit::FlopPerSecond, roof.gemm_flop_per_s),
        ),
        ("fsync of a small file".to_owned(), shown(Unit::Seconds, roof.fsync_s)),
    ];
    for (name, value) in &roof.more {
        limits.push((name.clone(), Roof::unit_of(name).format(*value)));
    }
    limits
}

fn shown(unit: Unit, value: Option<f64>) -> String {
    crate::analysis::value(unit, value)
}

fn list(facts: Vec<(String, String)>) -> String {
    let rows: String = facts
        .into_iter()
        .map(|(name, fact)| format!("<div><dt>{}</dt><dd>{}</dd></div>", e(&name), e(&fact)))
        .collect();
    format!("<dl>{rows}</dl>")
}

fn overhead(run: &Run) -> String {
    let share = run.overhead.profiler_share.map_or_else(|| "an unknown share".to_owned(), percent);
    let cost = run
        .overhead
        .scope_cost_s
        .map_or_else(String::new, |s| format!(" One scope costs {}.", Unit::Seconds.format(s)));
    format!("<p>Measuring itself took {share} of the CPU time.{cost}</p>")
}
