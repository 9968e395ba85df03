//! Many books, one stream.

use dbn::{BidAskPair, MboMsg, Mbp10Msg, RecordHeader, UNDEF_PRICE, rtype};
use rustc_hash::FxHashMap;

use crate::{
    BookError, OrderBook, ReplayStats, SnapshotTracker,
    event::{self, Act, BookSide},
};

/// Replays MBO records of any number of instruments into MBP-10 records.
///
/// One book per (`publisher_id`, `instrument_id`). What a record does:
///
/// | action | book | emits |
/// |---|---|---|
/// | `A` add | the order joins its level; with the flag `TOB` it replaces its whole side and counts as no order, and at `UNDEF_PRICE` it empties the side | if a top-ten level changed |
/// | `C` cancel | the record's size leaves the order, the order leaves the book at 0 | if a top-ten level changed |
/// | `M` modify | price, size and side are replaced; size 0 removes the order; an unknown order is added | if a top-ten level changed |
/// | `R` clear | the book becomes empty | always, as it ends a segment of data |
/// | `T` trade | nothing: the cancels and modifies that follow it do | if its size is above 0 |
/// | `F` fill, `N` none | nothing | never |
///
/// "Changed" means that price, size or order count of any of the 20 levels differs from what it
/// was before the record. Every record is taken by itself: an event of several records (up to the
/// flag `LAST`) may emit several times, as the feed's own MBP-10 does for trades.
///
/// Records of a snapshot, as [`SnapshotTracker`] tells them, put the book together: the emitted
/// record bears the flag `SNAPSHOT` then, and the first one of a snapshot always emits, since what
/// follows has nothing to do with what came before.
///
/// The emitted record carries header, price, size, action, side, flags, `ts_recv`, `ts_in_delta`
/// and `sequence` of its cause but for that flag; `depth` is the index of the first changed level, and 0 for trades
/// and clears.
#[derive(Clone, Debug)]
pub struct Replayer {
    index: FxHashMap<(u16, u32), usize>,
    books: Vec<Kept>,
    /// Key and position of the book of the last record: streams come in runs.
    last: Option<((u16, u32), usize)>,
    out: Mbp10Msg,
    /// Events of its instrument before the update emitted last.
    quiet: Quiet,
    /// Records read so far, of all books.
    records: u64,
}

/// An instrument's book, and whether its last record belonged to a snapshot.
#[derive(Clone, Debug)]
struct Kept {
    book: OrderBook,
    tracker: SnapshotTracker,
    is_snapshot: bool,
    /// Events since its last update.
    quiet: Quiet,
    stats: ReplayStats,
}

impl Kept {
    fn new() -> Self {
        let tracker = SnapshotTracker::default();
        let stats = ReplayStats::default();
        Self { book: OrderBook::new(), tracker, is_snapshot: false, quiet: None, stats }
    }
}

/// Adds, cancels and modifies that changed none of the ten levels, by action and by side (bid, ask,
/// not said); `None` for none at all.
type Quiet = Option<[[u32; 3]; 3]>;

/// Counts an event that emitted nothing.
fn note_quiet(quiet: &mut Quiet, act: Act, side: Option<BookSide>) {
    let act = match act {
        Act::Add => 0,
        Act::Cancel => 1,
        Act::Modify => 2,
        Act::Clear | Act::Trade | Act::Inert => return,
    };
    let side = match side {
        Some(BookSide::Bid) => 0,
        Some(BookSide::Ask) => 1,
        None => 2,
    };
    let count = &mut quiet.get_or_insert_default()[act][side];
    *count = count.saturating_add(1);
}

impl Default for Replayer {
    fn default() -> Self {
        Self::new()
    }
}

impl Replayer {
    /// A replayer without any book.
    #[must_use]
    pub fn new() -> Self {
        Self {
            index: FxHashMap::default(),
            books: Vec::new(),
            last: None,
            out: empty_update(),
            quiet: None,
            records: 0,
        }
    }

    /// Applies one record and gives the MBP-10 record it causes, if any.
    ///
    /// # Errors
    /// The record's header is not that of an MBO record, or action or side is an unknown byte. The
    /// book is then unchanged and the next record may be pushed.
    #[inline]
    pub fn push(&mut self, msg: &MboMsg) -> Result<Option<Mbp10Msg>, BookError> {
        Ok(self.push_ref(msg)?.cloned())
    }

