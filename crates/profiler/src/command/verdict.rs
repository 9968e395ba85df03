//! What limited a program, from what it was seen doing.

use lob_metrics::{Finding, Severity, Unit};
use lob_scope::Unavailable;

use super::doing::Doing;
use super::tree::Sample;
use super::waits::{Reason, Waits};
use super::watch::{End, Watched};
use crate::{LeakReport, LeakVerdict, LineProfile};

/// CPU seconds per second from which a program is bound by the CPU; also the share of the time in
/// which it was ready to run, got its turn or not.
const CPU_BOUND: f64 = 0.7;
/// Share of the time in disk waits from which a program is bound by disks.
const DISK_BOUND: f64 = 0.3;
/// Share of the time in any other wait from which it is named as the limit.
const WAIT_BOUND: f64 = 0.5;
/// Share of the time without a CPU from which the load of the machine is named.
const LOADED: f64 = 0.1;
/// Processes named that outlive the program.
const MAX_OUTLIVING: usize = 5;
/// Samples below which waits are not judged.
const MIN_SAMPLES: usize = 5;

/// Samples of new memory, two megabytes each, from which lines are named.
const MIN_LEAK_SAMPLES: u64 = 8;

/// What limited a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// It used 0.7 CPU seconds per second or more, or ran 70 % of the time in which it had a
    /// CPU or waited for something else.
    Cpu,
    /// It waited for disks at least 30 % of the time.
    DiskIo,
    /// It slept in pipes, sockets or terminals at least half of the time.
    StreamIo,
    /// It slept on timers at least half of the time.
    Sleep,
    /// It waited for locks or its own threads at least half of the time.
    Locks,
    /// It waited for signals at least half of the time.
    Signal,
    /// It was stopped, by a signal or a debugger, at least half of the time.
    Stopped,
    /// None of these.
    Mixed,
    /// It ended too soon, or the system does not tell.
    Unknown,
}

impl Bound {
    /// The word it goes by in a Run document.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::DiskIo => "disk",
            Self::StreamIo => "stream",
            Self::Sleep => "timer",
            Self::Locks => "lock",
            Self::Signal => "signal",
            Self::Stopped => "stopped",
            Self::Mixed => "mixed",
            Self::Unknown => "unknown",
        }
    }
}

/// Shares of the time in which a program as a whole did something.
pub(super) struct Shares<'a> {
    waits: &'a Waits,
    /// Seconds of block-device waits per second, where the kernel keeps count; else 0.
    blocked: f64,
}

impl<'a> Shares<'a> {
    pub(super) fn of(waits: &'a Waits, samples: &[Sample], wall_s: f64) -> Self {
        let blocked_s = samples.iter().map(|s| s.blocked_s).fold(0.0, f64::max);
        Self { waits, blocked: (blocked_s / wall_s.max(1e-9)).min(1.0) }
    }

    /// The shares add up to 1.
    fn share(&self, doing: Doing) -> f64 {
        let (share, disk) = (self.waits.share(doing), self.waits.share(Doing::Disk));
        // What the kernel counted for disks was taken for something else.
        let more = (self.blocked - disk).max(0.0);
        match doing {
            Doing::Disk => disk + more,
            _ => share * (1.0 - more / (1.0 - disk).max(1e-9)),
        }
    }

    /// As [`Self::share`], of the time it could do anything at all: what a loaded machine keeps it
    /// from is no property of the program.
    fn own_share(&self, doing: Doing) -> f64 {
        self.share(doing) / (1.0 - self.share(Doing::Ready)).max(1e-9)
    }

    fn is_judged(&self) -> bool {
        self.waits.passes >= MIN_SAMPLES
    }

    /// Shares by name, each unavailable when there were too few samples; the names of waits begin
    /// with `waiting.`.
    pub(super) fn by_name(&self) -> Vec<(String, Result<f64, Unavailable>)> {
        let known = |doing| {
            if self.is_judged() {
                return Ok(self.share(doing));
            }
            let passes = self.waits.passes;
            let why = format!("{passes} samples are too few: choose a shorter interval");
            Err(Unavailable::new(why))
        };
        let name = |doing| match doing {
            Doing::Running => "running".to_owned(),
            Doing::Ready => "waiting.cpu".to_owned(),
            _ => format!("waiting.{}", doing.word()),
        };
        Doing::ALL.map(|doing| (name(doing), known(doing))).into()
    }
}

