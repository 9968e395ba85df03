//! One instrument on its way from updates to bins.

mod binning;

use dbn::Mbp10Msg;
use lob_depth::{DepthError, PRICE_SCALE, PriceStep, StepDetector, UNDEF_PRICE};

use self::binning::Binning;
use super::{
    spool::{Bins, Spool},
    ticks::{TickPart, Ticking},
};
use crate::{ConvertConfig, Layout, PriceStepChoice, PriceStepSource, day::Day};

/// Updates of an instrument that its price step is detected from.
const DETECTION_UPDATES: usize = 1_000;

/// The bins of one instrument on one day.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) day: Day,
    /// A time in it, to look its symbol up.
    pub(super) ts: u64,
    pub(super) bins: Bins,
    /// The rows of the layout of ticks.
    pub(super) ticks: TickPart,
    /// Movement at the last update of each bin, not a number where it has none.
    pub(super) movements: Vec<f64>,
    pub(super) updates: u64,
    next_segment: u32,
}

/// Identifies an instrument: the same id of two publishers means two books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) publisher_id: u16,
    pub(super) instrument_id: u32,
}

/// An instrument's state.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) key: Key,
    /// Day that `is_wanted` holds for.
    filter_day: Option<Day>,
    is_wanted: bool,
    stage: Stage,
    pub(super) step_from: PriceStepSource,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
enum Stage {
    /// The price step is not known yet.
    Detecting {
        held: Vec<Mbp10Msg>,
        detector: Box<StepDetector>,
    },
    Binning(Box<Binning>),
    Ticking(Box<Ticking>),
}

/// Time stamp that orders a record: the capture time, as in the vendor's daily files, or the
/// exchange's where there is none.
#[inline]
pub(super) fn order_ts(record: &Mbp10Msg) -> Option<u64> {
    const UNDEFINED: u64 = u64::MAX;
    match (record.ts_recv, record.hd.ts_event) {
        (UNDEFINED | 0, UNDEFINED) => None,
        (UNDEFINED | 0, ts_event) => Some(ts_event),
        (ts_recv, _) => Some(ts_recv),
    }
}

impl Track {
    /// An instrument that has shown no update yet; `defined` is the price increment in its
    /// definition record.
    pub(super) fn new(
        key: Key,
        config: &ConvertConfig,
        defined: Option<i64>,
    ) -> Result<Self, DepthError> {
        let binning =
            |step| Ok(Stage::Binning(Box::new(Binning::new(PriceStep::new(step)?, config)?)));
        let (stage, step_from) = match (config.price_step, defined) {
            _ if config.layout == Layout::Ticks => {
                (Stage::Ticking(Box::new(Ticking::new(config)?)), PriceStepSource::Given)
            }
            (PriceStepChoice::Fixed(step), _) => (binning(step)?, PriceStepSource::Given),
            (PriceStepChoice::Auto, Some(step)) => (binning(step)?, PriceStepSource::Definition),
            (PriceStepChoice::Auto, None) => (
                Stage::Detecting { held: Vec::new(), detector: Box::default() },
                PriceStepSource::Detected,
            ),
        };
        Ok(Self { key, filter_day: None, is_wanted: true, stage, step_from, parts: Vec::new() })
    }

    /// Whether the filters let this instrument through at this time; `decide` is asked once a day.
    #[inline]
    pub(super) fn is_wanted(
        &mut self,
        ts: u64,
        config: &ConvertConfig,
        decide: impl FnOnce() -> bool,
    ) -> bool {
        if !self.filter_day.is_some_and(|day| day.contains(ts)) {
            self.filter_day = Some(Day::of(ts, config.day_start_ns));
            self.is_wanted = decide();
        }
        self.is_wanted
    }

