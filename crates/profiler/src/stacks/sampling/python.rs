//! Python's own stacks: read from the state of the interpreter while the program runs on.
//!
//! CPython runs functions in a loop of C, so that the C stack shows the loop and not the function.
//! What it runs is kept in its state: interpreters, their threads, their frames, and the code of
//! each. That is read from outside right after the kernel has taken a sample of the thread, without
//! stopping it: where the function has changed in between, it is another sample of the same
//! program; where the stack has, [`merge`] notices.

mod layout;
mod lines;
mod merge;

use std::collections::BTreeMap;

use layout::{Frames, Layout};
pub(super) use merge::{Role, merge};

use super::memory::{Memory, word};
use crate::stacks::report::{Frame, FrameKind};

/// Frames read of one stack.
const MAX_FRAMES: usize = 512;
/// Interpreters and threads looked through.
const MAX_THREADS: usize = 4096;
/// Functions remembered of one process.
const MAX_CODES: usize = 50_000;
/// Bytes of frames read at once.
const MAX_BLOCK: u64 = 64 << 10;
/// Longest name and longest line table read.
const MAX_TEXT: u64 = 4096;
const MAX_TABLE: u64 = 256 << 10;
/// Bytes of a frame that matter in any version.
const FRAME_BYTES: usize = 112;
/// `FRAME_OWNED_BY_CSTACK`.
const SHIM: u8 = 3;

/// Addresses of CPython's symbols in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Symbols {
    /// `_PyRuntime`.
    pub(super) runtime: u64,
    /// `Py_Version`, which 3.11 and later have.
    pub(super) version: Option<u64>,
    /// `_PyEval_EvalFrameDefault`, in as many pieces as the compiler made of it.
    pub(super) eval: Vec<std::ops::Range<u64>>,
}

/// The interpreter of one process.
pub(super) struct Python {
    memory: Memory,
    layout: Layout,
    runtime: u64,
    /// Thread states by the kernel's number of the thread.
    threads: BTreeMap<u32, u64>,
    codes: BTreeMap<u64, Code>,
}

/// A function, as far as it was read.
struct Code {
    /// What tells it from another one at the same address later.
    head: Vec<u8>,
    function: String,
    file: String,
    first_line: i64,
    table: Vec<u8>,
    instructions: u64,
}

/// One frame as it lies in memory.
struct Found {
    code: u64,
    instruction: u64,
    ends_group: bool,
    is_code: bool,
}

