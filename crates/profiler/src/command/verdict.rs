//! What limited a program, from what it was seen doing.

use std::collections::BTreeMap;

use lob_metrics::{Finding, Severity};
use lob_scope::Unavailable;

use super::tree::{Doing, Sample};
use crate::{LeakReport, LeakVerdict, LineProfile};

/// CPU seconds per second from which a program is bound by the CPU; also the share of the time in
/// which it was ready to run, got its turn or not.
const CPU_BOUND: f64 = 0.7;
/// Share of the time in disk waits from which a program is bound by disks.
const DISK_BOUND: f64 = 0.3;
/// Share of the time in any other wait from which it is named as the limit.
const WAIT_BOUND: f64 = 0.5;
/// Samples below which waits are not judged.
const MIN_SAMPLES: usize = 5;

/// What limited a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// It used 0.7 CPU seconds per second or more, or was ready to run 70 % of the time.
    Cpu,
    /// It waited for disks at least 30 % of the time.
    DiskIo,
    /// It slept in pipes, sockets or terminals at least half of the time.
    StreamIo,
    /// It slept on timers at least half of the time.
    Sleep,
    /// It waited for locks or its own threads at least half of the time.
    Locks,
    /// None of these.
    Mixed,
    /// It ended too soon, or the system does not tell.
    Unknown,
}

/// Shares of the samples a program was seen doing something.
pub(super) struct Shares {
    samples: usize,
    by_doing: BTreeMap<Doing, f64>,
    /// Seconds of block-device waits per second, where the kernel keeps count; else 0.
    blocked: f64,
}

impl Shares {
    pub(super) fn of(samples: &[Sample], wall_s: f64) -> Self {
        // Every sample weighs the same, however many processes it shows.
        let mut by_doing = BTreeMap::new();
        let seen = samples.iter().filter(|s| !s.doing.is_empty());
        let count = seen.clone().count();
        for sample in seen {
            let weight = 1.0 / (sample.doing.len() * count) as f64;
            for doing in &sample.doing {
                *by_doing.entry(*doing).or_insert(0.0) += weight;
            }
        }
        let blocked_s = samples.iter().map(|s| s.blocked_s).fold(0.0, f64::max);
        Self { samples: count, by_doing, blocked: blocked_s / wall_s.max(1e-9) }
    }

    fn share(&self, doing: Doing) -> f64 {
        self.by_doing.get(&doing).copied().unwrap_or(0.0)
    }

    fn disk(&self) -> f64 {
        self.share(Doing::Disk).max(self.blocked).min(1.0)
    }

