//! From the kernel's records to counted stacks.

use std::collections::{BTreeMap, BTreeSet};

use lob_scope::procfs;

use super::capture::Sample;
use super::image::{MapLine, Origin};
use super::process::{Interpreter, Process};
use super::python::{Role, kind_of_script, merge};
use super::reader::resolved;
use super::records::{Event, Record};
use super::space::{KERNEL, Place, UNKNOWN};
use super::table::Table;
use crate::stacks::report::{
    Frame, FrameKind, LineProfile, PythonSamples, SampledThread, TimedSample,
};

/// Samples kept with their time; of more, every second.
const MAX_TIMED: usize = 200_000;
/// How the mapping of the launcher of programs begins (`command/spawn.rs`).
const LAUNCHER: &str = "/memfd:lob-launch";
/// Addresses of compiled code kept apart in one process.
const MAX_JIT: usize = 50_000;

/// Whose records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Only those of the program and its descendants.
    Family,
    /// Those of everything: the program is what this thread of this process starts.
    Machine { pid: u32, tid: u32 },
    /// Those of everything: the program runs already and is told.
    Running,
}

/// Counts stacks.
pub(super) struct Engine {
    source: Source,
    table: Table,
    processes: BTreeMap<u32, Process>,
    /// Names threads have given themselves.
    names: BTreeMap<(u32, u32), String>,
    threads: BTreeMap<(u32, u32), usize>,
    listed: Vec<SampledThread>,
    /// Time, thread and stack of samples.
    timed: Vec<(u64, usize, usize)>,
    /// Samples one of `timed` stands for, and those passed over since the last one.
    every: u64,
    passed: u64,
    seen: u64,
    /// Samples without room, whosever they were.
    lost: u64,
    /// Samples of the program, and of others.
    counted: u64,
    others: u64,
    python: PythonSamples,
    notes: BTreeSet<String>,
    scratch: Vec<Place>,
}

/// Python's stacks read for the records of one visit.
pub(super) type Stacks = BTreeMap<(u32, u32), Option<Vec<Vec<Place>>>>;

impl Engine {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            table: Table::new(),
            processes: BTreeMap::new(),
            names: BTreeMap::new(),
            threads: BTreeMap::new(),
            listed: Vec::new(),
            timed: Vec::new(),
            every: 1,
            passed: 0,
            seen: 0,
            lost: 0,
            counted: 0,
            others: 0,
            python: PythonSamples::default(),
            notes: BTreeSet::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes up a process that runs already.
    pub(super) fn adopt(&mut self, pid: u32) {
        let read = |file: &str| procfs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        self.processes.insert(pid, Process::new(read("comm").trim().to_owned(), true));
        self.seen += 1;
        let maps = read("maps");
        for line in maps.lines().filter_map(MapLine::parse).filter(|line| line.executable) {
            let MapLine { range, offset, path, id, .. } = line;
            let path = path.strip_suffix(" (deleted)").unwrap_or(path).to_owned();
            self.map(pid, Event::Map { range, offset, path, id });
        }
    }

    /// Whether some process has to be looked at right after its samples.
    pub(super) fn is_urgent(&self) -> bool {
        self.processes.values().any(|process| process.live && process.interpreter.is_some())
    }

    /// Takes records in the order of time.
    pub(super) fn apply(&mut self, records: Vec<Record>) {
        let mut stacks = Stacks::new();
        for record in records {
            self.take(record, &mut stacks);
        }
    }

    fn take(&mut self, record: Record, stacks: &mut Stacks) {
        let Record { time, pid, tid, event } = record;
        match event {
            Event::Map { .. } => self.map(pid, event),
            Event::Exec { name } => {
                self.names.remove(&(pid, tid));
                if self.processes.contains_key(&pid) || self.source == Source::Family {
                    let known = self.processes.get(&pid).is_some_and(|process| process.live);
                    self.seen += u64::from(!known);
                    self.end(pid);
                    self.processes.insert(pid, Process::new(name, true));
                }
            }
            Event::Named { name } => {
                if self.processes.contains_key(&pid) && pid != tid {
                    self.names.insert((pid, tid), name);
                }
            }
            Event::Fork { parent, thread } => self.fork(pid, parent, thread),
            Event::Exit => self.end(pid),
            Event::Lost(count) => self.lost += count,
            Event::Sample { registers, stack, kernel } => {
                if !self.processes.get(&pid).is_some_and(|process| process.live) {
                    self.others += 1;
                } else {
                    self.counted += 1;
                    let sample = Sample { registers, stack: &stack, weight: 1, size: 1 };
                    self.sample(time, (pid, tid), &sample, &kernel, stacks);
                }
            }
        }
    }

