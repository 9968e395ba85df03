//! What the system as a whole is doing: load, pressure, devices, heat and energy.
//!
//! Every sensor is a value or the reason why there is none. Counters grow from some beginning of
//! the kernel's; take two readings and subtract.

mod energy;
mod memory;
mod process;
mod thermal;
mod usage;

use lob_scope::{Unavailable, procfs};

pub use energy::{EnergyReading, co2_g, energy};
pub use memory::{SystemMemory, system_memory};
pub use process::{ProcessReading, process_reading};
pub use thermal::{cpu_frequency_hz, temperature_celsius};
pub use usage::{
    ContextSwitches, PageFaults, ProcessIo, context_switches, page_faults, process_io,
};
pub(crate) use usage::{faults_and_switches, parse_io};

/// Mean number of runnable or disk-waiting tasks over 1, 5 and 15 minutes.
///
/// # Errors
/// Where `/proc/loadavg` cannot be read.
pub fn load_average() -> Result<[f64; 3], Unavailable> {
    let path = "/proc/loadavg";
    parse_load(&procfs::read(path)?).ok_or_else(|| unknown(path))
}

fn parse_load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace().map(str::parse);
    Some([words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?])
}

/// Something tasks may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A core to run on.
    Cpu,
    /// Memory.
    Memory,
    /// A disk.
    Io,
}

/// Pressure stall information of one resource (kernel documentation, accounting/psi).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// Share of the last 10 s in which some task waited, 0..=1.
    pub some_avg10: f64,
    /// Seconds in which some task waited, since the system started.
    pub some_total_s: f64,
    /// Share of the last 10 s in which all tasks waited; `None` where the kernel gives none.
    pub full_avg10: Option<f64>,
}

/// How much tasks of the whole system wait for a resource.
///
/// # Errors
/// Where the kernel was built or started without pressure stall information.
pub fn pressure(resource: Resource) -> Result<Pressure, Unavailable> {
    let path = match resource {
        Resource::Cpu => "/proc/pressure/cpu",
        Resource::Memory => "/proc/pressure/memory",
        Resource::Io => "/proc/pressure/io",
    };
    parse_pressure(&procfs::read(path)?).ok_or_else(|| unknown(path))
}

fn parse_pressure(text: &str) -> Option<Pressure> {
    let line = |kind: &str| text.lines().find_map(|line| line.strip_prefix(kind));
    let value = |line: &str, key: &str| -> Option<f64> {
        line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key))?.parse().ok()
    };
    let some = line("some ")?;
    Some(Pressure {
        some_avg10: value(some, "avg10=")? / 100.0,
        some_total_s: value(some, "total=")? * 1e-6,
        full_avg10: line("full ").and_then(|full| value(full, "avg10=")).map(|v| v / 100.0),
    })
}

/// CPU seconds of all cores since the system started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTimes {
    /// Running programs, also of low priority.
    pub user_s: f64,
    /// In the kernel, interrupts included.
    pub system_s: f64,
    /// Nothing to do.
    pub idle_s: f64,
    /// Nothing to do but wait for a disk.
    pub iowait_s: f64,
    /// Taken by the hypervisor for other machines.
    pub steal_s: f64,
}

impl CpuTimes {
    /// Seconds of all kinds.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.user_s + self.system_s + self.idle_s + self.iowait_s + self.steal_s
    }

    /// Share of the time since `before` that the hypervisor gave to other machines, 0..=1; `None`
    /// when no time has passed.
    #[must_use]
    pub fn steal_share_since(&self, before: &Self) -> Option<f64> {
        let passed = self.total_s() - before.total_s();
        (passed > 0.0).then(|| ((self.steal_s - before.steal_s) / passed).clamp(0.0, 1.0))
    }

    /// Share of the time since `before` spent waiting for a disk, 0..=1; `None` when no time has
    /// passed.
    #[must_use]
    pub fn iowait_share_since(&self, before: &Self) -> Option<f64> {
        let passed = self.total_s() - before.total_s();
        (passed > 0.0).then(|| ((self.iowait_s - before.iowait_s) / passed).clamp(0.0, 1.0))
    }

    /// Share of the time since `before` in which cores were busy, 0..=1; `None` when no time has
    /// passed.
    #[must_use]
    pub fn busy_share_since(&self, before: &Self) -> Option<f64> {
        let passed = self.total_s() - before.total_s();
        let idle = self.idle_s + self.iowait_s - before.idle_s - before.iowait_s;
        (passed > 0.0).then(|| (1.0 - idle / passed).clamp(0.0, 1.0))
    }
}

/// CPU time of the whole system by kind.
///
/// # Errors
/// Where `/proc/stat` cannot be read.
pub fn cpu_times() -> Result<CpuTimes, Unavailable> {
    let path = "/proc/stat";
    let text = procfs::read(path)?;
    parse_cpu_times(&text, procfs::ticks_per_s()).ok_or_else(|| unknown(path))
}

fn parse_cpu_times(text: &str, ticks_per_s: f64) -> Option<CpuTimes> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: [u64; 8] = procfs::numbers(line)?;
    let [user, nice, system, idle, iowait, irq, softirq, steal] =
        ticks.map(|ticks| ticks as f64 / ticks_per_s);
    Some(CpuTimes {
        user_s: user + nice,
        system_s: system + irq + softirq,
        idle_s: idle,
        iowait_s: iowait,
        steal_s: steal,
    })
}