/// `cpu_share` is in CPU seconds per second, above 1 with several threads.
pub(super) fn bound(cpu_share: Option<f64>, shares: &Shares<'_>) -> Bound {
    let of = |doing| shares.own_share(doing);
    match cpu_share {
        Some(share) if share >= CPU_BOUND => Bound::Cpu,
        _ if !shares.is_judged() => Bound::Unknown,
        _ if of(Doing::Running) >= CPU_BOUND => Bound::Cpu,
        _ if of(Doing::Disk) >= DISK_BOUND => Bound::DiskIo,
        _ => {
            let waits = [
                (Doing::Stream, Bound::StreamIo),
                (Doing::Timer, Bound::Sleep),
                (Doing::Lock, Bound::Locks),
                (Doing::Signal, Bound::Signal),
                (Doing::Stopped, Bound::Stopped),
            ];
            let found = waits.into_iter().find(|(doing, _)| of(*doing) >= WAIT_BOUND);
            found.map_or(Bound::Mixed, |(_, bound)| bound)
        }
    }
}

pub(super) fn finding(bound: Bound, cpu_share: Option<&f64>, shares: &Shares<'_>) -> Finding {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let cpu = cpu_share.map_or_else(|| "unknown".to_owned(), |share| percent(*share));
    let of = |doing| percent(shares.share(doing));
    let with_reason = |doing, text: String| match shares.waits.reason(doing) {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    };
    let text = match bound {
        Bound::Cpu if cpu_share.is_some_and(|share| *share < CPU_BOUND) => format!(
            "CPU-bound: ready to run {} of the time, but the machine gave it {cpu} of one core",
            percent(shares.share(Doing::Running) + shares.share(Doing::Ready))
        ),
        Bound::Cpu => format!("CPU-bound: {cpu} of one core"),
        Bound::DiskIo => {
            let text =
                format!("I/O-bound: waits for disks {} of the time, CPU {cpu}", of(Doing::Disk));
            with_reason(Doing::Disk, text)
        }
        Bound::StreamIo => {
            let text = format!(
                "I/O-bound: sleeps in pipes, sockets or terminals {} of the time, CPU {cpu}",
                of(Doing::Stream)
            );
            with_reason(Doing::Stream, text)
        }
        Bound::Sleep => {
            let text = format!("sleeps on timers {} of the time, CPU {cpu}", of(Doing::Timer));
            with_reason(Doing::Timer, text)
        }
        Bound::Locks => {
            let text = format!(
                "waits for locks or its own threads {} of the time, CPU {cpu}",
                of(Doing::Lock)
            );
            with_reason(Doing::Lock, text)
        }
        Bound::Signal => {
            let text = format!("waits for signals {} of the time, CPU {cpu}", of(Doing::Signal));
            with_reason(Doing::Signal, text)
        }
        Bound::Stopped => {
            format!(
                "stopped by a signal or a debugger {} of the time, CPU {cpu}",
                of(Doing::Stopped)
            )
        }
        Bound::Mixed => mixed(&cpu, shares),
        Bound::Unknown => format!("too short to tell what limits it: CPU {cpu}"),
    };
    let ready = shares.share(Doing::Ready);
    let text = match bound {
        Bound::Cpu | Bound::Unknown | Bound::Mixed => text,
        _ if ready < LOADED => text,
        _ => format!("{text}; no CPU was free {} of the time", percent(ready)),
    };
    Finding { severity: Severity::Info, text }
}

/// All shares that matter, the largest first.
fn mixed(cpu: &str, shares: &Shares<'_>) -> String {
    let mut parts: Vec<(Doing, f64)> = Doing::ALL.map(|doing| (doing, shares.share(doing))).into();
    parts.retain(|(_, share)| *share >= 0.005);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let part = |(doing, share): &(Doing, f64)| format!("{} {:.0} %", doing.word(), share * 100.0);
    let parts: Vec<String> = parts.iter().map(part).collect();
    let waits = |reason: &&Reason| !matches!(reason.doing, Doing::Running | Doing::Ready);
    let most = shares.waits.reasons.iter().find(waits);
    let most =
        most.map_or_else(String::new, |reason| format!("; the longest wait: {}", reason.what));
    format!("no single limit: CPU {cpu}, {}{most}", parts.join(", "))
}

