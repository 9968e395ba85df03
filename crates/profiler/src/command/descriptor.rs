//! What the descriptors of a process stand for, and who holds the other end of a pipe or socket.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::time::{Duration, Instant};

use lob_scope::procfs;

use super::call::Look;
use super::doing::{File, Found, Polled};
use super::unix_peer;

/// Descriptors of a polled set that are looked at; who polls more waits for a stream.
const MAX_POLLED: u64 = 64;
/// Processes and descriptors searched for the other end of a stream.
const MAX_PROCESSES: usize = 64;
const MAX_DESCRIPTORS: usize = 256;
/// Who holds what is asked again after so long; sooner for a stream that nobody was seen to hold,
/// but never before fifty times the time it took.
const MAX_AGE: Duration = Duration::from_millis(250);
const MAX_SHARE: u32 = 50;

/// One process's hold on a pipe or a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hold {
    pid: u32,
    reads: bool,
    writes: bool,
}

/// The streams that the program's processes hold, by what they are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    holds: BTreeMap<u64, Vec<Hold>>,
    /// When they were listed, and how long that took.
    listed: Option<(Instant, Duration)>,
}

impl Streams {
    /// Lists them afresh if the list is older than `age`.
    fn refresh(&mut self, processes: &[u32], age: Duration) {
        let start = Instant::now();
        if self.listed.is_some_and(|(at, took)| start < at + age.max(took * MAX_SHARE)) {
            return;
        }
        self.holds.clear();
        for pid in processes.iter().take(MAX_PROCESSES) {
            let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
            for entry in folder.flatten().take(MAX_DESCRIPTORS) {
                let name = entry.file_name();
                let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let (File::Pipe(inode) | File::Socket(inode)) = file(*pid, number) else {
                    continue;
                };
                let access = access(*pid, number);
                let hold = Hold { pid: *pid, reads: access != 1, writes: access != 0 };
                self.holds.entry(inode).or_default().push(hold);
            }
        }
        self.listed = Some((start, start.elapsed()));
    }

    /// The process of the program at the other end of what `pid` holds; it itself if no other is.
    pub(super) fn peer(&mut self, pid: u32, file: &File, reads: bool, all: &[u32]) -> Option<u32> {
        self.refresh(all, MAX_AGE);
        let (inode, is_pipe) = match file {
            File::Pipe(inode) => (*inode, true),
            File::Socket(inode) => (unix_peer::of(*inode)?, false),
            _ => return None,
        };
        let fits = |hold: &&Hold| !is_pipe || if reads { hold.writes } else { hold.reads };
        if !self.holds.contains_key(&inode) {
            self.refresh(all, Duration::ZERO);
        }
        let holds = self.holds.get(&inode)?;
        let other = holds.iter().filter(fits).find(|hold| hold.pid != pid);
        other.or_else(|| holds.iter().find(fits)).map(|hold| hold.pid)
    }
}

/// Access mode of a descriptor: 0 reads, 1 writes, 2 both (open(2)).
fn access(pid: u32, number: u64) -> u32 {
    let text = procfs::read(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = procfs::field(&text, "flags").and_then(|f| u32::from_str_radix(f, 8).ok());
    flags.unwrap_or(2) & 3
}

/// What a descriptor of a process stands for.
fn file(pid: u32, number: u64) -> File {
    let path = format!("/proc/{pid}/fd/{number}");
    let Ok(link) = std::fs::read_link(&path) else { return File::Unknown };
    let link = link.to_string_lossy();
    let found = if link.starts_with('/') {
        std::fs::metadata(&path).map_or(Found::Else, |found| match found.file_type() {
            kind if kind.is_char_device() => Found::Device,
            kind if kind.is_fifo() => Found::Fifo(found.ino()),
            _ => Found::Else,
        })
    } else {
        Found::Else
    };
    File::of(&link, found)
}

/// One process, looked at while a thread of it waits.
pub(super) struct Process<'a> {
    pub(super) pid: u32,
    /// All processes of the program.
    pub(super) all: &'a [u32],
    pub(super) streams: &'a mut Streams,
}

