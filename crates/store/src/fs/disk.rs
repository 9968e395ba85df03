use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::{Entry, EntryKind, FileSystem, OpenFile, OpenMode};

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskSystem;

impl FileSystem for DiskSystem {
    fn look(&self, path: &Path) -> io::Result<Option<Entry>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = match found.file_type() {
            kind if kind.is_symlink() => EntryKind::Link,
            kind if kind.is_dir() => EntryKind::Folder,
            kind if kind.is_file() => EntryKind::File,
            _ => EntryKind::Special,
        };
        Ok(Some(Entry { kind, len: found.len() }))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn OpenFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::CreateNew => drop(options.write(true).create_new(true)),
            OpenMode::Create => drop(options.write(true).create(true)),
        }
        if mode != OpenMode::CreateNew {
            // To open a pipe would wait for its other end.
            match self.look(path)?.map(|found| found.kind) {
                None | Some(EntryKind::File) => {}
                Some(EntryKind::Link) => return Err(refused("it is a symbolic link")),
                Some(EntryKind::Folder) => return Err(refused("it is a folder")),
                Some(EntryKind::Special) => return Err(refused("it is a device or a pipe")),
            }
        }
        // For a link that was put there since.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        Ok(Box::new(options.open(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // It may be written and not read, or its file system syncs no folders: its names last
            // as soon as the system writes them. Nothing can be done about that.
            Err(error)
                if matches!(
                    error.kind(),
                    PermissionDenied | InvalidInput | ReadOnlyFilesystem | Unsupported
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }
}

fn refused(found: &str) -> io::Error {
    let hint = format!("{found}, which is not followed; expected a regular file, or nothing");
    io::Error::new(io::ErrorKind::InvalidInput, hint)
}

impl OpenFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn try_lock(&mut self, is_shared: bool) -> io::Result<bool> {
        match if is_shared { Self::try_lock_shared(self) } else { Self::try_lock(self) } {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (Ok(ours), Ok(there)) = (self.metadata(), fs::symlink_metadata(path)) else {
            return false;
        };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }

    #[cfg(not(unix))]
    fn is_at(&self, path: &Path) -> bool {
        // An open file cannot be removed there.
        path.exists()
    }
}
