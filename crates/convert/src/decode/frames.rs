//! The outline of a Zstandard file, read without decompressing it.
//!
//! Follows RFC 8878, section 3.1: a frame is a magic number, a header, blocks that each tell their
//! length, and an optional checksum. Hopping from block to block finds a missing tail in
//! milliseconds, before any record is decoded.

use std::io::{self, BufRead, BufReader, Read, Seek};

/// First four bytes of a data frame.
pub(crate) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Upper 28 bits of the magic number of a skippable frame.
const SKIPPABLE: u32 = 0x184D_2A50;
const MAX_HEADER_BYTES: u64 = 14;
const BUFFER_BYTES: usize = 4096;
/// The format has room for windows of terabytes; compressors end at `--long=31`.
const WINDOW_KNOWN_MAX: u64 = 1 << 31;

/// How a file of frames ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FramesEnd {
    /// With a whole frame.
    Whole,
    /// Inside the frame that starts at this byte.
    Cut { frame_offset: u64 },
    /// With bytes from this one on that are no frame.
    Trailing { byte_offset: u64 },
    /// With a block of the reserved type, or a window that no compressor makes: the frame that
    /// starts here is damaged.
    Damaged { frame_offset: u64 },
}

/// What a walk over the frames found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Whole data frames.
    pub(crate) whole: u64,
    /// Those of them without a content checksum.
    pub(crate) unchecked: u64,
    /// The first frame of the widest window: its offset, and the memory decompressing it takes.
    pub(crate) widest: Option<(u64, u64)>,
    pub(crate) end: FramesEnd,
    /// Length of the file in bytes.
    pub(crate) file_bytes: u64,
}

/// Walks over all frames of `file`, from its start.
pub(crate) fn walk_frames<F: Read + Seek>(mut file: F) -> io::Result<Frames> {
    let file_bytes = file.seek(io::SeekFrom::End(0))?;
    file.rewind()?;
    let mut walk = Walk {
        reader: BufReader::with_capacity(BUFFER_BYTES, file),
        pos: 0,
        file_bytes,
        window: 0,
    };
    let (widest, end) = (None, FramesEnd::Whole);
    let mut frames = Frames { whole: 0, unchecked: 0, widest, end, file_bytes };
    while walk.pos < file_bytes {
        let frame_offset = walk.pos;
        let step = walk.frame()?;
        let window = std::mem::take(&mut walk.window);
        if window > frames.widest.map_or(0, |(_, widest)| widest) {
            frames.widest = Some((frame_offset, window));
        }
        match step {
            Step::Data { has_checksum } => {
                frames.whole += 1;
                frames.unchecked += u64::from(!has_checksum);
            }
            Step::Skippable => {}
            Step::Cut => {
                frames.end = FramesEnd::Cut { frame_offset };
                break;
            }
            Step::Foreign => {
                frames.end = FramesEnd::Trailing { byte_offset: frame_offset };
                break;
            }
            Step::Damaged => {
                frames.end = FramesEnd::Damaged { frame_offset };
                break;
            }
        }
    }
    Ok(frames)
}

enum Step {
    Data { has_checksum: bool },
    Skippable,
    Cut,
    Foreign,
    Damaged,
}

struct Walk<F> {
    reader: BufReader<F>,
    pos: u64,
    file_bytes: u64,
    /// Of the frame at hand, in bytes; 0 where its header says none.
    window: u64,
}

