use crate::{ContrastiveError, Layout, PairKey, Rng, WindowScratch, WindowSource};

/// The training part of a source that has none: a later store that is only embedded or scored.
#[derive(Debug)]
pub(super) struct NoWindows {
    pub(super) n_inputs: usize,
    pub(super) layout: Layout,
}

impl NoWindows {
    fn error(&self) -> ContrastiveError {
        ContrastiveError::NotEnoughData {
            reason: format!("no window of {} values lies in the training part", self.n_inputs),
            hint: "choose another end of training, or another store",
        }
    }
}

impl WindowSource for NoWindows {
    fn len(&self) -> usize {
        0
    }

    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn layout(&self) -> Layout {
        self.layout.clone()
    }

    fn window(
        &self,
        _: usize,
        _: &mut WindowScratch,
        _: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        Err(self.error())
    }

    fn pairs(
        &self,
        _: &mut WindowScratch,
        _: &mut Rng,
        _: &mut [f32],
        _: &mut [f32],
        _: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        Err(self.error())
    }
}
