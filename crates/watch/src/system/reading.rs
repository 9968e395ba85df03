//! One look at every sensor, and what two looks say together.

use std::time::Instant;

use lob_metrics::Unit;
use lob_profiler::{
    ContextSwitches, CpuTimes, EnergyReading, Gpu, GpuReading, Pressure, ProcessIo, Resource,
    SystemMemory, Traffic,
};
use lob_scope::Unavailable;

use super::SensorValue;

/// Which sensors are looked at; the others say that they were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    /// NVIDIA GPUs.
    pub gpu: bool,
    /// Thermometers and frequency.
    pub cpu_temp: bool,
    /// Network interfaces.
    pub network: bool,
    /// Energy counters of the processor and the GPUs.
    pub energy: bool,
}

impl Default for Tracked {
    /// All of them.
    fn default() -> Self {
        Self { gpu: true, cpu_temp: true, network: true, energy: true }
    }
}

/// Each GPU with what its sensors say.
type Gpus = Vec<(Gpu, Result<GpuReading, Unavailable>)>;

/// One look at every sensor.
#[derive(Debug, Clone)]
pub(crate) struct SystemReading {
    at: Instant,
    cpu: Result<CpuTimes, Unavailable>,
    memory: Result<SystemMemory, Unavailable>,
    load: Result<[f64; 3], Unavailable>,
    /// Of CPU, memory and disk.
    pressures: [Result<Pressure, Unavailable>; 3],
    disk: Result<Traffic, Unavailable>,
    network: Result<Traffic, Unavailable>,
    switches: Result<u64, Unavailable>,
    temperature_celsius: Result<f64, Unavailable>,
    frequency_hz: Result<f64, Unavailable>,
    energy: Result<EnergyReading, Unavailable>,
    own_rss: Result<u64, Unavailable>,
    own_cpu_s: Result<f64, Unavailable>,
    own_io: Result<ProcessIo, Unavailable>,
    own_switches: Result<ContextSwitches, Unavailable>,
    gpus: Result<Gpus, Unavailable>,
}

impl SystemReading {
    /// Looks at the sensors; some 200 microseconds, and more with a GPU.
    #[must_use]
    pub(crate) fn take(tracked: Tracked) -> Self {
        let gpus = wanted(tracked.gpu, "track_gpu", lob_profiler::gpus);
        Self {
            at: Instant::now(),
            cpu: lob_profiler::cpu_times(),
            memory: lob_profiler::system_memory(),
            load: lob_profiler::load_average(),
            pressures: [Resource::Cpu, Resource::Memory, Resource::Io].map(lob_profiler::pressure),
            disk: lob_profiler::disk_traffic(),
            network: wanted(tracked.network, "track_network", lob_profiler::network_traffic),
            switches: lob_profiler::system_context_switches(),
            temperature_celsius: wanted(
                tracked.cpu_temp,
                "track_cpu_temp",
                lob_profiler::temperature_celsius,
            ),
            frequency_hz: wanted(
                tracked.cpu_temp,
                "track_cpu_temp",
                lob_profiler::cpu_frequency_hz,
            ),
            energy: wanted(tracked.energy, "track_carbon", lob_profiler::energy),
            own_rss: lob_scope::rss_bytes(),
            own_cpu_s: lob_scope::process_cpu_time_s(),
            own_io: lob_profiler::process_io(),
            own_switches: lob_profiler::context_switches(),
            gpus: read_all(gpus),
        }
    }

    /// Looks at what belongs to a single profile; the system around it is the monitor's. Costs next
    /// to nothing where nothing is tracked.
    pub(crate) fn take_tracked(tracked: Tracked) -> Self {
        fn not_looked_at<T>() -> Result<T, Unavailable> {
            Err(Unavailable::new("not looked at"))
        }
        let gpus = wanted(tracked.gpu, "track_gpu", lob_profiler::gpus);
        let thermal = tracked.cpu_temp;
        let (celsius, hertz) = (lob_profiler::temperature_celsius, lob_profiler::cpu_frequency_hz);
        Self {
            at: Instant::now(),
            cpu: not_looked_at(),
            memory: not_looked_at(),
            load: not_looked_at(),
            pressures: std::array::from_fn(|_| not_looked_at()),
            disk: not_looked_at(),
            network: wanted(tracked.network, "track_network", lob_profiler::network_traffic),
            switches: not_looked_at(),
            temperature_celsius: wanted(thermal, "track_cpu_temp", celsius),
            frequency_hz: wanted(thermal, "track_cpu_temp", hertz),
            energy: wanted(tracked.energy, "track_carbon", lob_profiler::energy),
            own_rss: not_looked_at(),
            own_cpu_s: not_looked_at(),
            own_io: not_looked_at(),
            own_switches: not_looked_at(),
            gpus: read_all(gpus),
        }
    }