impl<F: Read + Seek> Walk<F> {
    /// The next `n <= 8` bytes as a little-endian number; `None` past the end of the file.
    fn take(&mut self, n: usize) -> io::Result<Option<u64>> {
        if self.pos + n as u64 > self.file_bytes {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes[..n])?;
        self.pos += n as u64;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// Skips `n` bytes; false if the file ends before.
    fn skip(&mut self, n: u64) -> io::Result<bool> {
        if n > self.file_bytes - self.pos {
            return Ok(false);
        }
        self.pos += n;
        let buffered = self.reader.buffer().len() as u64;
        match usize::try_from(n) {
            Ok(n) if n as u64 <= buffered => self.reader.consume(n),
            _ => self.reader.seek_relative(n.cast_signed())?,
        }
        Ok(true)
    }

    fn frame(&mut self) -> io::Result<Step> {
        let left = self.file_bytes - self.pos;
        let Some(magic) = self.take(4)? else {
            // Fewer than four bytes are garbage unless they begin a frame.
            let head = self.take(usize::try_from(left).unwrap_or(0))?.unwrap_or(0);
            let magic = u64::from(u32::from_le_bytes(ZSTD_MAGIC));
            let is_head = head == magic & ((1 << (8 * left)) - 1);
            return Ok(if is_head { Step::Cut } else { Step::Foreign });
        };
        if magic >> 4 == u64::from(SKIPPABLE >> 4) {
            let Some(length) = self.take(4)? else { return Ok(Step::Cut) };
            return Ok(if self.skip(length)? { Step::Skippable } else { Step::Cut });
        }
        if magic != u64::from(u32::from_le_bytes(ZSTD_MAGIC)) {
            return Ok(Step::Foreign);
        }
        let Some(descriptor) = self.take(1)? else { return Ok(Step::Cut) };
        let mut left = header_bytes(descriptor);
        if descriptor >> 5 & 1 == 0 {
            let Some(window) = self.take(1)? else { return Ok(Step::Cut) };
            self.window = window_bytes(window);
            left -= 1;
        }
        if self.window > WINDOW_KNOWN_MAX {
            self.window = 0;
            return Ok(Step::Damaged);
        }
        if !self.skip(left)? {
            return Ok(Step::Cut);
        }
        self.blocks(descriptor & 4 != 0)
    }

    /// All blocks of a frame, and its checksum.
    fn blocks(&mut self, has_checksum: bool) -> io::Result<Step> {
        loop {
            let Some(header) = self.take(3)? else { return Ok(Step::Cut) };
            let bytes = match header >> 1 & 3 {
                // A run is stored as its one byte.
                1 => 1,
                3 => return Ok(Step::Damaged),
                _ => header >> 3,
            };
            if !self.skip(bytes)? {
                return Ok(Step::Cut);
            }
            if header & 1 == 1 {
                let whole = !has_checksum || self.skip(4)?;
                return Ok(if whole { Step::Data { has_checksum } } else { Step::Cut });
            }
        }
    }
}

/// The window that a descriptor stands for: a power of two and some eighths of it.
fn window_bytes(descriptor: u64) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * (descriptor & 7)
}

/// Bytes of the frame header after its descriptor: window, dictionary id and content size.
fn header_bytes(descriptor: u64) -> u64 {
    let single_segment = descriptor >> 5 & 1;
    let window = 1 - single_segment;
    let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize & 3];
    let content_size = match descriptor >> 6 {
        0 => single_segment,
        flag => 1 << flag,
    };
    let bytes = window + dictionary + content_size;
    debug_assert!(bytes < MAX_HEADER_BYTES, "RFC 8878 allows 13 bytes after the descriptor");
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn frame(content: &[u8], has_checksum: bool) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(has_checksum).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn walk(bytes: &[u8]) -> Frames {
        walk_frames(io::Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn whole_files_of_any_number_of_frames() {
        let content: Vec<u8> =
            (0..500_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        let one = frame(&content, true);
        let frames = walk(&one);
        assert_eq!((frames.whole, frames.unchecked, frames.end), (1, 0, FramesEnd::Whole));
        assert_eq!(frames.file_bytes, one.len() as u64);
        // A run of one byte, a skippable frame of three bytes, an empty frame.
        let mut many = [one, frame(&[7; 1 << 20], false)].concat();
        many.extend([0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        many.extend(frame(&[], true));
        let frames = walk(&many);
        assert_eq!((frames.whole, frames.unchecked, frames.end), (3, 1, FramesEnd::Whole));
    }

    #[test]
    fn windows_are_those_of_the_compressor() {
        for log in [10, 17, 27, 28] {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(b"content").unwrap();
            let first = frame(b"before", true);
            let bytes = [first.clone(), encoder.finish().unwrap()].concat();
            let widest = walk(&bytes).widest.unwrap();
            let of_first = walk(&first).widest.map_or(0, |(_, window)| window);
            if 1 << log > of_first {
                assert_eq!(widest, (first.len() as u64, 1 << log), "--long={log}");
            }
        }
        assert_eq!((window_bytes(21 << 3), window_bytes(7)), (1 << 31, 1024 + 7 * 128));
        // The largest that the format can say is nobody's.
        let mut damaged = frame(b"content", true);
        damaged[5] = 0xFF;
        assert_eq!(walk(&damaged).end, FramesEnd::Damaged { frame_offset: 0 });
    }

    #[test]
    fn every_cut_is_seen() {
        let first = frame(&[1; 1000], true);
        let content: Vec<u8> =
            (0..9_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        let both = [first.clone(), frame(&content, true)].concat();
        for length in 1..both.len() {
            let frames = walk(&both[..length]);
            let expected = match length.cmp(&first.len()) {
                std::cmp::Ordering::Less => FramesEnd::Cut { frame_offset: 0 },
                std::cmp::Ordering::Equal => FramesEnd::Whole,
                std::cmp::Ordering::Greater => FramesEnd::Cut { frame_offset: first.len() as u64 },
            };
            assert_eq!(frames.end, expected, "cut to {length}");
        }
    }

    #[test]
    fn trailing_bytes_are_told_from_a_cut() {
        let one = frame(b"content", true);
        for garbage in [&b"x"[..], b"garbage", &[0; 40]] {
            let frames = walk(&[&one, garbage].concat());
            assert_eq!(frames.end, FramesEnd::Trailing { byte_offset: one.len() as u64 });
        }
    }
}
