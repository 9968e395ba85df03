//! One instrument on its way from updates to bins.

mod binning;

use dbn::Mbp10Msg;
use lob_depth::{DepthError, EventCounts, PriceStep, StepDetector, is_usual_step};

use self::binning::Binning;
use super::{
    forward::Mids,
    spool::{Bins, Spool},
    ticks::{TickPart, Ticking},
};
use crate::{ConvertConfig, Instrument, Layout, PriceStepChoice, PriceStepSource, day::Day};

/// Updates of an instrument that its price step is detected from.
const DETECTION_UPDATES: usize = 1_000;

/// The bins of one instrument on one day.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) day: Day,
    pub(super) bins: Bins,
    /// The rows of the layout of ticks.
    pub(super) ticks: TickPart,
    /// Movement at the last update of each bin, not a number where it has none.
    pub(super) movements: Vec<f64>,
    /// Kept where labels look forward from them.
    pub(super) mids: Mids,
    pub(super) updates: u64,
    next_segment: u32,
}

/// An instrument's state.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) instrument: Instrument,
    /// Stretch of the last update.
    stretch: u32,
    stage: Stage,
    pub(super) step_from: PriceStepSource,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
enum Stage {
    /// The price step is not known yet.
    Detecting {
        held: Vec<Held>,
        detector: Box<StepDetector>,
    },
    /// No price step was found.
    LeftOut(Box<LeftOut>),
    Binning(Box<Binning>),
    Ticking(Box<Ticking>),
}

/// An update that waits for the price step.
#[derive(Debug)]
struct Held {
    record: Mbp10Msg,
    quiet: Option<EventCounts>,
    ts: u64,
    stretch: u32,
}

/// Why an instrument is left out, and how many of its updates were so far.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) reason: DepthError,
    pub(super) updates: u64,
}

