//! The bytes of an input: hashed as they leave the file, decompressed where they are compressed,
//! and fingerprinted behind the header.

mod ahead;

use self::ahead::Ahead;
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::Arc,
};

use super::{
    foreign::{foreign_format, start_of},
    frames::{Frames, FramesEnd, ZSTD_MAGIC, walk_frames},
};
use crate::{
    ConvertError, InputHash,
    hash::{ContentHash, Fingerprint, Hasher, RecordHasher},
    input_file::InputFile,
};

/// Compressed bytes are read in pieces of this size.
const READ_BYTES: usize = 1 << 18;
/// First bytes looked at to tell what a file is.
const HEAD_BYTES: usize = 64;
/// Largest window of a frame, the memory that decompressing it takes: that of `zstd --long=28`. A
/// frame of a few bytes may ask for more than a machine has.
pub(crate) const WINDOW_MAX: u64 = 1 << 28;

/// Bytes of a file, counted and hashed on their way.
#[derive(Debug)]
pub(crate) struct HashRead<R> {
    inner: R,
    hash: Hasher,
    bytes: u64,
}

impl<R: Read> HashRead<R> {
    fn new(inner: R, hash: InputHash) -> Self {
        Self { inner, hash: Hasher::new(hash), bytes: 0 }
    }
}

impl<R: Read> Read for HashRead<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

/// The decoded bytes of a DBN file.
pub(crate) struct Source {
    bytes: Bytes,
    /// Of all that is read; another thread has it where that one reads.
    records: Option<Box<RecordHasher>>,
}

enum Bytes {
    Raw(HashRead<Arc<File>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<HashRead<Arc<File>>>>>),
    /// Any of the two, read by another thread.
    Ahead(Box<Ahead>),
}

impl Source {
    /// Reads a file, whose kind is told by its first bytes, whatever its name.
    pub(crate) fn new(input: &InputFile, hash: InputHash) -> Result<Self, ConvertError> {
        Self::checked(input, hash, true)
    }

    /// Reads a file whatever its frames look like, for a reader that reports all there is.
    pub(crate) fn unchecked(input: &InputFile) -> Result<Self, ConvertError> {
        Self::checked(input, InputHash::None, false)
    }

    fn checked(input: &InputFile, hash: InputHash, is_walked: bool) -> Result<Self, ConvertError> {
        let path = input.path();
        let head = read_head(input)?;
        if is_frames(&head) {
            if let Some(found) = foreign_format(&head) {
                return Err(ConvertError::NotDbn { path: path.to_owned(), found });
            }
            return Self::zstd(input, hash, is_walked);
        }
        let magic = &head[..head.len().min(4)];
        let n = magic.len();
        if n < 4 && (ZSTD_MAGIC.starts_with(magic) || b"DBN".starts_with(&magic[..n.min(3)])) {
            let what = if n == 0 { "empty file".to_owned() } else { "header".to_owned() };
            return Err(ConvertError::Truncated {
                path: path.to_owned(),
                what,
                byte_offset: 0,
                records: None,
            });
        }
        if !magic.starts_with(b"DBN") {
            return Err(ConvertError::NotDbn { path: path.to_owned(), found: start_of(&head) });
        }
        let bytes = Bytes::Raw(HashRead::new(input.reader()?, hash));
        Ok(Self { bytes, records: None })
    }

    fn zstd(input: &InputFile, hash: InputHash, is_walked: bool) -> Result<Self, ConvertError> {
        let path = input.path();
        let frames = walk_frames(input.reader()?).map_err(ConvertError::io(path, "read"))?;
        if let Some((byte_offset, window)) = frames.widest.filter(|(_, w)| *w > WINDOW_MAX) {
            return Err(ConvertError::Window {
                path: path.to_owned(),
                byte_offset,
                window,
                limit: WINDOW_MAX,
                log: window.next_power_of_two().ilog2(),
            });
        }
        if is_walked && let Some(error) = frames_error(path, &frames) {
            return Err(error);
        }
        let hashed = HashRead::new(input.reader()?, hash);
        let buffered = BufReader::with_capacity(READ_BYTES, hashed);
        let decompress = |error| ConvertError::io(path, "decompress")(error);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(decompress)?;
        decoder.window_log_max(WINDOW_MAX.ilog2()).map_err(decompress)?;
        Ok(Self { bytes: Bytes::Zstd(Box::new(decoder)), records: None })
    }

