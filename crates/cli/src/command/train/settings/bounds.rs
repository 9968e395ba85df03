//! Sizes and numbers no training can mean: refused by name before anything is made of them.

use anyhow::{Result, ensure};

use super::Settings;

/// Values of all generated signals: 16 GiB.
const MAX_VALUES: u128 = 1 << 32;

impl Settings {
    /// Values of all generated signals.
    pub(super) fn generated_values(&self) -> u128 {
        [self.signals.unwrap_or(300), self.rows.unwrap_or(8 * self.window())]
            .into_iter()
            .chain([self.channels.unwrap_or(2)])
            .fold(1, |product: u128, n| product.saturating_mul(n as u128))
    }

    pub(super) fn within_bounds(&self) -> Result<()> {
        let sizes = [
            ("window", self.window, 1 << 20),
            ("stride", self.stride, 1 << 40),
            ("rows", self.rows, 1 << 32),
            ("channels", self.channels, 1 << 16),
            ("row-pool", self.row_pool, 1 << 20),
            ("bin-pool", self.bin_pool, 1 << 20),
            ("max-gap", self.max_gap, 1 << 40),
            ("max-shift", self.max_shift, 1 << 40),
            ("embedding", self.embedding, 1 << 16),
            ("projection", self.projection, 1 << 16),
            ("batch-size", self.batch_size, 1 << 20),
            ("accumulate", self.accumulate, 1 << 20),
            ("steps", self.steps, 1 << 40),
            ("epochs", self.epochs, 1 << 24),
            ("queue", self.queue, 1 << 20),
        ];
        for (name, size, most) in sizes {
            let size = size.unwrap_or(0) as u64;
            ensure!(size <= most, "`{name}` is {size}, expected at most {most}");
        }
        let values = self.generated_values();
        ensure!(
            values <= MAX_VALUES,
            "`signals` x `rows` x `channels` is {values} values, expected at most {MAX_VALUES}"
        );
        for (name, number) in [("weight-decay", self.weight_decay), ("min-delta", self.min_delta)] {
            let number = number.unwrap_or(0.0);
            ensure!(
                number.is_finite() && number >= 0.0,
                "`{name}` is {number}, expected a number from 0 on"
            );
        }
        Ok(())
    }
}
