//! Labels of rows: price movements around a row and their classes, and what comes after a row alone.

mod classes;
mod movement;
mod next;
mod path;

pub use classes::{CLASSES_MAX, class_edges, classify, train_prefix};
pub use movement::{Movement, MovementStream, movements, twice_mid};
pub use next::{NextRows, NextWatch, Reach};
pub use path::{ForwardVolatility, MidPath, PathWalk};

use crate::DepthError;

/// Rows in a look-back or look-forward window beyond which sums are not proven exact.
const WINDOW_MAX: u32 = 1 << 24;

/// What a label compares: the mean mid of the rows before row i with that of rows after it.
///
/// For row i the windows are `i - lookback .. i` and `i + 1 + offset .. i + 1 + offset +
/// lookforward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LabelSpec {
    /// Rows of the window before row i.
    pub lookback: u32,
    /// Rows of the window after row i.
    pub lookforward: u32,
    /// Rows skipped between row i and the window after it.
    pub offset: u32,
    /// Number of classes.
    pub classes: u32,
}

impl Default for LabelSpec {
    /// 5000 rows back, 5000 forward after a gap of 500, 13 classes.
    fn default() -> Self {
        Self { lookback: 5_000, lookforward: 5_000, offset: 500, classes: 13 }
    }
}

impl LabelSpec {
    /// Checks that the windows hold something and that there is something to tell apart.
    ///
    /// # Errors
    /// [`DepthError::InvalidLabel`].
    pub fn validate(self) -> Result<Self, DepthError> {
        for (name, rows, smallest) in [
            ("lookback", self.lookback, 1),
            ("lookforward", self.lookforward, 1),
            ("offset", self.offset, 0),
        ] {
            if !(smallest..=WINDOW_MAX).contains(&rows) {
                return Err(DepthError::InvalidLabel {
                    reason: format!("{name} `{rows}` is not in `{smallest}..={WINDOW_MAX}` rows"),
                });
            }
        }
        classes::check_classes(self.classes)?;
        Ok(self)
    }

    /// Rows needed for one label: lookback + offset + lookforward + 1.
    #[must_use]
    pub const fn min_rows(self) -> u64 {
        self.lookback as u64 + self.offset as u64 + self.lookforward as u64 + 1
    }
}