    /// [`Replayer::push`] without the copy: the update lives until the next call.
    ///
    /// # Errors
    /// As [`Replayer::push`].
    pub fn push_ref(&mut self, msg: &MboMsg) -> Result<Option<&Mbp10Msg>, BookError> {
        let (act, side) = event::read(msg, self.records)?;
        self.records += 1;
        let at = self.book_at((msg.hd.publisher_id, msg.hd.instrument_id));
        let Kept { book, tracker, is_snapshot, quiet, stats } = &mut self.books[at];
        stats.records += 1;
        stats.snapshots += u64::from(msg.flags.is_snapshot());
        stats.maybe_bad_book += u64::from(msg.flags.is_maybe_bad_book());
        let was_snapshot = *is_snapshot;
        *is_snapshot =
            tracker.is_part(msg.action.cast_unsigned(), msg.flags, msg.hd.ts_event, msg.ts_recv);
        let is_snapshot = *is_snapshot;
        let changed = book.apply(act, side, msg, stats);
        let depth = match act {
            Act::Trade if msg.size > 0 => {
                stats.trades += 1;
                Some(0)
            }
            Act::Clear => {
                stats.clears += 1;
                Some(0)
            }
            // Any other snapshot begins with a clear.
            _ if msg.flags.is_snapshot() && !was_snapshot => Some(changed.unwrap_or(0)),
            _ => changed,
        };
        if is_snapshot || act == Act::Clear {
            // The book is put together: no event of the market goes on from before.
            *quiet = None;
        }
        let Some(depth) = depth else {
            if !is_snapshot {
                note_quiet(quiet, act, side);
            }
            return Ok(None);
        };
        self.quiet = quiet.take();
        stats.emitted += 1;
        stats.crossed_at_last += u64::from(msg.flags.is_last() && book.is_crossed());
        fill(&mut self.out, msg, depth, book.levels());
        if is_snapshot {
            self.out.flags.set_snapshot();
        }
        Ok(Some(&self.out))
    }

    /// Adds, cancels and modifies of its instrument between the update emitted last and the one
    /// before it, which changed none of the ten levels and so emitted nothing: by action (add,
    /// cancel, modify) and by side (bid, ask, not said). `None` for none at all. Those of a snapshot
    /// and those before a clear are not counted.
    #[must_use]
    pub fn quiet_events(&self) -> Option<&[[u32; 3]; 3]> {
        self.quiet.as_ref()
    }

    /// The counts so far, of all books.
    #[must_use]
    pub fn stats(&self) -> ReplayStats {
        self.books.iter().fold(ReplayStats::default(), |sum, kept| sum + kept.stats)
    }

    /// The counts so far by publisher and instrument id, in ascending order. An id that meant
    /// several instruments has the counts of all of them.
    #[must_use]
    pub fn stats_by_book(&self) -> Vec<((u16, u32), ReplayStats)> {
        let mut all: Vec<_> =
            self.index.iter().map(|(key, &at)| (*key, self.books[at].stats)).collect();
        all.sort_by_key(|(key, _)| *key);
        all
    }

    /// The book of an instrument, if any of its records were seen.
    #[must_use]
    pub fn book(&self, publisher_id: u16, instrument_id: u32) -> Option<&OrderBook> {
        self.index.get(&(publisher_id, instrument_id)).map(|&at| &self.books[at].book)
    }

    /// Begins an instrument's book from nothing: its id means another instrument from here on.
    pub fn forget(&mut self, publisher_id: u16, instrument_id: u32) {
        if let Some(&at) = self.index.get(&(publisher_id, instrument_id)) {
            let stats = self.books[at].stats;
            self.books[at] = Kept { stats, ..Kept::new() };
        }
    }

    /// Number of books.
    #[must_use]
    pub fn n_books(&self) -> usize {
        self.books.len()
    }

    #[inline]
    fn book_at(&mut self, key: (u16, u32)) -> usize {
        if let Some((last, at)) = self.last
            && last == key
        {
            return at;
        }
        let next = self.books.len();
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.books.push(Kept::new());
        }
        self.last = Some((key, at));
        at
    }
}

/// Writes the update that `msg` caused.
#[inline]
fn fill(out: &mut Mbp10Msg, msg: &MboMsg, depth: usize, levels: &[BidAskPair; 10]) {
    let hd = &msg.hd;
    out.hd = RecordHeader::new::<Mbp10Msg>(
        rtype::MBP_10,
        hd.publisher_id,
        hd.instrument_id,
        hd.ts_event,
    );
    out.price = msg.price;
    out.size = msg.size;
    out.action = msg.action;
    out.side = msg.side;
    out.flags = msg.flags;
    out.depth = u8::try_from(depth).unwrap_or(u8::MAX);
    out.ts_recv = msg.ts_recv;
    out.ts_in_delta = msg.ts_in_delta;
    out.sequence = msg.sequence;
    out.levels.clone_from_slice(levels);
}

fn empty_update() -> Mbp10Msg {
    Mbp10Msg { price: UNDEF_PRICE, ..Mbp10Msg::default() }
}
