//! The page of a profile: what limits the program first, then flame graph, threads, functions,
//! waits, memory, and what else was measured.

use lob_metrics::{Artifact, Measurement, Run, Scenario, Severity, Status, Timeline, Unit};

use super::ticked::{capitalised, ticked};
use super::{Detail, cells, heading, machine, scenario};
use crate::analysis::{value, when};
use crate::beside::Beside;
use crate::escape::html as e;
use crate::profile;
use crate::text::severity_word;

/// Largest flame graph within the page; a larger one stands beside it.
const MAX_FLAME_BYTES: usize = 1_200_000;
/// Figures on the first screen.
const FIGURES: [(&str, &str); 6] = [
    ("command.wall_time", "wall time"),
    ("command.cpu_time", "CPU time"),
    ("command.peak_process_rss", "peak memory of a process"),
    ("command.threads", "threads at once"),
    ("command.processes", "processes at once"),
    ("command.profiler_cpu_time", "CPU time of the profiler"),
];
/// Series of memory; the others stand with the measurements.
const MEMORY: [&str; 2] = ["rss", "anon_rss"];

/// The sections, and the links to them.
pub(super) fn sections(
    run: &Run,
    s: &Scenario,
    beside: &Beside<'_>,
    detail: Detail,
) -> (String, Vec<(&'static str, &'static str)>) {
    let parts = [
        ("limit", "What limits it", limit(s)),
        ("flame", "Flame graph", flame(beside)),
        ("threads", "Threads over time", threads(s)),
        ("functions", "Hot functions", tables(s, "functions")),
        ("waits", "Waits", tables(s, "waits")),
        ("memory", "Memory", memory(s, detail)),
        ("measured", "Everything measured", measured(s, detail)),
        ("files", "Files", files(beside)),
    ];
    let (mut body, mut links) = (String::new(), Vec::new());
    for (id, title, content) in parts {
        if content.is_empty() {
            continue;
        }
        links.push((id, title));
        let head = if id == "limit" { String::new() } else { heading(2, id, title) };
        let class = if id == "limit" { " class=\"first\"" } else { "" };
        body.push_str(&format!("<section id=\"{id}\"{class}>{head}{content}</section>"));
    }
    body.push_str(&machine::of_tool(run));
    links.push(("machine", "Machine"));
    (body, links)
}

/// The head of the page, with the links to its sections.
pub(super) fn header(run: &Run, links: &[(&str, &str)]) -> String {
    let links: String =
        links.iter().map(|(to, name)| format!("<a href=\"#{to}\">{name}</a>")).collect();
    format!(
        "<a class=\"skip\" href=\"#limit\">Skip to the verdict</a><header><div><h1>{}</h1><p class=\"sub\">{} · {} · {}</p></div><nav aria-label=\"Sections\">{links}<button id=\"theme\" type=\"button\" aria-label=\"Switch between light and dark\">Theme</button></nav></header>",
        e(&run.title),
        e(&when(&run.started_at)),
        Unit::Seconds.format(run.elapsed_s),
        e(run.host.cpu.as_deref().unwrap_or("unknown CPU"))
    )
}

fn limit(s: &Scenario) -> String {
    let (verdict, rest) = profile::findings(s);
    let warns = rest.iter().any(|finding| finding.severity != Severity::Info);
    let (class, sign) = match s.status {
        Status::Passed if warns => ("warn", "!"),
        Status::Passed => ("plain", "›"),
        _ => ("fail", "✕"),
    };
    let reason = s.reason.as_deref().map_or(String::new(), |r| format!("<p>{}</p>", ticked(r)));
    let sentence =
        verdict.map_or(String::new(), |f| format!("<p>{}</p>", ticked(&capitalised(&f.text))));
    let others: String = rest
        .iter()
        .map(|f| {
            let severity = severity_word(f.severity);
            format!("<p class=\"callout {severity}\"><b>{severity}</b> {}</p>", ticked(&f.text))
        })
        .collect();
    let figures: String = FIGURES
        .iter()
        .filter_map(|(metric, name)| {
            let m = s.measurements.iter().find(|m| m.metric == *metric)?;
            let value = m.value()?;
            Some(format!(
                "<div><dt>{name}</dt><dd title=\"{}\">{}</dd></div>",
                e(metric),
                m.unit.format(value)
            ))
        })
        .collect();
    format!(
        "<div class=\"verdict {class}\"><p class=\"word\"><span aria-hidden=\"true\">{sign}</span> {}</p><div>{reason}{sentence}</div></div>{others}<dl class=\"figures\">{figures}</dl>",
        profile::word(s)
    )
}

