//! Which of a record's two clocks says when it was, and what no clock can place.

use std::{collections::BTreeMap, ops::Range};

use dbn::{FlagSet, Mbp10Msg, Metadata, flags};

use crate::day::DAY_NS;

const UNDEFINED: u64 = u64::MAX;
const HOUR_NS: u64 = 3_600_000_000_000;
const YEAR_NS: u64 = 366 * DAY_NS;
/// Times that may be at all: from 1971, since times in wrong units lie in the first weeks of 1970,
/// to before 2200.
const ERA: Range<u64> = YEAR_NS..230 * YEAR_NS;
/// How far outside of the header's time span a capture time may lie.
const SPAN_SLACK_NS: u64 = DAY_NS;
/// How far the two clocks of a record may be apart where one vouches for the other.
const VOUCHED_NS: u64 = DAY_NS;
/// Records in a row that contradict the expected range, but not themselves, until it is given up.
const STREAK: u32 = 16;
/// Unplaced records whose places are kept.
const PLACES: usize = 3;

/// Places records in time.
///
/// The capture time (`ts_recv`) orders records, as in the vendor's daily files, if it lies in the
/// range that the file's header gives or, where the header gives no end, within a year of its start
/// or of the record before. The exchange's time (`ts_event`) does where the capture time is undefined, impossible
/// or flagged as bad. A record that neither of them places is left out.
///
/// ```
/// use lob_convert::{Clock, RecordStream};
/// use lob_synth::{SynthConfig, write_file};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("market.mbp-10.dbn.zst");
/// write_file(&SynthConfig { records: 500, ..SynthConfig::default() }, &path)?;
/// let mut stream = RecordStream::open(&path)?;
/// let mut clock = Clock::new(stream.metadata());
/// while let Some(update) = stream.next()? {
///     assert_eq!(clock.place(update), Some(update.ts_recv));
/// }
/// assert_eq!(clock.n_unplaced(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Clock {
    /// Where a capture time is taken without a second look.
    low: u64,
    width: u64,
    /// The file's span as its header has it, if that is one.
    span: Option<Range<u64>>,
    /// The last time given.
    last: Option<u64>,
    /// Where `last` stood when records began to contradict the range, and how many did.
    streak: (Option<u64>, u32),
    /// Records placed in another way than by a sound capture time, by reason.
    pub(crate) oddities: BTreeMap<&'static str, u64>,
    /// Records that were not placed, by reason.
    pub(crate) unplaced: BTreeMap<&'static str, u64>,
    /// Record index and offset of the first of them.
    pub(crate) places: Vec<(u64, u64)>,
}

impl Clock {
    /// For the records of a file with this header.
    #[must_use]
    pub fn new(metadata: &Metadata) -> Self {
        let end = metadata.end.map_or(0, std::num::NonZero::get);
        let span = Some(metadata.start..end)
            .filter(|span| span.start < span.end && is_in(&ERA, span.start) && span.end < ERA.end);
        let mut clock = Self {
            low: 0,
            width: 0,
            span,
            last: None,
            streak: (None, 0),
            oddities: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            places: Vec::new(),
        };
        if let Some(Range { start, end }) = clock.span {
            clock.expect(start - SPAN_SLACK_NS, end + SPAN_SLACK_NS);
        } else if is_in(&ERA, metadata.start) {
            // A capture that ends when it ends.
            clock.expect(metadata.start - SPAN_SLACK_NS, metadata.start + YEAR_NS);
        }
        clock
    }

    /// When the record was; `None` if that cannot be told.
    #[inline]
    pub fn place(&mut self, record: &Mbp10Msg) -> Option<u64> {
        self.place_times(record.ts_recv, record.hd.ts_event, record.flags)
    }

    /// [`place`](Self::place) by the capture time, event time and flags of any record.
    #[inline]
    pub(crate) fn place_times(&mut self, recv: u64, event: u64, flags: FlagSet) -> Option<u64> {
        let is_odd = flags.raw() & (flags::BAD_TS_RECV | flags::SNAPSHOT) != 0;
        if is_odd || recv.wrapping_sub(self.low) >= self.width {
            return self.look(recv, event, flags);
        }
        self.last = Some(recv);
        self.last
    }

    /// Records that were not placed so far.
    #[must_use]
    pub fn n_unplaced(&self) -> u64 {
        self.unplaced.values().sum()
    }

    /// Notes where a record stood that was not placed.
    #[cold]
    pub(crate) fn note_place(&mut self, place: (u64, u64)) {
        if self.places.len() < PLACES {
            self.places.push(place);
        }
    }