    /// Bytes in use on the fullest GPU.
    pub(crate) fn gpu_memory_used(&self) -> Option<f64> {
        let used = |(_, reading): &(Gpu, Result<GpuReading, Unavailable>)| {
            Some(*reading.as_ref().ok()?.used_bytes.as_ref().ok()? as f64)
        };
        self.gpus.as_ref().ok()?.iter().filter_map(used).reduce(f64::max)
    }

    /// Joules the processor packages and the GPUs have used since `before`.
    ///
    /// # Errors
    /// Where neither has an energy counter.
    pub(crate) fn joules_since(&self, before: &Self) -> Result<f64, Unavailable> {
        let packages = both(&self.energy, &before.energy, |now, then| now.joules_since(then));
        let gpus = self.gpu_joules().and_then(|now| Ok(now - before.gpu_joules()?));
        match (packages, gpus) {
            (Ok(packages), Ok(gpus)) => Ok(packages + gpus),
            (Ok(joules), Err(_)) | (Err(_), Ok(joules)) => Ok(joules),
            (Err(why), Err(_)) => Err(why),
        }
    }

    fn gpu_joules(&self) -> Result<f64, Unavailable> {
        let gpus = self.gpus.as_ref().map_err(Clone::clone)?;
        if gpus.is_empty() {
            return Err(Unavailable::new("there is no GPU"));
        }
        gpus.iter().map(|(_, reading)| reading.clone()?.energy_j).sum()
    }

    /// What the sensors say now, rates and shares over the time since `before`.
    #[must_use]
    pub(crate) fn values_since(&self, before: &Self) -> Vec<SensorValue> {
        let passed_s = self.at.saturating_duration_since(before.at).as_secs_f64();
        let mut out = Vec::with_capacity(40);
        let mut add = |name, unit, value| out.push(SensorValue { name, gpu: None, unit, value });
        let rate = |amount: f64| amount / passed_s.max(1e-9);
        let instant = || Unavailable::new("no time has passed between two readings");
        let share = |of: fn(&CpuTimes, &CpuTimes) -> Option<f64>| {
            both(&self.cpu, &before.cpu, of).and_then(|share| share.ok_or_else(instant))
        };
        add("cpu.busy", Unit::Fraction, share(CpuTimes::busy_share_since));
        add("cpu.iowait", Unit::Fraction, share(CpuTimes::iowait_share_since));
        add("cpu.steal", Unit::Fraction, share(CpuTimes::steal_share_since));
        for (nth, name) in ["load.1m", "load.5m", "load.15m"].into_iter().enumerate() {
            add(name, Unit::Dimensionless, map(&self.load, |load| load[nth]));
        }
        let memory = &self.memory;
        add("memory.total", Unit::Bytes, map(memory, |m| m.total_bytes as f64));
        add("memory.used", Unit::Bytes, map(memory, |m| m.used_bytes() as f64));
        add("memory.used_share", Unit::Fraction, map(memory, SystemMemory::used_share));
        for (name, pressure) in
            ["pressure.cpu", "pressure.memory", "pressure.io"].into_iter().zip(&self.pressures)
        {
            add(name, Unit::Fraction, map(pressure, |p| p.some_avg10));
        }
        let traffic = |now: &Result<Traffic, _>, then: &Result<Traffic, _>, sent: bool| {
            let of = |t: &Traffic| if sent { t.out_bytes } else { t.in_bytes };
            both(now, then, |now, then| rate(of(now).saturating_sub(of(then)) as f64))
        };
        let (disk, network) = ((&self.disk, &before.disk), (&self.network, &before.network));
        add("disk.read", Unit::BytesPerSecond, traffic(disk.0, disk.1, false));
        add("disk.written", Unit::BytesPerSecond, traffic(disk.0, disk.1, true));
        add("network.received", Unit::BytesPerSecond, traffic(network.0, network.1, false));
        add("network.sent", Unit::BytesPerSecond, traffic(network.0, network.1, true));
        let switched = |now: &u64, then: &u64| rate(now.saturating_sub(*then) as f64);
        let switches = both(&self.switches, &before.switches, switched);
        add("context_switches.per_s", Unit::Count, switches);
        add("cpu.temperature", Unit::Celsius, self.temperature_celsius.clone());
        add("cpu.frequency_hz", Unit::Count, self.frequency_hz.clone());
        let watts = both(&self.energy, &before.energy, |now, then| rate(now.joules_since(then)));
        add("cpu.power", Unit::Watts, watts);
        self.own_values(before, rate, &mut out);
        self.gpu_values(&mut out);
        out
    }

