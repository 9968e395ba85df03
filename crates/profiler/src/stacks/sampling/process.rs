//! What is known of one sampled process.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use lob_scope::procfs;

use super::image::{ImageId, Images};
use super::perf_map::PerfMap;
use super::python::{self, Python, Role, Symbols};
use super::space::{Place, Space};
use crate::stacks::report::Frame;

/// Samples after which no interpreter is looked for any more: it has had time to start.
const MAX_TRIES: u32 = 50;
/// Between two looks whether names of compiled code are written.
const LOOK: Duration = Duration::from_millis(50);

/// A process: its code, its interpreter, the names its compiler gives.
pub(super) struct Process {
    pub(super) space: Space,
    /// What the kernel calls its program.
    pub(super) name: String,
    /// Whether it is what was asked for, and not still the one that starts it.
    pub(super) live: bool,
    pub(super) interpreter: Option<Interpreter>,
    pub(super) jit: Jit,
}

impl Process {
    pub(super) fn new(name: String, live: bool) -> Self {
        Self { space: Space::new(), name, live, interpreter: None, jit: Jit::default() }
    }

    /// As its child begins.
    pub(super) fn forked(&self) -> Self {
        Self {
            space: self.space.clone(),
            name: self.name.clone(),
            live: self.live,
            interpreter: self.interpreter.as_ref().map(Interpreter::forked),
            jit: Jit::default(),
        }
    }
}

/// CPython inside a process.
pub(super) struct Interpreter {
    image: ImageId,
    /// As the file gives them.
    in_file: Symbols,
    in_memory: Symbols,
    named: Option<u32>,
    state: Result<Python, String>,
    tries: u32,
}

impl Interpreter {
    /// Of an image that holds it, mapped with this difference between memory and file.
    pub(super) fn of(images: &Images, image: ImageId, bias: u64) -> Option<Self> {
        let in_file = images.get(image)?.python.clone()?;
        let in_memory = Symbols {
            runtime: in_file.runtime.wrapping_add(bias),
            version: in_file.version.map(|at| at.wrapping_add(bias)),
            eval: Vec::new(),
        };
        let named = python::named_version(images.name(image));
        Some(Self { image, in_file, in_memory, named, state: Err(String::new()), tries: 0 })
    }

    fn forked(&self) -> Self {
        Self {
            image: self.image,
            in_file: self.in_file.clone(),
            in_memory: self.in_memory.clone(),
            named: self.named,
            state: Err(String::new()),
            tries: 0,
        }
    }

    /// What an address is to Python.
    pub(super) fn role(&self, (image, svma): Place) -> Role {
        if image != self.image {
            Role::Other
        } else if self.in_file.eval.iter().any(|range| range.contains(&svma)) {
            Role::Loop
        } else {
            Role::Interpreter
        }
    }

    /// The functions a thread is in, see [`Python::stack`].
    pub(super) fn stack(&mut self, pid: u32, tid: u32) -> Option<Vec<Vec<Frame>>> {
        if self.state.is_err() && self.tries < MAX_TRIES {
            self.tries += 1;
            self.state = Python::of(pid, &self.in_memory, self.named);
        }
        self.state.as_mut().ok()?.stack(pid, tid)
    }

    /// Why it was never read, if it was not.
    pub(super) fn failure(&self) -> Option<&str> {
        self.state.as_ref().err().map(String::as_str).filter(|why| !why.is_empty())
    }
}

/// Code that a process compiles while it runs, and the file that names it.
#[derive(Default)]
pub(super) struct Jit {
    /// The root of the files as the process sees them, kept open beyond its end, and the number it
    /// has in its own eyes.
    root: Option<(File, u32)>,
    is_named: bool,
    looked: Option<Instant>,
    /// Addresses seen, with what stands for each.
    pub(super) seen: BTreeMap<u64, Place>,
}

impl Jit {
    /// Whether a compiler of the process writes down names.
    pub(super) fn is_named(&mut self, pid: u32) -> bool {
        if self.is_named || self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return self.is_named;
        }
        self.looked = Some(Instant::now());
        if self.root.is_none() {
            // In a container the process writes the number that it has there.
            let status = procfs::read(format!("/proc/{pid}/status")).unwrap_or_default();
            let inner = procfs::field(&status, "NSpid")
                .and_then(|list| list.split_ascii_whitespace().next_back()?.parse().ok());
            let root = File::open(format!("/proc/{pid}/root")).ok();
            self.root = root.map(|root| (root, inner.unwrap_or(pid)));
        }
        self.is_named = std::fs::exists(self.path(pid)).unwrap_or(false);
        self.is_named
    }

    fn path(&self, pid: u32) -> String {
        match &self.root {
            Some((root, inner)) => {
                format!("/proc/self/fd/{}/tmp/perf-{inner}.map", root.as_raw_fd())
            }
            None => format!("/tmp/perf-{pid}.map"),
        }
    }

    /// The names, as far as they are written by now.
    pub(super) fn names(&self, pid: u32) -> std::io::Result<PerfMap> {
        File::open(self.path(pid)).and_then(|file| PerfMap::read(&file))
    }
}
