//! What a training takes in memory, told before any of it is taken.

use crate::{EncoderConfig, Objective, TrainConfig};

const F32_BYTES: u128 = 4;
/// Copies of a layer's output that differentiation keeps: before and after its activation, with
/// their gradients.
const COPIES_OF_OUTPUT: u128 = 4;
/// Copies of a batch: as drawn, as a tensor, and its gradient.
const COPIES_OF_BATCH: u128 = 3;
/// Copies of the matrix of similarities: as scaled, masked, exponentiated, and their gradients.
const COPIES_OF_SIMILARITIES: u128 = 6;
/// Copies of the weights: themselves, their gradients, and two moments of AdamW.
const COPIES_OF_WEIGHTS: u128 = 4;
/// Values kept of each step: its loss, times and norm.
const VALUES_OF_STEP: u128 = 20;

impl TrainConfig {
    /// Bytes that training on windows of `n_inputs` values takes beside the windows themselves, an
    /// estimate from the shapes alone: batch, activations, similarities, weights, queue. The
    /// allocator and the operations' own scratch come on top.
    #[must_use]
    pub fn memory_bytes(&self, n_inputs: usize) -> u64 {
        let views = 2 * self.batch_size as u128;
        // Evaluation has no gradients and no parts.
        let at_once = self.grad_cache.map_or(views, |most| views.min(most as u128));
        let outputs = self.encoder.outputs(n_inputs);
        let activations = outputs.saturating_mul((COPIES_OF_OUTPUT * at_once).max(2 * views));
        let similarities = match self.objective {
            Objective::InfoNce => self.batch_size as u128 * (self.batch_size + self.queue) as u128,
            Objective::Symmetric | Objective::Decoupled | Objective::SigLip => {
                self.batch_size as u128 * self.batch_size as u128
            }
            Objective::NtXent | Objective::SupCon => views * views,
        };
        let copies_of_weights = COPIES_OF_WEIGHTS + u128::from(self.ema_decay.is_some());
        let queued = self.queue as u128 * self.encoder.embedding_dim as u128;
        let values = (COPIES_OF_BATCH * views)
            .saturating_mul(n_inputs as u128)
            .saturating_add(activations)
            .saturating_add(COPIES_OF_SIMILARITIES.saturating_mul(similarities))
            .saturating_add(copies_of_weights * self.encoder.n_params(n_inputs) as u128)
            .saturating_add(queued)
            .saturating_add(VALUES_OF_STEP * self.steps as u128);
        u64::try_from(values.saturating_mul(F32_BYTES)).unwrap_or(u64::MAX)
    }
}

impl EncoderConfig {
    /// Values that all layers give for one window, projection head included.
    fn outputs(&self, n_inputs: usize) -> u128 {
        let dims = self.layer_dims(n_inputs).into_iter().chain(self.projection_dims());
        let linear: u128 = dims.map(|(_, to)| to as u128).sum();
        linear + self.trunk_outputs(n_inputs) as u128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(change: impl FnOnce(&mut TrainConfig)) -> u64 {
        let mut config = TrainConfig::default();
        change(&mut config);
        config.memory_bytes(768)
    }

    #[test]
    fn an_estimate_grows_with_everything_that_takes_memory() {
        let usual = bytes(|_| {});
        assert!((1 << 20..1 << 30).contains(&usual), "{usual}");
        for (what, more) in [
            ("batch", bytes(|c| c.batch_size *= 4)),
            ("queue", bytes(|c| (c.objective, c.queue) = (Objective::InfoNce, 1 << 20))),
            ("average", bytes(|c| c.ema_decay = Some(0.9))),
            ("views", bytes(|c| (c.objective, c.batch_size) = (Objective::NtXent, 2048))),
        ] {
            assert!(more > usual, "{what}: {more} after {usual}");
        }
        // Similarities grow with the square, and nothing overflows.
        let large = |n| bytes(|c| c.batch_size = n);
        assert!(large(1 << 20) > 200 * large(1 << 16), "the square");
        assert_eq!(large(usize::MAX / 4), u64::MAX);
        let cached = bytes(|c| (c.batch_size, c.grad_cache) = (4096, Some(64)));
        assert!(cached < large(4096));
    }

    #[test]
    fn a_matrix_of_similarities_by_hand() {
        // 100,000 pairs: 6 x 4 x 10^10 bytes and little else.
        let bytes = bytes(|c| c.batch_size = 100_000);
        assert!((240_000_000_000..280_000_000_000).contains(&bytes), "{bytes}");
    }
}
