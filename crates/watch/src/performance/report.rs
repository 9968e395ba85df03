//! A profile with the system around it, what stands in its way and what to do about it.

use std::io::Write;
use std::path::Path;

use lob_metrics::{Measurement, Unit};
use lob_profiler::{Diagnosis, Profile};
use serde_json::{Map, Value, json};

use super::{PerformanceProfiler, ProfileMetrics};
use crate::{SensorValue, WatchError};

/// Everything known of one profile, to be shown or written to a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileReport {
    /// The profile.
    pub profile: Profile,
    /// Its figures by name.
    pub metrics: ProfileMetrics,
    /// What the sensors said when the report was made.
    pub system_stats: Vec<SensorValue>,
    /// What stands in the way, most pressing first, each with its advice.
    pub bottlenecks: Vec<Diagnosis>,
}

impl PerformanceProfiler {
    /// A report of the latest profile of that name, or of any; `None` where there is none.
    #[must_use]
    pub fn create_report(&self, name: Option<&str>) -> Option<ProfileReport> {
        let profile = self.metrics(name)?;
        Some(ProfileReport {
            metrics: ProfileMetrics::from(&profile),
            bottlenecks: self.diagnose(Some(&profile.name)),
            system_stats: self.current_system_stats(),
            profile,
        })
    }
}

impl ProfileReport {
    /// Advice, most pressing first.
    pub fn recommendations(&self) -> impl Iterator<Item = &str> {
        self.bottlenecks.iter().map(|diagnosis| diagnosis.recommendation.text.as_str())
    }

    fn bottleneck_texts(&self) -> impl Iterator<Item = &str> {
        self.bottlenecks.iter().map(|diagnosis| diagnosis.finding.text.as_str())
    }

    /// The report as JSON: `name`, `memory`, `timing`, `compute`, `system`, `throughput_per_s`,
    /// `measurements`, `breakdown`, `system_stats`, `bottlenecks`, `recommendations`, `findings`.
    /// Bytes and seconds; what was not measured is null or has its reason.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ProfileMetrics { memory, timing, compute, system, throughput_per_s } = self.metrics;
        let measurement = |m: &Measurement| {
            let value = json!({ "value": m.value(), "unit": m.unit, "reason": m.reason() });
            (m.metric.clone(), value)
        };
        let measurements: Map<_, _> = self.profile.measurements.iter().map(measurement).collect();
        let stat = |sensor: &SensorValue| {
            let value = match &sensor.value {
                Ok(value) => json!(value),
                Err(why) => json!({ "unavailable": why.reason }),
            };
            (sensor.full_name(), value)
        };
        let system_stats: Map<_, _> = self.system_stats.iter().map(stat).collect();
        let scope = |s: &lob_scope::ScopeStat| json!({ "path": s.path, "calls": s.calls, "total_s": s.total_s, "self_s": s.self_s });
        json!({
            "name": self.profile.name,
            "memory": {
                "peak_ram_bytes": memory.peak_ram,
                "peak_gpu_bytes": memory.peak_gpu,
                "net_allocated_bytes": memory.net_allocated,
            },
            "timing": { "wall_time_s": timing.wall_s, "cpu_time_s": timing.cpu_s },
            "compute": {
                "flops": compute.flops,
                "flop_per_s": compute.flop_per_s,
                "gpu_utilisation": compute.gpu_utilisation,
            },
            "system": {
                "cpu_share": system.cpu_share,
                "memory_share": system.memory_share,
                "io_wait_share": system.io_wait_share,
            },
            "throughput_per_s": throughput_per_s,
            "measurements": measurements,
            "breakdown": self.profile.scopes.iter().map(scope).collect::<Vec<_>>(),
            "system_stats": system_stats,
            "bottlenecks": self.bottleneck_texts().collect::<Vec<_>>(),
            "recommendations": self.recommendations().collect::<Vec<_>>(),
            "findings": self.profile.findings.iter().map(|f| &f.text).collect::<Vec<_>>(),
        })
    }

    /// The report for people: figures, system, bottlenecks, advice.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.profile.name);
        let mut line = |name: &str, value: Option<String>| {
            out.push_str(&format!("  {name:<22} {}\n", value.as_deref().unwrap_or("not measured")));
        };
        let ProfileMetrics { memory, timing, compute, throughput_per_s, .. } = self.metrics;
        line("wall time", Some(Unit::Seconds.format(timing.wall_s)));
        line("CPU time", timing.cpu_s.map(|s| Unit::Seconds.format(s)));
        line("peak memory", memory.peak_ram.map(|b| Unit::Bytes.format(b)));
        line("throughput", throughput_per_s.map(|r| Unit::SamplesPerSecond.format(r)));
        line("operations", compute.flop_per_s.map(|r| Unit::FlopPerSecond.format(r)));
        for sensor in &self.system_stats {
            if let Ok(value) = sensor.value {
                line(&sensor.full_name(), Some(sensor.unit.format(value)));
            }
        }
        let mut list = |title: &str, items: Vec<&str>| {
            out.push_str(&format!("{title}\n"));
            let none = if items.is_empty() { &["none found"][..] } else { &[] };
            for item in items.iter().chain(none) {
                out.push_str(&format!("  {item}\n"));
            }
        };
        list("bottlenecks", self.bottleneck_texts().collect());
        list("recommendations", self.recommendations().collect());
        out
    }

    /// Writes [`Self::to_json`] to a file, which is replaced as a whole or not at all; folders are
    /// made.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn export(&self, path: &Path) -> Result<(), WatchError> {
        write(path, &self.to_json())
    }
}

/// Writes a document beside its place and renames it.
pub(super) fn write(path: &Path, document: &Value) -> Result<(), WatchError> {
    let failed = |source| WatchError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.unfinished", std::process::id()));
    let text = serde_json::to_string_pretty(document).map_err(|e| failed(e.into()))?;
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(failed)
}
