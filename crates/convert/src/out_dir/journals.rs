//! The journals of a store: one for runs alone, one for each named writer.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{
    ConvertError,
    config::Writer,
    journal::{self, JournalLine},
};

const JOURNAL_NAME: &str = ".loblab-journal.jsonl";
/// Folder of the journals and locks of named writers.
const FOLDER_NAME: &str = ".loblab-journals";

/// Where the journals and locks of named writers lie.
pub(super) fn folder(root: &Path) -> PathBuf {
    root.join(FOLDER_NAME)
}

/// All journals of a store that exist, in path order.
///
/// # Errors
/// A folder cannot be listed.
pub(crate) fn paths(root: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let folder = folder(root);
    let mut paths = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(ConvertError::io(&folder, "list"))?.path();
                if path.extension().is_some_and(|extension| extension == "jsonl") {
                    paths.push(path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ConvertError::io(&folder, "list")(error)),
    }
    paths.sort();
    let alone = root.join(JOURNAL_NAME);
    if alone.exists() {
        paths.insert(0, alone);
    }
    Ok(paths)
}

/// The journal a run writes, and what all it has read says.
#[derive(Debug)]
pub(super) struct Journals {
    own: PathBuf,
    /// Length before this run; `None` if there was no journal.
    len_before: Option<u64>,
    pub(super) lines: Vec<JournalLine>,
}

impl Journals {
    /// Reads what a writer must know: every journal, or for one of the many tasks of a cluster
    /// only its own and that of runs alone.
    ///
    /// # Errors
    /// A journal cannot be read or holds something else.
    pub(super) fn read(root: &Path, writer: Option<&Writer>) -> Result<Self, ConvertError> {
        let alone = root.join(JOURNAL_NAME);
        let own = match writer {
            None => alone.clone(),
            Some(writer) => folder(root).join(format!("{}.jsonl", writer.name())),
        };
        let others = match writer {
            Some(Writer::Named(_)) => vec![alone],
            _ => paths(root)?,
        };
        let mut read = Self { own, len_before: None, lines: Vec::new() };
        for path in others.iter().filter(|path| **path != read.own).chain([&read.own.clone()]) {
            let text = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(ConvertError::io(path, "read")(error)),
            };
            let (lines, whole_bytes) = journal::parse(path, &text)?;
            read.lines.extend(lines);
            if *path == read.own {
                read.len_before = Some(whole_bytes);
            }
        }
        Ok(read)
    }

    pub(super) fn check_settings(
        &self,
        root: &Path,
        fingerprint: &str,
    ) -> Result<(), ConvertError> {
        match self.lines.iter().find(|line| line.settings != fingerprint) {
            None => Ok(()),
            Some(line) => Err(ConvertError::OtherSettings {
                path: root.to_owned(),
                found: format!("`{}`, this run has `{fingerprint}`", line.settings),
            }),
        }
    }

    /// Appends one line and syncs it. A line that a killed run left half-written is cut off first.
    pub(super) fn append(&mut self, line: &JournalLine) -> Result<(), ConvertError> {
        let text = line.to_text(&self.own)?;
        let write = || {
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&self.own)?;
            let whole = whole_lines_bytes(&mut file)?;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(ConvertError::io(&self.own, "write"))
    }

    pub(super) fn roll_back(&self) {
        // A journal that names missing files is harmless: `finished` looks for them.
        drop(match self.len_before {
            None => fs::remove_file(&self.own),
            Some(len) => File::options().write(true).open(&self.own).and_then(|f| f.set_len(len)),
        });
    }
}

/// Bytes up to and with the last line end.
fn whole_lines_bytes(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1))
}
