//! Everything the sensors say, once and over time.

mod monitor;
mod reading;

use lob_metrics::Unit;

use lob_scope::Unavailable;

pub use monitor::{SystemMonitor, SystemReport};
pub(crate) use reading::SystemReading;
pub use reading::Tracked;

/// What a sensor says: a value or the reason why there is none, never a made-up zero.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorValue {
    /// Dotted name, such as `cpu.busy`.
    pub name: &'static str,
    /// Number of the GPU, for those of a GPU.
    pub gpu: Option<u32>,
    /// Unit of the value; frequencies are counts per second, as their names say.
    pub unit: Unit,
    /// The value.
    pub value: Result<f64, Unavailable>,
}

impl SensorValue {
    /// The name with the number of the GPU, such as `gpu.power[0]`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.gpu {
            Some(gpu) => format!("{}[{gpu}]", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The name Prometheus sees: `cpu.busy` becomes `lob_cpu_busy_ratio`.
    pub(crate) fn prometheus_name(&self) -> String {
        let suffix = match self.unit {
            Unit::Fraction => "_ratio",
            Unit::Bytes => "_bytes",
            Unit::BytesPerSecond => "_bytes_per_second",
            Unit::Celsius => "_celsius",
            Unit::Watts => "_watts",
            Unit::Joules => "_joules",
            Unit::Seconds => "_seconds",
            _ => "",
        };
        format!("lob_{}{suffix}", self.name.replace('.', "_"))
    }
}

/// The value of a sensor by name; the largest where several GPUs have it.
#[must_use]
pub fn sensor(values: &[SensorValue], name: &str) -> Option<f64> {
    let known = values.iter().filter(|sensor| sensor.name == name);
    known.filter_map(|sensor| sensor.value.as_ref().ok().copied()).reduce(f64::max)
}