impl Track {
    /// An instrument that has shown no update yet; `given` is a price step for it alone, `defined`
    /// the price increment in its definition record.
    pub(super) fn new(
        instrument: Instrument,
        config: &ConvertConfig,
        given: Option<i64>,
        defined: Option<i64>,
    ) -> Result<Self, DepthError> {
        let binning =
            |step| Ok(Stage::Binning(Box::new(Binning::new(PriceStep::new(step)?, config)?)));
        let choice = given.map_or(config.price_step, PriceStepChoice::Fixed);
        let (stage, step_from) = match (choice, defined) {
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
        Ok(Self { instrument, stretch: 0, stage, step_from, parts: Vec::new() })
    }

    /// Takes in an update at `ts`, of this stretch of the instrument, and the events before it that
    /// caused none.
    #[inline]
    pub(super) fn push(
        &mut self,
        (record, quiet): (&Mbp10Msg, Option<&EventCounts>),
        ts: u64,
        stretch: u32,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        if self.stretch != stretch {
            self.begin_stretch(stretch, spool);
        }
        match &mut self.stage {
            Stage::Binning(binning) => {
                binning.push((record, quiet), ts, config, &mut self.parts, spool)
            }
            Stage::Ticking(ticking) => ticking.push(record, ts, config, &mut self.parts),
            Stage::LeftOut(left_out) => {
                left_out.updates += u64::from(!record.flags.is_snapshot());
                Ok(())
            }
            Stage::Detecting { .. } => self.hold((record, quiet), ts, config, spool),
        }
    }

    /// Updates kept until the price step is known.
    pub(super) fn n_held(&self) -> usize {
        match &self.stage {
            Stage::Detecting { held, .. } => held.len(),
            Stage::Binning(_) | Stage::Ticking(_) | Stage::LeftOut(_) => 0,
        }
    }

    /// The id of the instrument meant another one meanwhile: its updates do not go on.
    #[cold]
    fn begin_stretch(&mut self, stretch: u32, spool: &mut Spool) {
        self.finish(spool);
        self.stretch = stretch;
    }

    #[cold]
    fn hold(
        &mut self,
        (record, quiet): (&Mbp10Msg, Option<&EventCounts>),
        ts: u64,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        let Stage::Detecting { held, detector } = &mut self.stage else { return Ok(()) };
        for level in &record.levels {
            detector.push(level.bid_px);
            detector.push(level.ask_px);
        }
        let (record, quiet) = (record.clone(), quiet.copied());
        held.push(Held { record, quiet, ts, stretch: self.stretch });
        // Prices of a quiet instrument may still come.
        if held.len() < DETECTION_UPDATES
            || matches!(detector.finish(), Err(DepthError::TooFewPrices { .. }))
        {
            return Ok(());
        }
        self.start(config, spool)
    }

    /// Decides on the price step and bins what was held back, or leaves the instrument out. Does
    /// nothing if that is decided. Too few prices give a guess.
    ///
    /// # Errors
    /// Those of binning.
    pub(super) fn start(
        &mut self,
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), DepthError> {
        let Stage::Detecting { held, detector } = &mut self.stage else { return Ok(()) };
        let found = match detector.finish() {
            Ok(step) => Ok((step, PriceStepSource::Detected)),
            // A sparse book, such as that of a quiet stock, but a tick that exists.
            Err(DepthError::ImplausibleStep { divisor, .. }) if is_usual_step(divisor) => {
                PriceStep::new(divisor).map(|step| (step, PriceStepSource::Guessed))
            }
            Err(DepthError::TooFewPrices { .. }) => {
                detector.guess().map(|step| (step, PriceStepSource::Guessed))
            }
            Err(error) => Err(error),
        };
        let held = std::mem::take(held);
        let (step, step_from) = match found {
            Ok(found) => found,
            Err(reason) => {
                let events = held.iter().filter(|held| !held.record.flags.is_snapshot());
                let updates = events.count() as u64;
                self.stage = Stage::LeftOut(Box::new(LeftOut { reason, updates }));
                return Ok(());
            }
        };
        self.step_from = step_from;
        let mut binning = Box::new(Binning::new(step, config)?);
        let mut touches = held.iter().map(|held| &held.record.levels[0]);
        while touches.next().is_some_and(|best| binning.touch.learn(best.bid_px, best.ask_px)) {}
        let mut open = None;
        for Held { record, quiet, ts, stretch } in &held {
            if open.replace(*stretch).is_some_and(|open| open != *stretch) {
                binning.end_segment(&mut self.parts, spool);
            }
            binning.push((record, quiet.as_ref()), *ts, config, &mut self.parts, spool)?;
        }
        self.stage = Stage::Binning(binning);
        Ok(())
    }

    /// Ends the open segment.
    pub(super) fn finish(&mut self, spool: &mut Spool) {
        match &mut self.stage {
            Stage::Binning(binning) => binning.end_segment(&mut self.parts, spool),
            Stage::Ticking(ticking) => ticking.end_segment(&mut self.parts),
            Stage::Detecting { .. } | Stage::LeftOut(_) => {}
        }
    }

    /// Why it is left out, if it is.
    pub(super) fn left_out(&self) -> Option<&LeftOut> {
        match &self.stage {
            Stage::LeftOut(left_out) => Some(left_out),
            _ => None,
        }
    }

    /// What its updates had that was set right, by reason.
    pub(super) fn oddities(&self) -> [(&'static str, u64); 2] {
        let (stubs, events) = match &self.stage {
            Stage::Binning(binning) => (binning.n_stubs(), binning.odd_events),
            Stage::Ticking(ticking) => (ticking.touch.n_stubs, ticking.odd_events),
            Stage::Detecting { .. } | Stage::LeftOut(_) => (0, 0),
        };
        [("stub_quote", stubs), ("odd_ts_event", events)]
    }

    /// Price step, and the number of changes of the best prices that are no multiples of it;
    /// `None` before [`start`](Self::start) and for ticks.
    pub(super) fn step(&self) -> Option<(PriceStep, u64)> {
        match &self.stage {
            Stage::Binning(binning) => Some((binning.step, binning.off_step)),
            Stage::Detecting { .. } | Stage::Ticking(_) | Stage::LeftOut(_) => None,
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
}

/// Position of a day's part, which is made if it is the first of the day.
pub(super) fn part_of(day: Day, parts: &mut Vec<Part>) -> usize {
    let at = parts.iter().position(|part| part.day == day).unwrap_or(parts.len());
    if at == parts.len() {
        parts.push(Part {
            day,
            bins: Bins::default(),
            ticks: TickPart::default(),
            movements: Vec::new(),
            mids: Mids::default(),
            updates: 0,
            next_segment: 0,
        });
    }
    at
}
