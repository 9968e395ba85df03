//! Rows as what each of them changes: most updates touch one level of the book or two.

use lob_depth::LEVELS;

use super::TickRow;

/// Words of a row before its first level.
pub(super) const RECORD_WORDS: usize = 6;
/// Words of a level: bid price, ask price, sizes, order counts.
pub(super) const LEVEL_WORDS: usize = 4;
/// Words of a row.
pub(super) const WORDS: usize = RECORD_WORDS + LEVELS * LEVEL_WORDS;
/// Longest entry of a log: which words change, then those.
const ENTRY_WORDS_MAX: usize = 1 + WORDS;

/// All fields of a row. The low half of a word comes first in its name.
pub(super) type Words = [u64; WORDS];

/// A row as a mask of the words that it changes, and those.
type Entry<'a> = (u64, &'a [u64]);

/// Positions of the words of a record.
pub(super) mod word {
    pub(in crate::ticks) const TS_RECV: usize = 0;
    pub(in crate::ticks) const TS_EVENT: usize = 1;
    pub(in crate::ticks) const SEQUENCE_AND_DELTA: usize = 2;
    pub(in crate::ticks) const PRICE: usize = 3;
    /// `size`, then a byte each of action, side, depth and flags.
    pub(in crate::ticks) const SIZE_AND_BYTES: usize = 4;
    /// `rtype`, then `publisher_id` from bit 32.
    pub(in crate::ticks) const TYPE_AND_PUBLISHER: usize = 5;
}

/// Rows of one instrument in order, about 60 bytes each: what each of them changes.
///
/// ```
/// use lob_store::{TickLog, TickRow};
/// # use lob_depth::{LEVELS, Level};
/// # let row = TickRow { ts_recv: 1, ts_event: 1, rtype: 10, publisher_id: 1, action: b'A', side: b'B',
/// #     depth: 0, price: 5, size: 1, flags: 0, ts_in_delta: 0, sequence: 1, levels: [Level::EMPTY; LEVELS] };
/// let mut log = TickLog::default();
/// log.push(&row);
/// log.push(&TickRow { ts_recv: 2, ..row });
/// assert_eq!(log.rows(), 2);
/// let stored = log.to_bytes();
/// assert_eq!(TickLog::from_bytes(&stored, 2).map(|log| log.rows()), Some(2));
/// assert_eq!(TickLog::from_bytes(&stored, 3).map(|log| log.rows()), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TickLog {
    /// For each row a mask of the words that differ from those of the row before, then those words.
    /// Before the first row all are 0.
    entries: Vec<u64>,
    rows: usize,
    last: Option<Box<Words>>,
}

impl TickLog {
    /// Appends a row.
    #[inline]
    pub fn push(&mut self, row: &TickRow) {
        let now = words(row);
        let last = self.last.get_or_insert_with(|| Box::new([0; WORDS]));
        let mut entry = [0; ENTRY_WORDS_MAX];
        let (mut mask, mut n) = (0, 1);
        // Without a branch: which words change is hard to foretell.
        for (at, (now, last)) in now.iter().zip(last.iter()).enumerate() {
            entry[n] = *now;
            n += usize::from(now != last);
            mask |= u64::from(now != last) << at;
        }
        entry[0] = mask;
        self.entries.extend_from_slice(&entry[..n]);
        **last = now;
        self.rows += 1;
    }

    /// Rows pushed.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory that the rows take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.len() * size_of::<u64>()
    }

    /// Memory reserved, in bytes.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    /// Forgets all rows, and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        (self.rows, self.last) = (0, None);
    }

    /// The rows in a form to be stored for a while.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` if these are not that many rows.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], rows: usize) -> Option<Self> {
        let (words, rest) = bytes.as_chunks();
        let entries: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let mut left = &entries[..];
        for _ in 0..rows {
            left = next_entry(left)?.1;
        }
        let is_whole = rest.is_empty() && left.is_empty();
        is_whole.then_some(Self { entries, rows, last: None })
    }

    /// For every row a mask of the words that differ from those of the row before, and those words.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut left = &self.entries[..];
        std::iter::from_fn(move || {
            let (entry, rest) = next_entry(left)?;
            left = rest;
            Some(entry)
        })
    }
}

