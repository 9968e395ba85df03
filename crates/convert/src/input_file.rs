//! An input that must stay what it is while it is read.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    ConvertError, InputHash,
    hash::{ContentHash, Hasher},
};

const READ_BYTES: usize = 1 << 18;

/// A file opened once, however often it is read, and what it was then.
///
/// All readers share the handle and its position: one reads at a time, from the start.
#[derive(Debug, Clone)]
pub(crate) struct InputFile {
    path: PathBuf,
    file: Arc<File>,
    stamp: Stamp,
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    /// `None` on file systems that keep no time.
    modified: Option<SystemTime>,
    /// Device and inode.
    place: (u64, u64),
    /// When the inode changed: with the content, but with links and permissions too. It shows a
    /// modification time that was put back.
    inode_changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            bytes: found.len(),
            modified: found.modified().ok(),
            place: (found.dev(), found.ino()),
            inode_changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(found: &Metadata) -> Self {
        let (bytes, modified) = (found.len(), found.modified().ok());
        Self { bytes, modified, place: (0, 0), inode_changed: (0, 0) }
    }

    /// What is different now, in words; `None` where only the inode is, or nothing.
    fn difference(&self, now: &Self) -> Option<String> {
        let (before, after) = (self.bytes, now.bytes);
        if self.place != now.place {
            return Some("another file is in its place".to_owned());
        }
        if after > before {
            return Some(format!(
                "it grew from {before} to {after} bytes, as while a recorder appends to it"
            ));
        }
        if after < before {
            return Some(format!("it was cut from {before} to {after} bytes"));
        }
        (self.modified != now.modified).then(|| "it was written to".to_owned())
    }
}

impl InputFile {
    /// Opens a file; whatever is read of it later is held against its state now.
    pub(crate) fn open(path: &Path) -> Result<Self, ConvertError> {
        let file = File::open(path).map_err(ConvertError::io(path, "open"))?;
        let found = file.metadata().map_err(ConvertError::io(path, "open"))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), stamp: Stamp::of(&found) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length when it was opened.
    pub(crate) fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// The file from its start; readers given out before lose their place.
    pub(crate) fn reader(&self) -> Result<Arc<File>, ConvertError> {
        let mut file = Arc::clone(&self.file);
        file.rewind().map_err(ConvertError::io(&self.path, "rewind"))?;
        Ok(file)
    }

    /// The hash of all its content. `is_stopped` is asked between pieces.
    pub(crate) fn hash(
        &self,
        kind: InputHash,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<ContentHash, ConvertError> {
        let mut file = self.reader()?;
        let mut hash = Hasher::new(kind);
        let mut buf = vec![0; READ_BYTES];
        loop {
            if is_stopped() {
                return Err(ConvertError::Interrupted);
            }
            match file.read(&mut buf) {
                Ok(0) => return Ok(hash.finish()),
                Ok(n) => hash.update(&buf[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ConvertError::io(&self.path, "read")(error)),
            }
        }
    }

    /// Whether it is the same file with the same length and times, under its path too.
    ///
    /// # Errors
    /// [`ConvertError::Changed`] says what is different.
    pub(crate) fn check(&self) -> Result<(), ConvertError> {
        self.now().and_then(|now| self.changed_as(self.stamp.difference(&now)))
    }

    /// [`check`](Self::check), for a file read to its end. Where nothing but the inode changed, a
    /// `hash` of what was read is held against the content; without one it counts as changed.
    ///
    /// # Errors
    /// [`ConvertError::Changed`] says what is different.
    pub(crate) fn check_read(&self, hash: &ContentHash) -> Result<(), ConvertError> {
        let now = self.now()?;
        self.changed_as(self.stamp.difference(&now))?;
        if now == self.stamp {
            return Ok(());
        }
        if hash.any().is_none() {
            let found = "its inode did: permissions, links, or a time that was put back";
            return self.changed_as(Some(found.to_owned()));
        }
        if self.hash(hash.kind(), &|| false)? != *hash {
            let found = "its content did, and the time of the change was put back";
            return self.changed_as(Some(found.to_owned()));
        }
        self.now().and_then(|now| self.changed_as(self.stamp.difference(&now)))
    }

    /// Whether it is still the file that `earlier` was.
    pub(crate) fn check_same(&self, earlier: &Self) -> Result<(), ConvertError> {
        self.changed_as(earlier.stamp.difference(&self.stamp))
    }

    /// The state of the handle; of the path too, which must lead to the same file.
    fn now(&self) -> Result<Stamp, ConvertError> {
        let io = |error| ConvertError::io(&self.path, "read the state of")(error);
        let now = Stamp::of(&self.file.metadata().map_err(io)?);
        match std::fs::metadata(&self.path) {
            Ok(found) if Stamp::of(&found).place == now.place => Ok(now),
            Ok(found) => Ok(Stamp::of(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.changed_as(Some("it was removed".to_owned())).map(|()| now)
            }
            Err(error) => Err(io(error)),
        }
    }

    fn changed_as(&self, difference: Option<String>) -> Result<(), ConvertError> {
        match difference {
            None => Ok(()),
            Some(found) => Err(ConvertError::Changed { path: self.path.clone(), found }),
        }
    }
}
