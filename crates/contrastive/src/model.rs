use crate::EncoderConfig;

/// One weight array of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name, as `layers.0.weight`.
    pub name: String,
    /// Dimensions; a weight is `[inputs, outputs]`.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// A trained encoder as plain numbers, free of any device.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
    /// Network shape.
    pub encoder: EncoderConfig,
    /// Values of one input window.
    pub n_inputs: usize,
    /// Weights, projection head included, in a fixed order.
    pub tensors: Vec<NamedTensor>,
}

impl TrainedModel {
    /// Values of one embedding.
    #[must_use]
    pub fn embedding_dim(&self) -> usize {
        self.encoder.embedding_dim
    }

    /// Trainable values, counted from the weights themselves.
    #[must_use]
    pub fn n_params(&self) -> usize {
        self.tensors.iter().map(|t| t.values.len()).sum()
    }
}
