mod bins;
mod choice;
mod cuts;
mod images;
mod labels;
mod nothing;
mod seen;
mod signals;

pub use choice::{Choice, StoreFacts, open_store};
pub use cuts::{Cuts, Cutting, TimeRange, utc};
pub use seen::Seen;

use std::path::Path;
use std::sync::Arc;

use lob_store::{Store, StoreError, StoreFingerprint};

use crate::{
    ContrastiveError, Evaluated, InputSpec, Origin, Positives, Task, TimeSplit, WindowSource,
};

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
    /// Where a store is cut into parts.
    pub cutting: Cutting,
    /// Which files of a store are used.
    pub choice: Choice,
}

impl PrepareOptions {
    /// All files of a store, cut by shares, with a scale fitted on the training part.
    #[must_use]
    pub const fn new(positives: Positives) -> Self {
        Self {
            positives,
            scale: None,
            volatility_labels: false,
            cutting: Cutting::Shares,
            choice: Choice::ALL,
        }
    }
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
    /// What that store's files say of themselves.
    pub facts: Option<StoreFacts>,
    /// Where it was cut; `None` for generated signals, and where it was not.
    pub cuts: Option<Cuts>,
    /// Times of the windows of the training part; `None` without any that is known.
    pub trained: Option<TimeRange>,
    /// Names of the channels or planes of a window.
    pub inputs: Vec<String>,
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

/// Rows whose times are read at once.
const TIMES_AT_ONCE: u64 = 1 << 16;

/// Fills in when each window begins. Origins are in the order of files and rows.
fn fill_first_times(store: &Store, origins: &mut [Origin]) -> Result<(), ContrastiveError> {
    let (mut at, mut block) = ((usize::MAX, 0), Vec::new());
    for (window, origin) in origins.iter_mut().enumerate() {
        let place = (origin.file, origin.row / TIMES_AT_ONCE);
        if at != place {
            let failed =
                |source: StoreError| ContrastiveError::Source { window, source: source.into() };
            let Some(file) = store.files().get(origin.file) else { continue };
            let first = place.1 * TIMES_AT_ONCE;
            block = file
                .ts_event_first(first..file.len().min(first + TIMES_AT_ONCE))
                .map_err(failed)?;
            at = place;
        }
        let row = usize::try_from(origin.row % TIMES_AT_ONCE).unwrap_or(usize::MAX);
        origin.ts_first = block.get(row).copied().filter(|&ts| ts != u64::MAX);
    }
    Ok(())
}

/// From when to when the windows of the training part reach.
fn trained(origins: &[Origin], split: &TimeSplit) -> Option<TimeRange> {
    let windows = split.train.iter().filter_map(|&idx| origins.get(idx));
    TimeRange::of(windows.flat_map(|o| [o.ts_first, o.ts_event]).flatten())
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
