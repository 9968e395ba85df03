//! How two inputs stand to each other.

use std::path::Path;

use super::profile::{Key, Profile, holds};
use crate::{BookSchema, ConvertError, Progress};

/// Slack of the times of one market in two schemas: not every order changes the ten levels.
const SLACK_NS: u64 = 60_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

/// What two inputs have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// No instrument at the same time.
    None,
    /// The same records.
    Copy,
    /// This one holds nothing that the other does not.
    Part(Side),
    /// The same instruments at the same time in two schemas.
    OtherSchema {
        /// Whether the first covers the second, and the second the first.
        covers: [bool; 2],
        /// The one with the levels as they were published.
        taken: Side,
    },
    /// The same instruments at the same time, other records.
    Doubt,
}

pub(super) fn relation(
    (a, first): (&Path, &Profile),
    (b, second): (&Path, &Profile),
    progress: &dyn Progress,
) -> Result<Relation, ConvertError> {
    if met(first, second).is_empty() {
        return Ok(Relation::None);
    }
    if first.schema != second.schema {
        let covers = [covers(first, second), covers(second, first)];
        let taken = if first.schema == BookSchema::Mbp10 { Side::First } else { Side::Second };
        return Ok(Relation::OtherSchema { covers, taken });
    }
    match (is_whole_part(second, first), is_whole_part(first, second)) {
        (true, true) => return Ok(Relation::Copy),
        (true, false) => return Ok(Relation::Part(Side::Second)),
        (false, true) => return Ok(Relation::Part(Side::First)),
        (false, false) => {}
    }
    if may_hold(first, second) && holds(a, (b, second), progress)? {
        return Ok(Relation::Part(Side::Second));
    }
    if may_hold(second, first) && holds(b, (a, first), progress)? {
        return Ok(Relation::Part(Side::First));
    }
    Ok(Relation::Doubt)
}

/// Instruments that both hold at the same time.
pub(super) fn met(first: &Profile, second: &Profile) -> Vec<Key> {
    let is_met = |key: &Key| match (first.parts.get(key), second.parts.get(key)) {
        (Some(a), Some(b)) => a.meets(b) || a == b,
        _ => false,
    };
    first.parts.keys().filter(|key| is_met(key)).copied().collect()
}

/// Whether every instrument of `part` is the same in `whole`, record by record.
fn is_whole_part(part: &Profile, whole: &Profile) -> bool {
    part.parts.iter().all(|(key, part)| whole.parts.get(key) == Some(part))
}

/// Whether the instruments and times of `part` lie within those of `whole`.
fn may_hold(whole: &Profile, part: &Profile) -> bool {
    part.parts.iter().all(|(key, part)| {
        whole.parts.get(key).is_some_and(|whole| whole.spans(part) && whole.records >= part.records)
    })
}

/// Whether one market covers the other, which is of another schema: its instruments, and its time
/// but for a minute or a hundredth at either end.
fn covers(whole: &Profile, part: &Profile) -> bool {
    let ((from, to), (first, last)) = (whole.span(), part.span());
    let slack = SLACK_NS.max(last.saturating_sub(first) / 100);
    part.parts.keys().all(|key| whole.parts.contains_key(key))
        && from <= first.saturating_add(slack)
        && last <= to.saturating_add(slack)
}
