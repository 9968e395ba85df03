//! What data a store holds, in 128 bits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use crate::{LabelKind, LabelMeta, Store, StoreMeta, TickMeta};

/// The identity of a store's data: of the records it was made of, the settings it was made with,
/// and its rows. Two stores with the same one give the same numbers.
///
/// It does not depend on where the store or its sources lie, on their names, on when or in what
/// order files were written, on how they are compressed, or on the version of their format. It
/// tells data apart by mistake; it is no protection against forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreFingerprint(u128);

impl StoreFingerprint {
    /// That of no file; [`add`](Self::add) takes them in.
    pub const EMPTY: Self = Self(0);

    /// Takes in a file, in whatever order.
    pub const fn add(&mut self, file: Self) {
        self.0 = self.0.wrapping_add(file.0);
    }

    /// Of a description: the first half of its SHA-256.
    fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self(digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for StoreFingerprint {
    /// 32 digits of hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for StoreFingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parsed = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        let wrong = || format!("`{}` is not 32 digits of hexadecimal", text.escape_debug());
        parsed.map(Self).ok_or_else(wrong)
    }
}

impl Serialize for StoreFingerprint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreFingerprint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// What decides classes; not the words about them.
fn label(label: &LabelMeta) -> String {
    let LabelMeta { lookback, lookforward, offset, classes, edges, .. } = label;
    format!("{:?}", (lookback, lookforward, offset, classes, edges))
}

impl StoreMeta {
    /// The fingerprint of the file that says this, and has `rows` rows.
    #[must_use]
    pub fn fingerprint(&self, rows: u64) -> StoreFingerprint {
        let mut sources: Vec<_> = self.sources.iter().map(|s| (s.content(), s.records)).collect();
        sources.sort_unstable();
        let rule = (self.bin_rule.to_string(), self.size_aggregate.to_string());
        let of = (&self.dataset, &self.source_schema, self.publisher_id, self.instrument_id);
        let day = (&self.symbol, &self.day, self.price_step);
        let label = label(&self.label);
        // The first one says nothing more than that; files of version 1 have no other.
        let mut more: Vec<_> = self
            .labels
            .iter()
            .filter(|label| label.kind != LabelKind::Reversal)
            .map(|l| {
                let text =
                    format!("{:?}", (&l.name, l.kind, l.horizon, l.unit, l.classes, &l.edges));
                // Earlier labels have no rule, and stores of them keep their fingerprints.
                if l.rule.is_empty() { text } else { format!("{text} {:?}", l.rule) }
            })
            .collect();
        more.sort_unstable();
        let text = format!("bins {:?}", (of, day, rule, label, sources, rows, self.updates));
        StoreFingerprint::of(&format!("{text} {more:?} {:?}", self.segments))
    }
}

impl TickMeta {
    /// The fingerprint of the file that says this.
    #[must_use]
    pub fn fingerprint(&self) -> StoreFingerprint {
        let mut sources: Vec<_> = self.sources.iter().map(|s| (s.content(), s.records)).collect();
        sources.sort_unstable();
        let of = (&self.dataset, &self.source_schema, self.publisher_id, self.instrument_id);
        let day = (&self.symbol, &self.day, self.price_units);
        let label = label(&self.label);
        let text = (of, day, label, sources, self.rows, self.ts_event_range);
        StoreFingerprint::of(&format!("ticks {text:?}"))
    }
}

impl Store {
    /// What data all files hold together.
    #[must_use]
    pub fn fingerprint(&self) -> StoreFingerprint {
        let mut all = StoreFingerprint::EMPTY;
        self.files().iter().for_each(|file| all.add(file.meta().fingerprint(file.len())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        let of = StoreFingerprint::of("x");
        assert_eq!(of.to_string().parse(), Ok(of));
        assert_eq!(of.to_string().len(), 32);
        for text in
            ["", "12", "g".repeat(32).as_str(), "+1".repeat(16).as_str(), "0".repeat(33).as_str()]
        {
            assert!(text.parse::<StoreFingerprint>().is_err(), "{text}");
        }
    }
}
