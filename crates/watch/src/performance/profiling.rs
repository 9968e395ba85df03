//! A profile under way, and what is added to it at its end.

use lob_metrics::{Direction, Measurement, Reading, Unit};
use lob_profiler::{
    LineProfile, LineProfiler, Profile, ProfileGuard, co2_g, flops_counted, measurement,
};
use lob_scope::{Unavailable, allocations_are_counted};

use super::{Done, MAX_PROFILES, PerformanceProfiler, info};
use crate::system::SystemReading;
use crate::{SensorValue, Tracked, sensor};

/// A profile under way; [`finish`](Self::finish) ends and remembers it. Dropped without, by a panic
/// or a `?`, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "the profile is what `finish` returns"]
pub struct Profiling<'a> {
    // Declared first, so that it is dropped first: scopes end before what is around them.
    pub(super) running: ProfileGuard,
    pub(super) profiler: &'a PerformanceProfiler,
    pub(super) from_s: f64,
    pub(super) lines: Option<Result<LineProfiler, Unavailable>>,
    pub(super) before: SystemReading,
    pub(super) flops: u64,
    pub(super) n_samples: Option<u64>,
}

impl Profiling<'_> {
    /// Says how many samples the work handles, from which its throughput follows.
    pub fn samples(&mut self, n_samples: u64) {
        self.n_samples = Some(n_samples);
    }

    /// Ends the profile, remembers it in its profiler and returns it.
    pub fn finish(self) -> Profile {
        let Self { running, profiler, from_s, lines, before, flops, n_samples } = self;
        let config = &profiler.config;
        let mut profile = running.finish();
        let (after, flops) =
            (SystemReading::take_tracked(config.tracked()), flops_counted() - flops);
        profiler.add_sensors(&mut profile, &before, &after);
        profiler.add_system(&mut profile, from_s);
        if let Some(n_samples) = n_samples {
            let rate = n_samples as f64 / profile.wall_s.max(1e-9);
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            profile.measurements.push(Measurement::measured("throughput", unit, higher, &[rate]));
        }
        if config.estimate_flops() {
            add_flops(&mut profile, flops);
        }
        let lines = match lines {
            Some(Ok(running)) => Some(running.stop()),
            Some(Err(why)) => {
                profile.findings.push(info(format!("no hot lines: {}", why.reason)));
                None
            }
            None => None,
        };
        profile.findings.extend(lines.iter().flat_map(LineProfile::findings));
        if !config.detailed_memory() {
            profile.allocs.clear();
        } else if let Err(why) = allocations_are_counted() {
            profile.findings.push(info(format!("no allocations: {}", why.reason)));
        }
        let mut all = profiler.done();
        if all.len() == MAX_PROFILES {
            all.pop_front();
        }
        all.push_back(Done { profile: profile.clone(), lines });
        drop(all);
        profile
    }
}

impl PerformanceProfiler {
    /// What the system did around the profile: means over it, or for a short one the last look.
    fn add_system(&self, profile: &mut Profile, from_s: f64) {
        let Some(system) = &self.system else { return };
        for name in ["cpu.busy", "cpu.iowait", "pressure.io", "memory.used_share"] {
            let (unit, neutral) = (Unit::Fraction, Direction::Neutral);
            profile.measurements.push(match system.mean_since(name, from_s) {
                Ok((value, is_inside)) => {
                    let note = "the last look before it: the profile is shorter than the interval";
                    let note = (!is_inside).then(|| note.to_owned());
                    let mut figure = Measurement::measured(name, unit, neutral, &[value]);
                    figure.reading = Reading::Measured { value, note };
                    figure
                }
                Err(why) => Measurement::unavailable(name, unit, neutral, &why.reason),
            });
        }
        for mut series in system.timeline_since(from_s) {
            series.t_s.iter_mut().for_each(|t_s| *t_s -= from_s);
            profile.timeline.push(series);
        }
    }

    fn add_sensors(&self, profile: &mut Profile, before: &SystemReading, after: &SystemReading) {
        let tracked = self.config.tracked();
        if tracked == (Tracked { gpu: false, cpu_temp: false, network: false, energy: false }) {
            return;
        }
        let values = after.values_since(before);
        let wanted = |sensor: &&SensorValue| match sensor.name {
            name if name.starts_with("gpu.") => tracked.gpu,
            "cpu.temperature" | "cpu.frequency_hz" => tracked.cpu_temp,
            "network.received" | "network.sent" => tracked.network,
            _ => false,
        };
        for value in values.iter().filter(wanted) {
            let name = value.full_name();
            let reading = value.value.clone();
            profile.measurements.push(measurement(&name, value.unit, Direction::Neutral, reading));
        }
        if tracked.gpu {
            let used = SystemReading::gpu_memory_used;
            let most = used(before).into_iter().chain(used(after)).reduce(f64::max);
            let why = "no GPU says how much of its memory is used";
            let name = "gpu.peak_memory";
            let lower = Direction::LowerIsBetter;
            profile.measurements.push(match most {
                Some(bytes) => Measurement::measured(name, Unit::Bytes, lower, &[bytes]),
                None => Measurement::unavailable(name, Unit::Bytes, lower, why),
            });
        }
        // The fullest and busiest GPU under a name that does not depend on how many there are.
        for name in ["gpu.utilisation", "gpu.memory_share"] {
            let has = profile.measurements.iter().any(|m| m.metric == name);
            if let Some(value) = sensor(&values, name).filter(|_| !has && tracked.gpu) {
                let of = Measurement::measured(name, Unit::Fraction, Direction::Neutral, &[value]);
                profile.measurements.push(of);
            }
        }
        if self.config.track_carbon() {
            let joules = after.joules_since(before);
            profile.measurements.push(self.carbon(&joules));
            let lower = Direction::LowerIsBetter;
            profile.measurements.push(measurement("energy", Unit::Joules, lower, joules));
        }
    }

    fn carbon(&self, joules: &Result<f64, Unavailable>) -> Measurement {
        let (name, unit, direction) = ("co2_g", Unit::Count, Direction::LowerIsBetter);
        match (joules, self.config.grid_g_per_kwh()) {
            (Err(why), _) => Measurement::unavailable(name, unit, direction, &why.reason),
            (_, None) => {
                let reason = "no grid factor is stated: set `grid_g_per_kwh` to yours";
                Measurement::unavailable(name, unit, direction, reason)
            }
            (Ok(joules), Some(factor)) => {
                let how = format!("{joules:.1} J at {factor} g/kWh, the stated grid factor");
                Measurement::estimated(name, unit, direction, co2_g(*joules, factor), &how)
            }
        }
    }
}

fn add_flops(profile: &mut Profile, flops: u64) {
    let (flops, wall_s) = (flops as f64, profile.wall_s);
    let neutral = Direction::Neutral;
    if flops > 0.0 {
        let how = "the sum of what the code reported by `count_flops`";
        profile.measurements.push(Measurement::estimated(
            "flops",
            Unit::Count,
            neutral,
            flops,
            how,
        ));
        let how = format!("{how}, over the wall time");
        let higher = Direction::HigherIsBetter;
        profile.measurements.push(Measurement::estimated(
            "flop_rate",
            Unit::FlopPerSecond,
            higher,
            flops / wall_s.max(1e-9),
            &how,
        ));
    } else {
        let reason = "the code reported no operations by `count_flops`";
        profile.measurements.push(Measurement::unavailable("flops", Unit::Count, neutral, reason));
    }
}
