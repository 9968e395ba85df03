#[cfg(feature = "cuda")]
mod cuda;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ContrastiveError;
#[cfg(feature = "cuda")]
pub(crate) use cuda::guarded;
#[cfg(feature = "cuda")]
use cuda::obstacle as cuda_obstacle;

/// Where training and embedding run, as the user asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// CUDA when this build has it and a GPU answers, the CPU otherwise.
    #[default]
    Auto,
    /// The processor, through burn's Flex backend.
    Cpu,
    /// An NVIDIA GPU; an error when there is none.
    Cuda,
}

/// Where the work runs in fact, with the reason for a fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedDevice {
    /// [`Device::Cpu`] or [`Device::Cuda`], never [`Device::Auto`].
    pub device: Device,
    /// Why `auto` did not take the GPU; `None` when nothing was given up.
    pub fallback: Option<String>,
}

impl Device {
    /// Decides where to run, before any call that could panic in a GPU driver.
    ///
    /// # Errors
    /// [`ContrastiveError::Device`] when [`Device::Cuda`] is asked for and cannot be had.
    pub fn resolve(self) -> Result<ResolvedDevice, ContrastiveError> {
        let cpu = |fallback| ResolvedDevice { device: Device::Cpu, fallback };
        match (self, cuda_obstacle()) {
            (Device::Cpu, _) => Ok(cpu(None)),
            (Device::Cuda | Device::Auto, None) => {
                Ok(ResolvedDevice { device: Device::Cuda, fallback: None })
            }
            (Device::Auto, Some(reason)) => Ok(cpu(Some(format!("using the CPU: {reason}")))),
            (Device::Cuda, Some(reason)) => Err(ContrastiveError::Device {
                device: self.to_string(),
                reason: format!("{reason}; use `--device cpu` or `--device auto`"),
            }),
        }
    }
}

/// Why CUDA cannot be used in this process.
#[cfg(not(feature = "cuda"))]
fn cuda_obstacle() -> Option<String> {
    Some("this build has no CUDA support (cargo feature `cuda`)".into())
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Auto => "auto",
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        })
    }
}

impl FromStr for Device {
    type Err = ContrastiveError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda),
            _ => Err(ContrastiveError::config(
                "device",
                "`auto`, `cpu` or `cuda`",
                format_args!("`{s}`"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for device in [Device::Auto, Device::Cpu, Device::Cuda] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        let message = "tpu".parse::<Device>().unwrap_err().to_string();
        assert_eq!(message, "`device` is `tpu`, expected `auto`, `cpu` or `cuda`");
    }

    #[test]
    #[cfg(feature = "cuda")]
    fn without_a_gpu_cuda_is_one_clear_line() {
        let Err(error) = Device::Cuda.resolve() else { return };
        let message = error.to_string();
        assert!(message.starts_with("device `cuda` is not available: "), "{message}");
        assert!(message.contains("--device cpu") && !message.contains('\n'), "{message}");
        assert!(Device::Auto.resolve().unwrap().fallback.is_some());
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_the_feature_cuda_is_one_clear_line() {
        let message = Device::Cuda.resolve().unwrap_err().to_string();
        assert!(message.starts_with("device `cuda` is not available: this build has no CUDA"));
        assert!(message.contains("--device cpu") && !message.contains('\n'), "{message}");
        let auto = Device::Auto.resolve().unwrap();
        assert_eq!(auto.device, Device::Cpu);
        assert!(auto.fallback.unwrap().contains("no CUDA support"));
        assert_eq!(Device::Cpu.resolve().unwrap().fallback, None);
    }
}
