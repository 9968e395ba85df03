//! A disk, the processes that use it, and what goes wrong for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use lob_metrics::stats::SplitMix64;

use crate::{
    counts::Counts,
    disk::Disk,
    verdict::{self, Known},
};

/// Errors of the operating system, by number.
const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

/// Syncs that a broken file system only pretends to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It does them all.
    Nothing,
    /// Those of files.
    Files,
    /// Those of folders.
    Folders,
}

/// Kind of an operation: what can fail in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Look,
    Open,
    Create,
    List,
    MakeFolder,
    SyncFolder,
    Rename,
    RemoveFile,
    RemoveFolder,
    Read,
    Write,
    SyncFile,
    SetLen,
    Lock,
}

impl Op {
    /// Whether taking something back needs it: where it fails, something may stay.
    pub(crate) fn is_of_cleaning(self) -> bool {
        !matches!(self, Self::Create | Self::MakeFolder | Self::Rename | Self::Read | Self::Write)
    }
}

/// What goes wrong during one attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trouble {
    /// Operations until the power is lost or, for one process, until it is killed.
    pub(crate) crash_after: Option<u64>,
    pub(crate) is_kill: bool,
    /// One of so many operations fails; 0 for none.
    pub(crate) fail_one_of: usize,
    /// At most so many fail.
    pub(crate) fail_max: u64,
}

pub(crate) struct State {
    pub(crate) disk: Disk,
    pub(crate) counts: Counts,
    pub(crate) rng: SplitMix64,
    pub(crate) ignored: Ignored,
    pub(crate) trouble: Trouble,
    /// Operations since the attempt began.
    pub(crate) n_ops: u64,
    /// Those that failed since then.
    pub(crate) failed: Vec<Op>,
    /// Processes that a crash has ended.
    pub(crate) dead: BTreeSet<u64>,
    n_processes: u64,
    /// Processes that take turns.
    running: BTreeSet<u64>,
    waiting: BTreeSet<u64>,
    turn: Option<u64>,
    /// Where conversions may write.
    pub(crate) root: PathBuf,
    known: Arc<Known>,
    /// The first thing that must not be.
    pub(crate) violation: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
}

/// A disk in memory and the processes that use it.
pub struct Machine {
    state: Mutex<State>,
    turned: Condvar,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    /// A machine with an empty disk, on which a store lies at `root`.
    pub(crate) fn new(seed: u64, root: &Path, ignored: Ignored, known: Arc<Known>) -> Arc<Self> {
        let state = State {
            disk: Disk::new(),
            counts: Counts::default(),
            rng: SplitMix64::new(seed),
            ignored,
            trouble: Trouble::default(),
            n_ops: 0,
            failed: Vec::new(),
            dead: BTreeSet::new(),
            n_processes: 0,
            running: BTreeSet::new(),
            waiting: BTreeSet::new(),
            turn: None,
            root: root.to_owned(),
            known,
            violation: None,
            trace: None,
        };
        Arc::new(Self { state: Mutex::new(state), turned: Condvar::new() })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the folder the store's will lie in, or a store's with foreign files, durably.
    pub(crate) fn prepare(&self, has_foreign: bool) {
        let mut state = self.lock();
        let State { disk, root, .. } = &mut *state;
        let mut files = Vec::new();
        if has_foreign {
            files = verdict::foreign().map(|(name, content)| (root.join(name), content)).collect();
        }
        let mut folders = BTreeSet::new();
        let roots = [root.as_path()];
        let all = files.iter().map(|(path, _)| path.as_path()).chain(roots);
        folders.extend(all.flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned));
        for folder in folders.iter().filter(|folder| folder.parent().is_some()) {
            disk.make_folder(folder).expect("a new disk has room");
        }
        for (path, content) in files {
            let node = disk.make_file(&path).expect("a new disk has room");
            disk.write(node, 0, content).expect("it is a file");
            disk.sync_file(node).expect("it is a file");
        }
        for folder in &folders {
            disk.sync_folder(folder).expect("it is a folder");
        }
    }

    /// Takes in processes that take turns, in an order that follows from the seed; their ids.
    pub(crate) fn admit(&self, n: usize) -> Vec<u64> {
        let mut state = self.lock();
        state.counts.runs += n as u64;
        (0..n)
            .map(|_| {
                state.n_processes += 1;
                let id = state.n_processes;
                state.running.insert(id);
                id
            })
            .collect()
    }

