use serde::{Deserialize, Serialize};

use crate::{Augment, ContrastiveError, Device, EncoderConfig, Precision};

/// Which loss is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// InfoNCE from anchors to positives (van den Oord et al., 2018).
    InfoNce,
    /// Mean of InfoNCE in both directions (Radford et al., 2021).
    Symmetric,
    /// NT-Xent over all `2 B` views (Chen et al., 2020).
    NtXent,
    /// Supervised contrastive loss over all `2 B` views (Khosla et al., 2020), by the labels of
    /// [`PairKey`](crate::PairKey).
    SupCon,
    /// Decoupled contrastive loss (Yeh et al., 2022).
    Decoupled,
    /// Pairwise sigmoid loss (Zhai et al., 2023), with a learned scale and bias.
    SigLip,
}

impl Objective {
    /// Every objective with the name it has on the command line.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("infonce", Self::InfoNce),
        ("symmetric", Self::Symmetric),
        ("ntxent", Self::NtXent),
        ("supcon", Self::SupCon),
        ("dcl", Self::Decoupled),
        ("siglip", Self::SigLip),
    ];
}

impl std::str::FromStr for Objective {
    type Err = ContrastiveError;

    fn from_str(name: &str) -> Result<Self, ContrastiveError> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, objective)| objective).ok_or_else(|| {
            let expected = "`infonce`, `symmetric`, `ntxent`, `supcon`, `dcl` or `siglip`";
            ContrastiveError::config("loss", expected, format_args!("`{name}`"))
        })
    }
}

impl std::fmt::Display for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Self::NAMES.into_iter().find(|(_, known)| known == self).map_or("?", |n| n.0);
        f.pad(name)
    }
}

/// The softmax temperature of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temperature {
    /// Constant, above 0.
    Fixed(f32),
    /// Learned as `s = ln(1/tau)` from this start, kept in `0..=ln 100`, without weight decay.
    Learned(f32),
}

impl Temperature {
    /// The temperature training begins with.
    #[must_use]
    pub fn initial(self) -> f32 {
        match self {
            Temperature::Fixed(tau) | Temperature::Learned(tau) => tau,
        }
    }
}

/// AdamW (Loshchilov and Hutter, 2019) with PyTorch's defaults for the betas and epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamWConfig {
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay; matrices only, never biases, norms or the temperature.
    pub weight_decay: f32,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-4 }
    }
}

/// Learning rate over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The peak rate throughout.
    Constant,
    /// Linear rise over the first steps, then half a cosine down to 0 at the last step.
    WarmupCosine {
        /// Steps of the rise; 0 starts at the peak.
        warmup_steps: usize,
    },
}

impl Schedule {
    /// Factor on the peak rate at a zero-based step.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::WarmupCosine { warmup_steps } if step < warmup_steps => {
                (step + 1) as f64 / warmup_steps as f64
            }
            Schedule::WarmupCosine { warmup_steps } => {
                let span = steps.saturating_sub(warmup_steps).max(1) as f64;
                let progress = ((step - warmup_steps) as f64 / span).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

/// When to end a run before its last step. Needs
/// [`evaluate_every`](TrainConfig::evaluate_every): the validation loss is looked at there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// Evaluations in a row without a better validation loss, at least 1.
    pub patience: usize,
    /// Least fall of the loss that counts as better.
    pub min_delta: f32,
}

/// Everything a training run depends on besides its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Seed of the weights, the drawn pairs, augmentation and dropout.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: usize,
    /// Pairs that see each other in the loss, at least 2.
    pub batch_size: usize,
    /// Batches whose gradients are averaged in one optimiser step, at least 1. They add no
    /// negatives: for more of those use a larger batch with `grad_cache`.
    pub accumulate: usize,
    /// Most windows in one differentiated forward pass; `None` takes all `2 B` at once. Smaller
    /// chunks need less memory and one more forward pass, the gradients are the same (GradCache,
    /// Gao et al., 2021).
    pub grad_cache: Option<usize>,
    /// Network shape.
    pub encoder: EncoderConfig,
    /// Loss.
    pub objective: Objective,
    /// Softmax temperature.
    pub temperature: Temperature,
    /// Optimiser settings.
    pub optimiser: AdamWConfig,
    /// Learning rate over the steps.
    pub schedule: Schedule,
    /// Upper bound of the gradients' global L2 norm; `None` leaves them.
    pub clip_norm: Option<f32>,
    /// Windows of one group (segment) that begin closer than this many rows are no negatives of
    /// each other; 0 masks nothing. This rule, the next and the one after it add up: what any of
    /// them names is no negative.
    pub ignore_radius: u64,
    /// Windows of the same instrument are no negatives of each other, however far apart.
    #[serde(default)]
    pub ignore_same_instrument: bool,
    /// Windows closer in time than this are no negatives of each other, whatever their
    /// instruments, in nanoseconds; 0 masks nothing.
    #[serde(default)]
    pub ignore_within_ns: u64,
    /// Earlier positives kept as further negatives (He et al., 2020); with
    /// [`Objective::InfoNce`] only, 0 keeps none.
    pub queue: usize,
    /// Random changes of the training windows.
    pub augment: Augment,
    /// Decay of an exponential moving average of the weights, which then are the model; `None`
    /// keeps the last weights. The decay rises to this as `(1 + t) / (10 + t)`.
    pub ema_decay: Option<f32>,
    /// Steps between evaluations on fixed validation pairs; 0 evaluates at the end only.
    pub evaluate_every: usize,
    /// When to end early.
    pub early_stop: Option<EarlyStop>,
    /// Number format of the matrix products.
    pub precision: Precision,
    /// Where to train.
    #[serde(skip)]
    pub device: Device,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 100,
            batch_size: 32,
            accumulate: 1,
            grad_cache: None,
            encoder: EncoderConfig::medium(),
            objective: Objective::Symmetric,
            temperature: Temperature::Fixed(0.07),
            optimiser: AdamWConfig::default(),
            schedule: Schedule::Constant,
            clip_norm: Some(1.0),
            ignore_radius: 0,
            ignore_same_instrument: false,
            ignore_within_ns: 0,
            queue: 0,
            augment: Augment::none(),
            ema_decay: None,
            evaluate_every: 0,
            early_stop: None,
            precision: Precision::F32,
            device: Device::Auto,
        }
    }
}

