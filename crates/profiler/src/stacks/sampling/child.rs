//! Sampling another program: the kernel interrupts it and copies registers and stack.

use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use lob_scope::{Unavailable, procfs};

use super::capture::Sample;
use super::reader::resolved;
use super::records::{Event, REGISTERS, Record, SAMPLE_TYPE};
use super::space::Space;
use super::table::Table;
use crate::perf::imp::{Attributes, Event as Perf, flag};
use crate::stacks::report::LineProfile;

const TYPE_SOFTWARE: u32 = 1;

/// What a sample stands for, and how much room it gets.
struct Plan {
    /// The kernel's number of the event.
    config: u64,
    period: u64,
    /// Bytes of stack in a sample; less than the own process gets, since the buffers are small.
    stack_bytes: u32,
    /// Pages of a buffer, by falling preference. The kernel grants all events of a user together
    /// 516 KiB a CPU by default (`kernel.perf_event_mlock_kb`).
    pages: &'static [usize],
}

/// The clock that runs while the program runs; virtual machines have it too.
fn cpu_time(rate_hz: u32) -> Plan {
    let period = 1_000_000_000 / u64::from(rate_hz.max(1));
    Plan { config: 0, period, stack_bytes: 16 << 10, pages: &[128, 64, 32, 16] }
}

/// Page faults: new memory where it is first touched, half a megabyte a sample.
const NEW_MEMORY: Plan = Plan { config: 2, period: 127, stack_bytes: 8 << 10, pages: &[32, 16] };

/// Samples the programs the calling thread starts after this was made, and their descendants,
/// on every CPU. Nothing of the calling program itself.
pub(crate) struct ChildSampler {
    buffers: Vec<Buffer>,
    table: Table,
    spaces: BTreeMap<u32, Space>,
    lost: u64,
    interval_s: f64,
}

impl ChildSampler {
    /// Opens the events of CPU time; they wait for the next program.
    pub(crate) fn of_cpu_time(rate_hz: u32) -> Result<Self, Unavailable> {
        let plan = cpu_time(rate_hz);
        Ok(Self { interval_s: plan.period as f64 * 1e-9, ..Self::open(&plan)? })
    }

    /// Opens the events of newly touched memory; they wait for the next program.
    pub(crate) fn of_new_memory() -> Result<Self, Unavailable> {
        Self::open(&NEW_MEMORY)
    }

    fn open(plan: &Plan) -> Result<Self, Unavailable> {
        let open = |cpu| Buffer::map(Perf::open(attributes(plan), cpu)?, plan.pages);
        Ok(Self {
            buffers: online_cpus()?.into_iter().map(open).collect::<Result<_, _>>()?,
            table: Table::new(),
            spaces: BTreeMap::new(),
            lost: 0,
            interval_s: 0.0,
        })
    }

    /// Takes and unwinds what has gathered. A buffer lasts some 60 ms of one busy CPU.
    pub(crate) fn drain(&mut self) {
        let mut records: Vec<Record> =
            self.buffers.iter_mut().flat_map(|buffer| Record::all(&buffer.take())).collect();
        records.sort_by_key(|record| record.time);
        for record in records {
            self.apply(record);
        }
    }

    fn apply(&mut self, Record { pid, event, .. }: Record) {
        match event {
            Event::Map { range, offset, path } => {
                let space = self.spaces.entry(pid).or_insert_with(Space::new);
                space.map(&mut self.table.images, &path, range.start, range.end, offset);
            }
            Event::Exec => {
                self.spaces.insert(pid, Space::new());
            }
            Event::Fork { parent } => {
                if let Some(space) = self.spaces.get(&parent).cloned() {
                    self.spaces.insert(pid, space);
                }
            }
            Event::Exit => {
                self.spaces.remove(&pid);
            }
            Event::Lost(count) => self.lost += count,
            Event::Sample { registers, stack } => {
                let space = self.spaces.entry(pid).or_insert_with(Space::new);
                let sample = Sample { registers, stack: &stack, weight: 1, size: 1 };
                self.table.add(space, &sample);
            }
        }
    }

