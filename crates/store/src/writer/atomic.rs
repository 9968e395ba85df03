use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

use crate::{StoreError, writer::TEMP_SUFFIX};

/// A file that appears under its final name only when it is complete and on disk. Removed on
/// drop otherwise.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    target: PathBuf,
    temp: PathBuf,
    file: File,
    sha256: Sha256,
    bytes: u64,
    is_committed: bool,
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, action, source }
}

impl AtomicFile {
    pub(crate) fn create(target: &Path) -> Result<Self, StoreError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let folder = folder_of(target);
        check_regular(target).map_err(io_error(target, "write"))?;
        fs::create_dir_all(folder).map_err(io_error(folder, "make the folder"))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temp = folder.join(format!(".{name}.{}-{n}{TEMP_SUFFIX}", std::process::id()));
        let file = File::create_new(&temp).map_err(io_error(&temp, "create"))?;
        let (target, sha256) = (target.to_owned(), Sha256::new());
        Ok(Self { target, temp, file, sha256, bytes: 0, is_committed: false })
    }

    /// Syncs and renames; returns the length in bytes and the SHA-256 in hex.
    pub(crate) fn commit(mut self) -> Result<(u64, String), StoreError> {
        self.file.sync_all().map_err(io_error(&self.temp, "sync"))?;
        fs::rename(&self.temp, &self.target).map_err(io_error(&self.target, "rename to"))?;
        self.is_committed = true;
        // The rename itself is durable only once the folder is.
        let folder = folder_of(&self.target);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(io_error(folder, "sync the folder"))?;
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
    match fs::metadata(target) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device or a pipe; choose a regular file",
        )),
        _ => Ok(()),
    }
}

/// The folder a file lies in; `.` for a bare name.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
        if !self.is_committed {
            // Nothing is lost if this fails: readers pass over temporary files.
            drop(fs::remove_file(&self.temp));
        }
    }
}