    /// Takes the fingerprint of what is read from here on: of the records, once the header is read.
    pub(crate) fn fingerprint_the_rest(&mut self) {
        self.records = Some(Box::new(RecordHasher::new()));
    }

    /// The same, read by a thread of its own from here on.
    pub(crate) fn ahead(self) -> io::Result<Self> {
        match self.bytes {
            Bytes::Ahead(_) => Ok(self),
            _ => Ok(Self { bytes: Bytes::Ahead(Box::new(Ahead::new(self)?)), records: None }),
        }
    }

    /// Bytes of the file read so far.
    pub(crate) fn file_bytes(&self) -> u64 {
        match &self.bytes {
            Bytes::Raw(reader) => reader.bytes,
            Bytes::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
            Bytes::Ahead(ahead) => ahead.file_bytes(),
        }
    }

    /// The hash of the file, once it is read to its end.
    pub(crate) fn content(&self) -> ContentHash {
        match &self.bytes {
            Bytes::Raw(reader) => reader.hash.finish(),
            Bytes::Zstd(decoder) => decoder.get_ref().get_ref().hash.finish(),
            Bytes::Ahead(ahead) => ahead.content(),
        }
    }

    /// The fingerprint of the records, once they are read to their end; `None` if it is not taken.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.bytes {
            Bytes::Ahead(ahead) => ahead.fingerprint(),
            _ => self.records.as_ref().map(|records| records.finish()),
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        match &self.bytes {
            Bytes::Raw(_) => false,
            Bytes::Zstd(_) => true,
            Bytes::Ahead(ahead) => ahead.is_compressed(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.bytes {
            Bytes::Raw(reader) => reader.read(buf),
            Bytes::Zstd(decoder) => decoder.read(buf),
            Bytes::Ahead(ahead) => ahead.read(buf),
        }?;
        if let Some(records) = &mut self.records {
            records.update(&buf[..n]);
        }
        Ok(n)
    }
}

/// What is wrong with the frames of a file, before any of it is decoded.
fn frames_error(path: &Path, frames: &Frames) -> Option<ConvertError> {
    let path = path.to_owned();
    match frames.end {
        FramesEnd::Whole => None,
        // A damaged block is better described by the decoder that trips over it.
        FramesEnd::Damaged { .. } => None,
        FramesEnd::Cut { frame_offset } => Some(ConvertError::Truncated {
            path,
            what: format!(
                "the Zstandard frame that ends past the end of the file ({} bytes) starts",
                frames.file_bytes
            ),
            byte_offset: frame_offset,
            records: None,
        }),
        FramesEnd::Trailing { byte_offset } => Some(ConvertError::TrailingBytes {
            path,
            byte_offset,
            extra: frames.file_bytes - byte_offset,
        }),
    }
}

/// The first bytes of a file.
pub(crate) fn read_head(input: &InputFile) -> Result<Vec<u8>, ConvertError> {
    let mut head = vec![0; HEAD_BYTES];
    let n = read_full(&mut input.reader()?, &mut head)
        .map_err(ConvertError::io(input.path(), "read"))?;
    head.truncate(n);
    Ok(head)
}

/// Whether a file consists of Zstandard frames; the first may be one to be skipped.
pub(crate) fn is_frames(head: &[u8]) -> bool {
    head.starts_with(&ZSTD_MAGIC) || matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// Reads until `buf` is full or the input ends; returns the number of bytes.
pub(crate) fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match reader.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}
