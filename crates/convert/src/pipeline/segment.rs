//! Where one stretch of an instrument's updates ends and the next begins.

use dbn::Mbp10Msg;

use crate::{ConvertConfig, day::Day, levels::is_clear};

/// The open segment: a day's updates without a gap or a cleared book between them.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Its day; `None` before the first update.
    day: Option<Day>,
    last_ts: u64,
}

impl Segment {
    /// Whether an update has been seen.
    pub(super) fn is_open(&self) -> bool {
        self.day.is_some()
    }

    /// Takes in the time of an update; the day of the segment that begins with it, if one does.
    #[inline]
    pub(super) fn advance(
        &mut self,
        record: &Mbp10Msg,
        ts: u64,
        config: &ConvertConfig,
    ) -> Option<Day> {
        let is_gap = ts.saturating_sub(self.last_ts) > config.gap_ns;
        self.last_ts = ts;
        if !is_gap && !is_clear(record) && self.day.is_some_and(|day| day.contains(ts)) {
            return None;
        }
        Some(Day::of(ts, config.day_start_ns))
    }

    /// Ends the segment: the next update begins one.
    pub(super) fn end(&mut self) {
        self.day = None;
    }

    /// Begins the segment that [`advance`](Self::advance) announced, the one before it having
    /// ended.
    pub(super) fn begin(&mut self, day: Day) {
        self.day = Some(day);
    }
}
