//! What to run and with which settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where models run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// CUDA where it is built in and present, the CPU elsewhere.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

/// Which scenarios to run. Empty lists select everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Suites (`convert`, `dataloader`, ...) or single scenario ids.
    pub suites: Vec<String>,
    /// The five categories of the seed suite: training, data, model, scalability, hardware.
    pub tests: Vec<String>,
}

/// The settings of one launch; handed to the scenario processes as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Shorter work, same targets.
    pub quick: bool,
    /// DBN files to run on; empty means the synthetic market.
    pub inputs: Vec<PathBuf>,
    /// Folder for the Run document, the reports and the working files.
    pub out: PathBuf,
    /// Where models run.
    pub device: Device,
    /// Seed of everything random.
    pub seed: u64,
    /// Loader threads.
    pub workers: usize,
    /// Batch sizes to sweep; the first is the headline.
    pub batch_sizes: Vec<usize>,
    /// Bins of one depth image.
    pub n_bins: usize,
    /// Run document of an earlier launch to show changes against; advisory.
    pub baseline: Option<PathBuf>,
    /// Command line, for the Run document.
    pub command: Vec<String>,
}

impl Options {
    /// Settings of the main job: quick, on the synthetic market.
    #[must_use]
    pub fn quick(out: PathBuf) -> Self {
        Self { quick: true, ..Self::full(out) }
    }

    /// Settings of the full suite on the synthetic market.
    #[must_use]
    pub fn full(out: PathBuf) -> Self {
        Self {
            quick: false,
            inputs: Vec::new(),
            out,
            device: Device::Auto,
            seed: 7,
            workers: 2,
            batch_sizes: vec![32],
            n_bins: 500,
            baseline: None,
            command: std::env::args().collect(),
        }
    }
}
