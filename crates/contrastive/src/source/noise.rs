use crate::{ContrastiveError, PairKey, Rng, WindowScratch, WindowSource};

/// Pairs of related noise, drawn once: the positive is the anchor with a little more noise on it.
/// A batch is always the first pairs, each in a class of its own, so that what a training step
/// costs can be measured apart from its data.
///
/// ```
/// use lob_contrastive::{NoisePairs, WindowSource};
///
/// let pairs = NoisePairs::new(32, 128, 7);
/// assert_eq!((pairs.len(), pairs.n_inputs()), (32, 128));
/// ```
#[derive(Debug, Clone)]
pub struct NoisePairs {
    anchors: Vec<f32>,
    positives: Vec<f32>,
    n_inputs: usize,
}

impl NoisePairs {
    /// `n` pairs of windows of `n_inputs` standard normal values.
    #[must_use]
    pub fn new(n: usize, n_inputs: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let anchors: Vec<f32> = (0..n * n_inputs).map(|_| rng.normal_f32()).collect();
        let positives = anchors.iter().map(|x| x + 0.3 * rng.normal_f32()).collect();
        Self { anchors, positives, n_inputs }
    }
}

impl WindowSource for NoisePairs {
    fn len(&self) -> usize {
        self.anchors.len().checked_div(self.n_inputs).unwrap_or(0)
    }

    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn window(
        &self,
        idx: usize,
        _: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        out.copy_from_slice(&self.anchors[idx * self.n_inputs..][..self.n_inputs]);
        Ok(())
    }

    fn pairs(
        &self,
        _: &mut WindowScratch,
        _: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        if anchors.len() > self.anchors.len() {
            let reason = format!("{} pairs are fewer than a batch of {}", self.len(), keys.len());
            let hint = "make more of them";
            return Err(ContrastiveError::NotEnoughData { reason, hint });
        }
        anchors.copy_from_slice(&self.anchors[..anchors.len()]);
        positives.copy_from_slice(&self.positives[..positives.len()]);
        for (label, key) in (0..).zip(keys) {
            *key = PairKey { label, ..PairKey::default() };
        }
        Ok(())
    }
}
