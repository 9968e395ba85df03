//! The distinct values of a column.

use std::hash::{BuildHasher, RandomState};

/// Slots of a table that was never larger.
const SLOTS_MIN: usize = 256;
/// Slots of the largest table that is kept for the next row group.
const SLOTS_KEPT: usize = 1 << 14;

/// Values in the order in which they first came. Which value has which number does not depend on
/// the hash, so it may differ from run to run: no input can be made that is slow.
#[derive(Debug)]
pub(super) struct Dictionary {
    values: Vec<u64>,
    /// Number of a value plus one, 0 where there is none. A power of two, at least twice the values.
    slots: Vec<u32>,
    /// A random odd number that values are multiplied by.
    factor: u64,
    /// Bits of a product that are not of the slot.
    shift: u32,
}

impl Default for Dictionary {
    fn default() -> Self {
        let factor = RandomState::new().hash_one(0) | 1;
        Self { values: Vec::new(), slots: Vec::new(), factor, shift: 0 }
    }
}

impl Dictionary {
    /// The number of a value, which is added if it is new.
    #[inline]
    pub(super) fn number(&mut self, value: u64) -> u32 {
        if self.values.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot(value);
        if self.slots[slot] == 0 {
            self.values.push(value);
            #[expect(clippy::cast_possible_truncation, reason = "as many as a page has rows")]
            let n = self.values.len() as u32;
            self.slots[slot] = n;
        }
        self.slots[slot] - 1
    }

    /// All values, in the order of their numbers.
    pub(super) fn values(&self) -> &[u64] {
        &self.values
    }

    /// Forgets the values from this number on. None may be added before [`clear`](Self::clear).
    pub(super) fn truncate(&mut self, n: usize) {
        self.values.truncate(n);
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        if self.slots.len() > SLOTS_KEPT {
            (self.values, self.slots) = (Vec::new(), Vec::new());
        } else {
            self.slots.fill(0);
        }
    }

    /// Where a value is, or would be.
    #[inline]
    fn slot(&self, value: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "as few bits as slots have")]
        let mut slot = (value.wrapping_mul(self.factor) >> self.shift) as usize;
        loop {
            slot &= self.slots.len() - 1;
            match self.slots[slot] {
                0 => return slot,
                n if self.values[n as usize - 1] == value => return slot,
                _ => slot += 1,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let n = (self.slots.len() * 4).max(SLOTS_MIN);
        self.slots.clear();
        self.slots.resize(n, 0);
        self.shift = u64::BITS - n.trailing_zeros();
        for (at, value) in (1..).zip(std::mem::take(&mut self.values)) {
            let slot = self.slot(value);
            self.slots[slot] = at;
            self.values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_as_they_come() {
        let mut dictionary = Dictionary::default();
        for round in 0..2 {
            let values: Vec<u64> = (0..9_000).map(|n| (n * n) << (n % 40)).collect();
            let mut expected: Vec<u64> = Vec::new();
            for value in values.iter().chain(&values[..100]) {
                let known = expected.iter().position(|seen| seen == value);
                let number = known.unwrap_or(expected.len());
                if known.is_none() && expected.len() < 2_000 {
                    expected.push(*value);
                } else if known.is_none() {
                    continue;
                }
                assert_eq!(dictionary.number(*value) as usize, number, "round {round}");
            }
            assert_eq!(dictionary.values(), expected);
            dictionary.clear();
            assert!(dictionary.values().is_empty());
        }
    }
}
