//! What `lob convert` keeps in the folder of a store beside the data: journals, locks, and what
//! killed tasks leave.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Folder of the journals and locks of `lob convert --journal`.
pub(crate) const JOURNALS: &str = ".loblab-journals";
/// The journal of runs without a name.
pub(crate) const JOURNAL_ALONE: &str = ".loblab-journal.jsonl";
const TEMP_PREFIX: &str = ".loblab-tmp-";

/// Whether a process holds the lock of this journal.
///
/// # Errors
/// The lock file cannot be opened.
pub(crate) fn is_locked(out: &Path, journal: &str) -> Result<bool> {
    let path = out.join(JOURNALS).join(format!("{journal}.lock"));
    is_lock_held(&path)
}

fn is_lock_held(path: &Path) -> Result<bool> {
    match File::open(path) {
        // A shared lock suffices to see, and does not refuse others who only look.
        Ok(file) => Ok(matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("open `{}`", path.display())),
    }
}

/// Journals of a run alone and of all tasks, in this order.
pub(crate) fn journals(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<_> = entries(&out.join(JOURNALS))?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    let alone = out.join(JOURNAL_ALONE);
    if alone.exists() {
        found.insert(0, alone);
    }
    Ok(found)
}

/// Temporary folders and lock files that no process holds: what killed tasks left.
pub(crate) fn left_over(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix(TEMP_PREFIX) else { continue };
        let is_held = match owner.rsplit_once('.') {
            Some((journal, _)) => is_locked(out, journal)?,
            None => is_lock_held(&out.join(".loblab-lock"))?,
        };
        if !is_held {
            found.push(path);
        }
    }
    for path in entries(&out.join(JOURNALS))? {
        if path.extension().is_some_and(|extension| extension == "lock") && !is_lock_held(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// Removes what killed tasks left; the paths that went.
pub(crate) fn sweep(out: &Path) -> Result<Vec<PathBuf>> {
    let found = left_over(out)?;
    for path in &found {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.with_context(|| format!("remove `{}`", path.display()))?;
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<_> =
            fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    list().with_context(|| format!("list `{}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let out = tempfile::tempdir().unwrap();
        let at = |name: &str| out.path().join(name);
        fs::create_dir_all(at(JOURNALS)).unwrap();
        fs::create_dir_all(at(".loblab-tmp-held.1/0")).unwrap();
        fs::create_dir_all(at(".loblab-tmp-dead.2/0")).unwrap();
        fs::create_dir_all(at("day=2024-01-02")).unwrap();
        fs::write(at(".loblab-journals/dead.lock"), "").unwrap();
        fs::write(at(".loblab-journals/dead.jsonl"), "").unwrap();
        let held = File::create(at(".loblab-journals/held.lock")).unwrap();
        held.try_lock().unwrap();
        assert!(is_locked(out.path(), "held").unwrap() && !is_locked(out.path(), "dead").unwrap());
        let swept = sweep(out.path()).unwrap();
        assert_eq!(swept, [at(".loblab-tmp-dead.2"), at(".loblab-journals/dead.lock")]);
        assert!(at(".loblab-tmp-held.1").exists() && at("day=2024-01-02").exists());
        assert!(sweep(out.path()).unwrap().is_empty());
    }
}
