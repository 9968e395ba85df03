//! The folder of a store while it is being written: one writer, whole files only.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{
    ConvertError,
    journal::{self, JournalLine},
    summary::InputOutcome,
};

const LOCK_NAME: &str = ".loblab-lock";
const JOURNAL_NAME: &str = ".loblab-journal.jsonl";
const TEMP_PREFIX: &str = ".loblab-tmp-";

/// A locked output folder.
///
/// Inputs are converted below a hidden temporary folder; [`commit`](Self::commit) moves the files
/// of one input into place and notes it in the journal. On drop the temporary folder and the lock
/// go, and every folder this run made that is empty.
#[derive(Debug)]
pub(crate) struct OutDir {
    root: PathBuf,
    temp: PathBuf,
    _lock: File,
    /// Folders this run made, outermost first.
    made: Vec<PathBuf>,
    /// Files this run put into place that were not there before.
    placed: Vec<PathBuf>,
    journal: Journal,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    /// Length before this run; `None` if there was no journal.
    len_before: Option<u64>,
    lines: Vec<JournalLine>,
}

impl OutDir {
    /// Locks the folder, which is made if it is missing, and clears what killed runs left.
    ///
    /// # Errors
    /// Another run holds the lock, the folder holds a store of other settings, or the disk refuses.
    pub(crate) fn open(root: &Path, fingerprint: &str) -> Result<Self, ConvertError> {
        let mut made = Vec::new();
        make_folders(root, &mut made)?;
        let opened = Self::open_made(root, fingerprint, &made);
        if opened.is_err() {
            remove_empty(&made);
        }
        let (lock, journal, temp) = opened?;
        Ok(Self { root: root.to_owned(), temp, _lock: lock, made, placed: Vec::new(), journal })
    }

    fn open_made(
        root: &Path,
        fingerprint: &str,
        made: &[PathBuf],
    ) -> Result<(File, Journal, PathBuf), ConvertError> {
        let lock = take_lock(root)?;
        let prepared = (|| {
            let journal = Journal::read(root.join(JOURNAL_NAME))?;
            journal.check_settings(root, fingerprint)?;
            if made.is_empty() {
                clear_left_over(root)?;
            }
            let temp = root.join(format!("{TEMP_PREFIX}{}", std::process::id()));
            fs::create_dir(&temp).map_err(ConvertError::io(&temp, "make"))?;
            Ok((journal, temp))
        })();
        match prepared {
            Ok((journal, temp)) => Ok((lock, journal, temp)),
            Err(error) => {
                drop(fs::remove_file(root.join(LOCK_NAME)));
                Err(error)
            }
        }
    }

    /// A place for the files of the `n`th input.
    pub(crate) fn temp_folder(&self, n: usize) -> PathBuf {
        self.temp.join(n.to_string())
    }

    /// What an earlier run made of an input with this content, if all of it is still there.
    pub(crate) fn finished(&self, sha256: &str) -> Option<InputOutcome> {
        let line = self
            .journal
            .lines
            .iter()
            .rev()
            .find(|line| line.outcome.input.sha256.as_deref() == Some(sha256))?;
        let is_there = line.outcome.outputs.iter().all(|output| {
            fs::metadata(self.root.join(&output.path)).is_ok_and(|file| file.len() == output.bytes)
        });
        is_there.then(|| self.absolute(line.outcome.clone()))
    }

    /// Paths as users see them.
    fn absolute(&self, mut outcome: InputOutcome) -> InputOutcome {
        for output in &mut outcome.outputs {
            output.path = self.root.join(&output.path);
        }
        outcome
    }