    /// Shares by name, each unavailable when there were too few samples.
    pub(super) fn by_name(&self) -> [(&'static str, Result<f64, Unavailable>); 4] {
        let known = |share: f64| {
            if self.samples >= MIN_SAMPLES {
                return Ok(share);
            }
            Err(Unavailable::new(format!(
                "{} samples are too few: choose a shorter interval",
                self.samples
            )))
        };
        [
            ("disk", known(self.disk())),
            ("stream", known(self.share(Doing::Stream))),
            ("timer", known(self.share(Doing::Timer))),
            ("lock", known(self.share(Doing::Lock))),
        ]
    }
}

/// `cpu_share` is in CPU seconds per second, above 1 with several threads.
pub(super) fn bound(cpu_share: Option<f64>, shares: &Shares) -> Bound {
    let judged = shares.samples >= MIN_SAMPLES;
    match cpu_share {
        Some(share) if share >= CPU_BOUND => Bound::Cpu,
        _ if !judged => Bound::Unknown,
        _ if shares.share(Doing::Running) >= CPU_BOUND => Bound::Cpu,
        _ if shares.disk() >= DISK_BOUND => Bound::DiskIo,
        _ if shares.share(Doing::Stream) >= WAIT_BOUND => Bound::StreamIo,
        _ if shares.share(Doing::Timer) >= WAIT_BOUND => Bound::Sleep,
        _ if shares.share(Doing::Lock) >= WAIT_BOUND => Bound::Locks,
        _ => Bound::Mixed,
    }
}

pub(super) fn finding(bound: Bound, cpu_share: Option<&f64>, shares: &Shares) -> Finding {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let cpu = cpu_share.map_or_else(|| "unknown".to_owned(), |share| percent(*share));
    let of = |doing| percent(shares.share(doing));
    let text = match bound {
        Bound::Cpu if cpu_share.is_some_and(|share| *share < CPU_BOUND) => format!(
            "CPU-bound: ready to run {} of the time, but the machine gave it {cpu} of one core",
            of(Doing::Running)
        ),
        Bound::Cpu => format!("CPU-bound: {cpu} of one core"),
        Bound::DiskIo => {
            format!("I/O-bound: waits for disks {} of the time, CPU {cpu}", percent(shares.disk()))
        }
        Bound::StreamIo => format!(
            "I/O-bound: sleeps in pipes, sockets or terminals {} of the time, CPU {cpu}",
            of(Doing::Stream)
        ),
        Bound::Sleep => format!("sleeps on timers {} of the time, CPU {cpu}", of(Doing::Timer)),
        Bound::Locks => {
            format!("waits for locks or its own threads {} of the time, CPU {cpu}", of(Doing::Lock))
        }
        Bound::Mixed => format!(
            "no single limit: CPU {cpu}, disks {}, streams {}, timers {}, locks {}",
            percent(shares.disk()),
            of(Doing::Stream),
            of(Doing::Timer),
            of(Doing::Lock)
        ),
        Bound::Unknown => format!("too short to tell what limits it: CPU {cpu}"),
    };
    Finding { severity: Severity::Info, text }
}

/// Names a leak, if there is one, and the lines whose memory it is. From outside, keeping all one
/// reads looks the same.
pub(super) fn leak_findings(
    leak: &LeakReport,
    lines: &Result<LineProfile, Unavailable>,
) -> Vec<Finding> {
    if matches!(leak.verdict, LeakVerdict::LevelsOff | LeakVerdict::Reserved) {
        return vec![Finding { severity: Severity::Info, text: leak.text("second") }];
    }
    if leak.verdict != LeakVerdict::Leak {
        return Vec::new();
    }
    let warning = |text| Finding { severity: Severity::Warning, text };
    let leaks = format!("leak, unless it is meant to keep all it takes: {}", leak.text("second"));
    let mut findings = vec![warning(leaks)];
    let lines = lines.as_ref().ok();
    findings.extend(lines.into_iter().flat_map(LineProfile::hot_lines).map(|line| {
        let share = line.share * 100.0;
        warning(format!("leak: {share:.0} % of its memory was first touched at {}", line.place()))
    }));
    findings
}

/// The hot lines; where they are not known though they would matter, the reason.
pub(super) fn line_findings(
    bound: Bound,
    lines: &Result<LineProfile, Unavailable>,
) -> Vec<Finding> {
    match lines {
        Ok(lines) => lines.findings(),
        Err(missing) if bound == Bound::Cpu => vec![Finding {
            severity: Severity::Info,
            text: format!("hot lines are not known: {}", missing.reason),
        }],
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(doing: &[Doing], blocked_s: f64) -> Sample {
        Sample {
            t_s: 0.0,
            processes: 1.0,
            threads: 1.0,
            rss: None,
            anon_rss: None,
            reserved: None,
            cpu_s: 0.0,
            blocked_s,
            disk_read_bytes: None,
            disk_write_bytes: None,
            doing: doing.to_vec(),
        }
    }

    #[test]
    fn the_limit_is_named_by_the_larger_evidence() {
        use Doing::{Disk, Lock, Other, Running, Stream, Timer};
        let cases: [(&[Doing], Option<f64>, Bound); 9] = [
            (&[Running], Some(0.3), Bound::Cpu),
            (&[Running], Some(0.95), Bound::Cpu),
            (&[Lock], Some(1.9), Bound::Cpu),
            (&[Disk, Running], Some(0.4), Bound::DiskIo),
            (&[Stream], Some(0.1), Bound::StreamIo),
            (&[Timer], Some(0.0), Bound::Sleep),
            (&[Lock], Some(0.2), Bound::Locks),
            (&[Other, Running, Stream, Timer], Some(0.3), Bound::Mixed),
            (&[Timer], None, Bound::Sleep),
        ];
        for (doing, cpu, expected) in cases {
            let samples = vec![sample(doing, 0.0); MIN_SAMPLES];
            let shares = Shares::of(&samples, 1.0);
            assert_eq!(bound(cpu, &shares), expected, "{doing:?}");
            assert!(!finding(expected, cpu.as_ref(), &shares).text.is_empty());
        }
    }

    #[test]
    fn counted_disk_waits_and_short_runs_are_honoured() {
        let waiting = vec![sample(&[Doing::Other], 0.6); MIN_SAMPLES];
        assert_eq!(bound(Some(0.1), &Shares::of(&waiting, 1.0)), Bound::DiskIo);
        let shares = Shares::of(&waiting[..2], 1.0);
        assert_eq!(bound(Some(0.1), &shares), Bound::Unknown);
        assert!(shares.by_name().iter().all(|(_, share)| share.is_err()));
    }
}
