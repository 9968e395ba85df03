//! InfoNCE contrastive learning on burn: losses, encoders, training, evaluation.
//!
//! A [`WindowSource`] hands out pairs of windows as plain numbers, [`train`] fits an encoder to
//! them and returns a [`TrainOutcome`] with the weights as a [`TrainedModel`], and [`embed`] turns
//! windows into features. burn stays inside this crate: nothing of it appears in these types.
//!
//! ```
//! let medium = lob_contrastive::EncoderConfig::medium();
//! assert_eq!(medium.layer_dims(1024).len(), 4);
//! assert_eq!(medium.n_params(1024), 951_680);
//! ```

mod config;
mod cpu;
mod device;
mod encoder;
mod error;
pub mod loss;
mod model;
mod optim;
mod outcome;
mod pca;
mod rng;
mod source;

pub use crate::{
    config::{
        Activation, AdamWConfig, EncoderConfig, Objective, Schedule, Temperature, TrainConfig,
    },
    cpu::{Embedder, embed, train},
    encoder::{Encoded, Encoder},
    device::{Device, ResolvedDevice},
    error::ContrastiveError,
    model::{NamedTensor, TrainedModel},
    outcome::{Metrics, TrainOutcome},
    pca::{Pca, pca_2d},
    rng::Rng,
    source::{PairKey, SeriesSpec, SeriesWindows, WindowSource},
};
