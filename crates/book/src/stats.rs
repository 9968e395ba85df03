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