    /// Moves the files of an input into place and notes it as finished.
    pub(crate) fn commit(
        &mut self,
        temp: &Path,
        outcome: InputOutcome,
        fingerprint: &str,
    ) -> Result<InputOutcome, ConvertError> {
        for output in &outcome.outputs {
            let (from, to) = (temp.join(&output.path), self.root.join(&output.path));
            let folder = to.parent().unwrap_or(&self.root).to_owned();
            make_folders(&folder, &mut self.made)?;
            let is_new = !to.exists();
            fs::rename(&from, &to).map_err(ConvertError::io(&to, "rename to"))?;
            if is_new {
                self.placed.push(to);
            }
            sync_folder(&folder)?;
        }
        drop(fs::remove_dir_all(temp));
        let line = JournalLine::new(fingerprint, outcome);
        self.journal.append(&line)?;
        Ok(self.absolute(line.outcome))
    }

    /// Takes back everything this run has put into place.
    pub(crate) fn roll_back(&mut self) {
        for path in self.placed.drain(..) {
            // What cannot be removed stays a whole file.
            drop(fs::remove_file(path));
        }
        self.journal.roll_back();
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.temp));
        drop(fs::remove_file(self.root.join(LOCK_NAME)));
        remove_empty(&self.made);
    }
}

impl Journal {
    fn read(path: PathBuf) -> Result<Self, ConvertError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, len_before: None, lines: Vec::new() });
            }
            Err(error) => return Err(ConvertError::io(&path, "read")(error)),
        };
        let (lines, whole_bytes) = journal::parse(&path, &text)?;
        Ok(Self { path, len_before: Some(whole_bytes), lines })
    }

    fn check_settings(&self, root: &Path, fingerprint: &str) -> Result<(), ConvertError> {
        match self.lines.iter().find(|line| line.settings != fingerprint) {
            None => Ok(()),
            Some(line) => Err(ConvertError::OtherSettings {
                path: root.to_owned(),
                found: format!("`{}`, this run has `{fingerprint}`", line.settings),
            }),
        }
    }

    /// Appends one line and syncs it. A line that a killed run left half-written is cut off first.
    fn append(&mut self, line: &JournalLine) -> Result<(), ConvertError> {
        let text = line.to_text(&self.path)?;
        let write = || {
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&self.path)?;
            let whole = whole_lines_bytes(&mut file)?;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(ConvertError::io(&self.path, "write"))
    }

    fn roll_back(&self) {
        // A journal that names missing files is harmless: `finished` looks for them.
        drop(match self.len_before {
            None => fs::remove_file(&self.path),
            Some(len) => File::options().write(true).open(&self.path).and_then(|f| f.set_len(len)),
        });
    }
}

/// Bytes up to and with the last line end.
fn whole_lines_bytes(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1))
}

/// Makes a folder and its parents, noting those that were missing.
fn make_folders(folder: &Path, made: &mut Vec<PathBuf>) -> Result<(), ConvertError> {
    let missing: Vec<_> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder).map_err(ConvertError::io(folder, "make"))?;
        made.push(folder.to_owned());
    }
    Ok(())
}

/// Removes those of the folders that are empty, innermost first.
fn remove_empty(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        drop(fs::remove_dir(folder));
    }
}

fn sync_folder(folder: &Path) -> Result<(), ConvertError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ConvertError::io(folder, "sync"))
}

/// Locks the folder's lock file. The file is removed at the end of a run, so the lock counts only
/// if the file it was taken on still stands there.
fn take_lock(root: &Path) -> Result<File, ConvertError> {
    let path = root.join(LOCK_NAME);
    loop {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ConvertError::io(&path, "create"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ConvertError::Locked { path: root.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(ConvertError::io(&path, "lock")(error)),
        }
        if is_same_file(&lock, &path) {
            return Ok(lock);
        }
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    // An open file cannot be removed there.
    path.exists()
}

/// Removes temporary folders of killed runs; the lock proves that nobody uses them.
fn clear_left_over(root: &Path) -> Result<(), ConvertError> {
    let entries = fs::read_dir(root).map_err(ConvertError::io(root, "list"))?;
    for entry in entries {
        let path = entry.map_err(ConvertError::io(root, "list"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(TEMP_PREFIX) {
            fs::remove_dir_all(&path).map_err(ConvertError::io(&path, "remove"))?;
        }
    }
    Ok(())
}
