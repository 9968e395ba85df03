//! Which network `--encoder` means.

use anyhow::{Result, bail};
use clap::ValueEnum;
use lob_contrastive::{Activation, DeepLob, EncoderConfig, Layout, Tcn, Trunk};
use serde::{Deserialize, Serialize};

use super::Settings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoder {
    /// Perceptron of 2 layers
    Simple,
    /// Perceptron of 4 layers with dropout
    Medium,
    /// Perceptron of 6 layers with LayerNorm and dropout
    Complex,
    /// Dilated convolutions over time
    Tcn,
    /// Convolutions over price and time, for images
    Deeplob,
}

impl Settings {
    pub(super) fn encoder(&self, layout: &Layout) -> Result<EncoderConfig> {
        let convolutional = |trunk| EncoderConfig {
            trunk,
            hidden: Vec::new(),
            embedding_dim: 128,
            activation: Activation::Relu,
            layer_norm: false,
            dropout: 0.0,
            projection_dim: None,
        };
        let mut encoder = match (self.encoder.unwrap_or(Encoder::Medium), layout) {
            (Encoder::Simple, _) => EncoderConfig::simple(),
            (Encoder::Medium, _) => EncoderConfig::medium(),
            (Encoder::Complex, _) => EncoderConfig::complex(),
            (Encoder::Tcn, Layout::Series { channels, .. }) => convolutional(Trunk::Tcn(Tcn {
                n_channels: channels.len(),
                width: 64,
                n_blocks: 5,
            })),
            (Encoder::Deeplob, Layout::Image { planes, n_rows, .. }) => {
                convolutional(Trunk::DeepLob(DeepLob {
                    n_features: planes.len(),
                    n_rows: *n_rows,
                    width: 16,
                }))
            }
            (Encoder::Tcn, _) => bail!("`--encoder tcn` is for bins and signals, not for images"),
            (Encoder::Deeplob, _) => bail!("`--encoder deeplob` is for `--input images`"),
        };
        encoder.embedding_dim = self.embedding.unwrap_or(encoder.embedding_dim);
        encoder.dropout = self.dropout.unwrap_or(encoder.dropout);
        encoder.projection_dim = Some(self.projection.unwrap_or(64)).filter(|&dim| dim > 0);
        Ok(encoder)
    }
}