    /// Takes in an update at `ts`.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: &Mbp10Msg,
        ts: u64,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        match &mut self.stage {
            Stage::Binning(binning) => binning.push(record, ts, config, &mut self.parts, spool),
            Stage::Ticking(ticking) => {
                ticking.push(record, ts, config, &mut self.parts, &mut spool.rows)
            }
            Stage::Detecting { .. } => self.hold(record, config, spool),
        }
    }

    /// Updates kept until the price step is known.
    pub(super) fn n_held(&self) -> usize {
        match &self.stage {
            Stage::Detecting { held, .. } => held.len(),
            Stage::Binning(_) | Stage::Ticking(_) => 0,
        }
    }

    #[cold]
    fn hold(
        &mut self,
        record: &Mbp10Msg,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        let Stage::Detecting { held, detector } = &mut self.stage else { return Ok(()) };
        for level in &record.levels {
            detector.push(level.bid_px);
            detector.push(level.ask_px);
        }
        held.push(record.clone());
        if held.len() < DETECTION_UPDATES {
            return Ok(());
        }
        match self.start(false, config, spool) {
            // Prices of a quiet instrument may still come.
            Err(DepthError::TooFewPrices { .. }) => Ok(()),
            other => other,
        }
    }

    /// Detects the price step and bins what was held back. Does nothing if it is known. With
    /// `anyway`, too few prices give the largest power of ten, up to one price unit, that all of
    /// them are multiples of.
    ///
    /// # Errors
    /// Those of [`StepDetector::finish`], with the updates still held, and those of binning.
    pub(super) fn start(
        &mut self,
        anyway: bool,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        let Stage::Detecting { held, detector } = &mut self.stage else { return Ok(()) };
        let (step, is_guess) = match detector.finish() {
            Ok(step) => (step, false),
            // A sparse book, such as that of a quiet stock, but a tick that exists.
            Err(DepthError::ImplausibleStep { divisor, .. }) if is_usual_tick(divisor) => {
                (PriceStep::new(divisor)?, true)
            }
            Err(DepthError::TooFewPrices { .. }) if anyway => (decimal_step(held)?, true),
            Err(error) => return Err(error),
        };
        if is_guess {
            self.step_from = PriceStepSource::Guessed;
        }
        let mut binning = Box::new(Binning::new(step, config)?);
        for record in std::mem::take(held) {
            // Records without any time were left out before.
            let ts = order_ts(&record).unwrap_or(0);
            binning.push(&record, ts, config, &mut self.parts, spool)?;
        }
        self.stage = Stage::Binning(binning);
        Ok(())
    }

    /// Ends the last segment.
    pub(super) fn finish(&mut self, spool: &mut Spool) {
        match &mut self.stage {
            Stage::Binning(binning) => binning.end_segment(&mut self.parts, spool),
            Stage::Ticking(ticking) => ticking.end_segment(&mut self.parts),
            Stage::Detecting { .. } => {}
        }
    }

    /// Price step, and the number of changes of the best prices that are no multiples of it;
    /// `None` before [`start`](Self::start) and for ticks.
    pub(super) fn step(&self) -> Option<(PriceStep, u64)> {
        match &self.stage {
            Stage::Binning(binning) => Some((binning.step, binning.off_step)),
            Stage::Detecting { .. } | Stage::Ticking(_) => None,
        }
    }

    /// The movements that the classes of ticks are fitted on.
    pub(super) fn ticking(&self) -> Option<&Ticking> {
        match &self.stage {
            Stage::Ticking(ticking) => Some(ticking),
            _ => None,
        }
    }

    /// The same, to have fewer of them.
    pub(super) fn ticking_mut(&mut self) -> Option<&mut Ticking> {
        match &mut self.stage {
            Stage::Ticking(ticking) => Some(ticking),
            _ => None,
        }
    }

    /// A time of an update of the first day seen, to look the symbol up.
    pub(super) fn first_ts(&self) -> u64 {
        self.parts.iter().min_by_key(|part| part.day).map_or(0, |part| part.ts)
    }
}

/// The largest power of ten, up to one price unit, that all prices are multiples of.
fn decimal_step(records: &[Mbp10Msg]) -> Result<PriceStep, DepthError> {
    let levels = records.iter().flat_map(|record| &record.levels);
    let prices = levels.flat_map(|level| [level.bid_px, level.ask_px]);
    let mut step = PRICE_SCALE;
    for px in prices.filter(|px| *px != UNDEF_PRICE) {
        while px % step != 0 {
            step /= 10;
        }
    }
    PriceStep::new(step)
}

/// Whether exchanges use such a step: 1, 2, 2.5 or 5 times a power of ten, from 1e-7 upwards.
fn is_usual_tick(mut divisor: i64) -> bool {
    const SMALLEST: i64 = 100;
    if divisor < SMALLEST {
        return false;
    }
    while divisor % 10 == 0 {
        divisor /= 10;
    }
    matches!(divisor, 1 | 2 | 5 | 25)
}

/// Position of a day's part, which is made if it is the first of the day.
pub(super) fn part_of(day: Day, ts: u64, parts: &mut Vec<Part>) -> usize {
    let at = parts.iter().position(|part| part.day == day).unwrap_or(parts.len());
    if at == parts.len() {
        parts.push(Part {
            day,
            ts,
            bins: Bins::default(),
            ticks: TickPart::default(),
            movements: Vec::new(),
            updates: 0,
            next_segment: 0,
        });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_ticks() {
        for step in [100, 50_000, 10_000_000, 250_000_000, 1_000_000_000, 20_000_000] {
            assert!(is_usual_tick(step), "{step}");
        }
        for step in [-10, 0, 1, 10, 300, 70_000, 15_000_000] {
            assert!(!is_usual_tick(step), "{step}");
        }
    }

    #[test]
    fn steps_of_few_prices() {
        let check = |prices: &[i64], expected| {
            let mut record = Mbp10Msg::default();
            for (level, px) in record.levels.iter_mut().zip(prices) {
                level.bid_px = *px;
            }
            assert_eq!(decimal_step(&[record]).unwrap().get(), expected, "{prices:?}");
        };
        check(&[], PRICE_SCALE);
        check(&[0], PRICE_SCALE);
        check(&[4_700_250_000_000], 10_000_000);
        check(&[66_050_000_000, -1_000_000_000], 10_000_000);
        check(&[1], 1);
    }
}
