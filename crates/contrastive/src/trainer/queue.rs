use burn_tensor::{Tensor, TensorData, backend::Backend};

use crate::PairKey;
use crate::encoder::to_vec;
use crate::loss::normalise;
use crate::queue_state::{QueueKey, QueueState};

/// Earlier positives as further negatives (He et al., 2020): normalised, without gradient, newest
/// first. It starts empty and is never filled by evaluation.
#[derive(Clone)]
pub(super) struct Queue<B: Backend> {
    capacity: usize,
    rows: Option<Tensor<B, 2>>,
    /// Origin of each row.
    keys: Vec<QueueKey>,
}

impl<B: Backend> Queue<B> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, rows: None, keys: Vec::new() }
    }

    pub(super) fn rows(&self) -> Option<Tensor<B, 2>> {
        self.rows.clone()
    }

    pub(super) fn keys(&self) -> &[QueueKey] {
        &self.keys
    }

    /// Puts a batch's positives in front and drops the oldest.
    pub(super) fn push(&mut self, positives: Tensor<B, 2>, keys: &[PairKey]) {
        if self.capacity == 0 {
            return;
        }
        let mut parts = vec![normalise(positives)];
        parts.extend(self.rows.take());
        let all = Tensor::cat(parts, 0);
        let n = all.dims()[0].min(self.capacity);
        self.rows = Some(all.narrow(0, 0, n));
        let fresh = keys.iter().map(|key| QueueKey {
            instrument: key.instrument,
            group: key.group,
            place: key.positive,
        });
        self.keys = fresh.chain(std::mem::take(&mut self.keys)).take(n).collect();
    }

    pub(super) fn state(&self) -> QueueState {
        let Some(rows) = self.rows.clone() else { return QueueState::default() };
        QueueState { dim: rows.dims()[1], rows: to_vec(rows), keys: self.keys.clone() }
    }

    pub(super) fn restore(&mut self, state: QueueState, device: &B::Device) {
        let n = state.keys.len();
        self.keys = state.keys;
        self.rows =
            (n > 0).then(|| Tensor::from_data(TensorData::new(state.rows, [n, state.dim]), device));
    }
}
