//! What a measurement is: units, summaries, statistics, targets and the [`Run`] document.
//!
//! This crate holds plain data and pure functions. It opens no file and reads no clock; the
//! profiler collects, the suite assembles a [`Run`], the report crate draws it.
//!
//! ```
//! use lob_metrics::{Direction, Measurement, Unit};
//! let m = Measurement::measured("render.samples_per_s", Unit::SamplesPerSecond, Direction::HigherIsBetter, &[98.0, 100.0, 103.0]);
//! assert_eq!(m.value(), Some(100.0));
//! let gpu = Measurement::unavailable("gpu.memory", Unit::Bytes, Direction::LowerIsBetter, "no NVIDIA driver");
//! assert_eq!(gpu.value(), None);
//! ```

mod ab;
mod artifact;
mod compare;
mod error;
mod finding;
mod floor;
mod history;
mod judge;
mod measurement;
mod nan;
mod reading;
mod reference;
mod repeat;
mod role;
mod run;
mod schema;
mod settings;
mod shown;
pub mod stats;
mod summary;
mod target;
mod unit;

pub use ab::{
    AbConfig, AbEnd, AbLook, AbMetric, AbOutcome, AbResult, AbSamples, SimulatedSitting, Sitting,
    against_itself, judge_metrics, run_ab,
};
pub use artifact::{Artifact, Cell, Column, IntervalGroup, IntervalRow, Lane, NamedCurve};
pub use compare::{Change, ChangeVerdict, CompareConfig, compare, machine_slowdown};
pub use error::MetricsError;
pub use finding::{Finding, Recommendation, Severity};
pub use floor::Floor;
pub use history::{HISTORY_VERSION, HistoryEntry, HistoryValue, TrendLine, read_history, trends};
pub use judge::judge_all;
pub use measurement::{Direction, Measurement};
pub use reading::{Provenance, Reading};
pub use reference::REFERENCE;
pub use repeat::{COUNTS_REPEAT, INSTRUCTIONS_REPEAT, PEAK_RSS_REPEATS};
pub use role::{Axis, Bound, By, Demand, Means, Over, Role};
pub use run::{
    BUSY_SHARE, Host, Input, OTHERS_CPU, Overhead, Roof, Run, SCHEMA_VERSION, Scenario, ScopeStat,
    Status, Timeline, Tool,
};
pub use schema::run_schema;
pub use settings::{SETTINGS_VERSION, SettingsVersion};
pub use shown::{Shown, is_hidden, shown};
pub use summary::{OUTLIER_Z, Summary};
pub use target::{Target, TargetResult, Verdict};
pub use unit::{Scale, Unit};