impl Python {
    /// The interpreter whose symbols are at these addresses of a process, or why it cannot be
    /// read. `named` is the minor version by the name of the file.
    pub(super) fn of(pid: u32, at: &Symbols, named: Option<u32>) -> Result<Self, String> {
        let memory = Memory::of(pid).ok_or("no such process")?;
        memory.permitted(at.runtime).map_err(|e| format!("its memory cannot be read: {e}"))?;
        let version = at.version.and_then(|address| memory.u32(address));
        // `PY_VERSION_HEX`: major, minor, micro.
        let minor = version.filter(|v| v >> 24 == 3).map(|v| v >> 16 & 0xff).or(named);
        let minor = minor.ok_or("its version is not known")?;
        let layout = Layout::of(minor, memory, at.runtime)
            .map_err(|why| format!("it is version 3.{minor}; {why}"))?;
        let (threads, codes) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { memory, layout, runtime: at.runtime, threads, codes })
    }

    /// The functions a thread is in, innermost first, in groups: one for every entry into the
    /// loop. `None` where the thread is none of Python's or its stack has changed too fast.
    pub(super) fn stack(&mut self, pid: u32, tid: u32) -> Option<Vec<Vec<Frame>>> {
        let state = self.thread_state(pid, tid)?;
        let groups = self.frames(state)?;
        let mut addresses: Vec<u64> =
            groups.iter().flatten().filter(|f| f.is_code).map(|f| f.code).collect();
        addresses.sort_unstable();
        addresses.dedup();
        self.learn(&addresses)?;
        let frame = |found: &Found| Some(self.codes.get(&found.code)?.frame(found, &self.layout));
        let group = |group: &Vec<Found>| {
            group.iter().filter(|f| f.is_code).map(frame).collect::<Option<Vec<Frame>>>()
        };
        groups.iter().map(group).collect()
    }

    fn thread_state(&mut self, pid: u32, tid: u32) -> Option<u64> {
        if let Some(state) = self.threads.get(&tid)
            && self.kernel_id(*state) == Some(tid)
        {
            return Some(*state);
        }
        self.threads.clear();
        let mut states = Vec::new();
        let mut interpreter = self.memory.u64(self.runtime + self.layout.interpreters_head)?;
        while interpreter != 0 && states.len() < MAX_THREADS {
            let mut state = self.memory.u64(interpreter + self.layout.threads_head)?;
            while state != 0 && states.len() < MAX_THREADS {
                states.push(state);
                state = self.memory.u64(state + self.layout.thread_next)?;
            }
            interpreter = self.memory.u64(interpreter + self.layout.interpreter_next)?;
        }
        for state in &states {
            if let Some(id) = self.kernel_id(*state) {
                self.threads.insert(id, *state);
            }
        }
        // After a fork the state may still hold the parent's number, and in a container it holds
        // the container's.
        let only = || states.first().copied().filter(|_| states.len() == 1 && pid == tid);
        self.threads.get(&tid).copied().or_else(only)
    }

    /// The kernel's number of a thread.
    fn kernel_id(&self, state: u64) -> Option<u32> {
        let id = self.memory.u64(state + self.layout.thread_id)?;
        if self.layout.frames != Frames::OnePerCall {
            return u32::try_from(id).ok();
        }
        // `struct pthread` of the GNU C library: its `tid`.
        let tid = if cfg!(target_arch = "x86_64") { 0x2d0 } else { 0xd0 };
        self.memory.u32(id.checked_add(tid)?)
    }

    fn frames(&self, state: u64) -> Option<Vec<Vec<Found>>> {
        let layout = &self.layout;
        let mut next = self.memory.u64(state + layout.thread_frame)?;
        if let Some(offset) = layout.indirect.filter(|_| next != 0) {
            next = self.memory.u64(next + offset)?;
        }
        let block = self.block(state).unwrap_or_default();
        let (mut groups, mut group) = (Vec::new(), Vec::new());
        let mut count = 0;
        while next != 0 && count < MAX_FRAMES {
            let inside = next.checked_sub(block.0).and_then(|at| usize::try_from(at).ok());
            let inside = inside.and_then(|at| block.1.get(at..at.checked_add(FRAME_BYTES)?));
            let read;
            let bytes = match inside {
                Some(bytes) => bytes,
                None => {
                    read = self.memory.bytes(next, FRAME_BYTES)?;
                    &read
                }
            };
            let found = self.found(bytes)?;
            let ends = found.ends_group;
            group.push(found);
            if ends {
                groups.push(std::mem::take(&mut group));
            }
            next = field(bytes, layout.frame_previous)?;
            count += 1;
        }
        if !group.is_empty() {
            groups.push(group);
        }
        Some(groups)
    }

    /// The block most frames lie in, read at once: nearer to one moment, and cheaper.
    fn block(&self, state: u64) -> Option<(u64, Vec<u8>)> {
        if self.layout.datastack_chunk == 0 {
            return None;
        }
        let words = self.memory.bytes(state + self.layout.datastack_chunk, 16)?;
        let (start, top) = (word(&words, 0)?, word(&words, 8)?);
        // The top follows the pointer in every version there is.
        let size = top.checked_sub(start)?.min(MAX_BLOCK);
        let start = top - size;
        Some((start, self.memory.bytes(start, usize::try_from(size).ok()?)?))
    }

    fn found(&self, bytes: &[u8]) -> Option<Found> {
        let layout = &self.layout;
        let byte = |at: u64| bytes.get(usize::try_from(at).ok()?).copied();
        let is_shim = match layout.frames {
            Frames::Shim { owner } => byte(owner)? == SHIM,
            _ => false,
        };
        let ends_group = match layout.frames {
            Frames::OnePerCall => true,
            Frames::Entry { flag } => byte(flag)? != 0,
            Frames::Shim { .. } => is_shim,
        };
        let code = field(bytes, layout.frame_code)?;
        let instruction = field(bytes, layout.frame_instruction)?;
        Some(Found { code, instruction, ends_group, is_code: !is_shim && code != 0 })
    }

    /// Sees to it that every code at these addresses is known as it is now.
    fn learn(&mut self, addresses: &[u64]) -> Option<()> {
        let layout = self.layout;
        let from = layout.code_firstlineno;
        let size = usize::try_from(layout.code_linetable + 8 - from).ok()?;
        let heads =
            self.memory.pieces(addresses, usize::try_from(layout.code_linetable + 8).ok()?)?;
        let all = usize::try_from(layout.code_linetable + 8).ok()?;
        for (address, whole) in addresses.iter().zip(heads.chunks_exact(all.max(1))) {
            let head = whole.get(usize::try_from(from).ok()?..)?.get(..size)?;
            if self.codes.get(address).is_some_and(|code| code.head == head) {
                continue;
            }
            let code = self.read_code(*address, whole, head)?;
            if self.codes.len() >= MAX_CODES {
                self.codes.clear();
            }
            self.codes.insert(*address, code);
        }
        Some(())
    }

    fn read_code(&self, address: u64, whole: &[u8], head: &[u8]) -> Option<Code> {
        let layout = &self.layout;
        let first_line = i32::from_ne_bytes(*head.first_chunk::<4>()?);
        Some(Code {
            head: head.to_vec(),
            function: self.text(field(whole, layout.code_name)?)?,
            file: self.text(field(whole, layout.code_filename)?)?,
            first_line: i64::from(first_line),
            table: self.table(field(whole, layout.code_linetable)?)?,
            instructions: address + layout.code_instructions,
        })
    }

    /// A string of Python (`PyUnicodeObject`).
    fn text(&self, address: u64) -> Option<String> {
        let head = self.memory.bytes(address, 40)?;
        let (length, state) =
            (word(&head, 16)?, u32::try_from(word(&head, 32)? & 0xffff_ffff).ok()?);
        let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        if !compact || !matches!(kind, 1 | 2 | 4) {
            return None;
        }
        let layout = &self.layout;
        let start = address + if ascii { layout.ascii_bytes } else { layout.compact_bytes };
        let width = usize::try_from(kind).ok()?;
        let size = usize::try_from(length.min(MAX_TEXT)).ok()? * width;
        let bytes = self.memory.bytes(start, size)?;
        let character = |piece: &[u8]| {
            let mut whole = [0; 4];
            whole.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            char::from_u32(u32::from_le_bytes(whole)).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        Some(bytes.chunks_exact(width).map(character).collect())
    }

    /// A `bytes` object.
    fn table(&self, address: u64) -> Option<Vec<u8>> {
        let size = self.memory.u64(address + 16)?;
        if size > MAX_TABLE {
            return Some(Vec::new());
        }
        self.memory.bytes(address + 32, usize::try_from(size).ok()?)
    }
}

