//! What can be rendered, and into what.

use std::str::FromStr;

use lob_metrics::MetricsError;

/// What can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One self-contained page: `report.html`.
    Html,
    /// A pull-request summary: `report.md`; a page for deciders and one a suite.
    Md,
    /// The document itself: `run.json`; small extracts under the names of the seed documents.
    Json,
    /// Charts as pictures: `latency.png`, `memory.png`, `throughput.png` and more.
    Png,
    /// The same charts as vector graphics.
    Svg,
    /// Advice and regression log as plain text.
    Txt,
    /// Scenarios and targets for continuous integration: `junit.xml`.
    Junit,
}

impl Format {
    /// Every format, in the order they are usually written.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Html, Self::Md, Self::Png, Self::Svg, Self::Txt, Self::Junit];
}

impl FromStr for Format {
    type Err = ReportError;

    fn from_str(name: &str) -> Result<Self, ReportError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "html" => Ok(Self::Html),
            "md" | "markdown" => Ok(Self::Md),
            "json" => Ok(Self::Json),
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            "txt" | "text" => Ok(Self::Txt),
            "junit" | "xml" => Ok(Self::Junit),
            _ => Err(ReportError::UnknownFormat { found: name.to_owned() }),
        }
    }
}

/// One rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// File name below the folder of the report; parts are separated by `/`, and a writer makes
    /// the folders.
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
        "unknown format `{found}`, expected one of `html`, `md`, `json`, `png`, `svg`, `txt`, `junit`"
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
