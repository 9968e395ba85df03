mod edge;
mod embedding;
mod features;
mod gate;
mod head;
mod model;
mod rise;

pub use edge::{Edge, EdgeMeter};
pub use embedding::{EmbeddingModel, Encode, FeatureScale, windows_ending_at};
pub use features::{FEATURE_NAMES, FeatureConfig, FeatureExtractor, FeatureMatrix, N_FEATURES};
pub use gate::{GateConfig, Signal, SignalGate, Stance};
pub use head::LinearHead;
pub use model::{BoxError, LogisticModel, Model};
pub use rise::{HEAD_RIDGE, base_rate, moves};

use std::time::Instant;

use crate::{Quote, Quotes, SignalError};

/// Seconds spent in the three stages of a [`SignalPipeline::run`], under their canonical names.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StageTimes {
    /// Indicators to features.
    pub feature_calculation_s: f64,
    /// Features to probabilities.
    pub model_inference_s: f64,
    /// Probabilities to positions.
    pub signal_generation_s: f64,
}

impl StageTimes {
    /// Sum of the three stages.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.feature_calculation_s + self.model_inference_s + self.signal_generation_s
    }
}

/// Quotes in, positions out: features, then a model, then a gate.
///
/// The three stages can be called one by one, so that the caller can time each in its own scope,
/// all at once with [`run`](Self::run), or one quote at a time with [`update`](Self::update). All
/// three ways give the same signals. State carries over from call to call until
/// [`reset`](Self::reset): a long series may be fed in pieces.
#[derive(Debug)]
pub struct SignalPipeline<M> {
    features: FeatureExtractor,
    model: M,
    gate: SignalGate,
    complete_rows: Vec<f32>,
    answers: Vec<f32>,
}

impl<M: Model> SignalPipeline<M> {
    /// Joins the stages.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range.
    pub fn new(features: FeatureConfig, model: M, gate: GateConfig) -> Result<Self, SignalError> {
        Ok(Self {
            features: FeatureExtractor::new(features)?,
            model,
            gate: SignalGate::new(gate)?,
            complete_rows: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// Puts another model in the place of the one that is there; everything else goes on.
    pub fn set_model(&mut self, model: M) {
        self.model = model;
    }

    /// Puts the gate's thresholds around this share of rises among moves, see [`GateConfig`].
    ///
    /// # Errors
    /// [`SignalError::Parameter`] unless it lies between 0 and 1.
    pub fn set_base_rate(&mut self, base_rate: f32) -> Result<(), SignalError> {
        self.gate.set_base_rate(base_rate)
    }

    /// Forgets all quotes and goes flat.
    pub fn reset(&mut self) {
        self.features.reset();
        self.model.reset();
        self.gate.reset();
    }

    /// Stage `feature_calculation`: replaces `out` by one row for each quote.
    pub fn calculate_features(&mut self, quotes: Quotes<'_>, out: &mut FeatureMatrix) {
        out.clear();
        for quote in quotes.iter() {
            out.push(&self.features.update(quote));
        }
    }

    /// Stage `model_inference`: replaces `out` by the probability of a rise for each row, NaN for
    /// rows with a null feature. The model sees only complete rows.
    ///
    /// # Errors
    /// [`SignalError::Model`] when the model fails or leaves `0..=1`.
    pub fn infer(
        &mut self,
        features: &FeatureMatrix,
        out: &mut Vec<f32>,
    ) -> Result<(), SignalError> {
        self.complete_rows.clear();
        for row in features.rows().filter(|row| is_complete(row)) {
            self.complete_rows.extend_from_slice(row);
        }
        self.answers.clear();
        self.answers.resize(self.complete_rows.len() / N_FEATURES, f32::NAN);
        if !self.answers.is_empty() {
            self.model
                .predict(&self.complete_rows, &mut self.answers)
                .map_err(SignalError::Model)?;
        }
        self.answers.iter().try_for_each(|p| check_probability(*p))?;
        let mut answers = self.answers.iter();
        out.clear();
        out.extend(features.rows().map(|row| {
            if is_complete(row) { answers.next().copied().unwrap_or(f32::NAN) } else { f32::NAN }
        }));
        Ok(())
    }

    /// Stage `signal_generation`: replaces `out` by one signal for each row.
    ///
    /// # Errors
    /// [`SignalError::Length`] unless there is one probability a row.
    pub fn generate_signals(
        &mut self,
        features: &FeatureMatrix,
        probabilities: &[f32],
        out: &mut Vec<Signal>,
    ) -> Result<(), SignalError> {
        crate::error::check_length("the probabilities", features.len(), probabilities.len())?;
        out.clear();
        out.extend(features.rows().zip(probabilities).map(|(row, &p)| self.gate.update(row, p)));
        Ok(())
    }

    /// All three stages over a piece of a series, with the time each took.
    ///
    /// # Errors
    /// [`SignalError::Model`] when the model fails.
    pub fn run(&mut self, quotes: Quotes<'_>) -> Result<(Vec<Signal>, StageTimes), SignalError> {
        let mut features = FeatureMatrix::default();
        let (mut probabilities, mut signals) = (Vec::new(), Vec::new());
        let start = Instant::now();
        self.calculate_features(quotes, &mut features);
        let after_features = Instant::now();
        self.infer(&features, &mut probabilities)?;
        let after_model = Instant::now();
        self.generate_signals(&features, &probabilities, &mut signals)?;
        let times = StageTimes {
            feature_calculation_s: (after_features - start).as_secs_f64(),
            model_inference_s: (after_model - after_features).as_secs_f64(),
            signal_generation_s: after_model.elapsed().as_secs_f64(),
        };
        Ok((signals, times))
    }

    /// All three stages for one live quote; the pipeline itself allocates nothing.
    ///
    /// # Errors
    /// [`SignalError::Model`] when the model fails or leaves `0..=1`.
    pub fn update(&mut self, quote: Quote) -> Result<Signal, SignalError> {
        let row = self.feature_row(quote);
        let probability = self.probability(&row)?;
        Ok(self.signal(&row, probability))
    }

    /// Stage `feature_calculation` for one live quote.
    pub fn feature_row(&mut self, quote: Quote) -> [f32; N_FEATURES] {
        self.features.update(quote)
    }

    /// Stage `model_inference` for one live row; NaN where a feature is null.
    ///
    /// # Errors
    /// [`SignalError::Model`] when the model fails or leaves `0..=1`.
    pub fn probability(&mut self, row: &[f32; N_FEATURES]) -> Result<f32, SignalError> {
        let mut probability = [f32::NAN];
        if is_complete(row) {
            self.model.predict(row, &mut probability).map_err(SignalError::Model)?;
            check_probability(probability[0])?;
        }
        Ok(probability[0])
    }

    /// Stage `signal_generation` for one live row.
    pub fn signal(&mut self, row: &[f32; N_FEATURES], probability: f32) -> Signal {
        self.gate.update(row, probability)
    }
}

/// NaN is a model's "no answer yet".
fn check_probability(p: f32) -> Result<(), SignalError> {
    if p.is_nan() || (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    Err(SignalError::Model(format!("`{p}` is no probability").into()))
}

fn is_complete(row: &[f32]) -> bool {
    row.iter().all(|x| x.is_finite())
}
