//! Frames: a header of 17 bytes (kind, number, length), then values or a text, little-endian.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::RankError;
use crate::error::Message;

const HEADER: usize = 17;
const VALUES: u8 = 1;
const FAILURE: u8 = 2;

/// Longest text of a failure.
const MAX_TEXT: usize = 4096;

/// Values encoded or decoded at a time.
const BLOCK: usize = 1 << 14;

/// When a wait began and when it ends.
pub(super) type Wait = (Instant, Instant);

/// Another rank at the end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) rank: usize,
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn new(rank: usize, stream: TcpStream) -> Self {
        Self { rank, stream, buffer: Vec::new() }
    }

    pub(super) fn send(
        &mut self,
        number: u64,
        values: &[f32],
        wait: Wait,
    ) -> Result<(), RankError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        header(&mut buffer, VALUES, number, values.len() as u64);
        let mut outcome = Ok(());
        for block in values.chunks(BLOCK) {
            let start = buffer.len();
            buffer.resize(start + 4 * block.len(), 0);
            for (bytes, x) in buffer[start..].as_chunks_mut::<4>().0.iter_mut().zip(block) {
                *bytes = x.to_le_bytes();
            }
            outcome = self.write(&buffer, wait);
            buffer.clear();
            if outcome.is_err() {
                break;
            }
        }
        if !buffer.is_empty() {
            outcome = self.write(&buffer, wait);
        }
        self.buffer = buffer;
        outcome
    }

    /// Tells the other rank why this one ends, if it still listens.
    pub(super) fn send_failure(&mut self, reason: &str) {
        let text = &reason.as_bytes()[..reason.len().min(MAX_TEXT)];
        let mut frame = Vec::with_capacity(HEADER + text.len());
        header(&mut frame, FAILURE, 0, text.len() as u64);
        frame.extend_from_slice(text);
        let now = Instant::now();
        // It may be the rank that was lost.
        drop(self.write(&frame, (now, now + Duration::from_secs(1))));
    }

    /// Fills `values` from the other rank's next message, which must be the one expected.
    pub(super) fn receive(
        &mut self,
        expected: Message,
        values: &mut [f32],
        wait: Wait,
    ) -> Result<(), RankError> {
        let mut head = [0; HEADER];
        self.read(&mut head, wait)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let found = Message { number: word(1), n_values: word(9) };
        if head[0] == FAILURE {
            let length = usize::try_from(found.n_values).map_or(MAX_TEXT, |n| n.min(MAX_TEXT));
            let mut text = vec![0; length];
            self.read(&mut text, wait)?;
            let reason = String::from_utf8_lossy(&text).into_owned();
            return Err(RankError::Ended { reason });
        }
        if head[0] != VALUES || found != expected {
            return Err(RankError::OutOfStep { rank: self.rank, expected, found });
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut outcome = Ok(());
        for block in values.chunks_mut(BLOCK) {
            buffer.resize(4 * block.len(), 0);
            outcome = self.read(&mut buffer, wait);
            if outcome.is_err() {
                break;
            }
            for (x, bytes) in block.iter_mut().zip(buffer.as_chunks::<4>().0) {
                *x = f32::from_le_bytes(*bytes);
            }
        }
        self.buffer = buffer;
        outcome
    }

    fn read(&mut self, bytes: &mut [u8], wait: Wait) -> Result<(), RankError> {
        read_by(&mut self.stream, bytes, wait.1).map_err(|error| self.failed(&error, wait))
    }

    fn write(&mut self, bytes: &[u8], wait: Wait) -> Result<(), RankError> {
        write_by(&mut self.stream, bytes, wait.1).map_err(|error| self.failed(&error, wait))
    }

    fn failed(&self, error: &std::io::Error, (begun, _): Wait) -> RankError {
        let rank = self.rank;
        match error.kind() {
            ErrorKind::TimedOut => {
                RankError::Silent { rank, waited_s: begun.elapsed().as_secs_f64() }
            }
            ErrorKind::UnexpectedEof => {
                RankError::Lost { rank, reason: "it closed its connection".into() }
            }
            _ => RankError::Lost { rank, reason: error.to_string() },
        }
    }

    /// Whether the other end has closed the connection.
    pub(super) fn is_gone(&self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return true;
        }
        let found = self.stream.peek(&mut [0]);
        let is_back = self.stream.set_nonblocking(false).is_ok();
        match found {
            Ok(n) => n == 0 || !is_back,
            Err(error) => error.kind() != ErrorKind::WouldBlock || !is_back,
        }
    }
}

fn header(out: &mut Vec<u8>, kind: u8, number: u64, length: u64) {
    out.push(kind);
    out.extend(number.to_le_bytes());
    out.extend(length.to_le_bytes());
}

/// Fills `bytes` before `deadline`, or [`ErrorKind::TimedOut`].
pub(super) fn read_by(
    stream: &mut TcpStream,
    bytes: &mut [u8],
    deadline: Instant,
) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut bytes[done..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(error) if is_worth_a_try(error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes `bytes` before `deadline`, or [`ErrorKind::TimedOut`].
pub(super) fn write_by(
    stream: &mut TcpStream,
    bytes: &[u8],
    deadline: Instant,
) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(&bytes[done..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) if is_worth_a_try(error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The deadline itself says when to stop: a timeout of one call may come early.
fn is_worth_a_try(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
