//! The folder, the thread that reads it, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use lob_scope::Unavailable;

use super::files::{Process, Sums, stack};
use super::program;
use crate::stacks::{AllocSite, HeapContext, HeapContexts, HeapProfile, HeapSite};
use crate::{LeakConfig, LeakReport, LeakVerdict, leak_report};

const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/allocs"));
const PRELOAD: &str = "LD_PRELOAD";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Looks take a twentieth of a CPU at most: with many processes there are fewer.
const PAUSE_PER_LOOK: u32 = 20;
/// Processes whose lines are looked up. The stacks of one take some hundred kilobytes.
const MAX_NAMED: usize = 256;
/// Counts are exact, so little growth is growth.
const GROWTH: LeakConfig = LeakConfig { floor_bytes: 8.0 * 1024.0, floor_share: 0.005 };

/// A program whose allocations are tracked.
pub(in crate::command) struct HeapTracker {
    folder: Folder,
    stop: Sender<()>,
    thread: JoinHandle<Reader>,
}

/// Removed with all that is in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl HeapTracker {
    /// Has the program load the library, and begins to read what it notes.
    pub(in crate::command) fn prepare(command: &mut Command) -> Result<Self, Unavailable> {
        if LIBRARY.is_empty() {
            let why = "the library that tracks them could not be compiled with this program";
            return Err(Unavailable::new(why));
        }
        program::check(command)?;
        let failed = |folder: &Path, error: io::Error| {
            let folder = folder.display();
            Unavailable::new(format!("cannot write to `{folder}` (set TMPDIR): {error}"))
        };
        let folder = Folder::make().map_err(|error| failed(&std::env::temp_dir(), error))?;
        let library = folder.0.join("lob-allocs.so");
        std::fs::write(&library, LIBRARY).map_err(|error| failed(&folder.0, error))?;
        if library.as_os_str().as_bytes().iter().any(|byte| b": \t\n".contains(byte)) {
            return Err(Unavailable::new(format!(
                "the loader takes no library with a space or a colon in its path, `{}`: set TMPDIR",
                library.display()
            )));
        }
        preload(command, &library);
        let (stop, stopped) = mpsc::channel();
        let path = folder.0.clone();
        let read = move || {
            let mut reader = Reader::new(path);
            let mut pause = LOOK;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let before = Instant::now();
                reader.look();
                pause = LOOK.max(before.elapsed() * PAUSE_PER_LOOK);
            }
            reader.look();
            reader
        };
        let thread = std::thread::Builder::new().name("lob-allocs".to_owned()).spawn(read);
        let thread = thread.map_err(|e| Unavailable::new(format!("no thread to read on: {e}")))?;
        Ok(Self { folder, stop, thread })
    }

    /// Reads what is left, and finds names and lines.
    pub(in crate::command) fn finish(self) -> Result<HeapProfile, Unavailable> {
        let _ = self.stop.send(());
        let mut reader =
            self.thread.join().map_err(|_| Unavailable::new("the reading thread has ended"))?;
        let last = reader.processes.iter_mut().filter(|process| process.has_stacks);
        last.for_each(Process::read);
        let profile = profile(&reader);
        let was_loaded = reader.files().next().is_some();
        let folder = self.folder.0.display().to_string();
        drop(self.folder);
        if profile.processes == 0 && was_loaded {
            let why = format!("there was no room for what it notes in `{folder}`: set TMPDIR");
            return Err(Unavailable::new(why));
        }
        if profile.processes == 0 {
            let why = "the program did not load the library that tracks them: it is linked \
                       statically, runs with another user's rights, or clears LD_PRELOAD";
            return Err(Unavailable::new(why));
        }
        if profile.allocated_blocks == 0 {
            let why = "the program made no call of the C library's allocator: it allocates nothing, \
                       or has an allocator of its own";
            return Err(Unavailable::new(why));
        }
        Ok(profile)
    }
}

impl Folder {
    fn make() -> io::Result<Self> {
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        let name = format!("lob-allocs-{}-{nanos}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        // Children that run as somebody else may load the library, and then note nothing.
        std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o711))?;
        Ok(folder)
    }
}

/// Puts the library before those the program already gets.
fn preload(command: &mut Command, library: &Path) {
    let name = OsStr::new(PRELOAD);
    let set = command.get_envs().find(|(known, _)| *known == name);
    let others = set.map_or_else(|| std::env::var_os(name), |(_, value)| value.map(Into::into));
    let mut all: OsString = library.into();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    command.env(PRELOAD, all);
}

