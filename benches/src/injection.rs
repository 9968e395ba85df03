//! What a launch of the self-test is made slower by.

use serde::{Deserialize, Serialize};

/// What one launch is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Injection {
    pub(crate) instrument_id: u32,
    pub(crate) quotes: usize,
    pub(crate) slow_down: f64,
    pub(crate) pairs: usize,
    pub(crate) seed: u64,
}

impl Injection {
    pub(crate) fn quotes_with_slow_down(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "thousands of quotes times a share of at most one"
        )]
        let more = (self.quotes as f64 * self.slow_down).round() as usize;
        self.quotes + more
    }
}
