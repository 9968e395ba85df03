//! Ten seconds: did it pass, what holds it back, what changed, how far from the machine's limit,
//! what next.

use lob_metrics::{ChangeVerdict, Recommendation, Run, Unit, Verdict};

use crate::analysis::{
    caution, condition, hottest, limits, percent, slowest, stage_rates, value, verdict_lines,
};
use crate::baseline::{Baseline, signed};
use crate::escape::html as e;

use super::ticked::{capitalised, ticked};

/// Bars and pieces of advice shown before the rest moves to the tables.
const MAX_BARS: usize = 8;
/// Scopes shown in the card of the bottleneck.
const MAX_HOT: usize = 3;
/// Stages listed with their rates.
const MAX_STAGES: usize = 8;
const MAX_ADVICE: usize = 3;
const MAX_CHANGES: usize = 4;

pub(super) fn render(run: &Run, baseline: Option<&Baseline<'_>>) -> String {
    format!(
        "<section class=\"first\" aria-label=\"Result\">{}{}<div class=\"cards\">{}{}<div class=\"column\">{}{}</div></div></section>",
        caution(run).map_or(String::new(), |text| format!("<p class=\"caution\">{}</p>", e(&text))),
        verdict(run),
        bottleneck_card(run),
        limits_card(run),
        advice_card(run),
        baseline_card(baseline)
    )
}

fn verdict(run: &Run) -> String {
    let (class, sign, word) =
        if run.passed() { ("pass", "✓", "Passed") } else { ("fail", "✕", "Failed") };
    let (scenarios, targets) = verdict_lines(run);
    let missed: Vec<String> = run
        .targets
        .iter()
        .filter(|t| t.verdict == Verdict::Fail)
        .take(3)
        .map(|t| {
            let limit = condition(t.target.direction, t.target.unit, t.target.hard_limit);
            let found = value(t.target.unit, t.value);
            format!(
                "<li><code>{}</code> is {found}, the limit is {limit}</li>",
                e(&t.target.metric)
            )
        })
        .collect();
    let missed =
        if missed.is_empty() { String::new() } else { format!("<ul>{}</ul>", missed.concat()) };
    format!(
        "<div class=\"verdict {class}\"><p class=\"word\"><span aria-hidden=\"true\">{sign}</span> {word}</p><div><p>{}. {}.</p>{missed}</div></div>",
        e(&capitalised(&targets)),
        e(&capitalised(&scenarios))
    )
}

fn bottleneck_card(run: &Run) -> String {
    format!("<div class=\"card\"><h2>Bottleneck</h2>{}{}</div>", slowest_stage(run), self_time(run))
}

/// The stage with the lowest rate, and the rates of all stages in the order of the pipeline.
fn slowest_stage(run: &Run) -> String {
    let rates = stage_rates(run);
    let Some(worst) = slowest(&rates) else {
        return "<p>Slowest stage: not measured, no stage has a rate of samples or records.</p>"
            .to_owned();
    };
    let shown = |i: usize| rates[i].measurement.unit.format(rates[i].per_s);
    let rows: String = (0..rates.len())
        .filter(|i| *i < MAX_STAGES || *i == worst)
        .map(|i| {
            let class = if i == worst { " class=\"row worst\"" } else { " class=\"row\"" };
            let id = &rates[i].scenario.id;
            let anchor = super::scenario::anchor(id);
            format!("<li><div{class}><a href=\"#{anchor}\"><code>{}</code></a><span>{}</span></div></li>", e(id), shown(i))
        })
        .collect();
    let rate = shown(worst);
    let (number, unit) = rate.split_once(' ').unwrap_or((&rate, ""));
    format!(
        "<p class=\"big\">{number} <small>{unit}</small></p><p>Slowest stage: <code>{}</code></p><ul class=\"plain stages\" aria-label=\"Rate of every stage\">{rows}</ul>",
        e(&rates[worst].scenario.id)
    )
}

fn self_time(run: &Run) -> String {
    let hottest = hottest(run, MAX_HOT);
    if hottest.is_empty() {
        return "<h3 class=\"next\">Largest self time</h3><p>Not measured: no profiler scope has any time.</p>".to_owned();
    }
    let rows: String = hottest
        .iter()
        .map(|b| {
            format!(
                "<li><div class=\"row\"><code>{}</code><span>{}</span></div>{}<p class=\"sub\">{} in <a href=\"#{}\">{}</a></p></li>",
                e(&b.scope.path).replace('/', "/<wbr>"),
                percent(b.share_of_run),
                bar(b.share_of_run),
                Unit::Seconds.format(b.scope.self_s),
                super::scenario::anchor(&b.scenario.id),
                e(&b.scenario.id)
            )
        })
        .collect();
    format!(
        "<h3 class=\"next\">Largest self time of all stages</h3><ul class=\"plain\">{rows}</ul>"
    )
}

