//! The file operations that the writers of a store rest on, as one thin trait.
//!
//! The product has [`DiskSystem`]; tests put a file system in its place that fails, tears and
//! forgets. Names of one folder become durable with [`FileSystem::sync_folder`], the content of a
//! file with [`OpenFile::sync`]; nothing else is relied on, but that a rename is atomic.

mod disk;

use std::{
    ffi::OsString,
    fmt,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::disk::DiskSystem;

/// A file system that is shared by all that write to it.
pub type SharedFs = Arc<dyn FileSystem>;

/// What stands under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// What stands under a path, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Length of a regular file in bytes.
    pub len: u64,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// A file that is there, for reading.
    Read,
    /// A file that must not be there, for reading and writing.
    CreateNew,
    /// A file that is made where it is missing, for reading and writing; its content stays.
    Create,
}

/// The operations of a file system. None of them follows a symbolic link in the last component of
/// its path.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// What stands under the path; `None` for nothing.
    ///
    /// # Errors
    /// What the file system reports.
    fn look(&self, path: &Path) -> io::Result<Option<Entry>>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// What the file system reports, or something else than a regular file stands there.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn OpenFile>>;

    /// The names in a folder, in no particular order.
    ///
    /// # Errors
    /// What the file system reports.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Makes one folder.
    ///
    /// # Errors
    /// What the file system reports; [`io::ErrorKind::AlreadyExists`] if there is something.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the file system reports.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name; replaces a file that has it.
    ///
    /// # Errors
    /// What the file system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, or a link but not what it leads to.
    ///
    /// # Errors
    /// What the file system reports.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// What the file system reports.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open regular file.
pub trait OpenFile: Read + Write + Seek + fmt::Debug + Send {
    /// Makes the content and the length durable.
    ///
    /// # Errors
    /// What the file system reports.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file or fills it up with zeros.
    ///
    /// # Errors
    /// What the file system reports.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Takes the lock of the file without waiting, alone or shared with others that share it; false
    /// if somebody else holds it. It is given back when the file is closed.
    ///
    /// # Errors
    /// What the file system reports.
    fn try_lock(&mut self, is_shared: bool) -> io::Result<bool>;

    /// Whether this file is the one under the path.
    fn is_at(&self, path: &Path) -> bool;
}

/// Makes a folder and its parents where they are missing, outermost first, and hands each to `made`
/// as soon as it is there. Neither is synced: see [`parent`].
///
/// # Errors
/// The folder concerned, and what the file system reports.
pub fn make_folders(
    fs: &dyn FileSystem,
    folder: &Path,
    mut made: impl FnMut(&Path),
) -> Result<(), (PathBuf, io::Error)> {
    let mut missing = Vec::new();
    for folder in folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty()) {
        match fs.look(folder) {
            Ok(Some(_)) => break,
            Ok(None) => missing.push(folder),
            Err(error) => return Err((folder.to_owned(), error)),
        }
    }
    for folder in missing.into_iter().rev() {
        match fs.make_folder(folder) {
            Ok(()) => made(folder),
            // Another writer was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err((folder.to_owned(), error)),
        }
    }
    Ok(())
}

/// The folder a path lies in; `.` for a bare name. It must be synced for the name to last.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
