//! A profile's figures by name and type.

use lob_metrics::{Measurement, Provenance};
use lob_profiler::Profile;

/// The figures of one profile. What was not measured is `None`; the profile has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProfileMetrics {
    /// Memory.
    pub memory: MemoryMetrics,
    /// Time.
    pub timing: TimingMetrics,
    /// Arithmetic.
    pub compute: ComputeMetrics,
    /// The machine around the work.
    pub system: SystemMetrics,
    /// Samples a second, where the work said how many it handled.
    pub throughput_per_s: Option<f64>,
}

/// Memory of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MemoryMetrics {
    /// Peak resident memory in bytes: of the work where the kernel can reset the peak, else since
    /// the process began.
    pub peak_ram: Option<f64>,
    /// Most memory seen in use on a GPU, in bytes; looked at before and after the work.
    pub peak_gpu: Option<f64>,
    /// Bytes allocated less bytes freed, by all scopes of the work; with `detailed_memory`.
    pub net_allocated: Option<f64>,
}

impl MemoryMetrics {
    /// [`Self::peak_ram`] in units of 1,000,000 bytes.
    #[must_use]
    pub fn peak_ram_mb(&self) -> Option<f64> {
        self.peak_ram.map(|bytes| bytes * 1e-6)
    }

    /// [`Self::peak_gpu`] in units of 1,000,000 bytes.
    #[must_use]
    pub fn peak_gpu_mb(&self) -> Option<f64> {
        self.peak_gpu.map(|bytes| bytes * 1e-6)
    }
}

/// Time of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TimingMetrics {
    /// Wall time in seconds.
    pub wall_s: f64,
    /// CPU seconds of the whole process meanwhile.
    pub cpu_s: Option<f64>,
}

/// Arithmetic of a profile; with `estimate_flops`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ComputeMetrics {
    /// Floating-point operations that the work reported.
    pub flops: Option<f64>,
    /// The same a second.
    pub flop_per_s: Option<f64>,
    /// Utilisation of the busiest GPU, 0..=1.
    pub gpu_utilisation: Option<f64>,
}

impl ComputeMetrics {
    /// Operations for each of a model's parameters; `None` without operations or parameters.
    #[must_use]
    pub fn flops_per_parameter(&self, parameters: usize) -> Option<f64> {
        self.flops.filter(|_| parameters > 0).map(|flops| flops / parameters as f64)
    }
}

/// The machine around a profile; with `track_system`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SystemMetrics {
    /// Share of all cores in use, 0..=1.
    pub cpu_share: Option<f64>,
    /// Share of the memory in use, 0..=1.
    pub memory_share: Option<f64>,
    /// Share of the time in which some process waited for a disk, 0..=1: the kernel's pressure
    /// figure, or the waiting of idle cores where it has none.
    pub io_wait_share: Option<f64>,
}

impl From<&Profile> for ProfileMetrics {
    fn from(profile: &Profile) -> Self {
        let value = |metric: &str| {
            let of_name = |m: &&Measurement| m.metric == metric;
            let found = profile.measurements.iter().find(of_name)?;
            found.value().filter(|_| found.provenance() != Provenance::Unavailable)
        };
        // Of the outermost scopes only: their figures hold those of inner ones.
        let outermost = |path: &str| {
            !profile.allocs.iter().any(|other| {
                path.strip_prefix(&other.path).is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let net = profile.allocs.iter().filter(|scope| outermost(&scope.path));
        let net_allocated =
            (!profile.allocs.is_empty()).then(|| net.map(|scope| scope.net_bytes as f64).sum());
        Self {
            memory: MemoryMetrics {
                peak_ram: value("peak_rss"),
                peak_gpu: value("gpu.peak_memory"),
                net_allocated,
            },
            timing: TimingMetrics { wall_s: profile.wall_s, cpu_s: value("cpu_time") },
            compute: ComputeMetrics {
                flops: value("flops"),
                flop_per_s: value("flop_rate"),
                gpu_utilisation: value("gpu.utilisation"),
            },
            system: SystemMetrics {
                cpu_share: value("cpu.busy"),
                memory_share: value("memory.used_share"),
                io_wait_share: value("pressure.io").or_else(|| value("cpu.iowait")),
            },
            throughput_per_s: value("throughput"),
        }
    }
}
