//! The faces of a Run and the entry point that renders them.

use std::str::FromStr;

use lob_metrics::{MetricsError, Run};

use crate::{chart, html, junit, markdown, text};

/// What can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One self-contained page: `report.html`.
    Html,
    /// A pull-request summary: `report.md`.
    Md,
    /// The document itself: `run.json`.
    Json,
    /// Charts as pictures: `latency.png`, `memory.png`, `throughput.png` and more.
    Png,
    /// Advice as plain text: `optimization_recommendations.txt`.
    Txt,
    /// Scenarios and targets for continuous integration: `junit.xml`.
    Junit,
}

impl Format {
    /// Every format, in the order they are usually written.
    pub const ALL: [Self; 6] =
        [Self::Json, Self::Html, Self::Md, Self::Png, Self::Txt, Self::Junit];
}

impl FromStr for Format {
    type Err = ReportError;

    fn from_str(name: &str) -> Result<Self, ReportError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "html" => Ok(Self::Html),
            "md" | "markdown" => Ok(Self::Md),
            "json" => Ok(Self::Json),
            "png" => Ok(Self::Png),
            "txt" | "text" => Ok(Self::Txt),
            "junit" | "xml" => Ok(Self::Junit),
            _ => Err(ReportError::UnknownFormat { found: name.to_owned() }),
        }
    }
}

/// One rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Plain file name without a folder.
    pub file_name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// No format of this name.
    #[error(
        "unknown format `{found}`, expected one of `html`, `md`, `json`, `png`, `txt`, `junit`"
    )]
    UnknownFormat {
        /// Name given.
        found: String,
    },
    /// The Run cannot be written as JSON.
    #[error(transparent)]
    Run(#[from] MetricsError),
    /// A chart cannot be drawn.
    #[error("chart `{chart}` cannot be drawn: {problem}")]
    Chart {
        /// File name of the chart.
        chart: String,
        /// What the drawing library reports.
        problem: String,
    },
}

/// Renders a run in every format asked for; texts first, in the order of `formats`, then pictures.
///
/// # Errors
/// [`ReportError::Run`] when the document has no JSON form, [`ReportError::Chart`] when a picture
/// cannot be drawn.
pub fn render_all(run: &Run, formats: &[Format]) -> Result<Vec<Rendered>, ReportError> {
    let mut files = Vec::new();
    let mut file = |file_name: &str, text: String| {
        files.push(Rendered { file_name: file_name.to_owned(), bytes: text.into_bytes() });
    };
    for format in formats {
        match format {
            Format::Json => file("run.json", run.to_json()?),
            Format::Html => file("report.html", html::page(run)),
            Format::Md => file("report.md", markdown::report(run)),
            Format::Txt => file("optimization_recommendations.txt", text::recommendations(run)),
            Format::Junit => file("junit.xml", junit::report(run)),
            Format::Png => {}
        }
    }
    if formats.contains(&Format::Png) {
        files.extend(chart::pictures(run)?);
    }
    Ok(files)
}
