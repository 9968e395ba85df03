mod bins;
mod images;
mod labels;
mod signals;

use std::path::Path;
use std::sync::Arc;

use lob_store::StoreFingerprint;

use crate::{ContrastiveError, Evaluated, InputSpec, Positives, Task, TimeSplit, WindowSource};

/// Shares of the windows for training and validation; the latest ones are for testing.
const SHARES: [f64; 2] = [0.7, 0.1];

/// How to make windows besides what a model fixes.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// Which windows are positives of each other.
    pub positives: Positives,
    /// Means and inverse deviations fitted before; `None` fits them on the training part.
    pub scale: Option<Vec<(f32, f32)>>,
    /// Give every pair the class of its window's volatility, for a supervised loss.
    pub volatility_labels: bool,
}

/// Where a window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Number of the store's file, or of the signal.
    pub file: usize,
    /// First row in that file.
    pub row: u64,
    /// Time of the window's last update, ns since 1970; `None` where unknown.
    pub ts_event: Option<u64>,
    /// Instrument, for a store.
    pub instrument_id: Option<u32>,
}

/// A source cut in time: what training, validation, testing and embedding need.
///
/// Windows that reach over a cut, and those in the embargo after it, belong to no part. The scale
/// of the inputs is fitted on the training part alone.
pub struct Prepared {
    /// Pairs of the earliest windows.
    pub train: Arc<dyn WindowSource>,
    /// Pairs of the windows after them; `None` where the part is too short for one.
    pub validation: Option<Arc<dyn WindowSource>>,
    /// All windows of the three parts, in the order of `origins`.
    pub whole: Arc<dyn WindowSource>,
    /// Their places.
    pub origins: Vec<Origin>,
    /// Which of them are for what.
    pub split: TimeSplit,
    /// What to ask of features.
    pub tasks: Vec<Task>,
    /// Mean and inverse deviation of each channel or input.
    pub scale: Vec<(f32, f32)>,
    /// The store that the windows are of; `None` for generated signals.
    pub data: Option<StoreFingerprint>,
    /// Rows of a window.
    pub window: usize,
    /// What there is to know, for people: parts, bins left out, tasks that make no sense here.
    pub notes: Vec<String>,
}

impl Prepared {
    /// What [`evaluate`](crate::evaluate) looks at.
    #[must_use]
    pub fn evaluated(&self) -> Evaluated<'_> {
        Evaluated {
            source: &*self.whole,
            places: &self.origins,
            window: self.window,
            split: &self.split,
            tasks: &self.tasks,
        }
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("windows", &self.origins.len())
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Opens a source as the input of a model. `store` is a folder or file of tick bins, and is not
/// looked at for generated signals.
///
/// # Errors
/// The source cannot be read, has too few windows, or does not fit the scale given.
pub fn prepare(
    input: &InputSpec,
    store: Option<&Path>,
    options: &PrepareOptions,
) -> Result<Prepared, ContrastiveError> {
    let needed =
        || store.ok_or_else(|| ContrastiveError::config("source", "a store", "a generated signal"));
    match input {
        InputSpec::Bins { window, stride } => bins::prepare(needed()?, *window, *stride, options),
        InputSpec::Images { .. } => images::prepare(needed()?, input, options),
        InputSpec::Signals { window, stride, spec } => {
            signals::prepare(spec, *window, *stride, options)
        }
    }
}

/// A sentence on the sizes of the parts.
fn parts_note(split: &TimeSplit, of: usize, embargo: &str) -> String {
    let TimeSplit { train, validation, test } = split;
    format!(
        "{of} windows: {} to train, {} to validate, {} to test; {embargo}",
        train.len(),
        validation.len(),
        test.len()
    )
}
