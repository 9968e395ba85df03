//! Options held against the samples there are.

use crate::{LoaderConfig, LoaderError, Shuffle, order::Order};

impl LoaderConfig {
    /// Checks the options against `total` samples of an epoch.
    pub(crate) fn check(&self, total: u64) -> Result<(), LoaderError> {
        let refuse = |option, found: String, expected: String| {
            Err(LoaderError::Config { option, found, expected })
        };
        if total == 0 {
            let expected = "at least one sample".to_owned();
            return refuse("dataset", "empty".to_owned(), expected);
        }
        if self.batch_size == 0 {
            return refuse("batch_size", "0".to_owned(), "at least 1".to_owned());
        }
        self.prefetch().check()?;
        if !(self.sample_fraction > 0.0 && self.sample_fraction <= 1.0) {
            let expected = "above 0 and at most 1".to_owned();
            return refuse("sample_fraction", self.sample_fraction.to_string(), expected);
        }
        if self.world_size == 0 || u32::try_from(self.world_size).is_err() {
            let expected = "at least 1 and below 2^32".to_owned();
            return refuse("world_size", self.world_size.to_string(), expected);
        }
        if self.rank >= self.world_size {
            let expected = format!("below the world size `{}`", self.world_size);
            return refuse("rank", self.rank.to_string(), expected);
        }
        if self.shuffle == Shuffle::Blocks(0) {
            return refuse("shuffle", "blocks of 0".to_owned(), "blocks of at least 1".to_owned());
        }
        let samples = Order::new(total, self, 0).len();
        if samples == 0 {
            let expected = "fewer ranks than samples, or a padded shard".to_owned();
            return refuse("shard_tail", "drop".to_owned(), expected);
        }
        if self.drop_last && samples < self.batch_size as u64 {
            let expected = format!("false, as the `{samples}` samples do not fill a batch");
            return refuse("drop_last", "true".to_owned(), expected);
        }
        Ok(())
    }
}
