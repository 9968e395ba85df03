use burn_flex::Flex;
use burn_tensor::{Tensor, backend::Backend};

use super::TickTensors;
use crate::{SignalError, Study, Ticks};

#[cfg(feature = "cuda")]
type Gpu = burn_cuda::Cuda<f32, i32>;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorDevice {
    /// The processor, through burn's Flex backend.
    Cpu,
    /// An NVIDIA GPU. Ask first whether there is one: burn panics without a driver.
    #[cfg(feature = "cuda")]
    Cuda,
}

/// Windows on a device, for callers that name no backend.
#[derive(Debug, Clone)]
pub struct DeviceWindows(Loaded);

#[derive(Debug, Clone)]
enum Loaded {
    Cpu(TickTensors<Flex>),
    #[cfg(feature = "cuda")]
    Cuda(TickTensors<Gpu>),
}

impl DeviceWindows {
    /// As [`TickTensors::upload`].
    ///
    /// # Errors
    /// As [`TickTensors::upload`].
    pub fn upload(
        ticks: &Ticks<'_>,
        n_steps: usize,
        device: TensorDevice,
    ) -> Result<Self, SignalError> {
        Ok(Self(match device {
            TensorDevice::Cpu => {
                Loaded::Cpu(TickTensors::upload(ticks, n_steps, &Default::default())?)
            }
            #[cfg(feature = "cuda")]
            TensorDevice::Cuda => {
                Loaded::Cuda(TickTensors::upload(ticks, n_steps, &Default::default())?)
            }
        }))
    }

    /// The indicator of every window, downloaded: for each of [`Study::columns`] one vector of
    /// windows one after another, as the ticks were given. See [`TickTensors::study`].
    ///
    /// # Errors
    /// As [`TickTensors::study`].
    pub fn run(&self, study: &Study) -> Result<Vec<Vec<f32>>, SignalError> {
        match &self.0 {
            Loaded::Cpu(ticks) => Ok(ticks.study(study)?.into_iter().map(download).collect()),
            #[cfg(feature = "cuda")]
            Loaded::Cuda(ticks) => Ok(ticks.study(study)?.into_iter().map(download).collect()),
        }
    }
}

fn download<B: Backend>(tensor: Tensor<B, 2>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .into_vec()
        .expect("the data has just been converted to `f32`")
}
