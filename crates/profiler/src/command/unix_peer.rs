//! The other end of a socket of this machine (`AF_UNIX`), asked of the kernel (sock_diag(7)).

use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SHOW_PEER: u32 = 4;
/// The attribute that holds the peer's inode.
const UNIX_DIAG_PEER: u16 = 2;
const NO_COOKIE: [u32; 2] = [u32::MAX; 2];

/// `struct nlmsghdr` and `struct unix_diag_req`.
#[repr(C)]
struct Request {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
    family: u8,
    protocol: u8,
    pad: u16,
    states: u32,
    inode: u32,
    show: u32,
    cookie: [u32; 2],
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct unix_diag_msg`.
const MESSAGE: usize = 16;

/// The inode of the socket that a socket is connected to; `None` for one of another kind, without
/// a peer, or where the kernel does not tell.
pub(super) fn of(inode: u64) -> Option<u64> {
    let request = Request {
        length: u32::try_from(size_of::<Request>()).ok()?,
        kind: SOCK_DIAG_BY_FAMILY,
        flags: u16::try_from(libc::NLM_F_REQUEST).ok()?,
        sequence: 1,
        port: 0,
        family: u8::try_from(libc::AF_UNIX).ok()?,
        protocol: 0,
        pad: 0,
        states: u32::MAX,
        inode: u32::try_from(inode).ok()?,
        show: SHOW_PEER,
        cookie: NO_COOKIE,
    };
    let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers and returns a new descriptor or -1.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, flags, NETLINK_SOCK_DIAG) };
    if socket < 0 {
        return None;
    }
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut answer = [0u8; 1024];
    // SAFETY: the first call reads the structure of the size given, the second writes at most the
    // size of the buffer given. The kernel answers a request of one socket at once.
    let length = unsafe {
        let sent = libc::send(
            socket.as_raw_fd(),
            (&raw const request).cast(),
            size_of::<Request>(),
            libc::MSG_DONTWAIT,
        );
        if sent < 0 {
            return None;
        }
        libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), libc::MSG_DONTWAIT)
    };
    peer_in(answer.get(..usize::try_from(length).ok()?)?)
}

/// The peer's inode in an answer: header, message, attributes of length and kind.
fn peer_in(answer: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u16::from_ne_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    if word(4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut at = HEADER + MESSAGE;
    loop {
        let (length, kind) = (usize::from(word(at)?), word(at + 2)?);
        if kind == UNIX_DIAG_PEER {
            let bytes = answer.get(at + 4..at + 8)?;
            return Some(u32::from_ne_bytes(bytes.try_into().ok()?).into());
        }
        if length < 4 {
            return None;
        }
        at += length.next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn inode(stream: &UnixStream) -> u64 {
        std::fs::metadata(format!("/proc/self/fd/{}", stream.as_raw_fd())).unwrap().ino()
    }

    #[test]
    fn the_peer_of_a_pair_is_the_other_one_or_is_not_told() {
        let (left, right) = UnixStream::pair().unwrap();
        let (left, right) = (inode(&left), inode(&right));
        // A kernel without this kind of question answers none.
        assert!([Some(right), None].contains(&of(left)), "{left} {right} {:?}", of(left));
        assert_eq!(of(u64::from(u32::MAX)), None);
    }

    #[test]
    fn answers_cut_short_are_refused() {
        let mut answer = vec![0u8; HEADER + MESSAGE];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        answer.extend([8u16.to_ne_bytes(), UNIX_DIAG_PEER.to_ne_bytes()].concat());
        answer.extend(77u32.to_ne_bytes());
        assert_eq!(peer_in(&answer), Some(77));
        for length in 0..answer.len() {
            assert_eq!(peer_in(&answer[..length]), None);
        }
        answer[32..34].copy_from_slice(&0u16.to_ne_bytes());
        answer[34] = 9;
        assert_eq!(peer_in(&answer), None);
    }
}
