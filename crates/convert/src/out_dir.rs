//! The folder of a store while it is being written: whole files only, by one writer or by several
//! that know of each other.

pub(crate) mod journals;
mod lock;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{ConvertError, config::Writer, journal::JournalLine, summary::InputOutcome};
use journals::Journals;
use lock::Locks;

const TEMP_PREFIX: &str = ".loblab-tmp-";

/// A locked output folder.
///
/// Inputs are converted below a hidden temporary folder; [`commit`](Self::commit) moves the files
/// of one input into place and notes it in the journal. On drop the temporary folder and the lock
/// go, and every folder this run made that is empty.
#[derive(Debug)]
pub(crate) struct OutDir {
    root: PathBuf,
    temp: PathBuf,
    /// `None` only while dropping.
    locks: Option<Locks>,
    /// Folders this run made, outermost first.
    made: Vec<PathBuf>,
    /// Files this run put into place that were not there before.
    placed: Vec<PathBuf>,
    /// What this run has committed or taken over, paths relative to the root.
    done: Vec<InputOutcome>,
    journals: Journals,
}

impl OutDir {
    /// Locks the folder, which is made if it is missing, and clears what killed runs left.
    ///
    /// # Errors
    /// Another run holds the lock, the folder holds a store of other settings, or the disk refuses.
    pub(crate) fn open(
        root: &Path,
        fingerprint: &str,
        writer: Option<&Writer>,
    ) -> Result<Self, ConvertError> {
        let mut made = Vec::new();
        make_folders(root, &mut made).inspect_err(|_| remove_empty(&made))?;
        let opened = Self::open_made(root, fingerprint, writer, &made);
        if opened.is_err() {
            remove_empty(&made);
        }
        let (locks, journals, temp) = opened?;
        let locks = Some(locks);
        Ok(Self {
            root: root.to_owned(),
            temp,
            locks,
            made,
            placed: Vec::new(),
            done: Vec::new(),
            journals,
        })
    }

