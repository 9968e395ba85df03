//! Locks of a store's folder: one writer alone, or several that know of each other by name.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use crate::ConvertError;

const LOCK_NAME: &str = ".loblab-lock";

/// The locks a run holds; given back on drop.
///
/// A run without a name holds the folder's lock alone. Named writers (shards, the tasks of a
/// cluster) share it, and each holds the lock of its own name alone: a second run of the same
/// shard is refused, another shard is not.
#[derive(Debug)]
pub(super) struct Locks {
    _folder: File,
    /// The lock file this run holds alone, removed at its end.
    own_path: PathBuf,
    _own: Option<File>,
}

impl Locks {
    /// Takes the locks without waiting.
    ///
    /// # Errors
    /// [`ConvertError::Locked`] if another run holds one of them.
    pub(super) fn take(root: &Path, writer: Option<(&Path, &str)>) -> Result<Self, ConvertError> {
        let folder_path = root.join(LOCK_NAME);
        let Some((folder, name)) = writer else {
            let lock = take(&folder_path, root, File::try_lock)?;
            return Ok(Self { _folder: lock, own_path: folder_path, _own: None });
        };
        // The shared lock file stays: another writer may be about to lock it.
        let shared = take(&folder_path, root, File::try_lock_shared)?;
        fs::create_dir_all(folder).map_err(ConvertError::io(folder, "make"))?;
        let own_path = folder.join(format!("{name}.lock"));
        let own = take(&own_path, root, File::try_lock)?;
        Ok(Self { _folder: shared, own_path, _own: Some(own) })
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.own_path));
    }
}

/// Locks a file, which is made if it is missing. The file is removed at the end of a run, so the
/// lock counts only if the file it was taken on still stands there.
fn take(
    path: &Path,
    root: &Path,
    try_lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<File, ConvertError> {
    loop {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(ConvertError::io(path, "create"))?;
        match try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ConvertError::Locked { path: root.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(ConvertError::io(path, "lock")(error)),
        }
        if is_same_file(&lock, path) {
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
