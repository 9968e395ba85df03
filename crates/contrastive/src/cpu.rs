//! The one place that names backends, so that the whole of burn is compiled for them once, here.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::encoder::to_vec;
use crate::trainer::train_on;
use crate::{
    ContrastiveError, Device, Encoder, ResolvedDevice, TrainConfig, TrainOutcome, TrainedModel,
    WindowSource,
};

#[cfg(feature = "cuda")]
type Gpu = burn::backend::Cuda<f32, i32>;

/// Trains an encoder on the pairs of `source`.
///
/// The same source, configuration and device give the same losses, bit for bit on the CPU.
///
/// # Errors
/// [`ContrastiveError::Config`] for settings out of range, [`ContrastiveError::Device`] when the
/// device cannot be had, [`ContrastiveError::Diverged`] when the loss is no longer finite, and
/// whatever the source reports.
pub fn train(
    source: &mut dyn WindowSource,
    config: &TrainConfig,
) -> Result<TrainOutcome, ContrastiveError> {
    let resolved = config.device.resolve()?;
    match resolved.device {
        #[cfg(feature = "cuda")]
        Device::Cuda => {
            train_on::<Autodiff<Gpu>>(source, config, &Default::default(), false, resolved)
        }
        _ => train_on::<Autodiff<Flex>>(source, config, &Default::default(), true, resolved),
    }
}

/// A model on its device, ready to embed.
#[derive(Debug)]
pub struct Embedder {
    backend: Loaded,
    n_inputs: usize,
    embedding_dim: usize,
    device: ResolvedDevice,
}

#[derive(Debug)]
enum Loaded {
    Cpu(Encoder<Flex>),
    #[cfg(feature = "cuda")]
    Cuda(Encoder<Gpu>),
}

impl Embedder {
    /// Uploads `model`.
    ///
    /// # Errors
    /// [`ContrastiveError::Device`] when the device cannot be had, [`ContrastiveError::Shape`] when
    /// the weights do not fit the model's shape.
    pub fn new(model: &TrainedModel, device: Device) -> Result<Self, ContrastiveError> {
        let device = device.resolve()?;
        let backend = match device.device {
            #[cfg(feature = "cuda")]
            Device::Cuda => Loaded::Cuda(upload(model)?),
            _ => Loaded::Cpu(upload(model)?),
        };
        let (n_inputs, embedding_dim) = (model.n_inputs, model.embedding_dim());
        Ok(Self { backend, n_inputs, embedding_dim, device })
    }

    /// Where it runs.
    #[must_use]
    pub fn device(&self) -> &ResolvedDevice {
        &self.device
    }

    /// Embeds `windows` (n × `n_inputs`) into `out` (n × `embedding_dim`), features before the
    /// projection head.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] for lengths that do not fit.
    pub fn embed_into(&mut self, windows: &[f32], out: &mut [f32]) -> Result<(), ContrastiveError> {
        let n = windows.len() / self.n_inputs;
        let shape = |what, expected, found| ContrastiveError::Shape { what, expected, found };
        if n * self.n_inputs != windows.len() {
            return Err(shape("the windows", n * self.n_inputs, windows.len()));
        }
        if out.len() != n * self.embedding_dim {
            return Err(shape("the output", n * self.embedding_dim, out.len()));
        }
        if n == 0 {
            return Ok(());
        }
        let embedding = match &self.backend {
            Loaded::Cpu(encoder) => run(encoder, windows, [n, self.n_inputs]),
            #[cfg(feature = "cuda")]
            Loaded::Cuda(encoder) => run(encoder, windows, [n, self.n_inputs]),
        };
        out.copy_from_slice(&embedding);
        Ok(())
    }
}

/// Embeds `windows` (n × `n_inputs`) on the CPU: n × `embedding_dim`, before the projection head.
///
/// # Errors
/// [`ContrastiveError::Shape`] when `windows` is no multiple of `n_inputs` or the weights do not
/// fit the model's shape.
pub fn embed(model: &TrainedModel, windows: &[f32]) -> Result<Vec<f32>, ContrastiveError> {
    let mut out = vec![0.0; windows.len() / model.n_inputs.max(1) * model.embedding_dim()];
    Embedder::new(model, Device::Cpu)?.embed_into(windows, &mut out)?;
    Ok(out)
}

fn upload<B: Backend>(model: &TrainedModel) -> Result<Encoder<B>, ContrastiveError> {
    model.encoder.validate()?;
    if model.n_inputs == 0 {
        return Err(ContrastiveError::config("n_inputs", "at least 1", 0));
    }
    Encoder::from_tensors(&model.encoder, model.n_inputs, &model.tensors, &Default::default())
}

fn run<B: Backend>(encoder: &Encoder<B>, windows: &[f32], shape: [usize; 2]) -> Vec<f32> {
    let x = Tensor::from_data(TensorData::new(windows.to_vec(), shape), &Default::default());
    to_vec(encoder.forward(x, None).embedding)
}