    fn fork(&mut self, pid: u32, parent: u32, thread: u32) {
        if let Some(process) = self.processes.get(&parent).map(Process::forked) {
            self.seen += u64::from(process.live);
            self.processes.insert(pid, process);
        } else if self.source == (Source::Machine { pid: parent, tid: thread }) {
            self.processes.insert(pid, Process::new(String::new(), false));
        }
    }

    fn map(&mut self, pid: u32, event: Event) {
        let Event::Map { range, offset, path, id } = event else { return };
        let Some(process) = self.processes.get_mut(&pid) else { return };
        // What starts the program is none of it.
        if path.starts_with(LAUNCHER) && process.live {
            process.live = false;
            self.seen = self.seen.saturating_sub(1);
        }
        let images = &mut self.table.images;
        let image = images.id_of_mapped(&path, &Origin { pid, range: &range, id: &id });
        let bias = process.space.map(images, image, range, offset);
        if let Some(bias) = bias
            && let Some(interpreter) = Interpreter::of(images, image, bias)
        {
            process.interpreter = Some(interpreter);
        }
        let file = path.rsplit('/').next().unwrap_or(&path);
        // The kernel keeps 15 characters of a program's name; the first mapping is the program.
        if file.len() > process.name.len()
            && file.starts_with(&process.name)
            && !file.contains(".so")
        {
            process.name = file.to_owned();
        }
    }

