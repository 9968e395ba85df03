//! What a report is drawn beside.

use lob_metrics::{HistoryEntry, Run};

/// What is known besides the run: earlier ones, and what lies beside a profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The run to hold this one against.
    pub baseline: Option<&'a Run>,
    /// The history up to and with this run, oldest first; empty where none is kept.
    pub history: &'a [HistoryEntry],
    /// The flame graph of a profile: an SVG document, which the page holds as it is. It must not
    /// come from elsewhere.
    pub flame_graph: Option<&'a str>,
    /// Further files of a profile in the same folder, and what they are: the page links to them.
    pub files: &'a [(&'a str, &'a str)],
}
