//! Reading and decompressing on a thread of their own, a bounded distance ahead.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use super::Source;
use crate::hash::{ContentHash, Fingerprint};

/// Decoded bytes handed over at once: large enough that the handover costs nothing, and small
/// enough that they are still in a shared cache when they arrive.
const PIECE_BYTES: usize = 1 << 18;
/// Pieces under way: together with the two that are being filled and emptied, 1.5 MiB.
const PIECES: usize = 4;

/// The decoded bytes of a [`Source`] that another thread reads.
///
/// The buffers go round: emptied ones return to the reading thread, and it waits once all are
/// full. Dropping this ends the thread.
#[derive(Debug)]
pub(crate) struct Ahead {
    full: Option<Receiver<Piece>>,
    empty: Sender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
    current: Vec<u8>,
    at: usize,
    file_bytes: u64,
    is_compressed: bool,
    known: Known,
    is_ended: bool,
}

/// What is known of a file that was read to its end.
#[derive(Debug, Default)]
struct Known {
    content: ContentHash,
    fingerprint: Option<Fingerprint>,
}

/// What the reading thread hands over.
#[derive(Debug)]
struct Piece {
    /// Empty after an error and at the end.
    bytes: Vec<u8>,
    /// Bytes of the file read so far.
    file_bytes: u64,
    end: Option<io::Result<Known>>,
}

impl Ahead {
    /// Reads `source` on a thread of its own from here on.
    pub(super) fn new(source: Source) -> io::Result<Self> {
        let (file_bytes, is_compressed) = (source.file_bytes(), source.is_compressed());
        let (to_full, full) = sync_channel(PIECES);
        let (empty, from_empty) = channel();
        let work = move || read_all(source, &to_full, &from_empty);
        let thread = thread::Builder::new().name("lob-read".to_owned()).spawn(work)?;
        Ok(Self {
            full: Some(full),
            empty,
            thread: Some(thread),
            current: Vec::new(),
            at: 0,
            file_bytes,
            is_compressed,
            known: Known::default(),
            is_ended: false,
        })
    }

    /// Waits for the next piece; false at the end.
    fn next_piece(&mut self) -> io::Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        let emptied = std::mem::take(&mut self.current);
        if emptied.capacity() > 0 {
            // The thread may have ended, and then needs no buffer.
            drop(self.empty.send(emptied));
        }
        let Some(Ok(piece)) = self.full.as_ref().map(Receiver::recv) else {
            self.is_ended = true;
            return Err(io::Error::other("the reading thread stopped before the end"));
        };
        (self.current, self.at, self.file_bytes) = (piece.bytes, 0, piece.file_bytes);
        if let Some(end) = piece.end {
            self.is_ended = true;
            self.known = end?;
        }
        Ok(!self.is_ended)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// The hash of the file; nothing before the end.
    pub(super) fn content(&self) -> ContentHash {
        self.known.content.clone()
    }

    /// The fingerprint of its records; nothing before the end.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.known.fingerprint.clone()
    }
}

impl Read for Ahead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            if !self.next_piece()? {
                return Ok(0);
            }
        }
        let n = buf.len().min(self.current.len() - self.at);
        buf[..n].copy_from_slice(&self.current[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Without a receiver the thread's next handover fails, and it ends.
        self.full = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported as an error of reading.
            drop(thread.join());
        }
    }
}

/// The work of the reading thread: fills buffers until the end, an error, or nobody waits.
fn read_all(mut source: Source, to: &SyncSender<Piece>, empty: &Receiver<Vec<u8>>) {
    let _scope = lob_scope::scope("read_ahead");
    loop {
        let mut bytes = empty.try_recv().unwrap_or_default();
        // Only a new buffer is filled with zeros.
        bytes.resize(PIECE_BYTES, 0);
        let (filled, end) = fill(&mut source, &mut bytes);
        bytes.truncate(filled);
        let file_bytes = source.file_bytes();
        if filled > 0 && to.send(Piece { bytes, file_bytes, end: None }).is_err() {
            return;
        }
        if let Some(end) = end {
            let end =
                Some(end.map(|()| Known {
                    content: source.content(),
                    fingerprint: source.fingerprint(),
                }));
            // Nobody waits for the end if the other side is gone.
            drop(to.send(Piece { bytes: Vec::new(), file_bytes, end }));
            return;
        }
    }
}

/// Fills the buffer: the number of bytes, and whether the source ended with or without an error.
fn fill(source: &mut Source, bytes: &mut [u8]) -> (usize, Option<io::Result<()>>) {
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => return (filled, Some(Ok(()))),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(Err(error))),
        }
    }
    (filled, None)
}