    #[cold]
    fn look(&mut self, recv: u64, event: u64, flags: FlagSet) -> Option<u64> {
        let is_expected = recv.wrapping_sub(self.low) < self.width;
        if flags.is_snapshot() {
            // Makes no row, and its event time is that of an old order.
            let known = self.last.or(self.span.as_ref().map(|span| span.start));
            return Some(if is_expected || is_in(&ERA, recv) { recv } else { known? });
        }
        let other = self.event_time(event, is_expected.then_some(recv));
        let (ts, reason) = match (is_expected, other) {
            (true, Some(event)) => (event, "bad_ts_recv"),
            (true, None) => (recv, "bad_ts_recv"),
            (false, Some(event)) if matches!(recv, 0 | UNDEFINED) => (event, "undefined_ts_recv"),
            (false, other) => match (self.follow(recv, event), other) {
                (Some(ts), _) => return Some(ts),
                (None, Some(event)) => (event, "impossible_ts_recv"),
                (None, None) => {
                    let is_undefined = |ts| matches!(ts, 0 | UNDEFINED);
                    let reason = match is_undefined(recv) && is_undefined(event) {
                        true => "no_timestamp",
                        false => "impossible_timestamp",
                    };
                    *self.unplaced.entry(reason).or_default() += 1;
                    return None;
                }
            },
        };
        *self.oddities.entry(reason).or_default() += 1;
        if self.width == 0 {
            self.expect_around(ts);
        }
        self.last = Some(ts);
        self.last
    }

    /// The exchange's time, if it is sound: in the file's span, or where none is known, near the
    /// record before or the record's own capture time.
    fn event_time(&self, event: u64, recv: Option<u64>) -> Option<u64> {
        if !is_in(&ERA, event) {
            return None;
        }
        if let Some(span) = &self.span {
            // What was under way at the start or end of the span belongs to it.
            let inside = event.clamp(span.start, span.end - 1);
            return (inside.abs_diff(event) <= HOUR_NS).then_some(inside);
        }
        match self.last.or(recv) {
            Some(near) => (event.abs_diff(near) <= VOUCHED_NS).then_some(event),
            None => Some(event),
        }
    }

    /// Gives way to capture times beyond the expected range where they are sound.
    fn follow(&mut self, recv: u64, event: u64) -> Option<u64> {
        if !is_in(&ERA, recv) {
            return None;
        }
        let is_vouched = event.abs_diff(recv) <= VOUCHED_NS;
        let is_first =
            self.span.is_none() && self.last.is_none() && (self.width == 0 || is_vouched);
        let goes_on = self.span.is_none()
            && self.last.is_some_and(|last| recv.abs_diff(last) <= YEAR_NS && is_vouched);
        if !is_first && !goes_on {
            if !is_vouched {
                return None;
            }
            let (since, n) = self.streak;
            self.streak = (self.last, if since == self.last { n + 1 } else { 1 });
            if self.streak.1 < STREAK {
                return None;
            }
            self.span = None;
        }
        self.expect_around(recv);
        self.last = Some(recv);
        self.last
    }

    fn expect_around(&mut self, ts: u64) {
        self.expect(ts.saturating_sub(YEAR_NS).max(ERA.start), (ts + YEAR_NS).min(ERA.end));
    }

    fn expect(&mut self, low: u64, end: u64) {
        (self.low, self.width) = (low, end - low);
    }
}

fn is_in(range: &Range<u64>, ts: u64) -> bool {
    ts.wrapping_sub(range.start) < range.end - range.start
}

/// The event time of a record that was placed at `ts`: `ts` itself where the exchange's clock is
/// undefined or more than an hour off.
#[must_use]
#[inline]
pub fn event_near(ts_event: u64, ts: u64) -> u64 {
    if ts_event.wrapping_sub(ts.wrapping_sub(HOUR_NS)) <= 2 * HOUR_NS { ts_event } else { ts }
}

