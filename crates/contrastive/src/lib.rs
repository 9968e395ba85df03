//! InfoNCE contrastive learning on burn: losses, encoders, training, evaluation.
//!
//! A [`WindowSource`] hands out pairs of windows as plain numbers, [`train`] fits an encoder to
//! them and returns a [`TrainOutcome`] with the weights as a [`TrainedModel`], and [`embed`] turns
//! windows into features. These hold nothing of burn and name no backend, so that crates above
//! compile fast; [`loss`] and [`Encoder`] are the generic parts under them. Several processes train
//! one model where [`RunOptions::ranks`] joins them.
//!
//! ```
//! let medium = lob_contrastive::EncoderConfig::medium();
//! assert_eq!(medium.layer_dims(1024).len(), 4);
//! assert_eq!(medium.n_params(1024), 951_680);
//! ```

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact results"))]

mod augment;
mod checkpoint;
mod config;
mod cpu;
mod data;
mod device;
mod encoder;
mod error;
mod evaluate;
pub mod flops;
mod fused;
mod gallery;
mod generator;
mod head;
mod input;
mod live;
pub mod loss;
mod metrics;
mod metrics_log;
mod model;
mod model_file;
mod optim;
mod origin;
mod outcome;
mod pca;
mod precision;
mod queue_state;
mod rng;
mod run;
mod safetensors_file;
mod signal_model;
mod source;
mod team;
mod trainer;
mod training;

pub use crate::{
    augment::{Augment, Layout, Mirror},
    checkpoint::CheckpointFacts,
    config::{
        Activation, AdamWConfig, DeepLob, EarlyStop, EncoderConfig, Objective, Schedule, Tcn,
        Temperature, TrainConfig, Trunk,
    },
    cpu::{Embedder, embed, time_info_nce, train, train_with},
    data::{
        Choice, Cuts, Cutting, PrepareOptions, Prepared, Seen, StoreFacts, TimeRange, open_store,
        prepare, utc,
    },
    device::{Device, ResolvedDevice},
    encoder::{Encoded, Encoder},
    error::ContrastiveError,
    evaluate::{
        AddedValue, Budget, Calibration, CalibrationBin, Comparison, Difference, EvaluateConfig,
        Evaluated, EvaluationRow, EvaluationTable, Features, Method, Task, TaskNote, TimeSplit,
        Verdict, evaluate,
    },
    gallery::gallery,
    generator::{SignalKind, SignalSpec, Signals, generate_signals},
    head::{Head, HeadFacts, HeadLabel},
    input::InputSpec,
    live::{LiveModel, LiveWindow},
    model::{NamedTensor, TrainedModel},
    model_file::ModelFile,
    origin::Origin,
    outcome::{Ended, Metrics, TrainOutcome},
    pca::{Pca, pca_2d},
    precision::Precision,
    rng::Rng,
    run::{CheckpointPlan, RunOptions, StepReport},
    signal_model::{SignalModelConfig, fit_signal_model},
    source::{
        BIN_CHANNELS, BinRow, BinSeries, ImageSpec, ImageWindows, NoisePairs, PairKey, Place,
        Positives, Sampling, SeriesSpec, SeriesWindows, WindowScratch, WindowSource, window_starts,
    },
    training::{Training, TrainingResult},
};
pub use lob_dataloader::{Prefetch, Stop};
pub use lob_ranks::Collective;
