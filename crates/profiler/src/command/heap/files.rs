//! The files a tracked process leaves (`native/allocs/files.rs`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: u64 = u64::from_ne_bytes(*b"lobheap1");
const VERSION: u64 = 1;
const PAGE: usize = 4096;
const RECORD: usize = 64;
const STACK_BYTES: usize = 4096;
const MAX_CONTEXTS: u64 = 8192;
/// Looks kept of a process; beyond, every second is dropped and only every second taken.
const MAX_LOOKS: usize = 512;

/// What is known of a context.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) held_bytes: u64,
    pub(super) held_blocks: u64,
    pub(super) allocated_bytes: u64,
    pub(super) allocated_blocks: u64,
    /// Registers of the call.
    pub(super) ip: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
}

/// A process that is tracked.
pub(super) struct Process {
    path: PathBuf,
    pub(super) pid: u32,
    /// Seconds of each look.
    pub(super) t_s: Vec<f64>,
    /// Blocks allocated until then.
    pub(super) work: Vec<f64>,
    /// Bytes that lived then, by context.
    pub(super) live: Vec<Vec<u64>>,
    pub(super) sums: Vec<Sums>,
    pub(super) has_ended: bool,
    /// Whether what its lines are found by is still there.
    pub(super) has_stacks: bool,
    stride: usize,
    passed: usize,
}

impl Process {
    /// `None` while the file is not whole.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0).ok()?;
        let word = |n: usize| head.as_chunks::<8>().0.get(n).copied().map(u64::from_ne_bytes);
        if (word(0)?, word(1)?) != (MAGIC, VERSION) {
            return None;
        }
        Some(Self {
            path: path.to_owned(),
            pid: u32::try_from(word(2)?).ok()?,
            t_s: Vec::new(),
            work: Vec::new(),
            live: Vec::new(),
            sums: Vec::new(),
            has_ended: false,
            has_stacks: true,
            stride: 1,
            passed: 0,
        })
    }

    /// Reads the sums as they are now. The file is opened each time: there may be more processes
    /// than descriptors.
    pub(super) fn read(&mut self) {
        let Ok(bytes) = self.records() else { return };
        let sums = |record: &[u8; RECORD]| {
            let mut words = record.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            // A block may be taken off before it is put on, for a moment.
            let mut next = || words.next().unwrap_or(0);
            let whole = |n: u64| if n > i64::MAX as u64 { 0 } else { n };
            Sums {
                held_bytes: whole(next()),
                held_blocks: whole(next()),
                allocated_bytes: next(),
                allocated_blocks: next(),
                ip: next(),
                sp: next(),
                fp: next(),
            }
        };
        self.sums = bytes.as_chunks::<RECORD>().0.iter().map(sums).collect();
    }

    fn records(&self) -> std::io::Result<Vec<u8>> {
        let file = File::open(&self.path)?;
        let mut count = [0; 8];
        file.read_exact_at(&mut count, 24)?;
        let count = u64::from_ne_bytes(count).min(MAX_CONTEXTS);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * RECORD];
        file.read_exact_at(&mut bytes, PAGE as u64)?;
        Ok(bytes)
    }

    /// Removes the files of a process that has ended. Its sums are kept.
    pub(super) fn forget_lines(&mut self) {
        self.has_stacks = false;
        for path in [self.path.clone(), self.beside("stacks"), self.beside("maps")] {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Reads the sums and keeps what lives.
    pub(super) fn look(&mut self, t_s: f64) {
        self.read();
        self.passed += 1;
        if !self.passed.is_multiple_of(self.stride) {
            return;
        }
        self.t_s.push(t_s);
        self.work.push(self.sums.iter().map(|sums| sums.allocated_blocks as f64).sum());
        self.live.push(self.sums.iter().map(|sums| sums.held_bytes).collect());
        if self.t_s.len() >= MAX_LOOKS {
            every_second(&mut self.t_s);
            every_second(&mut self.work);
            every_second(&mut self.live);
            self.stride *= 2;
        }
    }

    /// Bytes it held when it was looked at last.
    pub(super) fn held(&self) -> u64 {
        self.sums.iter().map(|sums| sums.held_bytes).sum()
    }

    /// Most bytes that some contexts were seen to hold together.
    pub(super) fn peak_of(&self, contexts: &[usize]) -> u64 {
        let held = |n: &usize| self.sums.get(*n).map(|sums| sums.held_bytes);
        let looks = self.live.iter().map(|live| contexts.iter().filter_map(|n| live.get(*n)).sum());
        looks.max().unwrap_or(0).max(contexts.iter().filter_map(held).sum())
    }

    /// What was mapped where.
    pub(super) fn maps(&self) -> String {
        let bytes = std::fs::read(self.beside("maps")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The tops of the stacks, one after the other.
    pub(super) fn stacks(&self) -> Vec<u8> {
        std::fs::read(self.beside("stacks")).unwrap_or_default()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.path.with_extension(ending)
    }
}

fn every_second<T>(list: &mut Vec<T>) {
    let mut n = 0;
    list.retain(|_| {
        n += 1;
        n % 2 == 0
    });
}

/// The top of the stack of context `n`; what is missing is left away.
pub(super) fn stack(stacks: &[u8], n: usize) -> &[u8] {
    let start = n * STACK_BYTES;
    let end = (start + STACK_BYTES).min(stacks.len());
    stacks.get(start..end).unwrap_or_default()
}