    /// The profile, with names and lines looked up.
    pub(crate) fn finish(mut self) -> LineProfile {
        self.drain();
        let stacks = resolved(&self.table).into_iter();
        LineProfile {
            lost: self.lost,
            interval_s: self.interval_s,
            ..LineProfile::new(stacks.map(|(frames, cut, seen)| (frames, cut, seen.samples)))
        }
    }
}

fn attributes(plan: &Plan) -> Attributes {
    Attributes {
        kind: TYPE_SOFTWARE,
        config: plan.config,
        sample_period: plan.period,
        sample_type: SAMPLE_TYPE,
        sample_regs_user: REGISTERS,
        sample_stack_user: plan.stack_bytes,
        flags: flag::DISABLED
            | flag::INHERIT
            | flag::EXCLUDE_KERNEL
            | flag::EXCLUDE_HV
            | flag::ENABLE_ON_EXEC
            | flag::MMAP
            | flag::MMAP2
            | flag::COMM
            | flag::COMM_EXEC
            | flag::TASK
            | flag::SAMPLE_ID_ALL,
        ..Attributes::default()
    }
}

/// CPUs in use: inherited events have to be opened on each (perf_event_open(2), "inherit").
fn online_cpus() -> Result<Vec<i32>, Unavailable> {
    let path = "/sys/devices/system/cpu/online";
    parse_cpus(&procfs::read(path)?)
        .ok_or_else(|| Unavailable::new(format!("`{path}` has an unknown layout")))
}

/// A list such as `0-3,8`.
fn parse_cpus(text: &str) -> Option<Vec<i32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?);
    }
    Some(cpus)
}

/// One CPU's buffer: written by the kernel, emptied here (`perf_event_mmap_page`).
struct Buffer {
    /// Closing it would unhook the kernel's end.
    _event: Perf,
    base: NonNull<u8>,
    mapped: usize,
    data: Range<usize>,
}

/// Offsets of the two ends in the first page.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

impl Buffer {
    fn map(event: Perf, choice: &[usize]) -> Result<Self, Unavailable> {
        let page = usize::try_from(procfs::page_bytes()).unwrap_or(4096).max(4096);
        for pages in choice {
            let mapped = (pages + 1) * page;
            // SAFETY: a fresh mapping of the event's own buffer, at an address the kernel picks.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    mapped,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED,
                    event.fd(),
                    0,
                )
            };
            if base != libc::MAP_FAILED
                && let Some(base) = NonNull::new(base.cast::<u8>())
            {
                return Ok(Self { _event: event, base, mapped, data: page..mapped });
            }
        }
        let error = std::io::Error::last_os_error();
        Err(Unavailable::new(format!("no memory for samples (`ulimit -l`): {error}")))
    }

    fn end(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page is mapped, holds an aligned number at either offset, and is only
        // accessed atomically on this side.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    /// Copies what the kernel has written since the last call, and gives the room back.
    fn take(&mut self) -> Vec<u8> {
        let (head, tail) = (
            self.end(DATA_HEAD).load(Ordering::Acquire),
            self.end(DATA_TAIL).load(Ordering::Relaxed),
        );
        let size = self.data.len();
        let length = usize::try_from(head.wrapping_sub(tail)).unwrap_or(0).min(size);
        let start = usize::try_from(tail % size as u64).unwrap_or(0);
        let first = length.min(size - start);
        let mut bytes = vec![0; length];
        // SAFETY: both pieces lie inside the mapping, and the kernel does not write between tail
        // and head until the tail is moved below.
        unsafe {
            let data = self.base.as_ptr().add(self.data.start);
            std::ptr::copy_nonoverlapping(data.add(start), bytes.as_mut_ptr(), first);
            let rest = bytes.as_mut_ptr().add(first);
            std::ptr::copy_nonoverlapping(data, rest, length - first);
        }
        self.end(DATA_TAIL).store(head, Ordering::Release);
        bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no reference into it is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(parse_cpus("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_cpus("0"), Some(vec![0]));
        assert_eq!(parse_cpus("none"), None);
    }
}
