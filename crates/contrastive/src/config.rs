mod memory;
mod train;

use serde::{Deserialize, Serialize};

pub use train::{AdamWConfig, EarlyStop, Objective, Schedule, Temperature, TrainConfig};

use crate::ContrastiveError;

/// Non-linearity between the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)` with the error function (Hendrycks and Gimpel, 2016).
    Gelu,
}

/// What turns a window into the values that the multi-layer perceptron sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trunk {
    /// Nothing: the perceptron sees the window itself.
    #[default]
    Mlp,
    /// Dilated residual convolutions over time, both ways (after Bai et al., 2018), mean over time.
    Tcn(Tcn),
    /// Convolutions over price rows, then an inception module over time (after Zhang et al.,
    /// 2019, without its LSTM), mean over time.
    DeepLob(DeepLob),
}

/// A temporal convolutional network over windows of `steps x channels` (rows of a series).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcn {
    /// Values of one step; a window holds a multiple of it.
    pub n_channels: usize,
    /// Channels inside the network.
    pub width: usize,
    /// Residual blocks; block `i` looks `2^i` steps apart.
    pub n_blocks: usize,
}

/// A convolutional network over images of `features x rows x bins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepLob {
    /// Planes of the image.
    pub n_features: usize,
    /// Price rows of the image.
    pub n_rows: usize,
    /// Channels of each convolution.
    pub width: usize,
}

/// Shape of a multi-layer perceptron: hidden layers, then one linear layer to the embedding.
///
/// Each hidden layer is Linear, optional LayerNorm, activation, optional dropout. The named
/// sizes have 2, 4 and 6 linear layers; the optional projection head is counted apart. A
/// convolutional [`Trunk`] may stand before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// What stands before the perceptron.
    #[serde(default)]
    pub trunk: Trunk,
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
            trunk: Trunk::Mlp,
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

    /// Five residual blocks of 32 channels over a series of `n_channels`, then one linear layer.
    #[must_use]
    pub fn tcn(n_channels: usize) -> Self {
        let trunk = Trunk::Tcn(Tcn { n_channels, width: 32, n_blocks: 5 });
        Self { trunk, ..Self::preset(&[], false, 0.0) }
    }

    /// Convolutions of 16 channels over depth images, then one linear layer.
    #[must_use]
    pub fn deep_lob(n_features: usize, n_rows: usize) -> Self {
        let trunk = Trunk::DeepLob(DeepLob { n_features, n_rows, width: 16 });
        Self { trunk, ..Self::preset(&[], false, 0.0) }
    }

    /// `simple`, `medium` or `complex` by name; [`tcn`](Self::tcn) and
    /// [`deep_lob`](Self::deep_lob) need the shape of their input.
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