/// Context switches of the whole system since it started.
///
/// # Errors
/// Where `/proc/stat` cannot be read.
pub fn system_context_switches() -> Result<u64, Unavailable> {
    let path = "/proc/stat";
    parse_switches(&procfs::read(path)?).ok_or_else(|| unknown(path))
}

fn parse_switches(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("ctxt "))?.trim().parse().ok()
}

/// Bytes in and out since the system started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read or received.
    pub in_bytes: u64,
    /// Bytes written or sent.
    pub out_bytes: u64,
}

/// Bytes read from and written to all disks. Partitions and devices stacked on others (`loop`,
/// `ram`, `zram`, `dm-`, `md`) are left out, so that nothing counts twice.
///
/// # Errors
/// Where `/proc/diskstats` or `/sys/block` cannot be read.
pub fn disk_traffic() -> Result<Traffic, Unavailable> {
    let blocks = std::fs::read_dir("/sys/block")
        .map_err(|e| Unavailable::new(format!("cannot read `/sys/block`: {e}")))?;
    let disks: Vec<String> = blocks
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !["loop", "ram", "zram", "dm-", "md"].iter().any(|p| name.starts_with(p)))
        .collect();
    let text = procfs::read("/proc/diskstats")?;
    sum_disks(&text, &disks).ok_or_else(|| Unavailable::new("`/proc/diskstats` names no disk"))
}

fn sum_disks(text: &str, disks: &[String]) -> Option<Traffic> {
    /// The kernel counts in these whatever the device's own sectors are.
    const SECTOR_BYTES: u64 = 512;
    let rows = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(2);
        let name = words.next()?;
        disks.iter().any(|disk| disk == name).then_some(())?;
        let words: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        Some(Traffic {
            in_bytes: words.get(2)? * SECTOR_BYTES,
            out_bytes: words.get(6)? * SECTOR_BYTES,
        })
    });
    rows.reduce(Traffic::plus)
}

/// Bytes received and sent over all network interfaces but the loopback.
///
/// # Errors
/// Where `/proc/net/dev` cannot be read or names no interface but the loopback.
pub fn network_traffic() -> Result<Traffic, Unavailable> {
    sum_interfaces(&procfs::read("/proc/net/dev")?)
        .ok_or_else(|| Unavailable::new("`/proc/net/dev` names no interface but the loopback"))
}

fn sum_interfaces(text: &str) -> Option<Traffic> {
    let rows = text.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let [received, .., sent] = procfs::numbers::<9>(numbers)?;
        (name.trim() != "lo").then_some(Traffic { in_bytes: received, out_bytes: sent })
    });
    rows.reduce(Traffic::plus)
}

impl Traffic {
    fn plus(self, other: Self) -> Self {
        Self {
            in_bytes: self.in_bytes + other.in_bytes,
            out_bytes: self.out_bytes + other.out_bytes,
        }
    }
}

fn unknown(path: &str) -> Unavailable {
    Unavailable::new(format!("`{path}` has an unknown layout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_text_is_read_field_by_field() {
        assert_eq!(parse_load("0.10 1.25 3.50 2/300 4711\n"), Some([0.1, 1.25, 3.5]));
        assert_eq!(parse_load("0.10 x"), None);
        let psi = "some avg10=12.50 avg60=0.00 avg300=0.00 total=2500000\n\
                   full avg10=1.00 avg60=0.00 avg300=0.00 total=7\n";
        let expected = Pressure { some_avg10: 0.125, some_total_s: 2.5, full_avg10: Some(0.01) };
        assert_eq!(parse_pressure(psi), Some(expected));
        assert_eq!(parse_pressure(""), None);
        assert_eq!(parse_switches("cpu 1\nctxt 4711\n"), Some(4711));
        assert_eq!(parse_switches("cpu 1\n"), None);
    }

    #[test]
    fn shares_come_from_two_readings() {
        let before = parse_cpu_times("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1", 100.0).unwrap();
        let after = parse_cpu_times("cpu  150 0 100 825 20 0 0 5 0 0\n", 100.0).unwrap();
        assert!((after.iowait_share_since(&before).unwrap() - 0.2).abs() < 1e-12);
        assert!((after.busy_share_since(&before).unwrap() - 0.55).abs() < 1e-12);
        assert_eq!(after.iowait_share_since(&after), None);
        assert_eq!(parse_cpu_times("cpu  1 2 3", 100.0), None);
    }

    #[test]
    fn partitions_and_the_loopback_do_not_count() {
        let text = " 254 0 vda 10 0 8 0 20 0 16 0 0 0 0\n 254 1 vda1 10 0 8 0 20 0 16 0 0 0 0\n";
        let disks = ["vda".to_owned()];
        let expected = Traffic { in_bytes: 8 * 512, out_bytes: 16 * 512 };
        assert_eq!(sum_disks(text, &disks), Some(expected));
        assert_eq!(sum_disks(text, &[]), None);
        let net = "head|\n  lo: 5 1 0 0 0 0 0 0 5 1\neth0: 70 1 0 0 0 0 0 0 30 1 0 0\n";
        assert_eq!(sum_interfaces(net), Some(Traffic { in_bytes: 70, out_bytes: 30 }));
        assert_eq!(sum_interfaces("  lo: 5 1 0 0 0 0 0 0 5 1\n"), None);
    }
}
