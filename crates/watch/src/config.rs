//! What the profiler looks at, how often, and where it rings: by builder or from TOML.

use std::path::Path;
use std::time::Duration;

use lob_metrics::SettingsVersion;

use crate::{AlertRule, Tracked, WatchError};

/// Alerts on shares end this much on the good side of where they begin.
const HYSTERESIS: f64 = 0.05;
/// A busy core or disk is no news before it has lasted.
const BUSY_FOR: Duration = Duration::from_secs(5);
const CALM_FOR: Duration = Duration::from_secs(5);

/// How an option is read from TOML and checked.
trait Value: Sized {
    fn read(value: &toml::Value) -> Option<Self>;
    const EXPECTED: &str;
}

impl Value for bool {
    const EXPECTED: &str = "true or false";
    fn read(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Value for f64 {
    const EXPECTED: &str = "a number";
    fn read(value: &toml::Value) -> Option<Self> {
        value.as_float().or_else(|| value.as_integer().map(|n| n as f64))
    }
}

impl Value for Option<f64> {
    const EXPECTED: &str = "a number";
    fn read(value: &toml::Value) -> Option<Self> {
        f64::read(value).map(Some)
    }
}

/// Makes the configuration, its builder and its reader from one list of options.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+) => {
        #[derive(Debug, Clone, PartialEq)]
        struct Options { $($name: $type,)+ }

        impl Default for Options {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        const NAMES: &[&str] = &[$(stringify!($name)),+];

        impl Options {
            fn set(&mut self, name: &str, value: &toml::Value) -> Result<(), WatchError> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$type as Value>::read(value).ok_or_else(|| {
                            let expected = <$type as Value>::EXPECTED;
                            refused(format!("`{name}` is `{value}`; expected {expected}"))
                        })?;
                    })+
                    _ => return Err(unknown(name)),
                }
                Ok(())
            }
        }

        /// Builds a [`ProfilerConfig`]; what is not set keeps its default.
        #[derive(Debug, Clone, Default)]
        pub struct ProfilerConfigBuilder {
            options: Options,
        }

        impl ProfilerConfigBuilder {
            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.options.$name = $name;
                    self
                }
            )+
        }
    };
}

options! {
    /// Watch NVIDIA GPUs (default true).
    track_gpu: bool = true;
    /// Read the energy counters and, with [`Self::grid_g_per_kwh`], estimate CO2 (default false).
    track_carbon: bool = false;
    /// Count allocations per scope, where the program installs [`lob_scope::CountingAllocator`], and
    /// look for leaks (default false).
    detailed_memory: bool = false;
    /// Seconds between two looks at memory (default 0.1).
    memory_interval: f64 = 0.1;
    /// Watch temperature and frequency (default false).
    track_cpu_temp: bool = false;
    /// Watch the network interfaces (default false).
    track_network: bool = false;
    /// Sample where the program is, line by line (default false).
    enable_line_profiling: bool = false;
    /// Sum up the operations reported by [`lob_profiler::count_flops`] (default false).
    estimate_flops: bool = false;
    /// Watch the system: CPU, memory, pressure, disks (default true).
    track_system: bool = true;
    /// Seconds between two looks at the system (default 1.0).
    system_interval: f64 = 1.0;
    /// Grams of CO2 the local grid emits per kilowatt-hour; without it there is no estimate.
    grid_g_per_kwh: Option<f64> = None;
    /// Price of an hour of this machine, in any currency; without it there is no cost estimate.
    price_per_hour: Option<f64> = None;
    /// Longest latency of a request in seconds (default 2).
    sla: f64 = 2.0;
    /// Alert above this share of all cores in use (default 0.9).
    cpu_alert: f64 = 0.9;
    /// Alert above this share of the memory in use (default 0.85).
    memory_alert: f64 = 0.85;
    /// Alert above this share of time in which some task waits for a disk (default 0.8).
    disk_io_alert: f64 = 0.8;
    /// Alert above this share of a GPU's memory in use (default 0.9).
    gpu_memory_alert: f64 = 0.9;
    /// Alert when a GPU that some process computes on is used less than this (default 0.7).
    gpu_utilisation_alert: f64 = 0.7;
}

/// A checked configuration of the profiler.
///
/// ```
/// use lob_watch::ProfilerConfig;
/// let config = ProfilerConfig::from_toml("track_gpu = false\nmemory_interval = 0.05")?;
/// let same = ProfilerConfig::builder().track_gpu(false).memory_interval(0.05).build()?;
/// assert_eq!(config, same);
/// let error = ProfilerConfig::from_toml("memory_intervall = 1").unwrap_err();
/// assert!(error.to_string().contains("did you mean `memory_interval`?"));
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProfilerConfig {
    options: Options,
}

