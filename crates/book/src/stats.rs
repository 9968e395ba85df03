use std::ops::Add;

/// Counts of a replay. All but the first six are 0 for a complete and sound feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayStats {
    /// Market-by-order records applied.
    pub records: u64,
    /// MBP-10 records emitted.
    pub emitted: u64,
    /// Trade records (`T` with a size).
    pub trades: u64,
    /// Book clears (`R`).
    pub clears: u64,
    /// Records with the snapshot flag.
    pub snapshots: u64,
    /// Records with the flag `MAYBE_BAD_BOOK`: the vendor saw a gap in the feed.
    pub maybe_bad_book: u64,
    /// Emitted records with the flag `LAST` (the end of an event) that show best bid >= best ask.
    /// Normal before an auction, a sign of lost records otherwise.
    pub crossed_at_last: u64,
    /// Cancels of an order the book does not know: ignored.
    pub unknown_cancels: u64,
    /// Modifies of an order the book does not know: taken as adds.
    pub unknown_modifies: u64,
    /// Adds of an order that already rests: the new one replaces it.
    pub duplicate_adds: u64,
    /// Cancels of more than was left of the order: the order is removed.
    pub oversized_cancels: u64,
    /// Adds and modifies without side (`N`): ignored.
    pub sideless: u64,
    /// Adds and modifies at the undefined price, other than a top-of-book quote that empties its
    /// side: the add is ignored, the modified order removed.
    pub undefined_prices: u64,
    /// Adds of size 0: ignored.
    pub zero_size_adds: u64,
}

impl Add for ReplayStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            emitted: self.emitted + other.emitted,
            trades: self.trades + other.trades,
            clears: self.clears + other.clears,
            snapshots: self.snapshots + other.snapshots,
            maybe_bad_book: self.maybe_bad_book + other.maybe_bad_book,
            crossed_at_last: self.crossed_at_last + other.crossed_at_last,
            unknown_cancels: self.unknown_cancels + other.unknown_cancels,
            unknown_modifies: self.unknown_modifies + other.unknown_modifies,
            duplicate_adds: self.duplicate_adds + other.duplicate_adds,
            oversized_cancels: self.oversized_cancels + other.oversized_cancels,
            sideless: self.sideless + other.sideless,
            undefined_prices: self.undefined_prices + other.undefined_prices,
            zero_size_adds: self.zero_size_adds + other.zero_size_adds,
        }
    }
}
