//! The entry point: a Run rendered in every format.

use lob_metrics::{Run, Scenario};

use crate::baseline::Baseline;
use crate::beside::Beside;
use crate::escape::slug;
use crate::format::{Format, Rendered, ReportError};
use crate::{
    chart, extract, history, html, junit, markdown, profile, regression, render_comparison,
    summary, text,
};

/// Renders a run in every format asked for; texts first, in the order of `formats`, then pictures.
/// The first file of a format is its main one.
///
/// # Errors
/// [`ReportError::Run`] when the document has no JSON form, [`ReportError::Chart`] when a picture
/// cannot be drawn.
pub fn render_all(run: &Run, formats: &[Format]) -> Result<Vec<Rendered>, ReportError> {
    render_all_with_baseline(run, None, formats)
}

/// As [`render_all`], held against an earlier run: the page, the summaries and the regression log
/// say what changed, and `comparison.md` lists it. Runs of different machines are compared too, and
/// every face says so.
///
/// # Errors
/// As [`render_all`].
///
/// ```
/// use lob_report::{Format, render_all_with_baseline};
/// let (base, run) = (lob_fixtures::sample_run(), lob_fixtures::sample_run());
/// let files = render_all_with_baseline(&run, Some(&base), &[Format::Txt])?;
/// assert_eq!(files[1].file_name, "regression_test_results.log");
/// assert!(files[1].bytes.windows(12).any(|w| w == b"result: PASS"));
/// # Ok::<(), lob_report::ReportError>(())
/// ```
pub fn render_all_with_baseline(
    run: &Run,
    baseline: Option<&Run>,
    formats: &[Format],
) -> Result<Vec<Rendered>, ReportError> {
    render_all_beside(run, &Beside { baseline, ..Beside::default() }, formats)
}

/// As [`render_all_with_baseline`], and with a history: the page draws trend lines, `history.md`
/// lists them.
///
/// # Errors
/// As [`render_all`].
pub fn render_all_beside(
    run: &Run,
    beside: &Beside<'_>,
    formats: &[Format],
) -> Result<Vec<Rendered>, ReportError> {
    let trends = (!beside.history.is_empty())
        .then(|| history::in_order(run, lob_metrics::trends(beside.history)));
    let trends = trends.as_deref();
    let baseline = beside.baseline.map(|base| Baseline::new(base, run)).transpose()?;
    let baseline = baseline.as_ref();
    if let Some(scenario) = profile::of(run) {
        return of_profile(run, scenario, beside, formats);
    }
    let suites = suites(run);
    let mut files = Vec::new();
    let mut file = |file_name: &str, text: String| {
        files.push(Rendered { file_name: file_name.to_owned(), bytes: text.into_bytes() });
    };
    for format in formats {
        match format {
            Format::Json => {
                file("run.json", run.to_json()?);
                file("benchmark_results.json", extract::benchmark_results(run)?);
                file("comprehensive_benchmark_results.json", extract::comprehensive(run)?);
                file("memory_profile.json", extract::memory_profile(run)?);
                for (suite, name) in &suites {
                    file(&format!("suites/{name}_raw.json"), extract::suite_raw(run, suite)?);
                }
            }
            Format::Html => {
                file("report.html", html::page(run, baseline, trends, beside));
                file("reports/performance_report.html", html::pointer(run));
            }
            Format::Md => {
                file("report.md", markdown::report(run, baseline));
                file("reports/performance_summary.md", summary::summary(run, baseline));
                if let Some(trends) = trends {
                    file("history.md", history::table(trends));
                }
                for (suite, name) in &suites {
                    file(&format!("suites/{name}_report.md"), markdown::suite_report(run, suite));
                }
            }
            Format::Txt => {
                file("optimization_recommendations.txt", text::recommendations(run));
                file("regression_test_results.log", regression::log(run, baseline));
            }
            Format::Junit => file("junit.xml", junit::report(run)),
            Format::Png | Format::Svg => {}
        }
    }
    if let Some(b) = baseline.filter(|_| formats.contains(&Format::Md)) {
        files.push(render_comparison(b.run, run, &b.changes));
    }
    if formats.contains(&Format::Png) {
        files.extend(chart::pictures(run, &suites)?);
    }
    if formats.contains(&Format::Svg) {
        files.extend(chart::vector_pictures(run));
    }
    Ok(files)
}

/// A profile has no stages, no targets and no series of scenarios to draw.
fn of_profile(
    run: &Run,
    scenario: &Scenario,
    beside: &Beside<'_>,
    formats: &[Format],
) -> Result<Vec<Rendered>, ReportError> {
    let mut files = Vec::new();
    for format in formats {
        let (file_name, text) = match format {
            Format::Json => ("run.json", run.to_json()?),
            Format::Html => ("report.html", html::page(run, None, None, beside)),
            Format::Md => ("report.md", markdown::profile::report(run, scenario)),
            Format::Txt | Format::Junit | Format::Png | Format::Svg => continue,
        };
        files.push(Rendered { file_name: file_name.to_owned(), bytes: text.into_bytes() });
    }
    Ok(files)
}

/// The suites of a run in the order they ran, each with a file name of its own.
fn suites(run: &Run) -> Vec<(String, String)> {
    let mut suites: Vec<(String, String)> = Vec::new();
    for s in &run.scenarios {
        if suites.iter().all(|(suite, _)| *suite != s.suite) {
            let plain = slug(&s.suite);
            let (mut name, mut number) = (plain.clone(), 2);
            while suites.iter().any(|(_, taken)| *taken == name) {
                name = format!("{plain}_{number}");
                number += 1;
            }
            suites.push((s.suite.clone(), name));
        }
    }
    suites
}