/// Looks at the files.
struct Reader {
    folder: PathBuf,
    begun: Instant,
    processes: Vec<Process>,
    known: BTreeSet<PathBuf>,
    /// Most bytes seen to live at once in all processes.
    peak_bytes: u64,
}

impl Reader {
    fn new(folder: PathBuf) -> Self {
        let begun = Instant::now();
        Self { folder, begun, processes: Vec::new(), known: BTreeSet::new(), peak_bytes: 0 }
    }

    /// The files of sums.
    fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_none())
    }

    /// Takes up new processes and reads those that live.
    fn look(&mut self) {
        for path in self.files() {
            if !self.known.contains(&path)
                && let Some(process) = Process::open(&path)
            {
                // Another program has taken over the process.
                let before = self.processes.iter_mut().filter(|other| !other.has_ended);
                before.filter(|other| other.pid == process.pid).for_each(end);
                self.known.insert(path);
                self.processes.push(process);
            }
        }
        let t_s = self.begun.elapsed().as_secs_f64();
        for (n, process) in self.processes.iter_mut().enumerate() {
            if process.has_ended {
                continue;
            }
            if Path::new("/proc").join(process.pid.to_string()).join("exe").exists() {
                process.look(t_s);
            } else {
                end(process);
            }
            if process.has_ended && n >= MAX_NAMED {
                process.forget_lines();
            }
        }
        let live = self.processes.iter().filter(|process| !process.has_ended);
        self.peak_bytes = self.peak_bytes.max(live.map(Process::held).sum());
    }
}

fn end(process: &mut Process) {
    process.has_ended = true;
    process.read();
}

/// Sums of one line, of all processes.
struct Site {
    site: AllocSite,
    sums: Sums,
    peak_bytes: u64,
    growth: LeakReport,
}

fn profile(reader: &Reader) -> HeapProfile {
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    let mut out = HeapProfile {
        processes: reader.processes.len() as u64,
        peak_bytes: reader.peak_bytes,
        ..HeapProfile::default()
    };
    let (mut unplaced, mut all, mut unnamed) = (0, 0, 0);
    let mut places = places(&reader.processes).into_iter();
    for process in &reader.processes {
        // One that was not looked at while it lived held what it held at the end, at least.
        out.peak_bytes = out.peak_bytes.max(process.held());
        for sums in &process.sums {
            out.allocated_bytes += sums.allocated_bytes;
            out.allocated_blocks += sums.allocated_blocks;
            out.held_bytes += sums.held_bytes;
            out.held_blocks += sums.held_blocks;
        }
        unplaced += process.sums.first().map_or(0, |sums| sums.allocated_blocks);
        all += process.sums.iter().map(|sums| sums.allocated_blocks).sum::<u64>();
        if !process.has_stacks {
            unnamed += 1;
            continue;
        }
        for (site, contexts) in by_place(places.next().unwrap_or_default()) {
            let sums = contexts.iter().filter_map(|n| process.sums.get(*n));
            let growth = growth(process, &contexts);
            let peak = process.peak_of(&contexts);
            let known = sites.entry(site.place()).or_insert_with(|| Site {
                site,
                sums: Sums::default(),
                peak_bytes: 0,
                growth: growth.clone(),
            });
            known.peak_bytes = known.peak_bytes.max(peak);
            for sums in sums {
                known.sums.held_bytes += sums.held_bytes;
                known.sums.held_blocks += sums.held_blocks;
                known.sums.allocated_bytes += sums.allocated_bytes;
                known.sums.allocated_blocks += sums.allocated_blocks;
            }
            if weight(&growth) > weight(&known.growth) {
                known.growth = growth;
            }
        }
    }
    if unplaced * 20 > all {
        out.notes.push(format!(
            "{unplaced} of {all} allocations came from more different places than are kept: their \
             lines are not known"
        ));
    }
    if unnamed > 0 {
        out.notes.push(format!(
            "the lines of {unnamed} of {} processes were not looked up: there were more than \
             {MAX_NAMED}; sums count them",
            out.processes
        ));
    }
    out.sites = sites.into_values().map(Site::into_public).collect();
    out.sites.sort_by_key(|site| std::cmp::Reverse((site.held_bytes, site.allocated_bytes)));
    out
}

