//! The one place that names backends, so that the whole of burn is compiled for them once, here.

use std::sync::Arc;
use std::time::Instant;

use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::{Tensor, TensorData};

use crate::encoder::to_vec;
use crate::loss::{Scale, info_nce};
use crate::safetensors_file::check_finite;
use crate::trainer::train_on;
use crate::{
    ContrastiveError, Device, Encoder, ResolvedDevice, Rng, RunOptions, TrainConfig, TrainOutcome,
    TrainedModel, WindowSource,
};

#[cfg(feature = "cuda")]
type Gpu = burn_cuda::Cuda<f32, i32>;

/// Trains an encoder on the pairs of `source`.
///
/// The same source, configuration and device give the same losses, bit for bit on the CPU.
///
/// # Errors
/// [`ContrastiveError::Config`] for settings out of range, [`ContrastiveError::Device`] when the
/// device cannot be had, [`ContrastiveError::Diverged`] when the loss is no longer finite, and
/// whatever the source reports.
pub fn train(
    source: Arc<dyn WindowSource>,
    config: &TrainConfig,
) -> Result<TrainOutcome, ContrastiveError> {
    train_with(source, config, RunOptions::default())
}

/// [`train`] with a validation source, checkpoints, threads that draw the pairs ahead, a way to
/// stop it and somebody to watch. None of it changes a bit of the losses.
///
/// # Errors
/// As [`train`]; [`ContrastiveError::Checkpoint`] when the folder belongs to another run, and
/// [`ContrastiveError::Io`] when it cannot be written.
pub fn train_with(
    source: Arc<dyn WindowSource>,
    config: &TrainConfig,
    options: RunOptions<'_>,
) -> Result<TrainOutcome, ContrastiveError> {
    config.encoder.validate_for(source.n_inputs())?;
    let resolved = config.device.resolve()?;
    // Every step needs the same buffers again. An allocator that does not take the hint is slower.
    lob_scope::keep_freed_memory();
    match resolved.device {
        #[cfg(feature = "cuda")]
        Device::Cuda => {
            let device = Default::default();
            crate::device::guarded(|| {
                train_on::<Autodiff<Gpu>>(&source, config, options, &device, false, resolved)
            })
        }
        _ => {
            let device = Default::default();
            train_on::<Autodiff<Flex>>(&source, config, options, &device, true, resolved)
        }
    }
}

/// Seconds of InfoNCE, forward and backward, on random embeddings (two times `batch_size` x
/// `dim`): `n` repetitions after one that is not counted.
///
/// # Errors
/// [`ContrastiveError::Device`] when the device cannot be had, [`ContrastiveError::Config`] for an
/// empty batch.
pub fn time_info_nce(
    batch_size: usize,
    dim: usize,
    n: usize,
    device: Device,
) -> Result<Vec<f64>, ContrastiveError> {
    if batch_size == 0 || dim == 0 {
        let found = format_args!("{batch_size} x {dim}");
        return Err(ContrastiveError::config("batch_size x dim", "at least 1 x 1", found));
    }
    match device.resolve()?.device {
        #[cfg(feature = "cuda")]
        Device::Cuda => {
            crate::device::guarded(|| Ok(time_loss::<Autodiff<Gpu>>(batch_size, dim, n)))
        }
        _ => Ok(time_loss::<Autodiff<Flex>>(batch_size, dim, n)),
    }
}

fn time_loss<A: AutodiffBackend>(batch_size: usize, dim: usize, n: usize) -> Vec<f64> {
    let device = Default::default();
    let mut rng = Rng::new(1);
    let mut rows = || {
        let values: Vec<f32> = (0..batch_size * dim).map(|_| rng.normal_f32()).collect();
        Tensor::<A, 2>::from_data(TensorData::new(values, [batch_size, dim]), &device)
    };
    let (za, zp) = (rows(), rows());
    let once = || {
        // A failed wait shows up as an error of the next operation on the device.
        drop(A::sync(&device));
        let begun = Instant::now();
        let (za, zp) = (za.clone().require_grad(), zp.clone().require_grad());
        let loss = info_nce(za.clone(), zp.clone(), &Scale::Fixed(0.07), None).mean();
        let gradients = loss.backward();
        let both = (za.grad(&gradients), zp.grad(&gradients));
        drop(A::sync(&device));
        let seconds = begun.elapsed().as_secs_f64();
        drop(both);
        seconds
    };
    once();
    (0..n).map(|_| once()).collect()
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
    /// the weights do not fit the model's shape, [`ContrastiveError::Weights`] when one is not
    /// finite.
    pub fn new(model: &TrainedModel, device: Device) -> Result<Self, ContrastiveError> {
        check_finite(&model.tensors)
            .map_err(|flaw| ContrastiveError::Weights { reason: flaw.to_string() })?;
        let device = device.resolve()?;
        let backend = match device.device {
            #[cfg(feature = "cuda")]
            Device::Cuda => Loaded::Cuda(crate::device::guarded(|| upload(model))?),
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

    /// Numbers in an embedding.
    #[must_use]
    pub fn embedding_dim(&self) -> usize {
        self.embedding_dim
    }

    /// Embeds `windows` (n × `n_inputs`) into `out` (n × `embedding_dim`), features before the
    /// projection head.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] for lengths that do not fit, [`ContrastiveError::NotFinite`] for
    /// a window with something else than numbers (counted from the first of `windows`), and
    /// [`ContrastiveError::Embedding`] when the result is none.
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
        if let Some((window, position, value)) = not_finite(windows, self.n_inputs) {
            return Err(ContrastiveError::NotFinite { window, position, value });
        }
        let embedding = match &self.backend {
            Loaded::Cpu(encoder) => run(encoder, windows, [n, self.n_inputs]),
            #[cfg(feature = "cuda")]
            Loaded::Cuda(encoder) => run(encoder, windows, [n, self.n_inputs]),
        };
        if let Some((row, dimension, value)) = not_finite(&embedding, self.embedding_dim) {
            return Err(ContrastiveError::Embedding { row, dimension, value });
        }
        out.copy_from_slice(&embedding);
        Ok(())
    }
}

/// Row, column and value of the first cell that is no finite number.
pub(crate) fn not_finite(values: &[f32], dim: usize) -> Option<(usize, usize, f32)> {
    let at = values.iter().position(|x| !x.is_finite())?;
    Some((at / dim.max(1), at % dim.max(1), values[at]))
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
    model.encoder.validate_for(model.n_inputs)?;
    Encoder::from_tensors(&model.encoder, model.n_inputs, &model.tensors, &Default::default())
}

fn run<B: Backend>(encoder: &Encoder<B>, windows: &[f32], shape: [usize; 2]) -> Vec<f32> {
    let x = Tensor::from_data(TensorData::new(windows.to_vec(), shape), &Default::default());
    to_vec(encoder.forward(x, None).embedding)
}