    /// What this process does.
    fn own_values(&self, before: &Self, rate: impl Fn(f64) -> f64, out: &mut Vec<SensorValue>) {
        let mut add = |name, unit, value| out.push(SensorValue { name, gpu: None, unit, value });
        add("process.rss", Unit::Bytes, map(&self.own_rss, |bytes| *bytes as f64));
        let cpu = both(&self.own_cpu_s, &before.own_cpu_s, |now, then| rate(now - then));
        add("process.cpu_cores", Unit::Dimensionless, cpu);
        let moved = |of: fn(&ProcessIo) -> u64| {
            let moved = |now: &_, then: &_| rate(of(now).saturating_sub(of(then)) as f64);
            both(&self.own_io, &before.own_io, moved)
        };
        add("process.disk_read", Unit::BytesPerSecond, moved(|io| io.disk_read_bytes));
        add("process.disk_written", Unit::BytesPerSecond, moved(|io| io.disk_write_bytes));
        let switches = |s: &ContextSwitches| s.voluntary + s.involuntary;
        let switched =
            |now: &_, then: &_| rate(switches(now).saturating_sub(switches(then)) as f64);
        let switched = both(&self.own_switches, &before.own_switches, switched);
        add("process.context_switches_per_s", Unit::Count, switched);
    }

    fn gpu_values(&self, out: &mut Vec<SensorValue>) {
        let names = [
            ("gpu.utilisation", Unit::Fraction),
            ("gpu.memory_used", Unit::Bytes),
            ("gpu.memory_total", Unit::Bytes),
            ("gpu.memory_share", Unit::Fraction),
            ("gpu.process_memory", Unit::Bytes),
            ("gpu.processes", Unit::Count),
            ("gpu.power", Unit::Watts),
            ("gpu.temperature", Unit::Celsius),
            ("gpu.sm_clock_hz", Unit::Count),
            ("gpu.memory_clock_hz", Unit::Count),
        ];
        let missing = |gpu, why: &Unavailable| {
            names.map(|(name, unit)| SensorValue { name, gpu, unit, value: Err(why.clone()) })
        };
        let gpus = match &self.gpus {
            Ok(gpus) => gpus,
            Err(why) => return out.extend(missing(None, why)),
        };
        for (gpu, reading) in gpus {
            let gpu = Some(gpu.index);
            let reading = match reading {
                Ok(reading) => reading,
                Err(why) => {
                    out.extend(missing(gpu, why));
                    continue;
                }
            };
            let bytes = |value: &Result<u64, _>| map(value, |bytes| *bytes as f64);
            let values = [
                reading.utilisation.clone(),
                bytes(&reading.used_bytes),
                bytes(&reading.total_bytes),
                both(&reading.used_bytes, &reading.total_bytes, |used, total| {
                    *used as f64 / *total as f64
                }),
                bytes(&reading.process_bytes),
                map(&reading.processes, |processes| processes.len() as f64),
                reading.power_w.clone(),
                reading.temperature_celsius.clone(),
                reading.sm_clock_hz.clone(),
                reading.memory_clock_hz.clone(),
            ];
            let named = names.into_iter().zip(values);
            out.extend(named.map(|((name, unit), value)| SensorValue { name, gpu, unit, value }));
        }
    }
}

fn read_all(gpus: Result<Vec<Gpu>, Unavailable>) -> Result<Gpus, Unavailable> {
    let read = |gpu: Gpu| {
        let reading = gpu.read();
        (gpu, reading)
    };
    Ok(gpus?.into_iter().map(read).collect())
}

fn wanted<T>(
    on: bool,
    option: &str,
    read: impl FnOnce() -> Result<T, Unavailable>,
) -> Result<T, Unavailable> {
    if on { read() } else { Err(Unavailable::new(format!("`{option}` is off"))) }
}

fn map<T, U>(value: &Result<T, Unavailable>, of: impl FnOnce(&T) -> U) -> Result<U, Unavailable> {
    value.as_ref().map(of).map_err(Clone::clone)
}

fn both<A, B, U>(
    a: &Result<A, Unavailable>,
    b: &Result<B, Unavailable>,
    of: impl FnOnce(&A, &B) -> U,
) -> Result<U, Unavailable> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(of(a, b)),
        (Err(why), _) | (_, Err(why)) => Err(why.clone()),
    }
}
