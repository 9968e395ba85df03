use serde::{Deserialize, Serialize};

use crate::{ContrastiveError, Device};

/// Non-linearity between the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)` with the error function (Hendrycks and Gimpel, 2016).
    Gelu,
}

/// Shape of a multi-layer perceptron: hidden layers, then one linear layer to the embedding.
///
/// Each hidden layer is Linear, optional LayerNorm, activation, optional dropout. The named
/// sizes have 2, 4 and 6 linear layers; the optional projection head is counted apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Widths of the hidden layers, input side first. May be empty: a linear encoder.
    pub hidden: Vec<usize>,
    /// Width of the embedding, the features handed to users.
    pub embedding_dim: usize,
    /// Non-linearity of the hidden layers.
    pub activation: Activation,
    /// Whether each hidden layer is normalised (Ba et al., 2016) before its activation.
    pub layer_norm: bool,
    /// Probability of dropping a hidden value in training, `0..1`.
    pub dropout: f32,
    /// Width of the projection head's output (embedding, ReLU, projection), which only the loss
    /// sees (Chen et al., 2020); `None` puts the loss on the embedding itself.
    pub projection_dim: Option<usize>,
}

impl EncoderConfig {
    fn preset(hidden: &[usize], layer_norm: bool, dropout: f32) -> Self {
        Self {
            hidden: hidden.to_vec(),
            embedding_dim: 128,
            activation: Activation::Relu,
            layer_norm,
            dropout,
            projection_dim: None,
        }
    }

    /// Two linear layers: input, 256, 128.
    #[must_use]
    pub fn simple() -> Self {
        Self::preset(&[256], false, 0.0)
    }

    /// Four linear layers with dropout: input, 512, 512, 256, 128.
    #[must_use]
    pub fn medium() -> Self {
        Self::preset(&[512, 512, 256], false, 0.2)
    }

    /// Six linear layers with LayerNorm and dropout: input, 1024, 512, 512, 256, 256, 128.
    #[must_use]
    pub fn complex() -> Self {
        Self::preset(&[1024, 512, 512, 256, 256], true, 0.3)
    }

    /// `simple`, `medium` or `complex` by name.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`] for any other name.
    pub fn by_name(name: &str) -> Result<Self, ContrastiveError> {
        match name {
            "simple" => Ok(Self::simple()),
            "medium" => Ok(Self::medium()),
            "complex" => Ok(Self::complex()),
            _ => Err(ContrastiveError::config(
                "encoder",
                "`simple`, `medium` or `complex`",
                format_args!("`{name}`"),
            )),
        }
    }

    /// The same encoder with a projection head of the given width.
    #[must_use]
    pub fn with_projection(mut self, dim: usize) -> Self {
        self.projection_dim = Some(dim);
        self
    }

    /// `(inputs, outputs)` of each linear layer of the encoder, projection head excluded.
    #[must_use]
    pub fn layer_dims(&self, n_inputs: usize) -> Vec<(usize, usize)> {
        let outputs = self.hidden.iter().copied().chain([self.embedding_dim]);
        let mut from = n_inputs;
        outputs.map(|to| (std::mem::replace(&mut from, to), to)).collect()
    }

    /// `(inputs, outputs)` of each linear layer of the projection head.
    #[must_use]
    pub fn projection_dims(&self) -> Vec<(usize, usize)> {
        let e = self.embedding_dim;
        self.projection_dim.map_or_else(Vec::new, |p| vec![(e, e), (e, p)])
    }

    /// Trainable values, projection head included.
    #[must_use]
    pub fn n_params(&self, n_inputs: usize) -> usize {
        let dims = self.layer_dims(n_inputs);
        let linear: usize =
            dims.iter().chain(&self.projection_dims()).map(|(i, o)| i * o + o).sum();
        let norm: usize = if self.layer_norm { self.hidden.iter().map(|h| 2 * h).sum() } else { 0 };
        linear + norm
    }

    /// Floating-point operations of the linear layers for one window in one forward pass,
    /// projection head included: a multiply and an add for each weight. Biases, normalisation
    /// and activations (below 1 % here) are left out.
    #[must_use]
    pub fn forward_flops(&self, n_inputs: usize) -> u64 {
        let dims = self.layer_dims(n_inputs);
        dims.iter().chain(&self.projection_dims()).map(|(i, o)| 2 * (i * o) as u64).sum()
    }

    pub(crate) fn validate(&self) -> Result<(), ContrastiveError> {
        if self.embedding_dim == 0 || self.hidden.contains(&0) || self.projection_dim == Some(0) {
            return Err(ContrastiveError::config(
                "encoder",
                "layer widths above 0",
                "a width of 0",
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ContrastiveError::config("dropout", "a value in 0..1", self.dropout));
        }
        Ok(())
    }
}

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
    /// Decoupled contrastive loss (Yeh et al., 2022).
    Decoupled,
    /// Pairwise sigmoid loss (Zhai et al., 2023), with a learned scale and bias.
    SigLip,
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

/// Everything a training run depends on besides its data.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// Seed of the weights, the drawn pairs and dropout.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: usize,
    /// Pairs in a step, at least 2.
    pub batch_size: usize,
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
    /// Windows of one group closer than this many positions are no negatives of each other;
    /// 0 masks nothing.
    pub ignore_radius: u64,
    /// Where to train.
    pub device: Device,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 100,
            batch_size: 32,
            encoder: EncoderConfig::medium(),
            objective: Objective::Symmetric,
            temperature: Temperature::Fixed(0.07),
            optimiser: AdamWConfig::default(),
            schedule: Schedule::Constant,
            clip_norm: Some(1.0),
            ignore_radius: 0,
            device: Device::Auto,
        }
    }
}

impl TrainConfig {
    pub(crate) fn validate(&self) -> Result<(), ContrastiveError> {
        self.encoder.validate()?;
        if self.batch_size < 2 {
            return Err(ContrastiveError::config("batch_size", "at least 2", self.batch_size));
        }
        if self.steps == 0 {
            return Err(ContrastiveError::config("steps", "at least 1", self.steps));
        }
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
        for (name, beta) in [("beta1", self.optimiser.beta1), ("beta2", self.optimiser.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(ContrastiveError::config(name, "a value in 0..1", beta));
            }
        }
        self.clip_norm.map_or(Ok(()), |norm| positive("clip_norm", norm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_flops_match_a_hand_count() {
        let simple = EncoderConfig::simple();
        assert_eq!(simple.layer_dims(1024), [(1024, 256), (256, 128)]);
        // 1024·256 + 256 + 256·128 + 128
        assert_eq!(simple.n_params(1024), 295_296);
        assert_eq!(simple.forward_flops(1024), 2 * (262_144 + 32_768));

        let medium = EncoderConfig::medium();
        assert_eq!(medium.layer_dims(1024).len(), 4);
        // 524800 + 262656 + 131328 + 32896
        assert_eq!(medium.n_params(1024), 951_680);

        let complex = EncoderConfig::complex();
        assert_eq!(complex.layer_dims(1024).len(), 6);
        // 1049600 + 524800 + 262656 + 131328 + 65792 + 32896, and 2·(1024+512+512+256+256)
        assert_eq!(complex.n_params(1024), 2_067_072 + 5_120);

        // head: 128·128 + 128 + 128·64 + 64
        assert_eq!(simple.clone().with_projection(64).n_params(1024), 295_296 + 24_768);
        let linear = EncoderConfig { hidden: vec![], ..simple };
        assert_eq!(linear.n_params(10), 1_408);
    }

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
