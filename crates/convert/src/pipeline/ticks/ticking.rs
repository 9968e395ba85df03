//! From updates to rows and the movements at each of them.

use dbn::Mbp10Msg;
use lob_depth::{DepthError, LEVELS, Levels, MovementStream};
use lob_store::TickRow;

use super::{
    super::{
        edges::Edges,
        segment::Segment,
        touch::Touch,
        track::{Part, Placed, part_of},
    },
    TickRows,
};
use crate::{ConvertConfig, Instrument, clock::event_near, levels::Mbp10Levels};

/// Movements of an instrument that its classes are fitted on, at most.
const FIT_MAX: usize = 1 << 18;
/// The same of all instruments together: 32 MiB.
pub(super) const FIT_ALL_MAX: usize = 1 << 22;

/// An instrument whose updates become rows.
#[derive(Debug)]
pub(in crate::pipeline) struct Ticking {
    movements: MovementStream,
    open: Segment,
    /// Position of the open part.
    part: usize,
    fit: Fit,
    touch: Touch,
    /// Updates whose event time is far from their own.
    odd_events: u64,
}

/// Every `stride`th movement of an instrument: all of them up to [`FIT_MAX`], and an even
/// selection beyond, so that memory stays bounded.
#[derive(Debug)]
struct Fit {
    movements: Vec<f64>,
    stride: u64,
    n: u64,
}

impl Fit {
    /// Keeps every other one.
    fn thin(&mut self) {
        let mut is_kept = false;
        self.movements.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
        self.movements.shrink_to_fit();
        self.stride *= 2;
    }

    #[inline]
    fn push(&mut self, movement: f64) {
        if self.n.is_multiple_of(self.stride) {
            if self.movements.len() == FIT_MAX {
                self.thin();
            }
            if self.n.is_multiple_of(self.stride) {
                self.movements.push(movement);
            }
        }
        self.n += 1;
    }
}

impl Ticking {
    pub(super) fn new(config: &ConvertConfig) -> Result<Self, DepthError> {
        Ok(Self {
            movements: MovementStream::new(config.label)?,
            part: 0,
            open: Segment::default(),
            fit: Fit { movements: Vec::new(), stride: 1, n: 0 },
            touch: Touch::default(),
            odd_events: 0,
        })
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        Placed { record, ts, .. }: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<TickRows>>,
    ) -> Result<(), DepthError> {
        if record.flags.is_snapshot() {
            // The book is put together: a state without a history, and no event.
            self.end_segment(parts);
            return Ok(());
        }
        if let Some(day) = self.open.advance(record, ts, config) {
            self.end_segment(parts);
            self.part = part_of(day, parts);
            self.open.begin(day);
            self.movements = MovementStream::new(config.label)?;
        }
        self.touch.take(record.levels[0].bid_px, record.levels[0].ask_px);
        let mid = self.touch.twice_mid();
        let part = &mut parts[self.part];
        part.updates += 1;
        part.rows.rows.push(&tick_row(record));
        let ts_event = event_near(record.hd.ts_event, ts);
        self.odd_events += u64::from(ts_event != record.hd.ts_event);
        let (first, last) = part.rows.ts_event_range.unwrap_or((ts_event, ts_event));
        part.rows.ts_event_range = Some((first.min(ts_event), last.max(ts_event)));
        if let Some(movement) = self.movements.push(mid) {
            part.rows.movements.push(movement.value.unwrap_or(f64::NAN));
            if let Some(value) = movement.value {
                self.fit.push(value);
            }
        }
        Ok(())
    }

    /// The rows that wait for a movement get none: nothing after the segment may complete them.
    pub(super) fn end_segment(&mut self, parts: &mut [Part<TickRows>]) {
        if self.open.is_open() {
            let pending = (0..self.movements.n_pending()).map(|_| f64::NAN);
            parts[self.part].rows.movements.extend(pending);
            self.open.end();
        }
    }

    pub(super) fn edges(
        &self,
        config: &ConvertConfig,
        of: (&str, &Instrument),
    ) -> Result<Edges, DepthError> {
        Edges::fit(&self.fit.movements, self.fit.stride, config, of)
    }

    /// What its updates had that was set right, by reason.
    pub(super) fn oddities(&self) -> [(&'static str, u64); 2] {
        [("stub_quote", self.touch.n_stubs), ("odd_ts_event", self.odd_events)]
    }

    /// Movements kept for the fit.
    pub(super) fn n_fit(&self) -> usize {
        self.fit.movements.len()
    }

    /// Halves them.
    pub(super) fn thin_fit(&mut self) {
        self.fit.thin();
    }
}

#[inline]
fn tick_row(record: &Mbp10Msg) -> TickRow {
    let book = Mbp10Levels(record);
    // Past the year 2262 no column can hold them.
    let time = |ts: u64| if ts > i64::MAX.cast_unsigned() { u64::MAX } else { ts };
    TickRow {
        ts_recv: time(record.ts_recv),
        ts_event: time(record.hd.ts_event),
        rtype: record.hd.rtype,
        publisher_id: record.hd.publisher_id,
        action: record.action.cast_unsigned(),
        side: record.side.cast_unsigned(),
        depth: record.depth,
        price: record.price,
        size: record.size,
        flags: record.flags.raw(),
        ts_in_delta: record.ts_in_delta,
        sequence: record.sequence,
        levels: std::array::from_fn::<_, LEVELS, _>(|i| book.level(i)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_stays_even_and_bounded() {
        let n_all = 3 * u32::try_from(FIT_MAX).expect("small");
        let mut fit = Fit { movements: Vec::new(), stride: 1, n: 0 };
        for n in 0..n_all {
            fit.push(f64::from(n));
        }
        assert_eq!(fit.stride, 4);
        assert!(fit.movements.len() <= FIT_MAX);
        let expected: Vec<_> = (0..n_all).step_by(4).map(f64::from).collect();
        assert_eq!(fit.movements, expected);
    }
}