/// What ended the watching, and who goes on.
pub(super) fn end_findings(watched: &Watched) -> Vec<Finding> {
    let mut out = Vec::new();
    let seconds = |s: f64| Unit::Seconds.format(s);
    if watched.end != End::Itself {
        let why = if watched.end == End::TimeUp { "its time was over" } else { "asked to" };
        let text = format!("ended after {}, since {why}", seconds(watched.wall_s));
        out.push(Finding { severity: Severity::Info, text });
    }
    if watched.is_slowed && watched.waits.passes > 0 {
        let mean = seconds(watched.wall_s / watched.waits.passes as f64);
        let text = format!(
            "threads and memory were looked at every {mean}: there are so many that more often \
             would take more than 2 % of a CPU"
        );
        out.push(Finding { severity: Severity::Info, text });
    }
    if !watched.outliving.is_empty() {
        let shown = watched.outliving.iter().take(MAX_OUTLIVING).map(|member| {
            let (user_s, system_s) = member.cpu_s();
            format!("`{}` ({}), {} of CPU", member.name, member.pid, seconds(user_s + system_s))
        });
        let shown: Vec<String> = shown.collect();
        let (n, dots) = (
            watched.outliving.len(),
            if watched.outliving.len() > shown.len() { ", ..." } else { "" },
        );
        let what = if n == 1 { "1 process outlives" } else { &format!("{n} processes outlive") };
        let text = format!(
            "{what} the program: {}{dots}; counted up to the program's end",
            shown.join("; ")
        );
        out.push(Finding { severity: Severity::Warning, text });
    }
    out
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
    findings.extend(lines.into_iter().flat_map(|lines| lines.lines_of(MIN_LEAK_SAMPLES)).map(
        |line| {
            let share = line.share * 100.0;
            warning(format!(
                "leak: {share:.0} % of its memory was first touched at {}",
                line.place()
            ))
        },
    ));
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

    fn seen(seconds: &[(Doing, f64)]) -> Waits {
        Waits {
            passes: MIN_SAMPLES,
            seconds: seconds.iter().copied().collect(),
            ..Waits::default()
        }
    }

    fn blocked(blocked_s: f64) -> Sample {
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
        }
    }

    #[test]
    fn the_limit_is_named_by_the_larger_evidence() {
        use Doing::{Disk, Lock, Other, Ready, Running, Signal, Stopped, Stream, Timer};
        let cases: [(&[Doing], Option<f64>, Bound); 14] = [
            (&[Running], Some(0.3), Bound::Cpu),
            (&[Running], Some(0.95), Bound::Cpu),
            (&[Running, Ready, Ready, Ready], Some(0.25), Bound::Cpu),
            (&[Ready, Ready, Ready, Timer], Some(0.0), Bound::Sleep),
            (&[Lock], Some(1.9), Bound::Cpu),
            (&[Disk, Running], Some(0.4), Bound::DiskIo),
            (&[Stream], Some(0.1), Bound::StreamIo),
            (&[Timer], Some(0.0), Bound::Sleep),
            (&[Lock], Some(0.2), Bound::Locks),
            (&[Signal], Some(0.0), Bound::Signal),
            (&[Stopped, Stopped, Running], Some(0.3), Bound::Stopped),
            (&[Other], Some(0.0), Bound::Mixed),
            (&[Other, Running, Stream, Timer], Some(0.3), Bound::Mixed),
            (&[Timer], None, Bound::Sleep),
        ];
        for (doing, cpu, expected) in cases {
            let mut seconds = std::collections::BTreeMap::new();
            doing.iter().for_each(|doing| *seconds.entry(*doing).or_insert(0.0) += 1.0);
            let waits = Waits { passes: MIN_SAMPLES, seconds, ..Waits::default() };
            let shares = Shares::of(&waits, &[], 1.0);
            assert_eq!(bound(cpu, &shares), expected, "{doing:?}");
            let sum: f64 = shares.by_name().into_iter().map(|(_, share)| share.unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{doing:?}: {sum}");
            let text = finding(expected, cpu.as_ref(), &shares).text;
            assert!(!text.is_empty());
            // Whatever took the time is named.
            if doing == [Other] {
                assert!(text.contains("other 100 %"), "{text}");
            }
        }
    }

    #[test]
    fn counted_disk_waits_and_short_runs_are_honoured() {
        let mut waits = seen(&[(Doing::Other, 1.0), (Doing::Timer, 1.0)]);
        let shares = Shares::of(&waits, &[blocked(0.6)], 1.0);
        assert_eq!(bound(Some(0.1), &shares), Bound::DiskIo);
        let sum: f64 = shares.by_name().into_iter().map(|(_, share)| share.unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        waits.passes = MIN_SAMPLES - 1;
        let shares = Shares::of(&waits, &[], 1.0);
        assert_eq!(bound(Some(0.1), &shares), Bound::Unknown);
        assert!(shares.by_name().iter().all(|(_, share)| share.is_err()));
    }
}
