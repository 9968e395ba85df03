mod bins;
mod images;
mod noise;
mod pairing;
mod sampling;
mod series;

pub(crate) use bins::LiveState;
pub use bins::{BIN_CHANNELS, BinRow, BinSeries};
pub use images::{ImageSpec, ImageWindows};
pub use noise::NoisePairs;
pub use pairing::Positives;
pub use sampling::{Sampling, window_starts};
pub(crate) use series::standardise;
pub use series::{SeriesSpec, SeriesWindows};

use std::ops::Range;

use lob_dataloader::{LoaderError, Scratch, Stop};
use serde::{Deserialize, Serialize};

use crate::{ContrastiveError, Layout, Rng};

/// Where a window begins in its group and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Row in its group.
    pub row: i64,
    /// Time of the same row of every window (its first or its last), ns since 1970; `None` where
    /// unknown, which is near to nothing.
    pub ts_event: Option<u64>,
}

/// Where the two windows of a pair come from, for the false-negative mask, and their class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairKey {
    /// What both windows belong to, for
    /// [`ignore_same_instrument`](crate::TrainConfig::ignore_same_instrument): an instrument, or
    /// the group where nothing else is known.
    pub instrument: u64,
    /// Stretch of rows (segment) whose positions can be compared.
    pub group: u64,
    /// Place of the anchor.
    pub anchor: Place,
    /// Place of the positive.
    pub positive: Place,
    /// Class of the pair for [`SupCon`](crate::Objective::SupCon); its group where nothing else
    /// is known.
    pub label: i64,
}

/// What one thread reads windows with: memory that is used again, and whether to stop.
#[derive(Debug, Default)]
pub struct WindowScratch {
    pub(crate) images: Scratch,
    pub(crate) image: Vec<f32>,
    pub(crate) stop: Stop,
}

impl WindowScratch {
    /// What a source asks before each pair, as one batch may take long.
    ///
    /// # Errors
    /// [`LoaderError::Stopped`] once a clean end was asked for.
    pub fn check_stop(&self) -> Result<(), ContrastiveError> {
        if self.stop.is_asked() { Err(LoaderError::Stopped.into()) } else { Ok(()) }
    }
}

/// Training windows as plain numbers; the trainer knows nothing of files or images. Several threads
/// read one source at a time, each with a scratch of its own, and what they get depends on the
/// arguments alone.
pub trait WindowSource: Send + Sync {
    /// Number of windows.
    fn len(&self) -> usize;

    /// Whether there is no window.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of one flattened window.
    fn n_inputs(&self) -> usize;

    /// How those values lie; a series of one channel where a source does not say.
    fn layout(&self) -> Layout {
        Layout::series(self.n_inputs(), 1)
    }

    /// Copies window `idx` into `out` (`n_inputs` values).
    ///
    /// # Errors
    /// When the window cannot be read.
    fn window(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError>;

    /// Draws one pair for each key: `anchors` and `positives` are `keys.len() × n_inputs`,
    /// row-major.
    ///
    /// # Errors
    /// When a window cannot be read, no pair exists, or `scratch` says to stop.
    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError>;

    /// Draws the same pairs as [`pairs`](Self::pairs), `keys.len()` of them, but writes the windows
    /// of those in `part` alone: `anchors` and `positives` are `part.len() × n_inputs`. What one of
    /// several ranks needs of a batch; a source that does not say how draws all and copies.
    ///
    /// # Errors
    /// As [`pairs`](Self::pairs).
    fn pairs_of_part(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        part: Range<usize>,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        if part == (0..keys.len()) {
            return self.pairs(scratch, rng, anchors, positives, keys);
        }
        let n_inputs = self.n_inputs();
        let mut all = vec![0.0; 2 * keys.len() * n_inputs];
        let (all_anchors, all_positives) = all.split_at_mut(keys.len() * n_inputs);
        self.pairs(scratch, rng, all_anchors, all_positives, keys)?;
        let values = part.start * n_inputs..part.end * n_inputs;
        anchors.copy_from_slice(&all_anchors[values.clone()]);
        positives.copy_from_slice(&all_positives[values]);
        Ok(())
    }
}
