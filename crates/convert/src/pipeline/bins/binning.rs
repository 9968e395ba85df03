//! From updates to bins and the movements at their ends.

use std::collections::VecDeque;

use lob_depth::{
    Action, Bin, BinBuilder, DepthError, MovementStream, NextWatch, PriceStep, UpdateMeta,
};
use lob_store::TruthKey;

use super::{
    super::{
        segment::Segment,
        touch::Touch,
        track::{Part, Placed, part_of},
    },
    BinRows, Bins,
};
use crate::{
    ConvertConfig,
    clock::{event_near, recv_near},
    day::Day,
    levels::{Mbp10Levels, update_meta},
    truth::truth_key,
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
    open: Segment,
    /// Tells bins what comes after them, where labels look forward.
    watch: Option<NextWatch>,
    /// Key of the last update that was binned, where bins are joined with a truth.
    truth_key: Option<TruthKey>,
    has_truth: bool,
    /// Position of the open part, and the open segment's number in it.
    part: usize,
    segment: u32,
    pub(super) touch: Touch,
    /// Changes of the best prices that are no multiples of the step.
    pub(super) off_step: u64,
    /// Updates whose event time was replaced.
    pub(super) odd_events: u64,
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
            open: Segment::default(),
            watch: (!config.horizons().is_empty()).then(|| NextWatch::new(&config.reaches())),
            truth_key: None,
            has_truth: config.truth.is_some(),
            segment: 0,
            touch: Touch::default(),
            off_step: 0,
            odd_events: 0,
        })
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        Placed { record, quiet, ts, .. }: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
        bins: &mut Bins,
    ) -> Result<(), DepthError> {
        if record.flags.is_snapshot() {
            // The book is put together: a state without a history, and no event.
            self.end_segment(parts, bins);
            return Ok(());
        }
        if let Some(day) = self.open.advance(record, ts, config) {
            self.begin_segment(day, config, parts, bins)?;
        }
        let touch = &record.levels[0];
        if self.touch.take(touch.bid_px, touch.ask_px) {
            let (lowest, highest) = self.touch.usual();
            self.builder.set_price_bounds(lowest, highest);
            let step = self.step.get();
            let is_off = |px: i64| px >= lowest && px <= highest && px % step != 0;
            self.off_step += u64::from(is_off(touch.bid_px) || is_off(touch.ask_px));
        }
        let mid = self.touch.twice_mid();
        let mut meta = update_meta(record);
        (meta.ts_event, meta.ts_recv) =
            (event_near(meta.ts_event, ts), recv_near(meta.ts_recv, ts));
        self.odd_events += u64::from(meta.ts_event != record.hd.ts_event);
        if let Some(quiet) = quiet {
            self.builder.note(quiet);
        }
        let closed = self.builder.push(meta, &Mbp10Levels(record))?;
        // A bin by time is closed by the update after its last one.
        let is_before = closed.as_ref().is_some_and(|bin| bin.last_update < self.n_updates);
        if let Some(bin) = closed.as_ref().filter(|_| is_before) {
            self.store(bin, parts, bins);
        }
        self.look(meta, parts);
        if self.has_truth {
            self.truth_key = Some(truth_key(record));
        }
        if let Some(bin) = closed.as_ref().filter(|_| !is_before) {
            self.store(bin, parts, bins);
        }
        self.n_updates += 1;
        parts[self.part].updates += 1;
        if let Some(row) = self.movements.advance(mid)
            && self.pending.front() == Some(&(row + self.segment_first))
        {
            self.pending.pop_front();
            parts[self.part].rows.movements.push(self.movements.value().unwrap_or(f64::NAN));
        }
        Ok(())
    }

    /// Tells the bins before it of an update that was binned.
    #[inline]
    fn look(&mut self, meta: UpdateMeta, parts: &mut [Part<BinRows>]) {
        if let Some(watch) = &mut self.watch {
            let trade = (meta.event.action == Action::Trade).then_some(meta.event.side);
            let mid = self.builder.twice_mid();
            watch.update(meta.ts_event, mid, trade, &mut parts[self.part].rows.next);
        }
    }

    /// How often a level was a stub quote, and so absent.
    pub(super) fn n_stubs(&self) -> u64 {
        self.builder.n_off_bounds()
    }

    #[cold]
    fn store(&mut self, bin: &Bin, parts: &mut [Part<BinRows>], bins: &mut Bins) {
        self.pending.push_back(bin.last_update);
        if let Some(watch) = &mut self.watch {
            let BinRows { mids, next, .. } = &mut parts[self.part].rows;
            mids.push(bin.has_mid().then(|| i64::from(bin.last_bid) + i64::from(bin.last_ask)));
            watch.row(next);
        }
        parts[self.part].rows.truth_keys.extend(self.truth_key);
        bins.push_bin(&mut parts[self.part].rows, bin, self.segment);
    }

    /// Ends the open segment, if it has any update, and begins another.
    #[cold]
    fn begin_segment(
        &mut self,
        day: Day,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
        bins: &mut Bins,
    ) -> Result<(), DepthError> {
        self.end_segment(parts, bins);
        self.part = part_of(day, parts);
        self.segment = parts[self.part].rows.next_segment;
        parts[self.part].rows.next_segment += 1;
        self.open.begin(day);
        self.movements = MovementStream::new(config.label)?;
        self.segment_first = self.n_updates;
        Ok(())
    }

    pub(super) fn end_segment(&mut self, parts: &mut [Part<BinRows>], bins: &mut Bins) {
        if !self.open.is_open() {
            return;
        }
        if let Some(bin) = self.builder.finish() {
            self.store(&bin, parts, bins);
        }
        // Nothing after the segment may complete them.
        let movements = &mut parts[self.part].rows.movements;
        movements.extend(self.pending.drain(..).map(|_| f64::NAN));
        if let Some(watch) = &mut self.watch {
            let BinRows { mids, next, .. } = &mut parts[self.part].rows;
            mids.end_run();
            watch.end_run(next);
        }
        self.open.end();
    }
}
