use crate::{ContrastiveError, Device, TrainConfig, TrainOutcome, TrainedModel, WindowSource};

/// Trains an encoder on the pairs of `source`.
///
/// # Errors
/// See [`ContrastiveError`].
pub fn train(
    source: &mut dyn WindowSource,
    config: &TrainConfig,
) -> Result<TrainOutcome, ContrastiveError> {
    let _ = (source, config);
    unimplemented!()
}

/// A model on its device, ready to embed.
#[derive(Debug)]
pub struct Embedder {}

impl Embedder {
    /// Uploads `model`.
    ///
    /// # Errors
    /// [`ContrastiveError::Device`] or a model whose weights do not fit its shape.
    pub fn new(model: &TrainedModel, device: Device) -> Result<Self, ContrastiveError> {
        let _ = (model, device);
        unimplemented!()
    }

    /// Embeds `windows` (n × `n_inputs`) into `out` (n × `embedding_dim`).
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] for lengths that do not fit.
    pub fn embed_into(&mut self, windows: &[f32], out: &mut [f32]) -> Result<(), ContrastiveError> {
        let _ = (windows, out);
        unimplemented!()
    }
}

/// Embeds `windows` (n × `n_inputs`) on the CPU: n × `embedding_dim`, before the projection head.
///
/// # Errors
/// [`ContrastiveError::Shape`] for lengths that do not fit.
pub fn embed(model: &TrainedModel, windows: &[f32]) -> Result<Vec<f32>, ContrastiveError> {
    let _ = (model, windows);
    unimplemented!()
}
