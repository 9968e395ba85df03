//! Who draws the pairs of a training.

use anyhow::Result;
use lob_contrastive::Prefetch;

use super::Settings;

impl Settings {
    /// Who draws the pairs, and how far ahead.
    pub(in crate::command::train) fn prefetch(&self) -> Result<Prefetch> {
        let usual = Prefetch::for_training();
        let prefetch = Prefetch {
            workers: self.workers.unwrap_or(usual.workers),
            bytes: self.prefetch_bytes.unwrap_or(usual.bytes),
            ..usual
        };
        prefetch.check()?;
        Ok(prefetch)
    }
}
