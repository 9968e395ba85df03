//! What to run and with which settings.

use std::path::PathBuf;

use lob_contrastive::Device;
use lob_profiler::TraceFormat;
use lob_runs::Build;
use serde::{Deserialize, Serialize};

/// Which scenarios to run. Empty lists select everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Suites (`convert`, `dataloader`, ...), single scenario ids, or the names the seed documents
    /// use for them (`features`, `conversion`, ...).
    pub suites: Vec<String>,
    /// The five categories of the seed suite: training, data, model, scalability, hardware.
    pub tests: Vec<String>,
}

impl Selection {
    /// Whether everything is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.suites.is_empty() && self.tests.is_empty()
    }
}

/// The settings of one launch; handed to the scenario processes as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Shorter work, same targets.
    pub quick: bool,
    /// DBN files to run on; empty means the synthetic market.
    pub inputs: Vec<PathBuf>,
    /// Whether the synthetic market is messy, see [`lob_synth::Mess`].
    #[serde(default)]
    pub messy: bool,
    /// Folder for the Run document, the reports and the working files.
    pub out: PathBuf,
    /// Where models run.
    pub device: Device,
    /// Seed of everything random in the scenarios.
    pub seed: u64,
    /// Seed of the order the scenarios run in.
    pub order_seed: u64,
    /// Upper bound of every scenario's own time cap, in seconds.
    pub time_cap_s: Option<u64>,
    /// Targets file to judge by instead of the one built in.
    pub targets: Option<PathBuf>,
    /// Whether a value below its floor fails the launch.
    pub strict: bool,
    /// History file to append to and to draw trends from.
    pub history: Option<PathBuf>,
    /// Folder of criterion's results to harvest.
    pub criterion: Option<PathBuf>,
    /// Harvest only what criterion wrote at or after this Unix time in seconds.
    pub criterion_since_s: Option<u64>,
    /// Loader threads.
    pub workers: usize,
    /// Batch sizes to sweep; the first is the headline.
    pub batch_sizes: Vec<usize>,
    /// Bins of one depth image.
    pub n_bins: usize,
    /// Run document of an earlier launch to show changes against; advisory.
    pub baseline: Option<PathBuf>,
    /// Record every scope of the scenarios, for a trace in this format.
    #[serde(default)]
    pub trace: Option<TraceFormat>,
    /// What runs it, for the Run document.
    pub build: Build,
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
            messy: false,
            out,
            device: Device::Auto,
            seed: 7,
            order_seed: 0,
            time_cap_s: None,
            targets: None,
            strict: false,
            history: None,
            criterion: None,
            criterion_since_s: None,
            workers: 2,
            batch_sizes: vec![32],
            n_bins: 500,
            baseline: None,
            trace: None,
            build: Build::default(),
        }
    }
}