impl ProfilerConfigBuilder {
    /// Checks the options.
    ///
    /// # Errors
    /// [`WatchError::Config`] for an interval or agreement that is not positive, a share
    /// outside 0 to 1, a negative price or factor.
    pub fn build(self) -> Result<ProfilerConfig, WatchError> {
        let o = &self.options;
        let times = [
            ("memory_interval", o.memory_interval),
            ("system_interval", o.system_interval),
            ("sla", o.sla),
        ];
        for (name, seconds) in times {
            if !(1e-3..=86_400.0).contains(&seconds) {
                let reason = format!("`{name}` is {seconds}; expected 0.001 to 86400 seconds");
                return Err(refused(reason));
            }
        }
        let shares = [
            ("cpu_alert", o.cpu_alert),
            ("memory_alert", o.memory_alert),
            ("disk_io_alert", o.disk_io_alert),
            ("gpu_memory_alert", o.gpu_memory_alert),
            ("gpu_utilisation_alert", o.gpu_utilisation_alert),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(refused(format!("`{name}` is {share}; expected a share from 0 to 1")));
            }
        }
        let amounts = [("grid_g_per_kwh", o.grid_g_per_kwh), ("price_per_hour", o.price_per_hour)];
        for (name, amount) in amounts {
            if amount.is_some_and(|amount| !(amount >= 0.0 && amount.is_finite())) {
                return Err(refused(format!("`{name}` must be a number of at least 0")));
            }
        }
        Ok(ProfilerConfig { options: self.options })
    }
}

impl ProfilerConfig {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> ProfilerConfigBuilder {
        ProfilerConfigBuilder::default()
    }

    /// Reads the options from TOML; what is not named keeps its default.
    ///
    /// # Errors
    /// [`WatchError::Config`] for text that is no TOML, an unknown option (with the nearest
    /// known one), a value of the wrong type and what [`ProfilerConfigBuilder::build`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, WatchError> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| refused(error.to_string()))?;
        let mut builder = Self::builder();
        for (name, value) in &table {
            if name == "version" {
                let version = value.as_integer().ok_or_else(|| {
                    refused(format!("`version` is `{value}`; expected a whole number"))
                })?;
                SettingsVersion::check(version).map_err(refused)?;
                continue;
            }
            builder.options.set(name, value)?;
        }
        builder.build()
    }

    /// Reads the options from a TOML file.
    ///
    /// # Errors
    /// As for [`Self::from_toml`], and where the file cannot be read; both name it.
    pub fn from_file(path: &Path) -> Result<Self, WatchError> {
        let named = |reason: String| refused(format!("`{}`: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::from_toml(&text).map_err(|error| match error {
            WatchError::Config { reason } => named(reason),
            other => other,
        })
    }

    /// Whether allocations are counted per scope and leaks looked for.
    #[must_use]
    pub fn detailed_memory(&self) -> bool {
        self.options.detailed_memory
    }

    /// Time between two looks at memory.
    #[must_use]
    pub fn memory_interval(&self) -> Duration {
        Duration::from_secs_f64(self.options.memory_interval)
    }

    /// Whether the program is sampled line by line.
    #[must_use]
    pub fn enable_line_profiling(&self) -> bool {
        self.options.enable_line_profiling
    }

    /// Whether reported operations are summed up.
    #[must_use]
    pub fn estimate_flops(&self) -> bool {
        self.options.estimate_flops
    }

    /// Whether the system is watched.
    #[must_use]
    pub fn track_system(&self) -> bool {
        self.options.track_system
    }

    /// Whether energy is read and CO2 estimated.
    #[must_use]
    pub fn track_carbon(&self) -> bool {
        self.options.track_carbon
    }

    /// Time between two looks at the system.
    #[must_use]
    pub fn system_interval(&self) -> Duration {
        Duration::from_secs_f64(self.options.system_interval)
    }

    /// Which groups of sensors are looked at.
    #[must_use]
    pub fn tracked(&self) -> Tracked {
        Tracked {
            gpu: self.options.track_gpu,
            cpu_temp: self.options.track_cpu_temp,
            network: self.options.track_network,
            energy: self.options.track_carbon,
        }
    }

    /// Grams of CO2 per kilowatt-hour, where stated.
    #[must_use]
    pub fn grid_g_per_kwh(&self) -> Option<f64> {
        self.options.grid_g_per_kwh
    }

    /// Price of an hour of this machine, where stated.
    #[must_use]
    pub fn price_per_hour(&self) -> Option<f64> {
        self.options.price_per_hour
    }

    /// Longest latency of a request.
    #[must_use]
    pub fn sla(&self) -> Duration {
        Duration::from_secs_f64(self.options.sla)
    }

    /// The alerts of the system: `cpu`, `memory`, `disk_io`, and with `track_gpu` `gpu_memory` and
    /// `gpu_utilisation`. Each ends 5 percentage points on the good side of where it begins; CPU,
    /// disk and GPU utilisation must stay bad for 5 seconds, and each must stay good for 5.
    #[must_use]
    pub fn alert_rules(&self) -> Vec<AlertRule> {
        let o = &self.options;
        let above = |name, at: f64, hold| {
            AlertRule::above(name, at, (at - HYSTERESIS).max(0.0)).held(hold, CALM_FOR)
        };
        let mut rules = vec![
            above("cpu", o.cpu_alert, BUSY_FOR)
                .advise("the cores are busy: fewer workers, or more machines"),
            above("memory", o.memory_alert, Duration::ZERO)
                .advise("memory runs out: smaller batches or a smaller prefetch budget"),
            above("disk_io", o.disk_io_alert, BUSY_FOR)
                .advise("tasks wait for the disk: faster storage or a larger cache"),
        ];
        if o.track_gpu {
            let at = o.gpu_utilisation_alert;
            rules.push(
                above("gpu_memory", o.gpu_memory_alert, Duration::ZERO)
                    .advise("the GPU's memory runs out: smaller batches"),
            );
            rules.push(
                AlertRule::below("gpu_utilisation", at, (at + HYSTERESIS).min(1.0))
                    .held(BUSY_FOR, CALM_FOR)
                    .advise("the GPU waits: larger batches, or a faster loader"),
            );
        }
        rules
    }
}