/// The capture time of a record that was placed at `ts`; undefined where it is more than a day off.
#[inline]
pub(crate) fn recv_near(ts_recv: u64, ts: u64) -> u64 {
    if ts_recv.wrapping_sub(ts.wrapping_sub(DAY_NS)) <= 2 * DAY_NS { ts_recv } else { UNDEFINED }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use dbn::{MetadataBuilder, SType};

    use super::*;

    /// 2024-04-01.
    const DAY_1: u64 = 1_711_929_600_000_000_000;
    const BAD: FlagSet = FlagSet::empty().set_bad_ts_recv();
    const FINE: FlagSet = FlagSet::empty();

    fn clock(end: Option<u64>) -> Clock {
        let metadata = MetadataBuilder::new()
            .dataset("X".to_owned())
            .schema(None)
            .start(DAY_1)
            .end(end.and_then(NonZeroU64::new))
            .stype_in(None)
            .stype_out(SType::InstrumentId)
            .build();
        Clock::new(&metadata)
    }

    /// Capture time, event time, flags, and where that is placed.
    fn check(mut clock: Clock, records: &[(u64, u64, FlagSet, Option<u64>)]) -> Clock {
        for (n, &(ts_recv, ts_event, flags, expected)) in records.iter().enumerate() {
            let mut record = Mbp10Msg { ts_recv, flags, ..Mbp10Msg::default() };
            record.hd.ts_event = ts_event;
            assert_eq!(clock.place(&record), expected, "record {n}");
        }
        clock
    }

    fn counts(of: &BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
        of.iter().map(|(reason, n)| (*reason, *n)).collect()
    }

    #[test]
    fn the_sound_clock_places_a_record() {
        let t = |s: u64| DAY_1 + s * 1_000_000_000;
        let day = Some(DAY_1 + DAY_NS);
        for end in [day, None] {
            let clock = check(
                clock(end),
                &[
                    (t(5), t(4), FINE, Some(t(5))),
                    (t(6), t(7), BAD, Some(t(7))),
                    (t(8), t(8) - 3 * DAY_NS, BAD, Some(t(8))),
                    (0, t(9), FINE, Some(t(9))),
                    (UNDEFINED, t(10), FINE, Some(t(10))),
                    (t(0) + 40 * YEAR_NS, t(11), FINE, Some(t(11))),
                    (1_711_929_600, t(12), FINE, Some(t(12))),
                    (t(13), UNDEFINED, FINE, Some(t(13))),
                    (t(14), 0, BAD, Some(t(14))),
                    (0, UNDEFINED, FINE, None),
                    (UNDEFINED, t(0) + 40 * YEAR_NS, BAD, None),
                    (0, 1_711_929_600_000, FINE, None),
                    (t(0) + 40 * YEAR_NS, t(0) + 40 * YEAR_NS, FINE, None),
                    (t(20), t(20), FINE, Some(t(20))),
                ],
            );
            let odd = [("bad_ts_recv", 3), ("impossible_ts_recv", 2), ("undefined_ts_recv", 2)];
            assert_eq!(counts(&clock.oddities), odd);
            let out = [("impossible_timestamp", 3), ("no_timestamp", 1)];
            assert_eq!(counts(&clock.unplaced), out);
        }
    }

    #[test]
    fn no_day_is_invented_at_the_edges_of_the_span() {
        let (first, last) = (DAY_1, DAY_1 + DAY_NS - 1);
        let clock = clock(Some(DAY_1 + DAY_NS));
        check(
            clock,
            &[
                (DAY_1 + 5, DAY_1 - 5, BAD, Some(first)),
                (0, last + 7, FINE, Some(last)),
                (0, DAY_1 - 2 * HOUR_NS, FINE, None),
            ],
        );
    }

    #[test]
    fn a_header_or_a_first_record_that_lies_is_given_up() {
        let far = DAY_1 + 10 * YEAR_NS;
        for clock in
            [clock(Some(DAY_1 + DAY_NS)), check(clock(None), &[(DAY_1, 0, FINE, Some(DAY_1))])]
        {
            let n = u64::from(STREAK) - 1;
            let lost: Vec<_> = (0..n).map(|i| (far + i, far + i, FINE, None)).collect();
            let clock = check(clock, &lost);
            let clock = check(clock, &[(far + n, far + n, FINE, Some(far + n))]);
            assert_eq!(counts(&clock.unplaced), [("impossible_timestamp", n)]);
            check(clock, &[(far + n + 1, 0, FINE, Some(far + n + 1))]);
        }
    }

    #[test]
    fn a_capture_of_years_goes_on() {
        let years: Vec<_> = (0..8).map(|n| DAY_1 + n * 300 * DAY_NS).collect();
        let records: Vec<_> = years.iter().map(|&ts| (ts, ts, FINE, Some(ts))).collect();
        assert!(check(clock(None), &records).unplaced.is_empty());
    }

    #[test]
    fn clocks_near_each_other() {
        assert_eq!(event_near(DAY_1 - HOUR_NS, DAY_1), DAY_1 - HOUR_NS);
        assert_eq!(event_near(DAY_1 + HOUR_NS, DAY_1), DAY_1 + HOUR_NS);
        for odd in [0, UNDEFINED, DAY_1 - HOUR_NS - 1, DAY_1 + HOUR_NS + 1] {
            assert_eq!(event_near(odd, DAY_1), DAY_1, "{odd}");
        }
        assert_eq!(recv_near(DAY_1 + DAY_NS, DAY_1), DAY_1 + DAY_NS);
        assert_eq!(recv_near(0, DAY_1), UNDEFINED);
        assert_eq!(recv_near(u64::MAX - 5, DAY_1), UNDEFINED);
    }
}
