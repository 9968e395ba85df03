use serde::{Deserialize, Serialize};

use crate::SignalSpec;

/// How the windows of a model are made from a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InputSpec {
    /// Tick bins of a store as rows of [`BIN_CHANNELS`](crate::BIN_CHANNELS).
    Bins {
        /// Bins of a window.
        window: usize,
        /// Bins from one window to the next.
        stride: usize,
    },
    /// Depth images of a store.
    Images {
        /// Bins of an image.
        window: usize,
        /// Bins from one image to the next.
        stride: usize,
        /// Price rows averaged into one value.
        row_pool: usize,
        /// Bins averaged into one value.
        bin_pool: usize,
        /// Names of the planes.
        features: Vec<String>,
    },
    /// Generated signals.
    Signals {
        /// Rows of a window.
        window: usize,
        /// Rows from one window to the next.
        stride: usize,
        /// What was generated.
        spec: SignalSpec,
    },
}
