//! Edges files until all of them are there.

use std::path::{Path, PathBuf};

use lob_store::{
    Unfinished,
    fs::{self, DiskSystem},
};

use crate::{ConvertError, summary::file_name};

/// A folder beside the one to be made, for what waits for its end; gone at the end, and when a
/// signal comes.
pub(super) struct Temp {
    path: PathBuf,
    _noted: Unfinished,
}

impl Temp {
    pub(super) fn new(out: &Path) -> Result<Self, ConvertError> {
        let name = file_name(out);
        let path = fs::parent(out).join(format!(".{name}.loblab-tmp-{}", std::process::id()));
        let make = |path: &Path| std::fs::create_dir_all(path);
        let (noted, ()) = Unfinished::make(&path, make).map_err(ConvertError::io(&path, "make"))?;
        Ok(Self { path, _noted: noted })
    }

    /// For what an input holds back.
    pub(super) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// For the files, until all are there.
    pub(super) fn edges(&self) -> PathBuf {
        self.path.join("edges")
    }

    /// Puts all files into place at once.
    pub(super) fn publish(&self, out: &Path) -> std::io::Result<()> {
        let fs = DiskSystem;
        std::fs::rename(self.edges(), out)?;
        fs::FileSystem::sync_folder(&fs, fs::parent(out))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // What cannot be removed is hidden from readers.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
