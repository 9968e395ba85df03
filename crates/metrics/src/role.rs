//! What a measurement is for: which of a scenario's figures it is, and which point of which series.

use serde::{Deserialize, Serialize};

/// Which of a scenario's figures a measurement is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// What the scenario is run for.
    Headline,
    /// Any other figure of what was measured.
    #[default]
    Detail,
    /// A setting or property: neither of its directions is better.
    Fact,
    /// Most memory the scenario's process held.
    PeakRss,
    /// CPU time of the scenario's process.
    CpuTime,
    /// Wall time of the scenario's process.
    Elapsed,
    /// The reference workload, timed in the scenario's process.
    Reference,
    /// Share of the time that a consumer waited for its data.
    DataWait,
    /// Share of the time that a GPU was busy.
    GpuUtilisation,
}

impl Role {
    /// Whether it is a figure of the process, which every scenario has: no stage is judged by them.
    #[must_use]
    pub const fn is_process(self) -> bool {
        matches!(self, Self::PeakRss | Self::CpuTime | Self::Elapsed | Self::Reference)
    }
}

/// What grows in a series of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Axis {
    /// Samples of a batch.
    Batch,
    /// Rows of a window.
    Window,
    /// Features of an image.
    Features,
    /// Worker threads.
    Workers,
    /// Threads.
    Threads,
    /// Cores.
    Cores,
    /// Files converted at the same time.
    Jobs,
}

impl Axis {
    /// Whether more of it does more at once, so that a rate may grow in proportion.
    #[must_use]
    pub const fn is_parallel(self) -> bool {
        matches!(self, Self::Workers | Self::Threads | Self::Cores | Self::Jobs)
    }

    /// Its name, such as `batch` or `workers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Window => "window",
            Self::Features => "features",
            Self::Workers => "workers",
            Self::Threads => "threads",
            Self::Cores => "cores",
            Self::Jobs => "jobs",
        }
    }

    /// A size in words, such as `batch 32` or `4 workers`.
    #[must_use]
    pub fn sized(self, n: u32) -> String {
        match (self, self.name()) {
            (Self::Batch | Self::Window, name) => format!("{name} {n}"),
            (_, name) if n == 1 => format!("1 {}", name.trim_end_matches('s')),
            (_, name) => format!("{n} {name}"),
        }
    }
}

/// The place of a measurement in a series over a size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Over {
    /// Name of the series within its scenario, such as `load.samples_per_s`.
    pub series: String,
    /// What grows.
    pub axis: Axis,
    /// How much of it there was, at least 1.
    pub n: u32,
}

/// By what means a figure was reached that was, or could have been, reached by others too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Means {
    /// On the CPU.
    Cpu,
    /// On a GPU.
    Gpu,
    /// In single precision.
    F32,
    /// In half precision.
    F16,
    /// In half precision with the exponent of single precision.
    Bf16,
}

/// A figure that has counterparts: those of one name differ in their means alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct By {
    /// Name of the figure whatever the means, such as `hardware.step`.
    pub figure: String,
    /// The means of this one.
    pub means: Means,
}

/// What bounds work, so that a rate of it has a place below the machine's roof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bound {
    /// Floating-point operations a second.
    Arithmetic,
    /// Bytes a second to or from memory.
    Memory,
}

/// What the measured rate asks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Of what.
    pub of: Bound,
    /// Operations or bytes a second.
    pub per_s: f64,
}