impl Process<'_> {
    fn polled(&mut self, descriptors: &[u64], reads: bool) -> Vec<Polled> {
        let mut set = Vec::new();
        for number in descriptors {
            let file = file(self.pid, *number);
            let peer = self.streams.peer(self.pid, &file, reads, self.all);
            set.push(Polled { is_own: peer == Some(self.pid), peer, file });
        }
        set
    }

    fn memory(&self, address: u64, bytes: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; bytes];
        let memory = std::fs::File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        memory.read_exact_at(&mut out, address).ok()?;
        Some(out)
    }
}

impl Look for Process<'_> {
    fn file(&mut self, descriptor: u64) -> File {
        // A descriptor is an `int`.
        file(self.pid, descriptor & 0xffff_ffff)
    }

    fn poll_set(&mut self, address: u64, count: u64) -> Option<Vec<Polled>> {
        if count > MAX_POLLED {
            return None;
        }
        // `struct pollfd`: an `int`, of which a negative one is passed over, and two `short`s.
        let bytes = self.memory(address, usize::try_from(count).ok()? * 8);
        let bytes = if count == 0 { Some(Vec::new()) } else { bytes };
        let (mut reads, mut descriptors) = (false, Vec::new());
        for entry in bytes?.chunks_exact(8) {
            let number = i32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]);
            reads |= i16::from_ne_bytes([entry[4], entry[5]]) & libc::POLLIN != 0;
            descriptors.extend(u64::try_from(number));
        }
        Some(self.polled(&descriptors, reads))
    }

    fn select_set(&mut self, bits: u64, maps: [u64; 3]) -> Option<Vec<Polled>> {
        if bits > 1024 {
            return None;
        }
        let (mut reads, mut descriptors) = (false, Vec::new());
        let bytes = usize::try_from(bits.div_ceil(64)).ok()? * 8;
        for (index, map) in maps.into_iter().enumerate().filter(|(_, map)| *map != 0) {
            if bytes == 0 {
                continue;
            }
            for (at, byte) in (0u64..).zip(self.memory(map, bytes)?) {
                let set = (0..8).filter(|bit| byte & (1 << bit) != 0).map(|bit| at * 8 + bit);
                for number in set.filter(|number| *number < bits) {
                    reads |= index == 0;
                    descriptors.push(number);
                }
            }
        }
        descriptors.truncate(usize::try_from(MAX_POLLED).unwrap_or(64));
        Some(self.polled(&descriptors, reads))
    }

    fn epoll_set(&mut self, descriptor: u64) -> Option<Vec<Polled>> {
        let text = procfs::read(format!("/proc/{}/fdinfo/{descriptor}", self.pid)).ok()?;
        let descriptors = epoll_targets(&text);
        if descriptors.len() as u64 > MAX_POLLED {
            return None;
        }
        Some(self.polled(&descriptors, true))
    }

    fn is_thread(&self, number: u32) -> bool {
        std::path::Path::new(&format!("/proc/{}/task/{number}", self.pid)).exists()
    }
}

/// The descriptors in the set of an epoll, from its `fdinfo` (proc_pid_fdinfo(5)).
fn epoll_targets(text: &str) -> Vec<u64> {
    let target =
        |line: &str| line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok();
    text.lines().filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use std::io::pipe;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_set_of_an_epoll_is_read() {
        let text = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1057\n\
                    tfd:        5 events:       19 data:                5 pos:0 ino:61 sdev:5\n\
                    tfd:       12 events:       19 data:                5 pos:0 ino:62 sdev:5\n";
        assert_eq!(epoll_targets(text), [5, 12]);
        assert_eq!(epoll_targets("pos: 0\n"), Vec::<u64>::new());
    }

    #[test]
    fn a_pipe_and_a_socket_to_oneself_are_ones_own() {
        let me = std::process::id();
        let (reader, _writer) = pipe().unwrap();
        let (left, _right) = UnixStream::pair().unwrap();
        let mut streams = Streams::default();
        let mut process = Process { pid: me, all: &[me], streams: &mut streams };
        let numbers = [reader.as_raw_fd(), left.as_raw_fd()].map(|n| u64::try_from(n).unwrap());
        let set = process.polled(&numbers, true);
        assert!(matches!(set[0].file, File::Pipe(_)) && set[0].is_own, "{set:?}");
        assert!(matches!(set[1].file, File::Socket(_)), "{set:?}");
        // Where the kernel does not tell the other end of a socket, it counts as another's.
        let File::Socket(inode) = set[1].file else { return };
        assert_eq!(set[1].is_own, unix_peer::of(inode).is_some(), "{set:?}");
    }
}
