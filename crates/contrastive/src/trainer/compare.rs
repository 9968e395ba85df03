//! What ranks compare, so that none of them trains something else without a word.

use burn_tensor::backend::AutodiffBackend;

use super::Trainer;
use super::batch::Batch;
use crate::team::{Hash, Team};
use crate::{ContrastiveError, WindowScratch, WindowSource};

/// Steps from one comparison of the ranks' weights to the next.
const STEPS_PER_COMPARISON: usize = 100;

/// Windows of the source that are looked at.
const N_WINDOWS: usize = 8;

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// Before the first step: settings, where the run goes on, and some of the windows.
    pub(super) fn compare_runs(
        &self,
        source: &dyn WindowSource,
        team: &mut Team<'_>,
    ) -> Result<(), ContrastiveError> {
        if team.is_alone() {
            return Ok(());
        }
        let mut settings = Hash::new();
        let text = serde_json::to_string(self.config).unwrap_or_default();
        text.bytes().for_each(|byte| settings.add(u64::from(byte)));
        team.agree("settings", settings)?;

        let mut start = Hash::new();
        start.add(self.first_step as u64);
        team.agree("checkpoints", start)?;

        let mut windows = Hash::new();
        let n = source.len();
        windows.add(n as u64);
        windows.add(self.n_inputs as u64);
        let (mut scratch, mut window) = (WindowScratch::default(), vec![0.0; self.n_inputs]);
        for i in 0..N_WINDOWS.min(n) {
            match source.window(i * (n - 1) / (N_WINDOWS - 1), &mut scratch, &mut window) {
                Ok(()) => windows.add_floats(&window),
                Err(ContrastiveError::EmptyWindow { window }) => windows.add(window as u64),
                Err(error) => return Err(error),
            }
        }
        team.agree("training windows", windows)
    }

    /// From time to time: the pairs about to be trained on, and the weights.
    pub(super) fn compare_step(
        &self,
        batch: &Batch,
        team: &mut Team<'_>,
    ) -> Result<(), ContrastiveError> {
        let step = self.losses.len();
        let is_due = step == self.first_step || step.is_multiple_of(STEPS_PER_COMPARISON);
        if team.is_alone() || !is_due {
            return Ok(());
        }
        let mut pairs = Hash::new();
        batch.add_to(&mut pairs);
        team.agree("training pairs", pairs)?;
        self.compare_weights(team)
    }

    /// The weights, bit by bit.
    pub(super) fn compare_weights(&self, team: &mut Team<'_>) -> Result<(), ContrastiveError> {
        if team.is_alone() {
            return Ok(());
        }
        let mut hash = Hash::new();
        for weight in &self.weights {
            hash.add_floats(&weight.clone().download());
        }
        team.agree("weights", hash)
    }
}
