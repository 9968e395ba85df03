//! The flags of training that a config file may hold too.

mod bounds;
mod encoder;
mod prefetch;
mod rules;
mod windows;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use lob_contrastive::{
    AdamWConfig, Device, EarlyStop, Objective, Precision, Prepared, Schedule, Temperature,
    TrainConfig,
};
use lob_metrics::{SettingsVersion, shown};
use serde::{Deserialize, Serialize};

use self::encoder::Encoder;
use crate::command::windows::Source;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Input {
    /// Rows of numbers that describe a bin
    Bins,
    /// Rendered depth images
    Images,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Positive {
    /// Windows that share no row
    Apart,
    /// Windows that begin close to each other
    Near,
    /// The same window, augmented twice
    Same,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rate {
    Constant,
    Cosine,
}

/// Every one may stand in a config file under its flag's name.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Of the file; another one is refused.
    #[arg(skip)]
    #[serde(skip_serializing)]
    version: SettingsVersion,
    /// Only these instruments of a store, comma-separated: symbol, id or SYMBOL@ID
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    symbols: Option<Vec<String>>,
    /// Only these days of a store, YYYY-MM-DD; both ends belong to it, and either may be left out
    #[arg(long, value_name = "FROM..TO")]
    days: Option<String>,
    /// Train on windows before this moment (YYYY-MM-DD is its midnight UTC, or a time such as
    /// 2024-01-02T14:30:00Z) and validate on a third of what follows [default: 70 % of the bins,
    /// then 10 %]
    #[arg(long, value_name = "TIME")]
    train_until: Option<String>,
    /// What a window of a store is [default: bins]
    #[arg(long, value_enum)]
    input: Option<Input>,
    /// Rows (bins) of a window [default: 64]
    #[arg(long)]
    window: Option<usize>,
    /// Rows from one window to the next [default: a sixteenth of the window]
    #[arg(long)]
    stride: Option<usize>,
    /// Planes of an image, comma-separated [default: volume]
    #[arg(long, value_delimiter = ',')]
    features: Option<Vec<String>>,
    /// Price rows averaged into one value of an image [default: 6]
    #[arg(long)]
    row_pool: Option<usize>,
    /// Bins averaged into one value of an image [default: 4]
    #[arg(long)]
    bin_pool: Option<usize>,
    /// Signals to generate [default: 300]
    #[arg(long)]
    signals: Option<usize>,
    /// Rows of a generated signal [default: 8 windows]
    #[arg(long)]
    rows: Option<usize>,
    /// Channels of a generated signal [default: 2]
    #[arg(long)]
    channels: Option<usize>,
    /// Which windows are positives [default: near for a store, apart for signals]
    #[arg(long, value_enum)]
    positives: Option<Positive>,
    /// Most rows between positives that lie apart [default: one window]
    #[arg(long)]
    max_gap: Option<usize>,
    /// Most rows from the start of one positive to that of another near it [default: half a window]
    #[arg(long)]
    max_shift: Option<usize>,
    /// Network [default: medium]
    #[arg(long, value_enum)]
    encoder: Option<Encoder>,
    /// Width of the embedding [default: 128]
    #[arg(long)]
    embedding: Option<usize>,
    /// Width of the projection that the loss sees; 0 for none [default: 64]
    #[arg(long)]
    projection: Option<usize>,
    /// Probability of dropout [default: the encoder's]
    #[arg(long)]
    dropout: Option<f32>,
    /// Pairs that see each other in the loss, at most as many as there are training windows
    /// [default: 64, or all of fewer windows]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Batches averaged in one step [default: 1]
    #[arg(long)]
    accumulate: Option<usize>,
    /// Most windows differentiated at once; less memory for large batches
    #[arg(long, value_name = "WINDOWS")]
    grad_cache: Option<usize>,
    /// Memory that training may take beside the windows [default: what is free, by the limits of
    /// the process, its control group and the machine]
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<u64>,
    /// Threads that draw the pairs ahead; 0 draws them on the training thread. No figure of the
    /// training depends on it [default: 2]
    #[arg(long)]
    workers: Option<usize>,
    /// Limit of the pairs drawn ahead, in bytes; a batch is always allowed [default: 256 MiB]
    #[arg(long, value_name = "BYTES")]
    prefetch_bytes: Option<usize>,
    /// Optimiser steps [default: 500]
    #[arg(long, conflicts_with = "epochs")]
    steps: Option<usize>,
    /// The same as passes over the training windows
    #[arg(long)]
    epochs: Option<usize>,
    /// infonce, symmetric, ntxent, supcon (by volatility or signal), dcl or siglip
    /// [default: symmetric]
    #[arg(long)]
    loss: Option<String>,
    /// Softmax temperature [default: 0.1]
    #[arg(long)]
    temperature: Option<f32>,
    /// Learn the temperature, starting there
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    learn_temperature: Option<bool>,
    /// Windows of a segment that begin closer than this many rows are no negatives
    /// [default: one window for a store, 0 for signals]
    #[arg(long)]
    ignore_radius: Option<u64>,
    /// Windows closer in time than this many seconds are no negatives, whatever their instruments
    /// [default: 0]
    #[arg(long, value_name = "SECONDS")]
    ignore_within: Option<f64>,
    /// Windows of the same instrument are no negatives, however far apart
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    ignore_same_instrument: Option<bool>,
    /// Earlier positives kept as negatives, for infonce [default: 0]
    #[arg(long)]
    queue: Option<usize>,
    /// Peak learning rate [default: 0.001]
    #[arg(long)]
    learning_rate: Option<f32>,
    /// Decoupled weight decay [default: 0.0001]
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Learning rate over the steps [default: cosine]
    #[arg(long, value_enum)]
    schedule: Option<Rate>,
    /// Steps of the rise of the learning rate [default: a twentieth]
    #[arg(long)]
    warmup: Option<usize>,
    /// Bound of the gradients' norm; 0 for none [default: 1]
    #[arg(long)]
    clip_norm: Option<f32>,
    /// Decay of a moving average of the weights, which is the model then
    #[arg(long)]
    ema: Option<f32>,
    /// Steps between evaluations on validation pairs [default: a tenth of the steps]
    #[arg(long)]
    evaluate_every: Option<usize>,
    /// End after this many evaluations without a better validation loss
    #[arg(long)]
    patience: Option<usize>,
    /// Least fall of the validation loss that counts [default: 0.001]
    #[arg(long)]
    min_delta: Option<f32>,
    /// Augmentation: deviation of noise, in deviations of the input [default: 0.1]
    #[arg(long)]
    jitter: Option<f32>,
    /// Augmentation: deviation of the logarithm of a gain [default: 0.1]
    #[arg(long)]
    scale: Option<f32>,
    /// Augmentation: largest share of the window set to 0 [default: 0.1]
    #[arg(long)]
    time_mask: Option<f32>,
    /// Augmentation: smallest share of the window kept [default: 0.9]
    #[arg(long)]
    crop: Option<f32>,
    /// Augmentation: largest shift of the level; price rows for images [default: 0]
    #[arg(long)]
    level_shift: Option<f32>,
    /// Augmentation: probability of exchanging bid and ask [default: 0.5; 0 for signals]
    #[arg(long)]
    side_flip: Option<f32>,
    /// No augmentation but what is given
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    no_augment: Option<bool>,
    /// Label of the store that a head on the embeddings is fitted to when training ends, for
    /// `lob signals --model`; none for no head [default: the nearest that looks forward by 10 bins or
    /// more; of a store without such labels the direction of the mid 10 bins ahead]
    #[arg(long, value_name = "NAME|none")]
    head_label: Option<String>,
    /// f32, bf16 or f16; half precision is for GPUs [default: f32]
    #[arg(long)]
    precision: Option<String>,
    /// auto, cpu or cuda [default: auto]
    #[arg(long)]
    device: Option<String>,
    /// Seed of weights, pairs, augmentation and dropout [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Steps between checkpoints; 0 for one at the end [default: 100]
    #[arg(long)]
    checkpoint_every: Option<usize>,
    /// Newest checkpoints kept [default: 2]
    #[arg(long)]
    keep: Option<usize>,
}

/// Settings resolved against the data.
pub(super) struct Plan {
    pub(super) config: TrainConfig,
    pub(super) checkpoint_every: usize,
    pub(super) keep: usize,
}

impl Settings {
    /// The flags over the settings of a file.
    pub(super) fn merged(&self, path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            self.within_bounds()?;
            return Ok(self.clone());
        };
        let context = || format!("settings in `{}`", shown(path.display()));
        let text = std::fs::read_to_string(path).with_context(context)?;
        let mut file: toml::Table = toml::from_str(&text).with_context(context)?;
        let flags = toml::Table::try_from(self).context("cannot read the flags back")?;
        // One way to say how long: a flag replaces either of the file's.
        if flags.contains_key("steps") || flags.contains_key("epochs") {
            file.remove("steps");
            file.remove("epochs");
        }
        file.extend(flags);
        let merged: Self = file.try_into().with_context(context)?;
        ensure!(
            merged.steps.is_none() || merged.epochs.is_none(),
            "`{}` has both `steps` and `epochs`; keep one",
            shown(path.display())
        );
        merged.within_bounds().with_context(context)?;
        Ok(merged)
    }

    /// The settings that were given, as a config file holds them.
    pub(super) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the settings as TOML")
    }

    pub(super) fn device(&self) -> Result<Device> {
        Ok(self.device.as_deref().map_or(Ok(Device::default()), str::parse)?)
    }

    fn window(&self) -> usize {
        self.window.unwrap_or(64)
    }

    fn objective(&self) -> Result<Objective> {
        Ok(self.loss.as_deref().unwrap_or("symmetric").parse()?)
    }

    pub(super) fn plan(&self, prepared: &Prepared) -> Result<Plan> {
        let layout = prepared.train.layout();
        let is_store = prepared.origins.iter().any(|origin| origin.instrument_id.is_some());
        let batch_size = self.pairs_of_batch(prepared.train.len())?;
        let accumulate = self.accumulate.unwrap_or(1);
        let steps = match self.epochs {
            Some(epochs) => {
                let pairs = (batch_size * accumulate).max(1);
                epochs * prepared.train.len().div_ceil(pairs)
            }
            None => self.steps.unwrap_or(500),
        };
        let tau = self.temperature.unwrap_or(0.1);
        let evaluate_every = self.evaluate_every.unwrap_or(steps.div_ceil(10));
        let radius = if is_store { self.window() as u64 } else { 0 };
        let optimiser = AdamWConfig::default();
        let config = TrainConfig {
            seed: self.seed.unwrap_or(0),
            steps,
            batch_size,
            accumulate,
            grad_cache: self.grad_cache,
            encoder: self.encoder(&layout)?,
            objective: self.objective()?,
            temperature: match self.learn_temperature {
                Some(true) => Temperature::Learned(tau),
                _ => Temperature::Fixed(tau),
            },
            optimiser: AdamWConfig {
                learning_rate: self.learning_rate.unwrap_or(optimiser.learning_rate),
                weight_decay: self.weight_decay.unwrap_or(optimiser.weight_decay),
                ..optimiser
            },
            schedule: match self.schedule.unwrap_or(Rate::Cosine) {
                Rate::Constant => Schedule::Constant,
                Rate::Cosine => Schedule::WarmupCosine {
                    warmup_steps: self.warmup.unwrap_or(steps / 20).min(steps),
                },
            },
            clip_norm: Some(self.clip_norm.unwrap_or(1.0)).filter(|&norm| norm != 0.0),
            ignore_radius: self.ignore_radius.unwrap_or(radius),
            ignore_same_instrument: self.ignores_same_instrument(prepared)?,
            ignore_within_ns: self.ignore_within_ns()?,
            queue: self.queue.unwrap_or(0),
            augment: self.augment(is_store),
            ema_decay: self.ema,
            evaluate_every,
            early_stop: self
                .patience
                .map(|patience| EarlyStop { patience, min_delta: self.min_delta.unwrap_or(1e-3) }),
            precision: self.precision.as_deref().unwrap_or("f32").parse::<Precision>()?,
            device: self.device()?,
        };
        Ok(Plan {
            config,
            checkpoint_every: self.checkpoint_every.unwrap_or(100),
            keep: self.keep.unwrap_or(2),
        })
    }

    /// Each window is at most once the anchor of a batch.
    fn pairs_of_batch(&self, n_windows: usize) -> Result<usize> {
        let Some(batch_size) = self.batch_size else { return Ok(n_windows.min(64)) };
        ensure!(
            batch_size <= n_windows,
            "`--batch-size` is {batch_size}, but there are {n_windows} training windows\nhint: at \
             most {n_windows}; a smaller --stride or --window makes more windows"
        );
        Ok(batch_size)
    }

    /// Bytes of the values of a source that is not read from a file: as made, and as scaled.
    pub(super) fn source_bytes(&self, source: &Source) -> u64 {
        match source {
            Source::Store(_) => 0,
            Source::Generated(_) => {
                u64::try_from(self.generated_values().saturating_mul(8)).unwrap_or(u64::MAX)
            }
        }
    }

    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.memory_limit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_typing_errors_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        let text = "batch-size = 16\nepochs = 3\nencoder = \"tcn\"\nno-augment = true\n";
        std::fs::write(&path, text).unwrap();
        let flags = Settings { batch_size: Some(8), steps: Some(20), ..Settings::default() };
        let merged = flags.merged(Some(&path)).unwrap();
        assert_eq!((merged.batch_size, merged.steps, merged.epochs), (Some(8), Some(20), None));
        assert_eq!((merged.encoder, merged.no_augment), (Some(Encoder::Tcn), Some(true)));
        assert!(merged.augment(true).is_none());

        std::fs::write(&path, "batchsize = 16\n").unwrap();
        let error = format!("{:#}", Settings::default().merged(Some(&path)).unwrap_err());
        assert!(error.contains("train.toml") && error.contains("batchsize"), "{error}");
        std::fs::write(&path, "steps = 1\nepochs = 1\n").unwrap();
        let error = Settings::default().merged(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("both `steps` and `epochs`"), "{error}");
    }

    #[test]
    fn sizes_and_numbers_that_cannot_be_meant_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        let refused = |line: &str| {
            std::fs::write(&path, line).unwrap();
            let error = Settings::default().merged(Some(&path)).err();
            error.map(|error| format!("{error:#}"))
        };
        for name in [
            "window",
            "stride",
            "rows",
            "channels",
            "row-pool",
            "bin-pool",
            "max-gap",
            "max-shift",
            "embedding",
            "projection",
            "batch-size",
            "accumulate",
            "steps",
            "epochs",
            "queue",
            "signals",
        ] {
            let said = refused(&format!("{name} = {}", i64::MAX)).unwrap();
            assert!(said.contains("train.toml") && said.contains(&format!("`{name}`")), "{said}");
            assert_eq!(refused(&format!("{name} = 8")), None);
        }
        for name in ["weight-decay", "min-delta"] {
            for number in ["nan", "inf", "-inf", "-0.5"] {
                let said = refused(&format!("{name} = {number}")).unwrap();
                assert!(said.contains(&format!("`{name}`")), "{said}");
            }
        }
    }
}