impl TrainConfig {
    /// The settings as JSON, a single-precision 0.1 as 0.1 and not as 0.10000000149011612.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let text = serde_json::to_string(self).and_then(|text| serde_json::from_str(&text));
        text.unwrap_or_default()
    }

    pub(crate) fn validate(&self) -> Result<(), ContrastiveError> {
        self.encoder.validate()?;
        self.augment.validate()?;
        if self.batch_size < 2 {
            return Err(ContrastiveError::config("batch_size", "at least 2", self.batch_size));
        }
        for (name, value) in [
            ("steps", self.steps),
            ("accumulate", self.accumulate),
            ("grad_cache", self.grad_cache.unwrap_or(1)),
            ("early_stop.patience", self.early_stop.map_or(1, |e| e.patience)),
        ] {
            if value == 0 {
                return Err(ContrastiveError::config(name, "at least 1", value));
            }
        }
        self.validate_numbers()?;
        if self.queue > 0 && self.objective != Objective::InfoNce {
            return Err(ContrastiveError::config(
                "queue",
                "0 for every loss but `infonce`",
                self.queue,
            ));
        }
        if self.early_stop.is_some() && self.evaluate_every == 0 {
            let expected = "at least 1 with early stopping";
            return Err(ContrastiveError::config("evaluate_every", expected, 0));
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), ContrastiveError> {
        let positive = |name, value: f32| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(ContrastiveError::config(name, "a finite number above 0", value))
            }
        };
        positive("temperature", self.temperature.initial())?;
        if let Temperature::Learned(tau) = self.temperature
            && !(0.01..=1.0).contains(&tau)
        {
            return Err(ContrastiveError::config("temperature", "0.01..=1 when learned", tau));
        }
        positive("learning_rate", self.optimiser.learning_rate)?;
        positive("epsilon", self.optimiser.epsilon)?;
        for (name, decay) in [
            ("beta1", self.optimiser.beta1),
            ("beta2", self.optimiser.beta2),
            ("ema_decay", self.ema_decay.unwrap_or(0.0)),
        ] {
            if !(0.0..1.0).contains(&decay) {
                return Err(ContrastiveError::config(name, "a value in 0..1", decay));
            }
        }
        self.clip_norm.map_or(Ok(()), |norm| positive("clip_norm", norm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_rises_then_falls() {
        let s = Schedule::WarmupCosine { warmup_steps: 4 };
        let factors: Vec<f64> = (0..12).map(|step| s.factor(step, 12)).collect();
        assert_eq!(&factors[..5], &[0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!((factors[8] - 0.5).abs() < 1e-12);
        assert!(factors.windows(2).skip(4).all(|w| w[1] < w[0]));
        assert!(Schedule::WarmupCosine { warmup_steps: 0 }.factor(0, 1) > 0.99);
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        let check = |change: fn(&mut TrainConfig), name: &str| {
            let mut config = TrainConfig::default();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{name}` is ")), "{message}");
        };
        check(|c| c.batch_size = 1, "batch_size");
        check(|c| c.steps = 0, "steps");
        check(|c| c.temperature = Temperature::Fixed(0.0), "temperature");
        check(|c| c.temperature = Temperature::Fixed(f32::NAN), "temperature");
        check(|c| c.temperature = Temperature::Learned(2.0), "temperature");
        check(|c| c.optimiser.learning_rate = -1.0, "learning_rate");
        check(|c| c.optimiser.beta2 = 1.0, "beta2");
        check(|c| c.encoder.dropout = 1.0, "dropout");
        check(|c| c.encoder.hidden[0] = 0, "encoder");
        check(|c| c.clip_norm = Some(0.0), "clip_norm");
        assert!(TrainConfig::default().validate().is_ok());
        assert!(EncoderConfig::by_name("huge").is_err());
    }
}
