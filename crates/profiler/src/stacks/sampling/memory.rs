//! Reading the memory of another process.

use std::mem::MaybeUninit;

/// Most pieces of one call (`UIO_MAXIOV`).
const MAX_PIECES: usize = 1024;

/// Memory of a process. Reading needs the right to trace it, which a parent has of its children
/// unless they have changed their identity (ptrace(2), "Ptrace access mode checking").
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pid: libc::pid_t,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid: libc::pid_t::try_from(pid).ok()? })
    }

    /// Reads pieces of `size` bytes each from the addresses; `None` where one cannot be read.
    pub(super) fn pieces(self, addresses: &[u64], size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0_u8; addresses.len().checked_mul(size)?];
        if addresses.len() > MAX_PIECES || bytes.is_empty() {
            return bytes.is_empty().then_some(bytes);
        }
        let piece = |address: &u64| {
            let base = usize::try_from(*address).ok()? as *mut libc::c_void;
            Some(libc::iovec { iov_base: base, iov_len: size })
        };
        let remote: Vec<libc::iovec> = addresses.iter().map(piece).collect::<Option<_>>()?;
        let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: the local piece is `bytes`; the remote ones are read by the kernel, which checks
        // every page of the other process.
        let read = unsafe {
            libc::process_vm_readv(
                self.pid,
                &raw const local,
                1,
                remote.as_ptr(),
                libc::c_ulong::try_from(remote.len()).ok()?,
                0,
            )
        };
        (usize::try_from(read) == Ok(bytes.len())).then_some(bytes)
    }

    pub(super) fn bytes(self, address: u64, size: usize) -> Option<Vec<u8>> {
        self.pieces(&[address], size)
    }

    pub(super) fn u64(self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8)?;
        Some(u64::from_ne_bytes(*bytes.first_chunk::<8>()?))
    }

    pub(super) fn u32(self, address: u64) -> Option<u32> {
        let bytes = self.bytes(address, 4)?;
        Some(u32::from_ne_bytes(*bytes.first_chunk::<4>()?))
    }

    /// Whether anything of it may be read; else the system's reason.
    pub(super) fn permitted(self, address: u64) -> std::io::Result<()> {
        let mut byte = MaybeUninit::<u8>::uninit();
        let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let base = usize::try_from(address).unwrap_or(0) as *mut libc::c_void;
        let remote = libc::iovec { iov_base: base, iov_len: 1 };
        // SAFETY: as in `pieces`; the one byte is not looked at.
        let read = unsafe {
            libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        if read < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A word inside bytes that were read.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_read_and_holes_are_not() {
        let memory = Memory::of(std::process::id()).unwrap();
        let words = [3_u64, 5, 7];
        let at = |i: usize| &raw const words[i] as u64;
        assert_eq!(memory.u64(at(1)), Some(5));
        let both = memory.pieces(&[at(2), at(0)], 8).unwrap();
        assert_eq!((word(&both, 0), word(&both, 8), word(&both, 9)), (Some(7), Some(3), None));
        assert_eq!(memory.u64(8), None, "the first page is never mapped");
        assert_eq!(memory.pieces(&[at(0), 8], 8), None);
        assert!(memory.permitted(at(0)).is_ok() && memory.permitted(8).is_err());
        assert_eq!(memory.pieces(&[], 8), Some(Vec::new()));
    }
}
