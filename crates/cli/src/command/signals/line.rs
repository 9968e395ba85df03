//! One instrument's pipeline, with a model that may first have to learn.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_contrastive::{SignalModelConfig, fit_signal_model};
use lob_convert::Instrument;
use lob_depth::StepDetector;
use lob_signals::{
    EdgeMeter, FeatureConfig, FeatureMatrix, GateConfig, HEAD_RIDGE, LogisticModel, Model,
    N_FEATURES, Quote, Signal, SignalPipeline, Study, StudyStream, Tick, base_rate, moves,
};

use super::{Args, ModelName};

/// Answers nothing until it is replaced by a fitted model.
struct NotYet;

impl Model for NotYet {
    fn predict(&mut self, _: &[f32], out: &mut [f32]) -> Result<(), lob_signals::BoxError> {
        out.fill(f32::NAN);
        Ok(())
    }
}

/// What a model is fitted to.
#[derive(Default)]
struct Lessons {
    rows: Vec<[f32; N_FEATURES]>,
    mids: Vec<f64>,
}

pub(super) struct Line {
    /// Symbol of the instrument, or its id as text.
    pub(super) name: Arc<str>,
    model: ModelName,
    pipeline: SignalPipeline<Box<dyn Model>>,
    lessons: Option<Lessons>,
    studies: Vec<(Study, StudyStream)>,
    /// The chosen indicators at the last tick.
    pub(super) values: Vec<f64>,
    /// What its trades bring before costs.
    pub(super) edge: EdgeMeter,
    /// Finds its price step.
    pub(super) steps: StepDetector,
}

/// Seconds of the three stages of one update.
pub(super) type StageSeconds = [f64; 3];

impl Line {
    pub(super) fn new(args: &Args, model: ModelName, instrument: &Instrument) -> Result<Self> {
        let gate = GateConfig {
            enter: args.enter,
            exit: args.exit,
            max_position: args.max_position,
            ..GateConfig::default()
        };
        let fitted: Box<dyn Model> = match model {
            ModelName::QueuePressure => Box::new(LogisticModel::queue_pressure()),
            ModelName::Logistic | ModelName::Embedding => Box::new(NotYet),
        };
        let must_learn = model != ModelName::QueuePressure;
        let twins = args.indicators.iter().map(|study| Ok((*study, study.stream()?)));
        let studies: Result<Vec<_>, lob_signals::SignalError> = twins.collect();
        Ok(Self {
            name: instrument.name().into(),
            model,
            pipeline: SignalPipeline::new(FeatureConfig::default(), fitted, gate)?,
            lessons: must_learn.then(Lessons::default),
            studies: studies?,
            values: Vec::new(),
            edge: EdgeMeter::new(SignalModelConfig::default().horizon),
            steps: StepDetector::default(),
        })
    }

    /// Forgets what indicators have seen and goes flat, before an update that has nothing to do with
    /// those before it. What a model has learned stays.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.pipeline.reset();
        self.edge.break_off();
        for (study, twin) in &mut self.studies {
            *twin = study.stream()?;
        }
        if let Some(lessons) = &mut self.lessons {
            // The future of these rows lies behind the break.
            let horizon = SignalModelConfig::default().horizon;
            lessons.rows.iter_mut().rev().take(horizon).for_each(|row| row.fill(f32::NAN));
        }
        Ok(())
    }

    /// Features, model and gate for one quote, and the time of each.
    pub(super) fn update(
        &mut self,
        args: &Args,
        quote: Quote,
    ) -> Result<([f32; N_FEATURES], Signal, StageSeconds)> {
        let begun = Instant::now();
        let row = self.pipeline.feature_row(quote);
        let after_features = Instant::now();
        let probability = self.pipeline.probability(&row)?;
        let after_model = Instant::now();
        let signal = self.pipeline.signal(&row, probability);
        let seconds = [after_features - begun, after_model - after_features, after_model.elapsed()]
            .map(|time| time.as_secs_f64());
        self.edge.push(quote, signal.trade);
        self.learn(args, &row, quote)?;
        Ok((row, signal, seconds))
    }

    /// Keeps the first rows of a model that has to learn; when there are enough, fits it and puts it
    /// in its place. So it answers only for rows after those it has seen the future of.
    fn learn(&mut self, args: &Args, row: &[f32; N_FEATURES], quote: Quote) -> Result<()> {
        let Some(lessons) = &mut self.lessons else { return Ok(()) };
        lessons.rows.push(*row);
        lessons.mids.push(quote.mid());
        if lessons.mids.len() < args.fit_rows {
            return Ok(());
        }
        let config = SignalModelConfig { steps: args.fit_steps, ..SignalModelConfig::default() };
        let Lessons { rows, mids } = std::mem::take(lessons);
        let mut features = FeatureMatrix::default();
        rows.iter().for_each(|row| features.push(row));
        let labels = moves(&mids, config.horizon);
        let model: Box<dyn Model> = match self.model {
            ModelName::Embedding => fit_signal_model(&features, &mids, &config)
                .context("cannot fit `--model embedding`")?,
            _ => Box::new(LogisticModel::fit(&features, &labels, HEAD_RIDGE)),
        };
        self.pipeline.set_base_rate(base_rate(&labels))?;
        self.pipeline.set_model(model);
        self.lessons = None;
        Ok(())
    }

    /// The chosen indicators at this tick, into `values`. An average over trades weighs their own
    /// prices; to all others the price is the mid.
    pub(super) fn study(&mut self, tick: &Tick, trade_px: Option<f64>) {
        self.values.clear();
        let traded = Tick { price: trade_px.unwrap_or(tick.price), ..*tick };
        for (study, twin) in &mut self.studies {
            let is_of_trades = matches!(study, Study::Vwap(_));
            twin.update(if is_of_trades { &traded } else { tick }, &mut self.values);
        }
    }
}
