//! The bytes at hand of a stream that is looked through.

use std::io::Read;

use crate::{ConvertError, Progress, decode::Source, progress::go_on};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 18;
/// How far behind a damaged record the next sound one is looked for; kept buffered.
const LOOKAHEAD_BYTES: usize = 1 << 16;

/// The undecoded rest of the stream, with some bytes at hand.
pub(super) struct Window<'a> {
    pub(super) source: &'a mut Source,
    buffer: Vec<u8>,
    start: usize,
    /// Position of `buffer[start]` in the decoded stream.
    pub(super) offset: u64,
    pub(super) end: Option<std::io::Result<()>>,
}

impl<'a> Window<'a> {
    /// What is behind the header, which took `offset` bytes.
    pub(super) fn new(source: &'a mut Source, offset: u64) -> Self {
        Self { source, buffer: Vec::new(), start: 0, offset, end: None }
    }

    /// At least `LOOKAHEAD_BYTES`, or all there is, and whether it is all.
    pub(super) fn fill(&mut self, progress: &dyn Progress) -> Result<(&[u8], bool), ConvertError> {
        while self.end.is_none() && self.buffer.len() - self.start < LOOKAHEAD_BYTES {
            go_on(progress)?;
            self.buffer.drain(..self.start);
            self.start = 0;
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ_BYTES, 0);
            let (n, end) = match self.source.read(&mut self.buffer[filled..]) {
                Ok(0) => (0, Some(Ok(()))),
                Ok(n) => (n, None),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (0, None),
                Err(error) => (0, Some(Err(error))),
            };
            self.buffer.truncate(filled + n);
            self.end = end;
        }
        Ok((&self.buffer[self.start..], self.end.is_some()))
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }
}