impl Site {
    fn into_public(self) -> HeapSite {
        HeapSite {
            file: self.site.file,
            line: self.site.line,
            function: self.site.function,
            module: self.site.module,
            allocated_bytes: self.sums.allocated_bytes,
            allocated_blocks: self.sums.allocated_blocks,
            held_bytes: self.sums.held_bytes,
            held_blocks: self.sums.held_blocks,
            peak_bytes: self.peak_bytes,
            growth: self.growth,
        }
    }
}

/// Growth of one process stands for its site: the surest, then the largest.
fn weight(report: &LeakReport) -> (u8, f64) {
    let surety = match report.verdict {
        LeakVerdict::Leak => 3,
        LeakVerdict::LevelsOff | LeakVerdict::Reserved => 2,
        LeakVerdict::NoLeak => 1,
        _ => 0,
    };
    (surety, report.growth_bytes.unwrap_or(0.0))
}

/// The places of the contexts of each process whose lines are looked up. Its first context is for
/// calls that found no room, and has none.
fn places(processes: &[Process]) -> Vec<Vec<Option<AllocSite>>> {
    let mut contexts = HeapContexts::default();
    for process in processes.iter().filter(|process| process.has_stacks) {
        let stacks = process.stacks();
        let context = |(n, sums): (usize, &Sums)| HeapContext {
            ip: sums.ip,
            sp: sums.sp,
            fp: sums.fp,
            stack: stack(&stacks, n),
        };
        contexts.add(&process.maps(), process.sums.iter().enumerate().skip(1).map(context));
    }
    contexts.places()
}

/// Contexts of a process by the line they are charged to.
fn by_place(places: Vec<Option<AllocSite>>) -> Vec<(AllocSite, Vec<usize>)> {
    let mut by_place: BTreeMap<String, (AllocSite, Vec<usize>)> = BTreeMap::new();
    for (n, site) in (1..).zip(places) {
        if let Some(site) = site {
            by_place.entry(site.place()).or_insert_with(|| (site, Vec::new())).1.push(n);
        }
    }
    by_place.into_values().collect()
}

/// Growth over time; where that was uneven, over the program's own work. While a machine gives a
/// program no turn nothing grows, and nothing is allocated either.
fn growth(process: &Process, contexts: &[usize]) -> LeakReport {
    let sum = |live: &Vec<u64>| {
        contexts.iter().filter_map(|n| live.get(*n)).map(|bytes| *bytes as f64).sum()
    };
    let live: Vec<f64> = process.live.iter().map(sum).collect();
    let mut by_time = leak_report(&process.t_s, &live, GROWTH);
    if by_time.verdict == LeakVerdict::LevelsOff
        && goes_on(&process.t_s, &live)
        && leak_report(&process.work, &live, GROWTH).verdict == LeakVerdict::Leak
    {
        by_time.verdict = LeakVerdict::Leak;
    }
    by_time
}

/// Whether the last part of the time has its share of the growth: a cache that fills grows with the
/// work it is filled by, and ends.
fn goes_on(t_s: &[f64], live: &[f64]) -> bool {
    const FROM: f64 = 0.25;
    const LATE: f64 = 0.85;
    const SHARE: f64 = 0.6;
    let (Some(first), Some(last)) = (t_s.first(), t_s.last()) else { return false };
    let at = |share: f64| {
        let n = t_s.partition_point(|t_s| *t_s < first + share * (last - first));
        live.get(n.min(live.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    let rate = |from: f64| (at(1.0) - at(from)) / (1.0 - from);
    rate(LATE) >= SHARE * rate(FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_goes_on_where_the_last_part_has_its_share() {
        let t_s: Vec<f64> = (0..=100).map(f64::from).collect();
        let of = |shape: fn(f64) -> f64| {
            goes_on(&t_s, &t_s.iter().map(|t| 1e6 * shape(t / 100.0)).collect::<Vec<_>>())
        };
        assert!(of(|u| u));
        assert!(of(|u| (u * 20.0).floor()));
        // A stall of a twentieth of the time at the end.
        assert!(of(|u| u.min(0.95)));
        assert!(!of(|u| u.min(0.9)));
        assert!(!of(|u| 1.0 - (-2.0 * u).exp()));
        assert!(!of(|u| 1.0 - (-3.0 * u).exp()));
    }
}
