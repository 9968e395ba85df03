mod images;
mod series;

pub use images::{ImageSpec, ImageWindows};
pub use series::{SeriesSpec, SeriesWindows};

use crate::{ContrastiveError, Rng};

/// Where the two windows of a pair come from, for the false-negative mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairKey {
    /// Windows of different groups (segments, instruments) are always negatives.
    pub group: u64,
    /// Position of the anchor in its group, in the unit of the ignore radius (rows).
    pub anchor: i64,
    /// Position of the positive in its group.
    pub positive: i64,
}

/// Training windows as plain numbers; the trainer knows nothing of files or images.
pub trait WindowSource {
    /// Number of windows.
    fn len(&self) -> usize;

    /// Whether there is no window.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of one flattened window.
    fn n_inputs(&self) -> usize;

    /// Copies window `idx` into `out` (`n_inputs` values).
    ///
    /// # Errors
    /// When the window cannot be read.
    fn window(&mut self, idx: usize, out: &mut [f32]) -> Result<(), ContrastiveError>;

    /// Draws one pair for each key: `anchors` and `positives` are `keys.len() × n_inputs`,
    /// row-major.
    ///
    /// # Errors
    /// When a window cannot be read or no pair exists.
    fn pairs(
        &mut self,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError>;
}
