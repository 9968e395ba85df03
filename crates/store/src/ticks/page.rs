//! The values of a stretch of rows by column, as far as they change.

use super::{
    columns::Place,
    log::{WORDS, Words, positions},
};

/// The rows where something changes, ascending, and what to. The first row is always one.
type Changes = Vec<(u32, u64)>;

/// A stretch of rows.
#[derive(Debug)]
pub(super) struct PageRows {
    n: usize,
    /// Of each word.
    words: Vec<Changes>,
    mids: Changes,
    /// The last row.
    last: Words,
}

impl PageRows {
    pub(super) fn new() -> Self {
        Self { n: 0, words: vec![Vec::new(); WORDS], mids: Vec::new(), last: [0; WORDS] }
    }

    /// Rows in it.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.n = 0;
        self.words.iter_mut().for_each(Vec::clear);
        self.mids.clear();
    }

    /// The next row does not say how it differs from the one before, but from a row of zeros.
    pub(super) fn begin_log(&mut self) {
        self.last = [0; WORDS];
    }

    /// Appends a row, with a mask of the words that differ from those of the last row, and those
    /// words. Of the first row of a log `is_first` is set.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a page has few rows")]
    pub(super) fn push(&mut self, mask: u64, changed: &[u64], is_first: bool) {
        let row = self.n as u32;
        self.n += 1;
        for (at, word) in positions(mask).zip(changed) {
            self.last[at] = *word;
            self.words[at].push((row, *word));
        }
        if row == 0 || is_first {
            // What does not differ is not known to have been there.
            for (changes, word) in self.words.iter_mut().zip(&self.last) {
                if changes.last().is_none_or(|(last, _)| *last != row) {
                    changes.push((row, *word));
                }
            }
        }
        if row == 0 || is_first || mask & Place::Mid.words() != 0 {
            self.mids.push((row, Place::Mid.of(&self.last)));
        }
    }

    /// Rows and values where the value at `place` may have changed; the first row for a value that
    /// is in no row.
    pub(super) fn changes(&self, place: Place) -> impl Iterator<Item = (u32, u64)> + '_ {
        const FIRST: &[(u32, u64)] = &[(0, 0)];
        let (changes, shift, bits) = match place {
            Place::Bits { word, shift, bits } => (&self.words[word][..], shift, bits),
            Place::Mid => (&self.mids[..], 0, 64),
            Place::Elsewhere => (FIRST, 0, 64),
        };
        let mask = u64::MAX >> (64 - bits);
        changes.iter().map(move |(row, value)| (*row, value >> shift & mask))
    }
}
