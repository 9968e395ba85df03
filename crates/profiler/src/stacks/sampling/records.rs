//! The kernel's records in a sampling buffer (perf_event_open(2), "MMAP layout").

use std::ops::Range;

use super::capture::Registers;

const RECORD_LOST: u32 = 2;
const RECORD_COMM: u32 = 3;
const RECORD_EXIT: u32 = 4;
const RECORD_FORK: u32 = 7;
const RECORD_SAMPLE: u32 = 9;
const RECORD_MMAP2: u32 = 10;
const MISC_COMM_EXEC: u16 = 1 << 13;
const MISC_BUILD_ID: u16 = 1 << 14;
/// Marks between the parts of a chain of calls are above this (`PERF_CONTEXT_MAX`).
const CONTEXT: u64 = 0xffff_ffff_ffff_f001;
/// Functions of the kernel kept of one sample, innermost first.
const MAX_KERNEL: usize = 48;
/// Longest identity of a binary.
const BUILD_ID_BYTES: usize = 20;

/// `PERF_SAMPLE_IP | TID | TIME | CALLCHAIN | REGS_USER | STACK_USER`; [`Record::parse`] reads this
/// layout.
pub(super) const SAMPLE_TYPE: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 12 | 1 << 13;

/// What tells a file from another one under the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileId {
    /// What the linker has computed from its content.
    Build(Vec<u8>),
    /// Its place on its file system, which has these numbers.
    Inode { major: u32, minor: u32, inode: u64 },
}

/// Registers asked for, as bits of the kernel's numbering (`asm/perf_regs.h`), lowest first.
#[cfg(target_arch = "x86_64")]
pub(super) const REGISTERS: u64 = 1 << 6 | 1 << 7 | 1 << 8;
#[cfg(target_arch = "aarch64")]
pub(super) const REGISTERS: u64 = 1 << 29 | 1 << 30 | 1 << 31 | 1 << 32;

/// What a record says. Times are the kernel's and order records of different buffers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A file was mapped executable.
    Map { range: Range<u64>, offset: u64, path: String, id: FileId },
    /// Another program took the process over; what was mapped is gone.
    Exec { name: String },
    /// The thread has this name now.
    Named { name: String },
    /// The process is the child of this one, started by this thread of it.
    Fork { parent: u32, thread: u32 },
    /// The process has ended.
    Exit,
    /// Samples that found no room.
    Lost(u64),
    /// A sample with the top of the stack, and what the kernel was doing, innermost first.
    Sample { registers: Registers, stack: Vec<u8>, kernel: Vec<u64> },
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) time: u64,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) event: Event,
}

impl Record {
    /// Reads the records of a buffer's content; those of no interest or of an unknown layout are
    /// passed over.
    pub(super) fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        while let Some(header) = bytes.first_chunk::<8>() {
            let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            let Some(record) = bytes.get(..size).filter(|_| size >= 8) else { break };
            records.extend(Self::parse(record));
            bytes = &bytes[size..];
        }
        records
    }

    fn parse(record: &[u8]) -> Option<Self> {
        let mut header = Fields(record);
        let (kind, misc) = (header.u32()?, header.u16()?);
        header.u16()?;
        let mut body = Fields(header.0);
        // All but samples end with process, thread and time.
        let trailer = record.len().checked_sub(16).filter(|_| kind != RECORD_SAMPLE);
        let (mut pid, mut tid, mut time) = (0, 0, 0);
        if let Some(at) = trailer {
            let mut trailer = Fields(record.get(at..)?);
            pid = trailer.u32()?;
            tid = trailer.u32()?;
            time = trailer.u64()?;
        }
        let event = match kind {
            RECORD_LOST => {
                body.u64()?;
                Event::Lost(body.u64()?)
            }
            RECORD_COMM => {
                (pid, tid) = (body.u32()?, body.u32()?);
                let name = body.text()?;
                if misc & MISC_COMM_EXEC != 0 {
                    Event::Exec { name }
                } else {
                    Event::Named { name }
                }
            }
            RECORD_EXIT | RECORD_FORK => {
                let (own, parent, own_thread, thread) =
                    (body.u32()?, body.u32()?, body.u32()?, body.u32()?);
                (pid, tid) = (own, own_thread);
                match kind {
                    // Threads come and go with these records too.
                    RECORD_EXIT if own == own_thread => Event::Exit,
                    RECORD_FORK if own != parent => Event::Fork { parent, thread },
                    _ => return None,
                }
            }
            RECORD_MMAP2 => {
                (pid, tid) = (body.u32()?, body.u32()?);
                let (start, length, offset) = (body.u64()?, body.u64()?, body.u64()?);
                let id = body.file_id(misc & MISC_BUILD_ID != 0)?;
                // Protection and flags.
                body.u64()?;
                let path = body.text()?;
                Event::Map { range: start..start.checked_add(length)?, offset, path, id }
            }
            RECORD_SAMPLE => {
                let ip = body.u64()?;
                (pid, tid) = (body.u32()?, body.u32()?);
                time = body.u64()?;
                Event::sample(ip, &mut body)?
            }
            _ => return None,
        };
        Some(Self { time, pid, tid, event })
    }
}