/// What became of the metrics since the baseline.
fn baseline_card(baseline: Option<&Baseline<'_>>) -> String {
    let Some(baseline) = baseline else {
        return "<div class=\"card\"><h2>Since the baseline</h2><p class=\"sub\">No baseline was given for this run.</p></div>".to_owned();
    };
    let worse = baseline.count(ChangeVerdict::Regression);
    let (class, word) = match worse {
        0 => ("pass", "✓ No regression".to_owned()),
        1 => ("fail", "✕ 1 regression".to_owned()),
        n => ("fail", format!("✕ {n} regressions")),
    };
    let rows: String = baseline
        .loud()
        .iter()
        .take(MAX_CHANGES)
        .map(|c| {
            let (class, word) = super::changes::word(c.verdict);
            format!(
                "<li><div class=\"row\"><code>{}</code><b class=\"{class}\">{}</b></div><p class=\"sub\">{word}: {} → {}</p></li>",
                e(&c.metric),
                signed(c.relative),
                value(c.unit, c.base),
                value(c.unit, c.current)
            )
        })
        .collect();
    let other = if baseline.same_machine {
        ""
    } else {
        "<p class=\"callout warning\">The baseline comes from another machine.</p>"
    };
    format!(
        "<div class=\"card\"><h2>Since the baseline</h2><p><span class=\"badge {class}\">{word}</span></p>{other}<ul class=\"plain\">{rows}</ul><p class=\"sub\">{}. <a href=\"#changes\">All changes</a></p></div>",
        e(&capitalised(&baseline.summary()))
    )
}

fn bar(share: f64) -> String {
    format!(
        "<div class=\"bar\"><i style=\"width:{:.1}%\"></i></div>",
        100.0 * share.clamp(0.0, 1.0)
    )
}

fn limits_card(run: &Run) -> String {
    let limits = limits(run, MAX_BARS);
    if limits.is_empty() {
        return "<div class=\"card\"><h2>Distance from the machine’s limit</h2><p>Not measured: no measurement names a limit of the machine.</p></div>".to_owned();
    }
    let rows: String = limits
        .iter()
        .map(|(_, m, share)| {
            // Beyond the limit the bar is full and striped: the limit named does not bind there.
            let over = if *share > 1.0 { " over" } else { "" };
            let limit = e(m.limit_name.as_deref().unwrap_or("a measured limit"));
            format!(
                "<li><div class=\"row\"><code>{}</code><b>{}</b></div><div class=\"bar{over}\"><i style=\"width:{:.1}%\"></i></div><p class=\"sub\" title=\"{}\">of {limit}</p></li>",
                e(&m.metric),
                m.share_in_words(&percent(*share)),
                100.0 * share.clamp(0.0, 1.0),
                value(m.unit, m.value())
            )
        })
        .collect();
    format!(
        "<div class=\"card\"><h2>Distance from the machine’s limit</h2><ul class=\"plain\">{rows}</ul></div>"
    )
}

fn advice_card(run: &Run) -> String {
    let item = |r: &Recommendation| {
        format!("<li><p>{}</p><p class=\"sub\">{}</p></li>", ticked(&r.text), ticked(&r.evidence))
    };
    let items: String = run.recommendations.iter().take(MAX_ADVICE).map(item).collect();
    let rest = run.recommendations.len().saturating_sub(MAX_ADVICE);
    let more: String = run.recommendations.iter().skip(MAX_ADVICE).map(item).collect();
    let more = if rest == 0 {
        String::new()
    } else {
        format!(
            "<details><summary>{rest} more</summary><ol start=\"{}\">{more}</ol></details>",
            MAX_ADVICE + 1
        )
    };
    let list = if items.is_empty() {
        "<p>Nothing in this run asks for a change.</p>".to_owned()
    } else {
        format!("<ol>{items}</ol>{more}")
    };
    format!("<div class=\"card\"><h2>What to do next</h2>{list}</div>")
}
