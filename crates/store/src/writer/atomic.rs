use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};

use crate::{
    StoreError,
    fs::{self, DiskSystem, OpenFile, OpenMode, SharedFs},
    writer::{TEMP_SUFFIX, Unfinished},
};

/// Attempts to find a name for a temporary file that nobody has left.
const CREATE_ATTEMPTS: u32 = 1_000;

/// A file that appears under its final name only when it is complete and on disk. Removed on
/// drop otherwise.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    fs: SharedFs,
    target: PathBuf,
    /// Where it is written; `None` once it is in place, or cannot be.
    temp: Option<PathBuf>,
    /// Folders whose names must last for the file to last; none for a staged file.
    to_sync: Vec<PathBuf>,
    file: Box<dyn OpenFile>,
    /// Forgotten once the file has its name or is gone. None of a staged file, whose folder is its
    /// owner's to remove.
    _noted: Option<Unfinished>,
    sha256: Sha256,
    bytes: u64,
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, action, source }
}

impl AtomicFile {
    pub(crate) fn create(target: &Path) -> Result<Self, StoreError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        check_regular(target).map_err(io_error(target, "write"))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let mut attempts = 0..CREATE_ATTEMPTS;
        let (mut file, made) = loop {
            let n = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!(".{name}.{}-{n}{TEMP_SUFFIX}", std::process::id());
            let temp = fs::parent(target).join(name);
            match Self::open(Arc::new(DiskSystem), target, temp, true) {
                // Of a killed process: in a container all have the same number.
                Err(StoreError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists
                        && attempts.next().is_some() => {}
                opened => break opened?,
            }
        };
        file.to_sync = made.iter().map(|folder| fs::parent(folder).to_owned()).collect();
        file.to_sync.push(fs::parent(target).to_owned());
        Ok(file)
    }

    /// A file in a folder that nobody reads: written in its place. Only its content is synced, as
    /// the caller moves it to where it shall last.
    pub(crate) fn staged(fs: &SharedFs, target: &Path) -> Result<Self, StoreError> {
        Self::open(Arc::clone(fs), target, target.to_owned(), false).map(|(file, _)| file)
    }

    /// Opens `temp` after making its folder; says which folders were missing.
    fn open(
        fs: SharedFs,
        target: &Path,
        temp: PathBuf,
        is_noted: bool,
    ) -> Result<(Self, Vec<PathBuf>), StoreError> {
        let mut made = Vec::new();
        fs::make_folders(&*fs, fs::parent(target), |folder| made.push(folder.to_owned()))
            .map_err(|(folder, source)| io_error(&folder, "make the folder")(source))?;
        let open = |path: &Path| fs.open(path, OpenMode::CreateNew);
        let opened = if is_noted {
            Unfinished::make(&temp, open).map(|(noted, file)| (Some(noted), file))
        } else {
            open(&temp).map(|file| (None, file))
        };
        let (_noted, file) = opened.map_err(io_error(&temp, "create"))?;
        let (target, temp, sha256) = (target.to_owned(), Some(temp), Sha256::new());
        Ok((Self { fs, target, temp, to_sync: Vec::new(), file, _noted, sha256, bytes: 0 }, made))
    }

    /// Syncs and renames; returns the length in bytes and the SHA-256 in hex.
    pub(crate) fn commit(mut self) -> Result<(u64, String), StoreError> {
        let temp = self.temp.as_deref().unwrap_or(&self.target);
        self.file.sync().map_err(io_error(temp, "sync"))?;
        if temp != self.target {
            self.fs.rename(temp, &self.target).map_err(io_error(&self.target, "rename to"))?;
        }
        self.temp = None;
        // The rename itself is durable only once the folder is, and that only with its parents.
        for folder in &self.to_sync {
            self.fs.sync_folder(folder).map_err(io_error(folder, "sync the folder"))?;
        }
        let digest = std::mem::take(&mut self.sha256).finalize();
        Ok((self.bytes, digest.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// Writes a file so that it is seen whole or not at all, whatever happens meanwhile: a temporary
/// file beside it, synced, renamed. Missing folders are made.
///
/// # Errors
/// What the operating system reports.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let plain = |error| match error {
        StoreError::Io { source, .. } => source,
        other => io::Error::other(other),
    };
    let mut file = AtomicFile::create(path.as_ref()).map_err(plain)?;
    file.write_all(bytes)?;
    file.commit().map(drop).map_err(plain)
}

/// A rename would put a file in the place of a device or a pipe, for everybody.
fn check_regular(target: &Path) -> io::Result<()> {
    match std::fs::metadata(target) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device or a pipe; choose a regular file",
        )),
        _ => Ok(()),
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.sha256.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            // Nothing is lost if this fails: readers pass over temporary files.
            drop(self.fs.remove_file(temp));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_that_killed_processes_left_are_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        // Other tests may count too, so some names ahead.
        for n in 0..200 {
            let name = format!(".a.{}-{n}{TEMP_SUFFIX}", std::process::id());
            std::fs::write(folder.path().join(name), "left").unwrap();
        }
        write_file(&target, b"whole").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 201, "they stay, as they may be somebody's");
    }

    #[test]
    fn a_file_in_new_folders_needs_the_names_of_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = AtomicFile::create(&folder.path().join("a/b/c")).unwrap();
        let to_sync = ["", "a", "a/b"].map(|name| folder.path().join(name));
        assert_eq!(file.to_sync, [to_sync[0].as_path(), &to_sync[1], &to_sync[2]]);
    }
}
