//! What the cluster keeps in the folder of a store beside the data: the log of attempts, and the
//! locks and left-overs of tasks.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Folder of the logs of attempts, one file a worker.
const ATTEMPTS: &str = ".loblab-cluster";
/// Folder of the journals and locks of `lob convert --journal`.
const JOURNALS: &str = ".loblab-journals";
const TEMP_PREFIX: &str = ".loblab-tmp-";

/// What happens to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// It begins.
    Start,
    /// The file is in the store.
    Done,
    /// It is not.
    Failed,
}

/// One line of a log of attempts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The input.
    pub(crate) path: String,
    /// What happened.
    pub(crate) event: Event,
    /// When, in seconds since 1970 by the worker's clock.
    pub(crate) at_s: f64,
}

/// Notes an event. The log is for progress bars and people: a conversion does not fail by it.
pub(crate) fn note(out: &Path, worker: &str, path: &str, event: Event) {
    let at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let write = || -> Result<()> {
        let folder = out.join(ATTEMPTS);
        fs::create_dir_all(&folder)?;
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let worker: String = worker.chars().map(safe).collect();
        let name = format!("attempts-{worker}-{}.jsonl", std::process::id());
        let line = serde_json::to_string(&Attempt { path: path.to_owned(), event, at_s })? + "\n";
        let mut file = File::options().create(true).append(true).open(folder.join(name))?;
        // One write of one line: attempts of the same worker may end at the same time.
        Ok(file.write_all(line.as_bytes())?)
    };
    if let Err(error) = write() {
        log::warn!("the log of attempts in `{}`: {error:#}", out.display());
    }
}

/// All attempts so far. Half-written last lines of killed workers are passed over.
pub(crate) fn attempts(out: &Path) -> Result<Vec<Attempt>> {
    let mut found = Vec::new();
    let folder = out.join(ATTEMPTS);
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))? {
        let text = fs::read_to_string(entry?.path())?;
        found.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    Ok(found)
}

/// Inputs that attempts have put into the store, and how often.
pub(crate) fn done(out: &Path) -> Result<BTreeMap<String, u64>> {
    let mut done = BTreeMap::new();
    for attempt in attempts(out)? {
        if attempt.event == Event::Done {
            *done.entry(attempt.path).or_default() += 1;
        }
    }
    Ok(done)
}

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

/// Journals of all tasks.
pub(crate) fn journals(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<_> = entries(&out.join(JOURNALS))?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    let alone = out.join(".loblab-journal.jsonl");
    if alone.exists() {
        found.push(alone);
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
    fn attempts_are_counted_once_a_file() {
        let out = tempfile::tempdir().unwrap();
        for (worker, path, event) in [
            ("a:1", "/x.dbn", Event::Start),
            ("a:1", "/x.dbn", Event::Failed),
            ("b/../2", "/x.dbn", Event::Done),
            ("b/../2", "/x.dbn", Event::Done),
            ("b/../2", "/y\n.dbn", Event::Start),
        ] {
            note(out.path(), worker, path, event);
        }
        assert_eq!(attempts(out.path()).unwrap().len(), 5);
        assert_eq!(done(out.path()).unwrap(), BTreeMap::from([("/x.dbn".to_owned(), 2)]));
    }

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
