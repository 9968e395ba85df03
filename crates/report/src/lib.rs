//! Run documents rendered as HTML, Markdown, PNG, text and `JUnit`: a [`Run`](lob_metrics::Run)
//! in, bytes out. No file is opened, no clock read, no network asked.
//!
//! [`render_all`] renders in every [`Format`] asked for and returns [`Rendered`] files.
//!
//! ```
//! use lob_metrics::Run;
//! use lob_report::{Format, render_all};
//! let files = render_all(&Run::sample(), &[Format::Html, Format::Md])?;
//! assert_eq!(files[0].file_name, "report.html");
//! assert!(files[0].bytes.starts_with(b"<!doctype html>"));
//! # Ok::<(), lob_report::ReportError>(())
//! ```

mod analysis;
mod chart;
mod comparison;
mod escape;
mod format;
mod html;
mod junit;
mod markdown;
mod text;

pub use comparison::render_comparison;
pub use format::{Format, Rendered, ReportError, render_all};
