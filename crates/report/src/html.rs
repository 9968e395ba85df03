//! The page: one file, no network, readable without scripts.

mod base64;
mod cells;
mod changes;
mod first_screen;
mod flame;
mod history;
mod intervals;
mod machine;
mod performance;
mod profile;
mod scenario;
mod table;
mod ticked;

use lob_metrics::{Run, TrendLine, Unit};

use crate::analysis::{verdict_lines, when};
use crate::baseline::Baseline;
use crate::beside::Beside;
use crate::escape::html as e;

/// Largest page; beyond it, less detail is shown and the page says so.
const MAX_BYTES: usize = 2 * 1024 * 1024;
const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
/// The browser itself refuses every request: only what stands in the file is used.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// How much detail fits.
#[derive(Debug, Clone, Copy)]
struct Detail {
    measurements: usize,
    scopes_per_scenario: usize,
    charts: bool,
    max_text: usize,
}

/// Renders the page with as much detail as 2 MiB hold.
pub(crate) fn page(
    run: &Run,
    baseline: Option<&Baseline<'_>>,
    trends: Option<&[TrendLine]>,
    beside: &Beside<'_>,
) -> String {
    let levels =
        [(4000, 400, true, 4000), (1500, 60, true, 400), (400, 15, false, 100), (60, 2, false, 40)];
    let mut page = String::new();
    for (measurements, scopes_per_scenario, charts, max_text) in levels {
        let detail = Detail { measurements, scopes_per_scenario, charts, max_text };
        page = match crate::profile::of(run) {
            Some(scenario) => of_profile(run, scenario, beside, detail),
            None => render(run, baseline, trends, detail),
        };
        if page.len() <= MAX_BYTES {
            break;
        }
    }
    page
}

fn render(
    run: &Run,
    baseline: Option<&Baseline<'_>>,
    trends: Option<&[TrendLine]>,
    detail: Detail,
) -> String {
    let title = e(&run.title);
    let verdict = if run.passed() { "Passed" } else { "Failed" };
    let mut body = vec![
        header(run),
        "<main>".to_owned(),
        first_screen::render(run, baseline),
        table::targets(run),
        baseline.map_or_else(String::new, changes::table),
        trends.map_or_else(String::new, history::render),
        table::measurements(run, detail),
        performance::render(run, detail),
        scenario::all(run, detail),
        machine::render(run),
        "</main>".to_owned(),
    ];
    body.retain(|part| !part.is_empty());
    document(&format!("{verdict}: {title}"), &body.join("\n"))
}

/// The page of a profile, which has neither targets nor stages.
fn of_profile(
    run: &Run,
    scenario: &lob_metrics::Scenario,
    beside: &Beside<'_>,
    detail: Detail,
) -> String {
    let (sections, links) = profile::sections(run, scenario, beside, detail);
    let title = format!("{}: {}", crate::profile::word(scenario), e(&run.title));
    let body = format!("{}\n<main>\n{sections}</main>", profile::header(run, &links));
    document(&title, &body)
}

/// A whole document; the title is escaped.
fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// The page a seed document expects at another place: the verdict in words, and the way to the
/// report. A second copy of the whole page would only grow the folder.
pub(crate) fn pointer(run: &Run) -> String {
    let title = e(&run.title);
    let verdict = if run.passed() { "Passed" } else { "Failed" };
    let (scenarios, targets) = verdict_lines(run);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"refresh\" content=\"0; url=../report.html\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{verdict}: {title}</title>\n</head>\n<body>\n<h1>{verdict}: {title}</h1>\n<p>{}; {}.</p>\n<p><a href=\"../report.html\">The whole report</a></p>\n</body>\n</html>\n",
        e(&targets),
        e(&scenarios)
    )
}

/// A heading with a link to itself that the script copies.
fn heading(level: u8, id: &str, title: &str) -> String {
    format!("<h{level}>{title} {}</h{level}>", link_to(id, title))
}

fn link_to(id: &str, title: &str) -> String {
    format!("<a class=\"anchor\" href=\"#{id}\" aria-label=\"Copy the link to {title}\">#</a>")
}

fn header(run: &Run) -> String {
    let cpu = run.host.cpu.as_deref().unwrap_or("unknown CPU");
    let cores = run.host.cores.map_or_else(|| "cores unknown".to_owned(), |n| format!("{n} cores"));
    let when = when(&run.started_at);
    let links = [
        ("#targets", "Targets"),
        ("#summary", "Measurements"),
        ("#performance", "Scaling"),
        ("#scenarios", "Scenarios"),
        ("#machine", "Machine"),
    ];
    let links: String =
        links.iter().map(|(to, name)| format!("<a href=\"{to}\">{name}</a>")).collect();
    format!(
        "<a class=\"skip\" href=\"#summary\">Skip to the measurements</a><header><div><h1>{}</h1><p class=\"sub\">{} · {} · {} · {}</p></div><nav aria-label=\"Sections\">{links}<button id=\"theme\" type=\"button\" aria-label=\"Switch between light and dark\">Theme</button></nav></header>",
        e(&run.title),
        e(&when),
        Unit::Seconds.format(run.elapsed_s),
        e(cpu),
        e(&cores)
    )
}
