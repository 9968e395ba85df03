//! Where CPython keeps what of its state, by version.
//!
//! The offsets of 3.10, 3.11 and 3.12 were found with `offsetof` against the public headers of each
//! on a 64-bit Linux; they do not change between patch releases. 3.13 writes them into its own
//! image (`_Py_DebugOffsets` at the start of `_PyRuntime`), which also covers its builds without a
//! global lock.

use super::super::memory::{Memory, word};

/// How the frames of a version are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frames {
    /// Every function has a frame on the C stack (3.10).
    OnePerCall,
    /// A frame says whether the C stack was entered with it (3.11).
    Entry { flag: u64 },
    /// A frame without code stands below those of one entry (3.12, 3.13).
    Shim { owner: u64 },
}

/// Offsets in bytes; the names are CPython's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) frames: Frames,
    pub(super) interpreters_head: u64,
    pub(super) interpreter_next: u64,
    pub(super) threads_head: u64,
    pub(super) thread_next: u64,
    /// The kernel's number of the thread, or the C library's pointer before 3.11.
    pub(super) thread_id: u64,
    /// The innermost frame, or what points to it.
    pub(super) thread_frame: u64,
    /// Where `thread_frame` points to a structure: the frame in it.
    pub(super) indirect: Option<u64>,
    /// The block the frames lie in; 0 where they lie anywhere.
    pub(super) datastack_chunk: u64,
    pub(super) frame_previous: u64,
    pub(super) frame_code: u64,
    pub(super) frame_instruction: u64,
    pub(super) code_filename: u64,
    pub(super) code_name: u64,
    pub(super) code_linetable: u64,
    pub(super) code_firstlineno: u64,
    /// The first instruction; 0 where frames hold an index instead of an address.
    pub(super) code_instructions: u64,
    /// Bytes before the characters of a string that is all ASCII.
    pub(super) ascii_bytes: u64,
    /// The same of any other string.
    pub(super) compact_bytes: u64,
}

const V3_10: Layout = Layout {
    frames: Frames::OnePerCall,
    interpreters_head: 32,
    interpreter_next: 0,
    threads_head: 8,
    thread_next: 8,
    thread_id: 176,
    thread_frame: 24,
    indirect: None,
    datastack_chunk: 0,
    frame_previous: 24,
    frame_code: 32,
    frame_instruction: 96,
    code_filename: 104,
    code_name: 112,
    code_linetable: 120,
    code_firstlineno: 40,
    code_instructions: 0,
    ascii_bytes: 48,
    compact_bytes: 72,
};

const V3_11: Layout = Layout {
    frames: Frames::Entry { flag: 68 },
    interpreters_head: 40,
    threads_head: 16,
    thread_id: 160,
    thread_frame: 56,
    indirect: Some(8),
    datastack_chunk: 296,
    frame_previous: 48,
    frame_code: 32,
    frame_instruction: 56,
    code_filename: 112,
    code_name: 128,
    code_linetable: 136,
    code_firstlineno: 72,
    code_instructions: 184,
    ..V3_10
};

const V3_12: Layout = Layout {
    frames: Frames::Shim { owner: 70 },
    threads_head: 72,
    thread_id: 144,
    indirect: Some(0),
    datastack_chunk: 232,
    frame_previous: 8,
    frame_code: 0,
    code_firstlineno: 68,
    code_instructions: 192,
    ascii_bytes: 40,
    compact_bytes: 56,
    ..V3_11
};

impl Layout {
    /// That of a minor version whose state begins at `runtime`; else what is wrong.
    pub(super) fn of(minor: u32, memory: Memory, runtime: u64) -> Result<Self, String> {
        match minor {
            10 => Ok(V3_10),
            11 => Ok(V3_11),
            12 => Ok(V3_12),
            13 => Self::written(memory, runtime)
                .ok_or_else(|| "its table of offsets cannot be read".to_owned()),
            _ => Err("the layouts of 3.10 to 3.13 are known".to_owned()),
        }
    }

    /// The table that 3.13 carries (`pycore_runtime.h`).
    fn written(memory: Memory, runtime: u64) -> Option<Self> {
        let table = memory.bytes(runtime, 584)?;
        let at = |offset| word(&table, offset).filter(|value| *value < 1 << 20);
        if !table.starts_with(b"xdebugpy") {
            return None;
        }
        let ascii = at(560)?;
        Some(Self {
            frames: Frames::Shim { owner: at(264)? },
            interpreters_head: at(40)?,
            interpreter_next: at(64)?,
            threads_head: at(72)?,
            thread_next: at(168)?,
            thread_id: at(200)?,
            thread_frame: at(184)?,
            indirect: None,
            datastack_chunk: at(208)?,
            frame_previous: at(232)?,
            frame_code: at(240)?,
            frame_instruction: at(248)?,
            code_filename: at(280)?,
            code_name: at(296)?,
            code_linetable: at(304)?,
            code_firstlineno: at(312)?,
            code_instructions: at(344)?,
            ascii_bytes: ascii,
            // A length and a pointer more (`PyCompactUnicodeObject`).
            compact_bytes: ascii + 16,
        })
    }
}