    fn sample(
        &mut self,
        time: u64,
        (pid, tid): (u32, u32),
        sample: &Sample<'_>,
        kernel: &[u64],
        stacks: &mut Stacks,
    ) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let mut places = std::mem::take(&mut self.scratch);
        places.clear();
        // A process at its end has a stack in the kernel only.
        let mut whole = true;
        if sample.registers.sp != 0 {
            whole = self.table.unwind(&process.space, sample, &mut places);
        }
        name_compiled(pid, process, &mut self.table, &mut places);
        if let Some(interpreter) = &mut process.interpreter {
            let read = || {
                let groups = interpreter.stack(pid, tid)?;
                let names = &mut self.table.names;
                let place = |group: Vec<Frame>| group.iter().map(|f| names.place(f)).collect();
                Some(groups.into_iter().map(place).collect())
            };
            let groups = stacks.entry((pid, tid)).or_insert_with(read);
            match groups {
                Some(groups) => {
                    let role = |place| interpreter.role(place);
                    let (fits, now_whole) = merge(&mut places, whole, role, groups);
                    whole = now_whole;
                    *(if fits { &mut self.python.read } else { &mut self.python.changed }) += 1;
                }
                // Threads of libraries are none of Python's.
                None => {
                    let in_loop = places.iter().any(|p| interpreter.role(*p) == Role::Loop);
                    self.python.missing += u64::from(in_loop);
                }
            }
        }
        places.splice(0..0, kernel.iter().map(|address| (KERNEL, *address)));
        places.push(self.table.names.place(&Frame::mark(process.name.as_str())));
        let stack = self.table.count(&places, !whole, 1, 1);
        self.scratch = places;
        let thread = self.thread(pid, tid);
        self.passed += 1;
        if self.passed >= self.every {
            self.passed = 0;
            self.timed.push((time, thread, stack));
        }
        if self.timed.len() > MAX_TIMED {
            self.timed = std::mem::take(&mut self.timed).into_iter().step_by(2).collect();
            self.every *= 2;
        }
    }

    fn thread(&mut self, pid: u32, tid: u32) -> usize {
        *self.threads.entry((pid, tid)).or_insert_with(|| {
            let process = self.processes.get(&pid).map(|p| p.name.clone()).unwrap_or_default();
            let name = self.names.get(&(pid, tid)).cloned().or_else(|| {
                let path = format!("/proc/{pid}/task/{tid}/comm");
                procfs::read(path).ok().map(|name| name.trim().to_owned())
            });
            let name = name.unwrap_or_else(|| process.clone());
            self.listed.push(SampledThread { pid, tid, name, process });
            self.listed.len() - 1
        })
    }

    /// A process has ended, or another program has taken it over: what can only be known now.
    fn end(&mut self, pid: u32) {
        let Some(process) = self.processes.remove(&pid) else { return };
        if let Some(why) = process.interpreter.as_ref().and_then(Interpreter::failure) {
            let name = &process.name;
            self.notes.insert(format!("no functions of Python in {name}: {why}"));
        }
        if process.jit.seen.is_empty() {
            return;
        }
        match process.jit.names(pid) {
            Ok(map) => {
                for (address, place) in &process.jit.seen {
                    if let Some(name) = map.name(*address) {
                        self.table.names.set(*place, compiled(name, &process.name));
                    }
                }
                if map.cut {
                    self.notes.insert(format!(
                        "of the names in perf-{pid}.map the first 64 MiB are read"
                    ));
                }
                if map.odd_lines > 0 {
                    let lines = map.odd_lines;
                    self.notes
                        .insert(format!("lines of perf-{pid}.map that are no names: {lines}"));
                }
            }
            Err(error) => {
                self.notes.insert(format!("cannot read perf-{pid}.map: {error}"));
            }
        }
    }

    /// The profile, with names and lines looked up; `start` is the time sampling began.
    pub(super) fn finish(mut self, start: u64) -> LineProfile {
        let running: Vec<u32> = self.processes.keys().copied().collect();
        running.into_iter().for_each(|pid| self.end(pid));
        let mut ids = Vec::new();
        let stacks = resolved(&self.table).into_iter().map(|(mut frames, cut, seen)| {
            ids.push(seen.id);
            // The trampolines of `-X perf`, which know no lines, stand beside what was read.
            if frames.iter().any(|frame| frame.script && frame.line.is_some()) {
                frames.retain(|frame| !frame.script || frame.line.is_some());
            }
            (frames, cut, seen.samples)
        });
        let (profile, index) = LineProfile::indexed(stacks);
        let by_id: BTreeMap<usize, usize> = ids.into_iter().zip(index).collect();
        let timed = |(time, thread, stack): (u64, usize, usize)| {
            let t_s = time.saturating_sub(start) as f64 * 1e-9;
            Some(TimedSample { t_s, thread, stack: *by_id.get(&stack)? })
        };
        self.notes.append(&mut self.table.images.notes);
        self.notes.extend(self.python.note());
        // Where everything is sampled, it was not the program alone that found no room.
        let all = u128::from((self.counted + self.others).max(1));
        let lost = u128::from(self.lost) * u128::from(self.counted) / all;
        LineProfile {
            lost: u64::try_from(lost).unwrap_or(self.lost),
            processes: self.seen.max(1),
            python: self.python,
            threads: self.listed,
            timed: self.timed.into_iter().filter_map(timed).collect(),
            timed_weight: self.every,
            notes: self.notes.into_iter().collect(),
            ..profile
        }
    }
}

/// Code without a file may have a name by the end of the process.
fn name_compiled(pid: u32, process: &mut Process, table: &mut Table, places: &mut [Place]) {
    for place in places.iter_mut().filter(|(image, _)| *image == UNKNOWN) {
        let (_, address) = *place;
        if process.jit.seen.len() >= MAX_JIT || !process.jit.is_named(pid) {
            return;
        }
        let new = || table.names.later(Frame::mark("[unknown]"));
        *place = *process.jit.seen.entry(address).or_insert_with(new);
    }
}

/// The frame of compiled code; `python -X perf` writes `py::FUNCTION:FILE`.
fn compiled(name: &str, process: &str) -> Frame {
    let python = name.strip_prefix("py::").and_then(|rest| rest.split_once(':'));
    match python {
        Some((function, file)) => Frame {
            function: function.to_owned(),
            module: file.rsplit('/').next().unwrap_or(file).to_owned(),
            file: Some(file.to_owned()),
            kind: kind_of_script(file),
            script: true,
            line: None,
        },
        None => Frame {
            module: format!("{process} (compiled at run time)"),
            kind: FrameKind::Own,
            ..Frame::mark(name)
        },
    }
}
