//! An instrument whose price step may have to be found before its updates become bins.

use dbn::Mbp10Msg;
use lob_depth::{DepthError, EventCounts, PriceStep, StepDetector, is_usual_step};

use super::{
    super::track::{Part, Placed},
    BinRows, Bins,
    binning::Binning,
};
use crate::{ConvertConfig, PriceStepChoice, PriceStepSource};

/// Updates of an instrument that its price step is detected from.
const DETECTION_UPDATES: usize = 1_000;

/// An instrument on its way from updates to bins.
#[derive(Debug)]
pub(in crate::pipeline) struct Stepping {
    stage: Stage,
    pub(super) step_from: PriceStepSource,
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

impl Stepping {
    /// `given` is a price step for the instrument alone, `defined` the price increment in its
    /// definition record.
    pub(super) fn new(
        config: &ConvertConfig,
        given: Option<i64>,
        defined: Option<i64>,
    ) -> Result<Self, DepthError> {
        let binning =
            |step| Ok(Stage::Binning(Box::new(Binning::new(PriceStep::new(step)?, config)?)));
        let choice = given.map_or(config.price_step, PriceStepChoice::Fixed);
        let (stage, step_from) = match (choice, defined) {
            (PriceStepChoice::Fixed(step), _) => (binning(step)?, PriceStepSource::Given),
            (PriceStepChoice::Auto, Some(step)) => (binning(step)?, PriceStepSource::Definition),
            (PriceStepChoice::Auto, None) => (
                Stage::Detecting { held: Vec::new(), detector: Box::default() },
                PriceStepSource::Detected,
            ),
        };
        Ok(Self { stage, step_from })
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        update: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
        bins: &mut Bins,
    ) -> Result<(), DepthError> {
        match &mut self.stage {
            Stage::Binning(binning) => binning.push(update, config, parts, bins),
            Stage::LeftOut(left_out) => {
                left_out.updates += u64::from(!update.record.flags.is_snapshot());
                Ok(())
            }
            Stage::Detecting { .. } => self.hold(update, config, parts, bins),
        }
    }

    #[cold]
    fn hold(
        &mut self,
        Placed { record, quiet, ts, stretch }: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
        bins: &mut Bins,
    ) -> Result<(), DepthError> {
        let Stage::Detecting { held, detector } = &mut self.stage else { return Ok(()) };
        for level in &record.levels {
            detector.push(level.bid_px);
            detector.push(level.ask_px);
        }
        let (record, quiet) = (record.clone(), quiet.copied());
        held.push(Held { record, quiet, ts, stretch });
        bins.held_updates += 1;
        // Prices of a quiet instrument may still come.
        if held.len() < DETECTION_UPDATES
            || matches!(detector.finish(), Err(DepthError::TooFewPrices { .. }))
        {
            return Ok(());
        }
        self.start(config, parts, bins)
    }

    /// Decides on the price step and bins what was held back, or leaves the instrument out. Does
    /// nothing if that is decided. Too few prices give a guess.
    ///
    /// # Errors
    /// Those of binning.
    pub(super) fn start(
        &mut self,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
        bins: &mut Bins,
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
        bins.held_updates -= held.len();
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
                binning.end_segment(parts, bins);
            }
            let (quiet, ts, stretch) = (quiet.as_ref(), *ts, *stretch);
            binning.push(Placed { record, quiet, ts, stretch }, config, parts, bins)?;
        }
        self.stage = Stage::Binning(binning);
        Ok(())
    }

    /// Ends the open segment.
    pub(super) fn end_segment(&mut self, parts: &mut [Part<BinRows>], bins: &mut Bins) {
        if let Stage::Binning(binning) = &mut self.stage {
            binning.end_segment(parts, bins);
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
            Stage::Detecting { .. } | Stage::LeftOut(_) => (0, 0),
        };
        [("stub_quote", stubs), ("odd_ts_event", events)]
    }

    /// Price step, and the number of changes of the best prices that are no multiples of it;
    /// `None` before [`start`](Self::start).
    pub(super) fn step(&self) -> Option<(PriceStep, u64)> {
        match &self.stage {
            Stage::Binning(binning) => Some((binning.step, binning.off_step)),
            Stage::Detecting { .. } | Stage::LeftOut(_) => None,
        }
    }
}
