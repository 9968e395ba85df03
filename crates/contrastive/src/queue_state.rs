//! The queue of negatives as a checkpoint holds it.

use serde::{Deserialize, Serialize};

use crate::Place;

/// Where a row of the queue comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueKey {
    pub(crate) instrument: u64,
    pub(crate) group: u64,
    pub(crate) place: Place,
}

/// A queue as plain numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QueueState {
    pub(crate) dim: usize,
    pub(crate) rows: Vec<f32>,
    pub(crate) keys: Vec<QueueKey>,
}
