//! Which windows are no negatives, and how windows are changed.

use anyhow::{Context, Result, ensure};
use lob_contrastive::{Augment, Prepared};

use super::Settings;

impl Settings {
    pub(super) fn ignores_same_instrument(&self, prepared: &Prepared) -> Result<bool> {
        if self.ignore_same_instrument != Some(true) {
            return Ok(false);
        }
        let mut instruments = prepared.origins.iter().filter_map(|origin| origin.instrument_id);
        let first = instruments.next();
        ensure!(
            first.is_some() && instruments.any(|other| Some(other) != first),
            "--ignore-same-instrument leaves no negatives: the source has fewer than 2 instruments"
        );
        Ok(true)
    }

    pub(super) fn ignore_within_ns(&self) -> Result<u64> {
        let seconds = self.ignore_within.unwrap_or(0.0);
        let radius = std::time::Duration::try_from_secs_f64(seconds).ok();
        let radius = radius.and_then(|radius| u64::try_from(radius.as_nanos()).ok());
        radius.with_context(|| {
            format!("--ignore-within is `{seconds}`, expected a number of seconds from 0 on")
        })
    }

    pub(super) fn augment(&self, is_store: bool) -> Augment {
        let usual = match self.no_augment {
            Some(true) => Augment::none(),
            _ if is_store => Augment::gentle(),
            // Signals know no sides.
            _ => Augment { side_flip: 0.0, ..Augment::gentle() },
        };
        Augment {
            jitter: self.jitter.unwrap_or(usual.jitter),
            scale: self.scale.unwrap_or(usual.scale),
            time_mask: self.time_mask.unwrap_or(usual.time_mask),
            crop: self.crop.unwrap_or(usual.crop),
            level_shift: self.level_shift.unwrap_or(usual.level_shift),
            side_flip: self.side_flip.unwrap_or(usual.side_flip),
        }
    }
}
