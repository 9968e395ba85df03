//! InfoNCE contrastive learning on burn: losses, encoders, training, evaluation.
//!
//! A [`WindowSource`] hands out pairs of windows as plain numbers, [`train`] fits an encoder to
//! them and returns a [`TrainOutcome`] with the weights as a [`TrainedModel`], and [`embed`] turns
//! windows into features. These hold nothing of burn and name no backend, so that crates above
//! compile fast; [`loss`] and [`Encoder`] are the generic parts under them.
//!
//! ```
//! let medium = lob_contrastive::EncoderConfig::medium();
//! assert_eq!(medium.layer_dims(1024).len(), 4);
//! assert_eq!(medium.n_params(1024), 951_680);
//! ```

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact results"))]

mod config;
mod cpu;
mod device;
mod encoder;
mod error;
pub mod loss;
mod metrics;
mod model;
mod optim;
mod outcome;
mod pca;
mod rng;
mod source;
mod trainer;

pub use crate::{
    config::{
        Activation, AdamWConfig, EncoderConfig, Objective, Schedule, Temperature, TrainConfig,
    },
    cpu::{Embedder, embed, train},
    device::{Device, ResolvedDevice},
    encoder::{Encoded, Encoder},
    error::ContrastiveError,
    model::{NamedTensor, TrainedModel},
    outcome::{Metrics, TrainOutcome},
    pca::{Pca, pca_2d},
    rng::Rng,
    source::{ImageSpec, ImageWindows, PairKey, SeriesSpec, SeriesWindows, WindowSource},
};
