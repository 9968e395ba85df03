//! The thread that unwinds what was captured in this process.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lob_scope::Unavailable;

use super::capture::{Captures, Sample};
use super::space::Space;
use super::symbols::Symbols;
use super::table::{Seen, Table};
use crate::stacks::report::Frame;

/// Between two visits to the captures: their room lasts for some 10,000 samples a second.
const VISIT: Duration = Duration::from_millis(10);
/// Between two looks at what is mapped, where samples fall outside everything known.
const REMAP: Duration = Duration::from_millis(500);

/// A running reader.
#[derive(Debug)]
pub(super) struct Reader {
    stop: Sender<()>,
    thread: JoinHandle<Table>,
    /// Kernel's number of the thread.
    pub(super) tid: i32,
}

impl Reader {
    /// Starts the thread. The caller sees to it that it is the only reader of the captures.
    pub(super) fn start(captures: &'static Captures, name: &str) -> Result<Self, Unavailable> {
        let (stop, stopped) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let body = move || {
            super::countdown::exempt_this_thread();
            // SAFETY: the call has no preconditions.
            let _ = tell.send(unsafe { libc::gettid() });
            let mut reading = Reading::new();
            while stopped.recv_timeout(VISIT) == Err(RecvTimeoutError::Timeout) {
                reading.visit(captures);
            }
            reading.visit(captures);
            reading.table
        };
        let failed = |e: std::io::Error| Unavailable::new(format!("no thread to unwind on: {e}"));
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(failed)?;
        let tid = told.recv().map_err(|_| Unavailable::new("the unwinding thread has ended"))?;
        Ok(Self { stop, thread, tid })
    }

    /// Stops the thread and returns what it counted.
    pub(super) fn stop(self) -> Table {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|_| Table::new())
    }
}

struct Reading {
    table: Table,
    space: Space,
    mapped: Instant,
}

impl Reading {
    fn new() -> Self {
        let mut table = Table::new();
        let space = Space::own(&mut table.images);
        Self { table, space, mapped: Instant::now() }
    }

    fn visit(&mut self, captures: &'static Captures) {
        let mut add = |sample: Sample<'_>| {
            // A library loaded since the last look.
            if !self.space.knows(sample.registers.ip) && self.mapped.elapsed() > REMAP {
                self.space = Space::own(&mut self.table.images);
                self.mapped = Instant::now();
            }
            self.table.add(&self.space, &sample);
        };
        // SAFETY: the starter has promised that this is the only reader.
        unsafe { captures.drain(&mut add) };
    }
}

/// The stacks of a table with names and lines: frames innermost first, whether cut short, counts.
pub(super) fn resolved(table: &Table) -> Vec<(Vec<Frame>, bool, Seen)> {
    let mut symbols = Symbols::new(&table.images, &table.names);
    let mut resolve = |places: &[super::space::Place]| {
        places.iter().flat_map(|place| symbols.frames(*place).to_vec()).collect::<Vec<Frame>>()
    };
    table.stacks.iter().map(|((places, cut), seen)| (resolve(places), *cut, *seen)).collect()
}
