//! Room on a local disk for what lies in a bucket, while one file is being converted.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};

const PREFIX: &str = "loblab-scratch-";
const LOCK_SUFFIX: &str = ".lock";

/// The folder of this process, made when it is first needed.
static PROCESS: Mutex<Option<Process>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Process {
    folder: PathBuf,
    lock_path: PathBuf,
    /// Held as long as the process lives: what nobody holds is left over.
    _lock: File,
}

/// A folder for one file; it goes with the value.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new empty folder below the process's own.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn new() -> Result<Self> {
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if process.is_none() {
            *process = Some(open(&std::env::temp_dir())?);
        }
        let root = process.as_ref().map(|process| process.folder.clone()).unwrap_or_default();
        let folder = root.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&folder).with_context(|| format!("make `{}`", folder.display()))?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("`{}` is left over: {error}", self.0.display());
        }
    }
}

/// Takes `parent` for this process and removes what killed processes left there.
///
/// # Errors
/// The disk refuses.
pub(crate) fn set_up(parent: &Path) -> Result<()> {
    sweep(parent)?;
    let opened = open(parent)?;
    *PROCESS.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    Ok(())
}

/// Removes the folder of this process.
pub(crate) fn clear() {
    if let Some(process) = PROCESS.lock().unwrap_or_else(PoisonError::into_inner).take() {
        drop(fs::remove_dir_all(&process.folder));
        drop(fs::remove_file(&process.lock_path));
    }
}

fn open(parent: &Path) -> Result<Process> {
    let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
    let lock_path = lock_of(&folder);
    let context = || format!("make the scratch folder `{}`", folder.display());
    fs::create_dir_all(parent).with_context(context)?;
    // The lock first: a folder without one is swept.
    let lock = File::create(&lock_path).with_context(context)?;
    lock.try_lock().with_context(context)?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(context)?;
    }
    fs::create_dir(&folder).with_context(context)?;
    // The converter gets the path and has another working folder.
    let folder = folder.canonicalize().with_context(context)?;
    Ok(Process { folder, lock_path, _lock: lock })
}

fn lock_of(folder: &Path) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(LOCK_SUFFIX);
    path.into()
}

/// Removes the folders of processes that are no more.
fn sweep(parent: &Path) -> Result<()> {
    if !parent.exists() {
        return Ok(());
    }
    let context = || format!("list `{}`", parent.display());
    for entry in fs::read_dir(parent).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) || !path.is_dir() {
            continue;
        }
        let lock_path = lock_of(&path);
        let is_held = File::open(&lock_path).is_ok_and(|lock| lock.try_lock_shared().is_err());
        if is_held {
            continue;
        }
        // Another executor may sweep too, or the folder may be another user's.
        match fs::remove_dir_all(&path).and_then(|()| fs::remove_file(&lock_path)) {
            Ok(()) => log::warn!("removed `{}`, left by a killed executor", path.display()),
            Err(error) => log::warn!("`{}` is left over: {error}", path.display()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_processes_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        for name in ["loblab-scratch-1/0/in", "loblab-scratch-2/0", "other"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("loblab-scratch-1.lock"), "").unwrap();
        let held = File::create(at("loblab-scratch-2.lock")).unwrap();
        held.try_lock().unwrap();
        sweep(parent.path()).unwrap();
        assert!(!at("loblab-scratch-1").exists() && !at("loblab-scratch-1.lock").exists());
        assert!(at("loblab-scratch-2/0").exists() && at("other").exists());
    }

    #[test]
    fn a_task_leaves_nothing() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("x"), "x").unwrap();
        assert_ne!(Scratch::new().unwrap().path(), path);
        drop(scratch);
        assert!(!path.exists());
        clear();
        assert!(path.parent().is_some_and(|folder| !folder.exists()));
    }
}
