//! The bytes of an input: hashed as they leave the file, decompressed where they are compressed.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

use super::{
    ahead::Ahead,
    frames::{Frames, FramesEnd, ZSTD_MAGIC, walk_frames},
};
use crate::{
    ConvertError, InputHash,
    hash::{ContentHash, Hasher},
};

/// Compressed bytes are read in pieces of this size.
const READ_BYTES: usize = 1 << 18;

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
pub(crate) enum Source {
    Raw(HashRead<File>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<HashRead<File>>>>),
    /// Any of the two, read by another thread.
    Ahead(Box<Ahead>),
}

impl Source {
    /// Opens a file and tells its kind by its first bytes, whatever its name.
    pub(crate) fn open(path: &Path, hash: InputHash) -> Result<Self, ConvertError> {
        Self::open_checked(path, hash, true)
    }

    /// Opens a file whatever its frames look like, for a reader that reports all there is.
    pub(crate) fn open_unchecked(path: &Path) -> Result<Self, ConvertError> {
        Self::open_checked(path, InputHash::None, false)
    }

    fn open_checked(path: &Path, hash: InputHash, is_walked: bool) -> Result<Self, ConvertError> {
        let mut file = File::open(path).map_err(ConvertError::io(path, "open"))?;
        let mut magic = [0; 4];
        let n = read_full(&mut file, &mut magic).map_err(ConvertError::io(path, "read"))?;
        file.rewind().map_err(ConvertError::io(path, "rewind"))?;
        if magic == ZSTD_MAGIC || is_skippable(magic) {
            return Self::open_zstd(path, file, hash, is_walked);
        }
        if n < 4 && (magic.starts_with(&ZSTD_MAGIC[..n]) || b"DBN".starts_with(&magic[..n.min(3)]))
        {
            let what = if n == 0 { "empty file".to_owned() } else { "header".to_owned() };
            return Err(ConvertError::Truncated {
                path: path.to_owned(),
                what,
                byte_offset: 0,
                records: None,
            });
        }
        if !magic.starts_with(b"DBN") {
            let found = format!("it starts with `{}`", magic[..n].escape_ascii());
            return Err(ConvertError::NotDbn { path: path.to_owned(), found });
        }
        Ok(Self::Raw(HashRead::new(file, hash)))
    }

    fn open_zstd(
        path: &Path,
        mut file: File,
        hash: InputHash,
        is_walked: bool,
    ) -> Result<Self, ConvertError> {
        if is_walked {
            let frames = walk_frames(&mut file).map_err(ConvertError::io(path, "read"))?;
            if let Some(error) = frames_error(path, &frames) {
                return Err(error);
            }
        }
        file.rewind().map_err(ConvertError::io(path, "rewind"))?;
        let hashed = HashRead::new(file, hash);
        let buffered = BufReader::with_capacity(READ_BYTES, hashed);
        let decoder = zstd::stream::read::Decoder::with_buffer(buffered)
            .map_err(ConvertError::io(path, "decompress"))?;
        Ok(Self::Zstd(Box::new(decoder)))
    }

    /// The same, read by a thread of its own from here on.
    pub(crate) fn ahead(self) -> io::Result<Self> {
        match self {
            Self::Ahead(_) => Ok(self),
            source => Ok(Self::Ahead(Box::new(Ahead::new(source)?))),
        }
    }

    /// Bytes of the file read so far.
    pub(crate) fn file_bytes(&self) -> u64 {
        match self {
            Self::Raw(reader) => reader.bytes,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
            Self::Ahead(ahead) => ahead.file_bytes(),
        }
    }

    /// The hash of the file, once it is read to its end.
    pub(crate) fn content(&self) -> ContentHash {
        match self {
            Self::Raw(reader) => reader.hash.finish(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref().hash.finish(),
            Self::Ahead(ahead) => ahead.content(),
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zstd(_) => true,
            Self::Ahead(ahead) => ahead.is_compressed(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(reader) => reader.read(buf),
            Self::Zstd(decoder) => decoder.read(buf),
            Self::Ahead(ahead) => ahead.read(buf),
        }
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

fn is_skippable(magic: [u8; 4]) -> bool {
    matches!(magic, [0x50..=0x5F, 0x2A, 0x4D, 0x18])
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
