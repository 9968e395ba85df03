//! Run documents rendered as HTML, Markdown, PNG, SVG, text and `JUnit`: a [`Run`](lob_metrics::Run)
//! in, bytes out. No file is opened, no clock read, no network asked.
//!
//! [`render_all`] renders in every [`Format`] asked for and returns [`Rendered`] files.
//!
//! # Files
//! Names may hold a folder, which the writer makes.
//!
//! | [`Format`] | Files |
//! |---|---|
//! | `Json` | `run.json` (the document); small extracts of it: `benchmark_results.json` (every headline value), `comprehensive_benchmark_results.json` (timings, memory, settings, errors), `memory_profile.json` (peaks and series), `suites/{suite}_raw.json` (one suite with its samples) |
//! | `Html` | `report.html` (everything, one file); `reports/performance_report.html` (the verdict, and the way to `report.html`) |
//! | `Md` | `report.md`, `reports/performance_summary.md`, `suites/{suite}_report.md`, with a baseline `comparison.md`, with a history `history.md` |
//! | `Txt` | `optimization_recommendations.txt`, `regression_test_results.log` |
//! | `Junit` | `junit.xml` |
//! | `Png` | `performance_charts.png`, `latency.png`, `memory.png`, `throughput.png`, `training_performance.png`, `scalability_analysis.png`, `hardware_optimization.png`; the last three also under `plots/`; `suites/{suite}_plots.png`; one file a depth image |
//! | `Svg` | the seven charts as `.svg`, beside the PNG files |
//!
//! The profile of a program (`lob profile`) has `run.json`, `report.html` and `report.md` alone.
//!
//! A chart without measurements says in words what is missing; so does the regression log when no
//! baseline was given.
//!
//! ```
//! use lob_report::{Format, render_all};
//! let files = render_all(&lob_fixtures::sample_run(), &[Format::Html, Format::Md])?;
//! assert_eq!(files[0].file_name, "report.html");
//! assert!(files[0].bytes.starts_with(b"<!doctype html>"));
//! # Ok::<(), lob_report::ReportError>(())
//! ```

mod analysis;
mod baseline;
mod beside;
mod chart;
mod comparison;
mod escape;
mod extract;
mod format;
mod hardware;
mod history;
mod html;
mod junit;
mod markdown;
mod profile;
mod regression;
mod render;
mod summary;
mod sweep;
mod text;

pub use beside::Beside;
pub use comparison::{render_comparison, render_runs};
pub use format::{Format, Rendered, ReportError};
pub use render::{render_all, render_all_beside, render_all_with_baseline};
pub use summary::pull_request_summary;
