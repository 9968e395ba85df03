//! Temporary files and folders of this process, for a program that has to end at once.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn all() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set is whole whatever a thread did that panicked.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is to go if the process ends before it is renamed or removed. Dropping
/// this forgets it and leaves it where it is.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Makes something at `path`, in one step with noting it for [`discard_unfinished`].
    ///
    /// # Errors
    /// That of `make`; nothing is then noted.
    pub fn make<T>(
        path: &Path,
        make: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let mut noted = all();
        let made = make(path)?;
        noted.insert(path.to_owned());
        Ok((Self { path: path.to_owned() }, made))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        all().remove(&self.path);
    }
}

/// Removes every [`Unfinished`] file and folder of this process, which must end right after: the
/// threads that write them stop where they make or rename the next one.
pub fn discard_unfinished() {
    let noted = all();
    for path in &*noted {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        // Whatever cannot be removed has a name that readers pass over.
        drop(removed);
    }
    // Locked for ever.
    std::mem::forget(noted);
}
