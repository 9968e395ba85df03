//! A log of JSON lines that is bounded on disk and whole after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::WatchError;

/// Longest line written or read; what is longer is refused.
pub(super) const MAX_LINE_BYTES: usize = 64 << 10;

/// How much a log may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of one file; a line that would exceed it goes to the next one.
    pub max_bytes: u64,
    /// Files kept, the one being written included: `NAME`, `NAME.1` (the latest before), ...
    pub max_files: u32,
}

impl Default for LogLimits {
    /// Five files of 64 MiB.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_files: 5 }
    }
}

/// Appends one JSON document a line to a file and starts a new one when it is full.
///
/// A line is written by a single call and reaches the kernel before it returns, so it survives the
/// death of the process; a power cut may take the last seconds. What a crash or a full disk left
/// of a line is cut off before the next is written: every line of the file is a whole document.
/// One process writes at a time; the file is locked.
#[derive(Debug)]
pub struct JsonLinesLog {
    path: PathBuf,
    limits: LogLimits,
    file: File,
    /// Bytes of whole lines in the file.
    len: u64,
    /// Whether something may stand after them.
    torn: bool,
}

impl JsonLinesLog {
    /// Opens a log, or begins one, and mends its end.
    ///
    /// # Errors
    /// [`WatchError::Log`] where the file cannot be opened, read or locked.
    pub fn open(path: &Path, limits: LogLimits) -> Result<Self, WatchError> {
        let failed = |source| WatchError::Log { path: path.to_owned(), source };
        let limits =
            LogLimits { max_bytes: limits.max_bytes.max(1), max_files: limits.max_files.max(1) };
        let file = open_locked(path).map_err(failed)?;
        let len = whole_lines(&file).map_err(failed)?;
        let torn = file.metadata().map_err(failed)?.len() != len;
        Ok(Self { path: path.to_owned(), limits, file, len, torn })
    }

    /// The file being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`WatchError::Log`] where the disk is full or the file cannot be written or renamed, and
    /// for a document of more than 64 KiB. The log stays usable.
    pub fn append(&mut self, document: &Value) -> Result<(), WatchError> {
        self.try_append(document)
            .map_err(|source| WatchError::Log { path: self.path.clone(), source })
    }

    fn try_append(&mut self, document: &Value) -> io::Result<()> {
        let mut line = document.to_string();
        line.push('\n');
        if line.len() > MAX_LINE_BYTES {
            let text = format!("a line of {} bytes is longer than {MAX_LINE_BYTES}", line.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let bytes = line.len() as u64;
        if self.len > 0 && self.len + bytes > self.limits.max_bytes {
            self.rotate()?;
        }
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        self.torn = true;
        self.file.write_all(line.as_bytes())?;
        self.torn = false;
        self.len += bytes;
        Ok(())
    }

    /// Renames the files from the oldest on; a crash in between loses none that is to be kept.
    fn rotate(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if self.limits.max_files == 1 {
            self.file.set_len(0)?;
            self.len = 0;
            return Ok(());
        }
        self.file.sync_data()?;
        for number in (1..self.limits.max_files - 1).rev() {
            rename_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        rename_if_there(&self.path, &self.numbered(1))?;
        self.file = open_locked(&self.path)?;
        self.len = whole_lines(&self.file)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

#[cfg(all(test, target_os = "linux"))]
impl JsonLinesLog {
    /// A log on a disk that is full.
    pub(super) fn on_a_full_disk() -> Self {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().append(true).open(&path).expect("Linux has this device");
        Self { path, limits: LogLimits::default(), file, len: 0, torn: false }
    }
}

fn open_locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "another process is writing to it"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Bytes up to and with the last line end. Only the end of the file is read: no line is longer
/// than [`MAX_LINE_BYTES`].
fn whole_lines(mut file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(MAX_LINE_BYTES as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(MAX_LINE_BYTES as u64).read_to_end(&mut end)?;
    let begun = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // What a crash leaves of a line is the beginning of an object. Anything else is somebody's
    // file, of which nothing may be cut off.
    let whole = end.len() == begun || end[begun] == b'{';
    if !whole || (begun == 0 && from > 0) {
        let text = "it does not end like a log of JSON lines; name another file";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(from + begun as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lob-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn documents(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64();
        text.lines().map(|line| number(line).unwrap()).collect()
    }

    #[test]
    fn the_disk_it_takes_is_bounded_and_the_latest_lines_stay() {
        let folder = Folder::new("rotate");
        let path = folder.0.join("m.jsonl");
        let limits = LogLimits { max_bytes: 100, max_files: 3 };
        let mut log = JsonLinesLog::open(&path, limits).unwrap();
        for n in 0..1000u64 {
            log.append(&json!({ "n": n })).unwrap();
        }
        assert_eq!(folder.names(), ["m.jsonl", "m.jsonl.1", "m.jsonl.2"]);
        let all: Vec<u64> = ["m.jsonl.2", "m.jsonl.1", "m.jsonl"]
            .iter()
            .flat_map(|name| {
                let path = folder.0.join(name);
                assert!(std::fs::metadata(&path).unwrap().len() <= 100);
                documents(&path)
            })
            .collect();
        assert!(all.len() > 20 && all.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(all.last(), Some(&999));
    }

    #[test]
    fn one_file_begins_anew() {
        let folder = Folder::new("one");
        let path = folder.0.join("m.jsonl");
        let mut log = JsonLinesLog::open(&path, LogLimits { max_bytes: 50, max_files: 1 }).unwrap();
        (0..100u64).for_each(|n| log.append(&json!({ "n": n })).unwrap());
        assert_eq!(folder.names(), ["m.jsonl"]);
        assert_eq!(documents(&path).last(), Some(&99));
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_cut_off() {
        for (torn, kept) in
            [("{\"n\":7", vec![1, 8]), ("{\"n\":7}\n{", vec![1, 7, 8]), ("", vec![1, 8])]
        {
            let folder = Folder::new("torn");
            let path = folder.0.join("m.jsonl");
            std::fs::write(&path, format!("{{\"n\":1}}\n{torn}")).unwrap();
            let mut log = JsonLinesLog::open(&path, LogLimits::default()).unwrap();
            log.append(&json!({ "n": 8 })).unwrap();
            assert_eq!(documents(&path), kept, "{torn}");
        }
    }

    #[test]
    fn a_file_that_is_no_log_stays_as_it_is() {
        let folder = Folder::new("other");
        let path = folder.0.join("photo");
        for bytes in [vec![0u8; 2 * MAX_LINE_BYTES], b"no line end".to_vec(), vec![b'{'; 1 << 17]] {
            std::fs::write(&path, &bytes).unwrap();
            let error = JsonLinesLog::open(&path, LogLimits::default()).unwrap_err();
            assert!(error.to_string().contains("photo"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn two_writers_and_lines_without_end_are_refused() {
        let folder = Folder::new("two");
        let path = folder.0.join("m.jsonl");
        let mut log = JsonLinesLog::open(&path, LogLimits::default()).unwrap();
        assert!(JsonLinesLog::open(&path, LogLimits::default()).is_err());
        assert!(log.append(&json!("x".repeat(MAX_LINE_BYTES))).is_err());
        log.append(&json!({ "n": 1 })).unwrap();
        assert_eq!(documents(&path), [1]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_no_end() {
        let mut log = JsonLinesLog::on_a_full_disk();
        assert!(log.append(&json!({ "n": 1 })).is_err());
        assert!(log.append(&json!({ "n": 2 })).is_err());
    }
}
