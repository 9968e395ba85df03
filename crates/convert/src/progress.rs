//! What a conversion tells while it runs.

use std::path::Path;

use crate::InputSummary;

/// Receives the progress of a conversion. All methods may be called from several threads.
///
/// `()` ignores everything.
pub trait Progress: Sync {
    /// The run begins: number of inputs and their bytes together.
    fn started(&self, inputs: usize, bytes: u64) {
        let _ = (inputs, bytes);
    }
    /// An input is opened.
    fn input_started(&self, path: &Path, bytes: u64) {
        let _ = (path, bytes);
    }
    /// More of an input was read since the last call: bytes of the file, and records.
    fn advanced(&self, path: &Path, bytes: u64, records: u64) {
        let _ = (path, bytes, records);
    }
    /// An input is converted and its files are in place.
    fn input_done(&self, input: &InputSummary) {
        let _ = input;
    }
    /// An input failed.
    fn input_failed(&self, path: &Path, error: &crate::ConvertError) {
        let _ = (path, error);
    }
    /// The run fails, and something stays behind in the store's folder that a user should know of.
    /// Of a run that succeeds, the summary has it.
    fn warned(&self, warning: &str) {
        let _ = warning;
    }
    /// Asked every few thousand records, for each piece of an input that is read, and before each
    /// instrument's files; true stops the run with
    /// [`ConvertError::Interrupted`](crate::ConvertError::Interrupted).
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}

/// Whether nobody has asked to stop.
pub(crate) fn go_on(progress: &dyn Progress) -> Result<(), crate::ConvertError> {
    if progress.is_cancelled() { Err(crate::ConvertError::Interrupted) } else { Ok(()) }
}