impl Event {
    fn sample(ip: u64, body: &mut Fields<'_>) -> Option<Self> {
        let chain = body.u64()?;
        let mut kernel = Vec::new();
        for _ in 0..chain {
            let address = body.u64()?;
            if address < CONTEXT && kernel.len() < MAX_KERNEL {
                kernel.push(address);
            }
        }
        // No registers: a kernel thread, or a process already gone.
        if body.u64()? == 0 {
            return Some(Self::Sample {
                registers: Registers { ip, ..Registers::default() },
                stack: Vec::new(),
                kernel,
            });
        }
        let mut registers = Registers { ip, ..Registers::default() };
        registers.fp = body.u64()?;
        if cfg!(target_arch = "aarch64") {
            registers.lr = body.u64()?;
        }
        registers.sp = body.u64()?;
        registers.ip = body.u64()?;
        let size = usize::try_from(body.u64()?).ok()?;
        let mut stack = body.0.get(..size)?.to_vec();
        if size > 0 {
            // How much of it was really there follows.
            let mut rest = Fields(body.0.get(size..)?);
            stack.truncate(usize::try_from(rest.u64()?).ok()?);
        }
        Some(Self::Sample { registers, stack, kernel })
    }
}

/// Numbers one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    /// Text up to the zero after it.
    fn text(&self) -> Option<String> {
        let text = self.0.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn file_id(&mut self, is_build: bool) -> Option<FileId> {
        let bytes = self.take::<24>()?;
        let mut fields = Fields(&bytes);
        if is_build {
            let size = usize::from(*bytes.first()?).min(BUILD_ID_BYTES);
            return Some(FileId::Build(bytes.get(4..4 + size)?.to_vec()));
        }
        let (major, minor) = (fields.u32()?, fields.u32()?);
        Some(FileId::Inode { major, minor, inode: fields.u64()? })
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record with its header; words are written one after the other.
    fn record(kind: u32, misc: u16, words: &[u64], tail: &[u8]) -> Vec<u8> {
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        body.extend(tail);
        let size = u16::try_from(body.len() + 8).unwrap();
        let mut out = kind.to_ne_bytes().to_vec();
        out.extend(misc.to_ne_bytes());
        out.extend(size.to_ne_bytes());
        out.extend(body);
        out
    }

    fn two(low: u32, high: u32) -> u64 {
        let (low, high) = (low.to_ne_bytes(), high.to_ne_bytes());
        u64::from_ne_bytes(std::array::from_fn(|i| if i < 4 { low[i] } else { high[i - 4] }))
    }

    #[test]
    fn every_kind_is_read() {
        let end = [two(7, 8), 99];
        let mut bytes = record(
            RECORD_MMAP2,
            2,
            &[
                two(7, 8),
                0x1000,
                0x200,
                0x40,
                two(8, 1),
                77,
                0,
                0,
                u64::from_ne_bytes(*b"/bin/sh\0"),
                end[0],
                99,
            ],
            &[],
        );
        let name = |text: &[u8; 8]| [two(7, 8), u64::from_ne_bytes(*text), end[0], end[1]];
        bytes.extend(record(RECORD_COMM, MISC_COMM_EXEC, &name(b"sh\0\0\0\0\0\0"), &[]));
        bytes.extend(record(RECORD_COMM, 0, &name(b"worker\0\0"), &[]));
        bytes.extend(record(RECORD_FORK, 0, &[two(9, 7), two(9, 8), 99, end[0], end[1]], &[]));
        bytes.extend(record(RECORD_FORK, 0, &[two(7, 7), two(9, 8), 99, end[0], end[1]], &[]));
        bytes.extend(record(RECORD_EXIT, 0, &[two(9, 7), two(9, 8), 99, end[0], end[1]], &[]));
        bytes.extend(record(RECORD_LOST, 0, &[1, 5, end[0], end[1]], &[]));
        bytes.extend(record(
            RECORD_MMAP2,
            MISC_BUILD_ID,
            &[two(7, 8), 0x1000, 0x200, 0x40, two(3, 0x00cc_bbaa), 0, 0, 0, 0, end[0], 99],
            &[],
        ));
        let records = Record::all(&bytes);
        let event = |pid, event| Record { time: 99, pid, tid: 8, event };
        let map = |path: &str, id| Event::Map {
            range: 0x1000..0x1200,
            offset: 0x40,
            path: path.to_owned(),
            id,
        };
        let named = |name: &str| name.to_owned();
        let expected = [
            event(7, map("/bin/sh", FileId::Inode { major: 8, minor: 1, inode: 77 })),
            event(7, Event::Exec { name: named("sh") }),
            event(7, Event::Named { name: named("worker") }),
            Record { tid: 9, ..event(9, Event::Fork { parent: 7, thread: 8 }) },
            Record { tid: 9, ..event(9, Event::Exit) },
            event(7, Event::Lost(5)),
            event(7, map("", FileId::Build(vec![0xaa, 0xbb, 0xcc]))),
        ];
        assert_eq!(records, expected);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn samples_carry_registers_and_the_stack_that_was_there() {
        let words = [
            0x10,
            two(7, 8),
            50,
            3,
            u64::MAX - 127,
            0xff1,
            0xff2,
            2,
            0x66,
            0x77,
            0x88,
            16,
            0xaaaa,
            0xbbbb,
            8,
        ];
        let records = Record::all(&record(RECORD_SAMPLE, 2, &words, &[]));
        let registers = Registers { ip: 0x88, sp: 0x77, fp: 0x66, lr: 0 };
        let stack = 0xaaaa_u64.to_ne_bytes().to_vec();
        let kernel = vec![0xff1, 0xff2];
        let event = Event::Sample { registers, stack, kernel };
        let expected = Record { time: 50, pid: 7, tid: 8, event };
        assert_eq!(records, [expected]);
        let bare = Record::all(&record(RECORD_SAMPLE, 2, &[0x10, two(7, 8), 50, 0, 0, 0], &[]));
        assert!(matches!(&bare[0].event, Event::Sample { registers, stack, .. }
            if registers.ip == 0x10 && stack.is_empty()));
    }

    proptest! {
        #[test]
        fn no_bytes_bring_the_reader_down(
            kind in 0u32..12,
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Record::all(&bytes);
            let mut odd = record(kind, MISC_COMM_EXEC, &[], &bytes);
            let _ = Record::all(&odd);
            odd.truncate(odd.len() / 2);
            let _ = Record::all(&odd);
        }
    }
}