impl Code {
    fn frame(&self, found: &Found, layout: &Layout) -> Frame {
        let line = if layout.code_instructions == 0 {
            // An index into the code units, whose upper half is another field.
            let index = u64::from(u32::try_from(found.instruction & 0xffff_ffff).unwrap_or(0));
            lines::of_byte(&self.table, self.first_line, index * 2)
        } else {
            let at = found.instruction.saturating_sub(self.instructions) / 2;
            lines::of_unit(&self.table, self.first_line, at)
        };
        let line = line.or_else(|| u32::try_from(self.first_line).ok());
        let module = self.file.rsplit('/').next().unwrap_or(&self.file);
        Frame {
            function: self.function.clone(),
            module: module.to_owned(),
            file: Some(self.file.clone()),
            line,
            kind: kind_of_script(&self.file),
            script: true,
        }
    }
}

/// Whose a Python file is: those of the installation and of packages are libraries.
pub(super) fn kind_of_script(file: &str) -> FrameKind {
    let in_library = ["/site-packages/", "/dist-packages/"].iter().any(|part| file.contains(part));
    let in_standard = file.split_once("/lib/python3").is_some_and(|(_, rest)| rest.contains('/'));
    // `<frozen importlib._bootstrap>`; code made from strings is the program's.
    if in_library || in_standard || file.starts_with("<frozen ") {
        FrameKind::Library
    } else {
        FrameKind::Python
    }
}

/// The minor version in the name of a file: `python3.10`, `libpython3.10.so.1.0`.
pub(super) fn named_version(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let (_, rest) = name.split_once("python3.")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn field(bytes: &[u8], at: u64) -> Option<u64> {
    word(bytes, usize::try_from(at).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_python_is_a_library() {
        for file in [
            "/usr/lib/python3.11/json/decoder.py",
            "/home/a/.venv/lib/python3.12/site-packages/torch/nn.py",
            "/usr/lib/python3/dist-packages/numpy/core.py",
            "<frozen importlib._bootstrap>",
        ] {
            assert_eq!(kind_of_script(file), FrameKind::Library, "{file}");
        }
        for file in ["train.py", "/home/a/lib/python3x.py", "<string>", "<stdin>"] {
            assert_eq!(kind_of_script(file), FrameKind::Python, "{file}");
        }
    }

    #[test]
    fn versions_are_in_names() {
        assert_eq!(named_version("/usr/bin/python3.10"), Some(10));
        assert_eq!(named_version("/usr/lib/libpython3.13t.so.1.0"), Some(13));
        assert_eq!(named_version("/usr/bin/python3"), None);
        assert_eq!(named_version("/usr/bin/node"), None);
    }
}
