//! Where one stretch of an instrument's updates ends and the next begins.

use dbn::Mbp10Msg;

use crate::{ConvertConfig, Update, day::Day, levels::is_clear};

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

/// Tells where the updates of an instrument begin again, for readers other than a conversion, by
/// its rule: another day, a cleared book, a snapshot, a long gap, or an id that meant another
/// instrument meanwhile.
#[derive(Debug)]
pub struct Breaks {
    config: ConvertConfig,
    /// By position of the instrument: its open segment, and the stretch of its last update.
    instruments: Vec<(Segment, u32)>,
}

impl Breaks {
    /// Before the first update of a file; of the settings, `gap_ns` and `day_start_ns` count.
    #[must_use]
    pub fn new(config: &ConvertConfig) -> Self {
        Self { config: config.clone(), instruments: Vec::new() }
    }

    /// Takes in an update that a [`Clock`](crate::Clock) places at `ts`: whether nothing before it
    /// belongs to it. True at the first one of an instrument.
    #[inline]
    pub fn is_before(&mut self, update: &Update<'_>, ts: u64) -> bool {
        let Update { record, at, .. } = *update;
        let index = at.index as usize;
        if self.instruments.len() <= index {
            self.instruments.resize_with(index + 1, Default::default);
        }
        let (open, stretch) = &mut self.instruments[index];
        if std::mem::replace(stretch, at.stretch) != at.stretch {
            open.end();
        }
        if record.flags.is_snapshot() {
            // The book is put together: nothing goes on from here.
            open.end();
            return false;
        }
        let day = open.advance(record, ts, &self.config);
        if let Some(day) = day {
            open.begin(day);
        }
        day.is_some()
    }
}
