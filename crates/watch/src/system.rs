//! Everything the sensors say, once and over time.

mod counters;
mod monitor;
mod names;
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

    /// Name and help as a gauge of a Prometheus page; `None` for rates, which are counters there.
    pub(crate) fn as_gauge(&self) -> Option<(&'static str, &'static str)> {
        names::GAUGES.iter().find(|(name, ..)| *name == self.name).map(|(_, to, help)| (*to, *help))
    }
}

/// The value of a sensor by name; the largest where several GPUs have it.
#[must_use]
pub fn sensor(values: &[SensorValue], name: &str) -> Option<f64> {
    let known = values.iter().filter(|sensor| sensor.name == name);
    known.filter_map(|sensor| sensor.value.as_ref().ok().copied()).reduce(f64::max)
}
