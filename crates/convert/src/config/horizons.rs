//! Horizons of labels that look forward.

use std::collections::BTreeSet;

use super::Layout;
use crate::ConvertError;

/// Labels of kind forward that a store may have: each is a column.
const MOST: usize = 32;

/// Checks that the horizons, in bins, make sense for rows of this layout.
pub(super) fn check(horizons: &[u32], layout: Layout) -> Result<(), ConvertError> {
    let refuse = |expected: String| {
        let (setting, found) = ("horizons", format!("{horizons:?}"));
        Err(ConvertError::Config { setting, found, expected })
    };
    let distinct: BTreeSet<_> = horizons.iter().collect();
    if distinct.contains(&0) || distinct.len() != horizons.len() {
        return refuse("distinct numbers of bins, each at least 1".to_owned());
    }
    if distinct.len() > MOST {
        return refuse(format!("at most {MOST} of them"));
    }
    if layout == Layout::Ticks && !horizons.is_empty() {
        return refuse("none with the layout of ticks, whose rows are no bins".to_owned());
    }
    Ok(())
}
