//! From updates to bins and the movements at their ends.

use std::collections::VecDeque;

use dbn::Mbp10Msg;
use lob_depth::{Bin, BinBuilder, DepthError, MovementStream, PriceStep, UNDEF_PRICE, twice_mid};

use super::{super::spool::Spool, Part, part_of};
use crate::{
    ConvertConfig,
    day::Day,
    levels::{Mbp10Levels, is_clear, update_meta},
};

/// An instrument whose updates become bins.
#[derive(Debug)]
pub(super) struct Binning {
    pub(super) step: PriceStep,
    builder: BinBuilder,
    movements: MovementStream,
    /// Updates binned so far, and how many of them lie before the open segment.
    n_updates: u64,
    segment_first: u64,
    /// Last updates of the open segment's bins whose movements are not known yet.
    pending: VecDeque<u64>,
    /// Position of the open part and its day.
    part: usize,
    day: Option<Day>,
    segment: u32,
    last_ts: u64,
    last_touch: (i64, i64),
    /// Changes of the best prices that are no multiples of the step.
    pub(super) off_step: u64,
}

impl Binning {
    pub(super) fn new(step: PriceStep, config: &ConvertConfig) -> Result<Self, DepthError> {
        Ok(Self {
            step,
            builder: BinBuilder::new(config.bin_rule, config.size_aggregate, step)?,
            movements: MovementStream::new(config.label)?,
            n_updates: 0,
            segment_first: 0,
            pending: VecDeque::new(),
            part: 0,
            day: None,
            segment: 0,
            last_ts: 0,
            last_touch: (UNDEF_PRICE, UNDEF_PRICE),
            off_step: 0,
        })
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        record: &Mbp10Msg,
        ts: u64,
        config: &ConvertConfig,
        parts: &mut Vec<Part>,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        let is_gap = ts.saturating_sub(self.last_ts) > config.gap_ns;
        if is_gap || is_clear(record) || !self.day.is_some_and(|day| day.contains(ts)) {
            self.begin_segment(ts, config, parts, spool)?;
        }
        self.last_ts = ts;
        let touch = &record.levels[0];
        if self.last_touch != (touch.bid_px, touch.ask_px) {
            self.last_touch = (touch.bid_px, touch.ask_px);
            let step = self.step.get();
            let is_off = |px: i64| px != UNDEF_PRICE && px % step != 0;
            self.off_step += u64::from(is_off(touch.bid_px) || is_off(touch.ask_px));
        }
        let mid = twice_mid(touch.bid_px, touch.ask_px)?;
        if let Some(bin) = self.builder.push(update_meta(record), &Mbp10Levels(record))? {
            self.store(&bin, parts, spool);
        }
        self.n_updates += 1;
        parts[self.part].updates += 1;
        if let Some(row) = self.movements.advance(mid)
            && self.pending.front() == Some(&(row + self.segment_first))
        {
            self.pending.pop_front();
            parts[self.part].movements.push(self.movements.value().unwrap_or(f64::NAN));
        }
        Ok(())
    }

    #[cold]
    fn store(&mut self, bin: &Bin, parts: &mut [Part], spool: &mut Spool) {
        self.pending.push_back(bin.last_update);
        spool.push(&mut parts[self.part].bins, bin, self.segment);
    }

    /// Ends the open segment, if it has any update, and begins another at `ts`.
    #[cold]
    fn begin_segment(
        &mut self,
        ts: u64,
        config: &ConvertConfig,
        parts: &mut Vec<Part>,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        self.end_segment(parts, spool);
        let day = Day::of(ts, config.day_start_ns);
        self.part = part_of(day, ts, parts);
        self.segment = parts[self.part].next_segment;
        parts[self.part].next_segment += 1;
        self.day = Some(day);
        self.movements = MovementStream::new(config.label)?;
        self.segment_first = self.n_updates;
        Ok(())
    }

    pub(super) fn end_segment(&mut self, parts: &mut [Part], spool: &mut Spool) {
        if self.day.is_none() {
            return;
        }
        if let Some(bin) = self.builder.finish() {
            self.store(&bin, parts, spool);
        }
        // Nothing after the segment may complete them.
        let movements = &mut parts[self.part].movements;
        movements.extend(self.pending.drain(..).map(|_| f64::NAN));
    }
}