/// Mask and words of the first entry, and what follows it.
#[inline]
fn next_entry(entries: &[u64]) -> Option<(Entry<'_>, &[u64])> {
    let (mask, rest) = entries.split_first()?;
    if *mask >> WORDS != 0 {
        return None;
    }
    let (changed, rest) = rest.split_at_checked(mask.count_ones() as usize)?;
    Some(((*mask, changed), rest))
}

/// Positions of the bits set, ascending.
#[inline]
pub(super) fn positions(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            at
        })
    })
}

#[inline]
fn words(row: &TickRow) -> Words {
    let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let mut words = [0; WORDS];
    words[word::TS_RECV] = row.ts_recv;
    words[word::TS_EVENT] = row.ts_event;
    words[word::SEQUENCE_AND_DELTA] = two(row.sequence, row.ts_in_delta.cast_unsigned());
    words[word::PRICE] = row.price.cast_unsigned();
    let bytes = u32::from_le_bytes([row.action, row.side, row.depth, row.flags]);
    words[word::SIZE_AND_BYTES] = two(row.size, bytes);
    words[word::TYPE_AND_PUBLISHER] = two(row.rtype.into(), row.publisher_id.into());
    for (words, level) in words[RECORD_WORDS..].chunks_exact_mut(LEVEL_WORDS).zip(&row.levels) {
        words[0] = level.bid_px.cast_unsigned();
        words[1] = level.ask_px.cast_unsigned();
        words[2] = two(level.bid_sz, level.ask_sz);
        words[3] = two(level.bid_ct, level.ask_ct);
    }
    words
}

#[cfg(test)]
mod tests {
    use lob_depth::Level;

    use super::*;

    fn row(n: u32) -> TickRow {
        TickRow {
            ts_recv: u64::from(n) << 33,
            ts_event: u64::MAX - u64::from(n),
            rtype: 10,
            publisher_id: 7,
            action: b'A',
            side: b'B',
            depth: (n % 10) as u8,
            price: i64::MIN + i64::from(n),
            size: n / 3,
            flags: 128,
            ts_in_delta: -3,
            sequence: !n,
            levels: std::array::from_fn(|i| Level {
                bid_px: i64::from(n / 7) - i as i64,
                ask_px: i64::MAX,
                bid_sz: n / 5,
                ask_sz: u32::MAX,
                bid_ct: 1,
                ask_ct: n % 2,
            }),
        }
    }

    fn replayed(log: &TickLog) -> Vec<Words> {
        let mut now = [0; WORDS];
        let each = |(mask, changed): Entry<'_>| {
            positions(mask).zip(changed).for_each(|(at, word)| now[at] = *word);
            now
        };
        log.entries().map(each).collect()
    }

    #[test]
    fn rows_come_back_whole_from_memory_and_from_bytes() {
        let mut log = TickLog::default();
        (0..500).for_each(|n| log.push(&row(n)));
        let expected: Vec<Words> = (0..500).map(|n| words(&row(n))).collect();
        assert_eq!(replayed(&log), expected);
        let stored = log.to_bytes();
        assert_eq!(replayed(&TickLog::from_bytes(&stored, 500).unwrap()), expected);
        assert!(log.bytes() < 500 * size_of::<TickRow>() / 2, "only what changes is kept");
        log.clear();
        assert_eq!((log.rows(), log.bytes()), (0, 0));
        log.push(&row(3));
        assert_eq!(replayed(&log), [words(&row(3))], "after a clear as from the start");
    }

    #[test]
    fn damaged_bytes_are_no_rows() {
        let mut log = TickLog::default();
        (0..9).for_each(|n| log.push(&row(n)));
        let stored = log.to_bytes();
        for cut in 1..stored.len() {
            assert!(TickLog::from_bytes(&stored[..cut], 9).is_none(), "cut at {cut}");
        }
        for n in [0, 8, 10] {
            assert!(TickLog::from_bytes(&stored, n).is_none(), "{n} rows");
        }
        assert!(TickLog::from_bytes(&u64::MAX.to_le_bytes().repeat(99), 1).is_none());
    }

    #[test]
    fn the_mask_has_room_for_every_word() {
        const { assert!(WORDS < 64) };
        assert_eq!(positions(0b1001 | 1 << 63).collect::<Vec<_>>(), [0, 3, 63]);
        assert_eq!(positions(0).count(), 0);
    }
}
