//! What an input had that is worth telling.

use std::collections::BTreeMap;

/// Counts and sentences about one input.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Records and updates left out, by reason.
    pub(super) skipped: BTreeMap<String, u64>,
    /// Updates kept although something about them was odd, by reason.
    pub(super) oddities: BTreeMap<String, u64>,
    pub(super) warnings: Vec<String>,
}

/// Adds counts that are not 0.
pub(super) fn count(
    to: &mut BTreeMap<String, u64>,
    counts: impl IntoIterator<Item = (&'static str, u64)>,
) {
    for (reason, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
        *to.entry(reason.to_owned()).or_default() += n;
    }
}