fn flame(beside: &Beside<'_>) -> String {
    let link = beside.files.iter().find(|(name, _)| *name == "flame.svg");
    let link = link.map_or(String::new(), |(name, _)| {
        format!("<p class=\"sub\"><a href=\"{0}\">{0}</a> is the same alone.</p>", e(name))
    });
    match beside.flame_graph {
        // A drawing of this program, whose texts it has escaped.
        Some(svg) if svg.len() <= MAX_FLAME_BYTES => {
            format!("<div class=\"scroll graph\">{svg}</div>{link}")
        }
        Some(_) => format!("<p>It is too large for this page.</p>{link}"),
        None => link,
    }
}

fn threads(s: &Scenario) -> String {
    let is_picture = |artifact: &&Artifact| matches!(artifact, Artifact::Lanes { .. });
    s.artifacts.iter().filter(is_picture).map(cells::render).collect()
}

fn tables(s: &Scenario, part: &'static str) -> String {
    profile::tables(s, move |title| profile::part(title) == part).map(cells::render).collect()
}

fn memory(s: &Scenario, detail: Detail) -> String {
    let is_memory = |t: &&Timeline| MEMORY.contains(&t.metric.as_str());
    let drawn = s.timeline.iter().filter(is_memory).map(scenario::timeline);
    let drawn: String = if detail.charts { drawn.collect() } else { String::new() };
    let charts =
        if drawn.is_empty() { drawn } else { format!("<div class=\"charts\">{drawn}</div>") };
    charts + &tables(s, "memory")
}

fn measured(s: &Scenario, detail: Detail) -> String {
    let (known, unknown): (Vec<&Measurement>, Vec<_>) =
        s.measurements.iter().partition(|m| m.value().is_some());
    let row = |m: &&Measurement| {
        format!(
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td></tr>",
            e(&m.metric),
            value(m.unit, m.value())
        )
    };
    let half = known.len().div_ceil(2);
    let column = |rows: &[&Measurement]| {
        let rows: String = rows.iter().map(row).collect();
        format!("<table><tbody>{rows}</tbody></table>")
    };
    let columns = format!("{}{}", column(&known[..half]), column(&known[half..]));
    let missing: String = unknown
        .iter()
        .map(|m| {
            let why = m.reason().map_or_else(|| "not measured".to_owned(), e);
            format!("<li><code>{}</code>: {why}</li>", e(&m.metric))
        })
        .collect();
    let missing = if missing.is_empty() {
        missing
    } else {
        format!(
            "<details><summary>{} not measured, and why</summary><ul>{missing}</ul></details>",
            unknown.len()
        )
    };
    let others = s.timeline.iter().filter(|t| !MEMORY.contains(&t.metric.as_str()));
    let others: String =
        if detail.charts { others.map(scenario::timeline).collect() } else { String::new() };
    let charts =
        if others.is_empty() { others } else { format!("<div class=\"charts\">{others}</div>") };
    format!("<div class=\"twin\">{columns}</div>{missing}{charts}{}", scenario::config(s, detail))
}

fn files(beside: &Beside<'_>) -> String {
    let always = [("run.json", "everything, for machines"), ("report.md", "a summary as text")];
    let rows: String = beside
        .files
        .iter()
        .chain(&always)
        .map(|(name, what)| format!("<li><a href=\"{0}\">{0}</a>: {1}</li>", e(name), e(what)))
        .collect();
    format!("<ul>{rows}</ul>")
}
