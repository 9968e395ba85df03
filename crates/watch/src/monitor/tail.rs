//! Following a file of JSON lines that somebody else writes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lob_scope::Unavailable;

use super::log::MAX_LINE_BYTES;

/// Most bytes read at once, and most of an old file read at first.
const MAX_READ_BYTES: u64 = 8 << 20;

/// Reads the lines that were added to a file since the last look, through rotation and truncation.
///
/// Bounded in memory: a look reads 8 MiB at most, a line of more than 64 KiB is skipped and
/// counted, and of a file that is long already only the last 8 MiB are read.
#[derive(Debug)]
pub(crate) struct JsonLinesTail {
    path: PathBuf,
    open: Option<Open>,
    skipped: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: Option<u64>,
    offset: u64,
    partial: Vec<u8>,
    /// The rest of this line is of no use: it is too long, or its beginning was not read.
    skipping: bool,
}

impl JsonLinesTail {
    /// A follower of `path`, which need not exist yet.
    #[must_use]
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, skipped: 0 }
    }

    /// The file followed.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lines left out because they were too long or no UTF-8.
    #[must_use]
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whole lines that were added since the last call, without their ends.
    ///
    /// # Errors
    /// Where the file does not exist (yet) or cannot be read; the next call tries again.
    pub(crate) fn poll(&mut self) -> Result<Vec<String>, Unavailable> {
        let failed = |error: std::io::Error| {
            Unavailable::new(format!("cannot read `{}`: {error}", self.path.display()))
        };
        let mut lines = Vec::new();
        if let Some(open) = &mut self.open {
            self.skipped += open.read(&mut lines).map_err(failed)?;
        }
        // A name that now stands for another file has been rotated: the old one was read to its
        // end just now, or is read on at the next look.
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(_) if !lines.is_empty() => return Ok(lines),
            Err(error) => return Err(failed(error)),
        };
        let stale = self.open.as_ref().is_none_or(|open| {
            let ended = open.file.metadata().is_ok_and(|m| m.len() <= open.offset);
            ended && identity(&now) != open.identity
        });
        if stale {
            let mut open = Open::new(&self.path).map_err(failed)?;
            self.skipped += open.read(&mut lines).map_err(failed)?;
            self.open = Some(open);
        }
        Ok(lines)
    }
}

impl Open {
    fn new(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let offset = metadata.len().saturating_sub(MAX_READ_BYTES);
        let identity = identity(&metadata);
        Ok(Self { file, identity, offset, partial: Vec::new(), skipping: offset > 0 })
    }

    /// Reads on and returns how many lines were skipped.
    fn read(&mut self, lines: &mut Vec<String>) -> std::io::Result<u64> {
        if self.file.metadata()?.len() < self.offset {
            // Truncated by its writer.
            (self.offset, self.skipping) = (0, false);
            self.partial.clear();
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        let mut skipped = 0;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            if !self.skipping {
                self.partial.extend_from_slice(text);
                if self.partial.len() > MAX_LINE_BYTES {
                    self.skipping = true;
                    skipped += 1;
                    self.partial = Vec::new();
                }
            }
            if ended && !std::mem::take(&mut self.skipping) {
                match String::from_utf8(std::mem::take(&mut self.partial)) {
                    Ok(line) => lines.push(line),
                    Err(_) => skipped += 1,
                }
            }
        }
        Ok(skipped)
    }
}

/// What tells a file from another of the same name.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn identity(metadata: &std::fs::Metadata) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(metadata.ino())
}

#[cfg(not(unix))]
fn identity(_metadata: &std::fs::Metadata) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    fn append(path: &Path, bytes: &[u8]) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    #[test]
    fn lines_come_once_whole_and_through_rotation() {
        let dir = std::env::temp_dir().join(format!("lob-tail-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("m.jsonl");
        let mut tail = JsonLinesTail::new(&path);
        assert!(tail.poll().unwrap_err().reason.contains("m.jsonl"));
        append(&path, b"one\ntw");
        assert_eq!(tail.poll().unwrap(), ["one"]);
        assert!(tail.poll().unwrap().is_empty());
        append(&path, b"o\n\xff\n");
        assert_eq!(tail.poll().unwrap(), ["two"]);
        assert_eq!(tail.skipped(), 1);
        append(&path, b"three\n");
        std::fs::rename(&path, dir.join("m.jsonl.1")).unwrap();
        append(&path, b"four\n");
        assert_eq!(tail.poll().unwrap(), ["three", "four"]);
        std::fs::write(&path, b"5\n").unwrap();
        assert_eq!(tail.poll().unwrap(), ["5"]);
        append(&path, &vec![b'x'; MAX_LINE_BYTES + 10]);
        append(&path, b"\nsix\n");
        assert_eq!(tail.poll().unwrap(), ["six"]);
        assert_eq!(tail.skipped(), 2);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let path = std::env::temp_dir().join(format!("lob-tail-long-{}", std::process::id()));
        let line = format!("{}\n", "y".repeat(999));
        std::fs::write(&path, line.repeat(10_000)).unwrap();
        let lines = JsonLinesTail::new(&path).poll().unwrap();
        assert_eq!(lines.len() as u64, (MAX_READ_BYTES - 1) / 1000);
        assert!(lines.iter().all(|line| line.len() == 999));
        std::fs::remove_file(&path).unwrap();
    }
}