    /// Ends a process; its locks go.
    pub(crate) fn end(&self, id: u64) {
        let mut state = self.lock();
        state.running.remove(&id);
        state.disk.unlock(|owner| owner == id);
        state.dead.insert(id);
        self.turned.notify_all();
    }

    /// Begins an attempt.
    pub(crate) fn begin(&self, trouble: Trouble) {
        let mut state = self.lock();
        state.trouble = trouble;
        state.n_ops = 0;
        state.failed.clear();
    }

    /// Takes the power away.
    pub(crate) fn crash(&self) {
        let mut state = self.lock();
        let State { disk, rng, counts, .. } = &mut *state;
        counts.power_losses += 1;
        disk.crash(rng, counts);
        state.note("power lost".to_owned());
    }

    /// Waits for the turn of a process, and decides how its operation ends.
    pub(crate) fn enter(
        &self,
        id: u64,
        op: Op,
        paths: &[&Path],
    ) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.dead.contains(&id) {
            return Err(crashed());
        }
        if state.running.len() > 1 && state.running.contains(&id) {
            state.waiting.insert(id);
            loop {
                if state.turn.is_none() && state.waiting.len() == state.running.len() {
                    let n = state.waiting.len();
                    let at = state.rng.below(n);
                    state.turn = state.waiting.iter().nth(at).copied();
                    self.turned.notify_all();
                }
                if state.turn == Some(id) {
                    break;
                }
                // Its last one may have ended meanwhile.
                if state.running.len() == 1 {
                    break;
                }
                state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.turn = None;
            state.waiting.remove(&id);
            if state.dead.contains(&id) {
                return Err(crashed());
            }
        }
        state.decide(id, op, paths)?;
        Ok(state)
    }
}

/// What the operations of a process report that is no more.
fn crashed() -> io::Error {
    io::Error::other("the process has ended")
}

impl State {
    pub(crate) fn note(&mut self, text: String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text);
        }
    }

    pub(crate) fn violated(&mut self, text: String) {
        self.note(format!("VIOLATION: {text}"));
        self.violation.get_or_insert(text);
    }

    fn decide(&mut self, id: u64, op: Op, paths: &[&Path]) -> io::Result<()> {
        self.counts.operations += 1;
        self.n_ops += 1;
        if self.trace.is_some() {
            self.note(format!("{id} {op:?} {paths:?}"));
        }
        let changes = !matches!(op, Op::Look | Op::Open | Op::List | Op::SyncFolder);
        for path in paths.iter().filter(|path| changes && !path.starts_with(&self.root)) {
            let text = format!("{op:?} of `{}`, which is not in the store", path.display());
            self.violation.get_or_insert(text);
        }
        // A reader looks at the store every now and then.
        if self.rng.below(64) == 0 {
            self.read();
        }
        if self.trouble.crash_after == Some(self.n_ops) {
            if self.trouble.is_kill {
                self.counts.kills += 1;
                self.dead.insert(id);
                self.disk.unlock(|owner| owner == id);
                self.note(format!("{id} killed"));
            } else {
                self.dead.extend(1..=self.n_processes);
            }
            return Err(crashed());
        }
        let Trouble { fail_one_of, fail_max, .. } = self.trouble;
        if fail_one_of > 0
            && (self.failed.len() as u64) < fail_max
            && self.rng.below(fail_one_of) == 0
        {
            self.counts.failed += 1;
            self.failed.push(op);
            let code = match op {
                Op::Create | Op::Write | Op::MakeFolder | Op::SetLen => ENOSPC,
                Op::Open | Op::List if self.rng.below(2) == 0 => EMFILE,
                _ => EIO,
            };
            self.note(format!("  fails with {code}"));
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(())
    }

    /// What a reader of the store finds, at any time: whole files of ours.
    pub(crate) fn read(&mut self) {
        self.counts.reads += 1;
        let known = Arc::clone(&self.known);
        if let Err(text) = known.check(&self.files()) {
            self.violated(text);
        }
    }

    /// The files of the store, hidden ones too.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, &[u8]> {
        self.disk.files(&self.root)
    }
}