    fn open_made(
        root: &Path,
        fingerprint: &str,
        writer: Option<&Writer>,
        made: &[PathBuf],
    ) -> Result<(Locks, Journals, PathBuf), ConvertError> {
        let name = writer.map(Writer::name);
        let folder = journals::folder(root);
        let locks = Locks::take(root, name.as_deref().map(|name| (&*folder, name)))?;
        let journals = Journals::read(root, writer)?;
        journals.check_settings(root, fingerprint)?;
        // A name ends in a dot here, so that no name is the start of another.
        let prefix = name.map_or_else(|| TEMP_PREFIX.to_owned(), |n| format!("{TEMP_PREFIX}{n}."));
        if made.is_empty() {
            clear_left_over(root, &prefix)?;
        }
        let temp = root.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&temp).map_err(ConvertError::io(&temp, "make"))?;
        Ok((locks, journals, temp))
    }

    /// A place for the files of the `n`th input.
    pub(crate) fn temp_folder(&self, n: usize) -> PathBuf {
        self.temp.join(n.to_string())
    }

    /// What earlier runs made of each source at last, as far as all of it is still there, with
    /// paths of outputs as users see them.
    pub(crate) fn earlier(&self) -> Vec<InputOutcome> {
        let mut last = BTreeMap::new();
        for line in &self.journals.lines {
            last.insert(absolute(&line.outcome.input.path), &line.outcome);
        }
        last.into_values()
            .filter(|outcome| self.is_there(outcome))
            .map(|outcome| self.absolute(outcome.clone()))
            .collect()
    }

    fn is_there(&self, outcome: &InputOutcome) -> bool {
        outcome.outputs.iter().all(|output| {
            fs::metadata(self.root.join(&output.path)).is_ok_and(|file| file.len() == output.bytes)
        })
    }

    /// Whether an earlier run finished an input of this size.
    pub(crate) fn may_be_finished(&self, bytes: u64) -> bool {
        self.journals.lines.iter().any(|line| line.outcome.input.bytes == bytes)
    }

    /// What an earlier run made of an input with this content, if all of it is still there. The
    /// file at `path` has this content now.
    pub(crate) fn finished(&mut self, content: &str, path: &Path) -> Option<InputOutcome> {
        let line = self
            .journals
            .lines
            .iter()
            .rev()
            .find(|line| line.outcome.input.content() == Some(content))?;
        let outcome = self.is_there(&line.outcome).then(|| line.outcome.clone())?;
        let mut now = outcome.clone();
        path.clone_into(&mut now.input.path);
        self.done.push(now);
        Some(self.absolute(outcome))
    }

    /// Removes the files of sources that were delivered again with other content, and says so: they
    /// must not be in the store twice. Until here both are there, as a run that fails must leave
    /// the old ones.
    pub(crate) fn remove_superseded(&mut self) -> Vec<String> {
        let before = self.journals.lines.iter().map(|line| &line.outcome);
        // What the last known content of each source was made into stays, whatever it was called.
        let mut last = BTreeMap::new();
        for outcome in before.clone().chain(&self.done) {
            last.insert(absolute(&outcome.input.path), outcome);
        }
        let paths = |outcome: &&InputOutcome| -> Vec<PathBuf> {
            outcome.outputs.iter().map(|output| output.path.clone()).collect()
        };
        let live: BTreeSet<PathBuf> = last.values().flat_map(paths).collect();
        let done: BTreeSet<PathBuf> = self.done.iter().map(|o| absolute(&o.input.path)).collect();
        let stale: BTreeMap<PathBuf, PathBuf> = before
            .filter(|outcome| done.contains(&absolute(&outcome.input.path)))
            .flat_map(|outcome| paths(&outcome).into_iter().map(move |path| (path, outcome)))
            .filter(|(path, _)| !live.contains(path))
            .map(|(path, outcome)| (path, outcome.input.path.clone()))
            .collect();
        stale.into_iter().filter_map(|(path, source)| self.remove_stale(&path, &source)).collect()
    }

    /// Removes one file, if it is there.
    fn remove_stale(&self, relative: &Path, source: &Path) -> Option<String> {
        let path = self.root.join(relative);
        let (shown, source) = (path.display(), source.display());
        match fs::remove_file(&path) {
            Ok(()) => {
                // Only an empty folder of a partition goes.
                drop(path.parent().map(fs::remove_dir));
                Some(format!(
                    "`{source}` has changed since it was converted; `{shown}`, made of what it \
                     was, is removed"
                ))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(format!(
                "`{shown}` is made of an earlier delivery of `{source}` and cannot be removed: \
                 {error}"
            )),
        }
    }

    /// Paths as users see them.
    fn absolute(&self, mut outcome: InputOutcome) -> InputOutcome {
        for output in &mut outcome.outputs {
            output.path = self.root.join(&output.path);
        }
        outcome
    }

    /// Moves the files of an input into place and notes it as finished.
    pub(crate) fn commit(
        &mut self,
        temp: &Path,
        outcome: InputOutcome,
        fingerprint: &str,
    ) -> Result<InputOutcome, ConvertError> {
        for output in &outcome.outputs {
            let (from, to) = (temp.join(&output.path), self.root.join(&output.path));
            let folder = to.parent().unwrap_or(&self.root).to_owned();
            make_folders(&folder, &mut self.made)?;
            let is_new = !to.exists();
            fs::rename(&from, &to).map_err(ConvertError::io(&to, "rename to"))?;
            if is_new {
                self.placed.push(to);
            }
            sync_folder(&folder)?;
        }
        drop(fs::remove_dir_all(temp));
        let line = JournalLine::new(fingerprint, outcome);
        self.journals.append(&line)?;
        self.done.push(line.outcome.clone());
        Ok(self.absolute(line.outcome))
    }

    /// Takes back everything this run has put into place.
    pub(crate) fn roll_back(&mut self) {
        for path in self.placed.drain(..) {
            // What cannot be removed stays a whole file.
            drop(fs::remove_file(path));
        }
        self.journals.roll_back();
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.temp));
        // The lock file stands in the folder, so it goes first.
        self.locks = None;
        remove_empty(&self.made);
    }
}

/// The path with the working folder before it, to tell whether two mean the same file.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes a folder and its parents, noting those that were missing.
fn make_folders(folder: &Path, made: &mut Vec<PathBuf>) -> Result<(), ConvertError> {
    let missing: Vec<_> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => made.push(folder.to_owned()),
            // Another shard was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(ConvertError::io(folder, "make")(error)),
        }
    }
    Ok(())
}

/// Removes those of the folders that are empty, innermost first.
fn remove_empty(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        drop(fs::remove_dir(folder));
    }
}

fn sync_folder(folder: &Path) -> Result<(), ConvertError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ConvertError::io(folder, "sync"))
}

/// Removes temporary folders of killed runs; the lock proves that nobody uses them.
fn clear_left_over(root: &Path, prefix: &str) -> Result<(), ConvertError> {
    let entries = fs::read_dir(root).map_err(ConvertError::io(root, "list"))?;
    for entry in entries {
        let path = entry.map_err(ConvertError::io(root, "list"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(prefix) {
            fs::remove_dir_all(&path).map_err(ConvertError::io(&path, "remove"))?;
        }
    }
    Ok(())
}