fn refused(reason: String) -> WatchError {
    WatchError::Config { reason }
}

fn unknown(name: &str) -> WatchError {
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    let nearest = NAMES.iter().min_by_key(distance).filter(|known| distance(known) <= 4);
    let hint = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known are {}", NAMES.join(", ")),
    };
    refused(format!("there is no option `{name}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_its_name_in_toml_and_acts() {
        let default = ProfilerConfig::default();
        for name in NAMES {
            let texts = ["true", "false", "0.25", "3"];
            let changes = texts.iter().any(|text| {
                ProfilerConfig::from_toml(&format!("{name} = {text}"))
                    .is_ok_and(|config| config != default)
            });
            assert!(changes, "{name}");
        }
        for name in [
            "track_gpu",
            "track_carbon",
            "detailed_memory",
            "memory_interval",
            "track_cpu_temp",
            "track_network",
            "enable_line_profiling",
            "estimate_flops",
            "track_system",
            "system_interval",
        ] {
            assert!(NAMES.contains(&name), "{name}");
        }
    }

    #[test]
    fn thresholds_are_those_of_the_seeds() {
        let rules = ProfilerConfig::default().alert_rules();
        let found: Vec<(&str, f64, f64)> =
            rules.iter().map(|r| (r.name, r.raise_at, (r.clear_at * 100.0).round())).collect();
        let expected = [
            ("cpu", 0.9, 85.0),
            ("memory", 0.85, 80.0),
            ("disk_io", 0.8, 75.0),
            ("gpu_memory", 0.9, 85.0),
            ("gpu_utilisation", 0.7, 75.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(ProfilerConfig::default().sla(), Duration::from_secs(2));
        let without = ProfilerConfig::builder().track_gpu(false).build().unwrap();
        assert_eq!(without.alert_rules().len(), 3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (text, part) in [
            ("trak_gpu = true", "did you mean `track_gpu`?"),
            ("something_else_entirely = 1", "known are track_gpu, "),
            ("track_gpu = 1", "expected true or false"),
            ("sla = \"2\"", "expected a number"),
            ("memory_interval = 0", "0.001 to 86400"),
            ("system_interval = nan", "0.001 to 86400"),
            ("cpu_alert = 90", "a share from 0 to 1"),
            ("price_per_hour = -1", "at least 0"),
            ("track_gpu =", "TOML"),
        ] {
            let error = ProfilerConfig::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = ProfilerConfig::from_file(Path::new("no/such.toml")).unwrap_err();
        assert!(error.to_string().contains("no/such.toml"), "{error}");
    }
}
