//! Locks of a store's folder: one writer alone, or several that know of each other by name.

use std::path::{Path, PathBuf};

use lob_store::fs::{self, OpenFile, OpenMode, SharedFs};

use crate::ConvertError;

const LOCK_NAME: &str = ".loblab-lock";

/// The locks a run holds; given back on drop.
///
/// A run without a name holds the folder's lock alone. Named writers (shards, the tasks of a
/// cluster) share it, and each holds the lock of its own name alone: a second run of the same
/// shard is refused, another shard is not.
#[derive(Debug)]
pub(super) struct Locks {
    fs: SharedFs,
    _folder: Box<dyn OpenFile>,
    /// The lock file this run holds alone, removed at its end.
    own_path: PathBuf,
    _own: Option<Box<dyn OpenFile>>,
}

impl Locks {
    /// Takes the locks without waiting.
    ///
    /// # Errors
    /// [`ConvertError::Locked`] if another run holds one of them.
    pub(super) fn take(
        fs: &SharedFs,
        root: &Path,
        writer: Option<(&Path, &str)>,
    ) -> Result<Self, ConvertError> {
        let folder_path = root.join(LOCK_NAME);
        let take = |path: &Path, is_shared| take(fs, path, root, is_shared);
        let fs = SharedFs::clone(fs);
        let Some((folder, name)) = writer else {
            let lock = take(&folder_path, false)?;
            return Ok(Self { fs, _folder: lock, own_path: folder_path, _own: None });
        };
        // The shared lock file stays: another writer may be about to lock it.
        let shared = take(&folder_path, true)?;
        fs::make_folders(&*fs, folder, |_| ())
            .map_err(|(folder, source)| ConvertError::io(&folder, "make")(source))?;
        let own_path = folder.join(format!("{name}.lock"));
        let own = take(&own_path, false)?;
        Ok(Self { fs, _folder: shared, own_path, _own: Some(own) })
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        // Ours are empty. One that cannot be removed locks nothing.
        if self.fs.look(&self.own_path).is_ok_and(|found| found.is_some_and(|f| f.len == 0)) {
            drop(self.fs.remove_file(&self.own_path));
        }
    }
}

/// Locks a file, which is made if it is missing. The file is removed at the end of a run, so the
/// lock counts only if the file it was taken on still stands there.
fn take(
    fs: &SharedFs,
    path: &Path,
    root: &Path,
    is_shared: bool,
) -> Result<Box<dyn OpenFile>, ConvertError> {
    loop {
        let mut lock = fs.open(path, OpenMode::Create).map_err(ConvertError::io(path, "create"))?;
        if !lock.try_lock(is_shared).map_err(ConvertError::io(path, "lock"))? {
            return Err(ConvertError::Locked { path: root.to_owned() });
        }
        if lock.is_at(path) {
            return Ok(lock);
        }
    }
}
