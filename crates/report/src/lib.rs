//! Run documents rendered as HTML, Markdown, PNG, text and `JUnit`: pure, a Run in, bytes out.

mod format;

pub use format::{Format, Rendered, ReportError, render_all};
