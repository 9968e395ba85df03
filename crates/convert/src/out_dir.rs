//! The folder of a store while it is being written: whole files only, by one writer or by several
//! that know of each other.

mod deliveries;
pub(crate) mod journals;
mod lock;
pub(crate) mod place;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    path::{Path, PathBuf},
};

use lob_store::{
    Unfinished,
    fs::{self, SharedFs},
};

use crate::{
    ConvertError, OutputSummary, config::Writer, inputs::Input, journal::JournalLine,
    summary::InputOutcome,
};
use journals::Journals;
use lock::Locks;
use place::Left;

/// Attempts to move a file into a folder that others may remove while it is empty.
const PUT_ATTEMPTS: u32 = 8;

/// A locked output folder.
///
/// Inputs are converted below a hidden temporary folder; [`commit`](Self::commit) notes the files
/// of one input in the journal and moves them into place. At the end the temporary folder and the
/// lock go, and every folder this run made that is empty.
///
/// A line of the journal says what an input is made into. Files without a line would stay for ever
/// once their source is delivered again, so the line is durable before the first of them appears,
/// and goes after the last. A line counts as long as all of its files are there.
#[derive(Debug)]
pub(crate) struct OutDir {
    fs: SharedFs,
    root: PathBuf,
    temp: PathBuf,
    /// For a program that must end at once.
    _noted: Unfinished,
    /// `None` only at the end.
    locks: Option<Locks>,
    /// Folders this run made, outermost first.
    made: Vec<PathBuf>,
    /// Files this run put into place that were not there before, relative to the root.
    placed: Vec<PathBuf>,
    /// What this run has committed or taken over, paths relative to the root.
    done: Vec<InputOutcome>,
    journals: Journals,
    /// Folders whose names are durable.
    synced: HashSet<PathBuf>,
    /// What was found that is not ours.
    warnings: Vec<String>,
}

impl OutDir {
    /// Locks the folder, which is made if it is missing, and clears what killed runs left.
    ///
    /// # Errors
    /// Another run holds the lock, the folder holds a store of other settings, or the disk refuses.
    pub(crate) fn open(
        fs: SharedFs,
        root: &Path,
        fingerprint: &str,
        writer: Option<&Writer>,
    ) -> Result<Self, ConvertError> {
        let mut made = Vec::new();
        let opened = make_folders(&fs, root, &mut made)
            .and_then(|()| Self::open_made(&fs, root, fingerprint, writer, &made));
        if opened.is_err() {
            remove_empty(&fs, &made);
        }
        let (locks, journals, temp, _noted, warnings) = opened?;
        let (root, locks) = (root.to_owned(), Some(locks));
        let (placed, done, synced) = Default::default();
        Ok(Self { fs, root, temp, _noted, locks, made, placed, done, journals, synced, warnings })
    }

    fn open_made(
        fs: &SharedFs,
        root: &Path,
        fingerprint: &str,
        writer: Option<&Writer>,
        made: &[PathBuf],
    ) -> Result<(Locks, Journals, PathBuf, Unfinished, Vec<String>), ConvertError> {
        // The store's own name must last too, whoever made it: that run may have been killed since.
        for folder in made.iter().map(PathBuf::as_path).chain([root]).map(fs::parent) {
            fs.sync_folder(folder).map_err(ConvertError::io(folder, "sync"))?;
        }
        let name = writer.map(Writer::name);
        let folder = journals::folder(&**fs, root)?;
        let locks = Locks::take(fs, root, name.as_deref().map(|name| (&*folder, name)))?;
        let journals = Journals::read(fs, root, writer)?;
        journals.check_settings(root, fingerprint)?;
        let mut warnings = Vec::new();
        if made.is_empty() {
            warnings = place::clear_left_over(&**fs, root, name.as_deref())?;
        }
        let temp = place::temp_folder(root, name.as_deref());
        let made = fs.make_folder(&temp);
        // Noted when it is there: others wait for whoever notes, and for the file system too.
        let noted = made.and_then(|()| Unfinished::make(&temp, |_| Ok(())));
        let (noted, ()) = noted.map_err(ConvertError::io(&temp, "make"))?;
        Ok((locks, journals, temp, noted, warnings))
    }

    /// A place for the files of the `n`th input.
    pub(crate) fn temp_folder(&self, n: usize) -> PathBuf {
        self.temp.join(n.to_string())
    }

    /// Removes the files of an input that failed, which must not take room until the end of the
    /// run. What cannot be removed now is tried again then.
    pub(crate) fn clear_input(&self, temp: &Path) {
        place::clear_input(&*self.fs, temp, &mut Vec::new());
    }

    /// What earlier runs made of each delivery of a source, as far as all of it is still there,
    /// with paths of outputs as users see them.
    pub(crate) fn earlier(&self) -> Vec<InputOutcome> {
        let mut last = BTreeMap::new();
        for outcome in self.outcomes() {
            let input = &outcome.input;
            last.insert((input.source(), input.identity()), outcome);
        }
        last.into_values()
            .filter(|outcome| self.is_there(outcome))
            .map(|outcome| self.absolute(outcome.clone()))
            .collect()
    }

    fn is_there(&self, outcome: &InputOutcome) -> bool {
        outcome.outputs.iter().all(|output| {
            place::look(&*self.fs, &self.root, &output.path)
                .is_ok_and(|len| len == Some(output.bytes))
        })
    }

    /// Whether an earlier run finished an input of this size.
    pub(crate) fn may_be_finished(&self, bytes: u64) -> bool {
        self.journals.has_size(bytes)
    }

    /// What an earlier run made of a file with this content, if all of it is still there. `now` is
    /// the input that has this content now.
    ///
    /// # Errors
    /// The file system refuses to make it durable: that run may have been killed before.
    pub(crate) fn finished(
        &mut self,
        content: &str,
        now: &Input,
    ) -> Result<Option<InputOutcome>, ConvertError> {
        let Some(mut outcome) = self.journals.of_content(content).cloned() else {
            return Ok(None);
        };
        if !self.is_there(&outcome) {
            return Ok(None);
        }
        self.sync_places(&outcome.outputs, false)?;
        outcome.input.path.clone_from(&now.path);
        if outcome.input.source != now.source {
            // It was known under another name, and takes the place of what has this name.
            outcome.input.source.clone_from(&now.source);
            outcome.input.replaces = self.replaced_by(&outcome, now.is_one_of_several);
        } else {
            let again = self.replacing(&outcome.input);
            outcome.input.replaces.extend(again);
        }
        self.done.push(outcome.clone());
        Ok(Some(self.absolute(outcome)))
    }

    fn outcomes(&self) -> impl Iterator<Item = &InputOutcome> + Clone {
        self.journals.lines.iter().map(|line| &line.outcome)
    }

    /// Removes a file of the store, and the folders of its partition where they are empty, durably.
    fn remove_placed(&self, relative: &Path) -> io::Result<()> {
        let path = self.root.join(relative);
        self.fs.remove_file(&path)?;
        let mut folder = fs::parent(&path);
        // The instrument and the day; the root stays.
        for _ in relative.components().skip(1) {
            if self.fs.remove_folder(folder).is_err() {
                break;
            }
            folder = fs::parent(folder);
        }
        self.fs.sync_folder(folder)
    }

    /// Paths as users see them.
    fn absolute(&self, mut outcome: InputOutcome) -> InputOutcome {
        for output in &mut outcome.outputs {
            output.path = self.root.join(&output.path);
        }
        outcome
    }

    /// Notes an input as finished and moves its files into place.
    pub(crate) fn commit(
        &mut self,
        temp: &Path,
        input: &Input,
        mut outcome: InputOutcome,
        settings: &str,
    ) -> Result<InputOutcome, ConvertError> {
        outcome.input.replaces = self.replaced_by(&outcome, input.is_one_of_several);
        for output in &outcome.outputs {
            let path = self.root.join(&output.path);
            place::look(&*self.fs, &self.root, &output.path)
                .map_err(ConvertError::io(&path, "write"))?;
        }
        self.journals.append(&JournalLine::new(settings, outcome.clone()))?;
        let n_before = self.placed.len();
        let placed = outcome.outputs.iter().try_for_each(|output| self.put(temp, output));
        if let Err(error) = placed.and_then(|()| self.sync_places(&outcome.outputs, true)) {
            // Half of an input is nothing to keep.
            for path in self.placed.split_off(n_before) {
                if self.remove_placed(&path).is_err_and(|e| e.kind() != io::ErrorKind::NotFound) {
                    self.placed.push(path);
                }
            }
            return Err(error);
        }
        self.clear_input(temp);
        self.done.push(outcome.clone());
        Ok(self.absolute(outcome))
    }

    /// Moves one file into place.
    fn put(&mut self, temp: &Path, output: &OutputSummary) -> Result<(), ConvertError> {
        let (from, to) = (temp.join(&output.path), self.root.join(&output.path));
        if self.fs.look(&to).map_err(ConvertError::io(&to, "look at"))?.is_none() {
            // Before the rename: one that is reported as failed may have been done.
            self.placed.push(output.path.clone());
        }
        let mut attempts = 0..PUT_ATTEMPTS;
        loop {
            let placed = make_folders(&self.fs, fs::parent(&to), &mut self.made).and_then(|()| {
                self.fs.rename(&from, &to).map_err(ConvertError::io(&to, "rename to"))
            });
            match placed {
                // Another shard has removed the folder, which was empty.
                Err(ConvertError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && attempts.next().is_some() => {}
                placed => return placed,
            }
        }
    }

    /// Makes the names of files last, with those of their folders; `is_changed` if this run has
    /// changed them.
    fn sync_places(
        &mut self,
        outputs: &[OutputSummary],
        is_changed: bool,
    ) -> Result<(), ConvertError> {
        let mut folders = BTreeSet::new();
        for output in outputs {
            let ancestors = output.path.ancestors().skip(1);
            folders.extend(ancestors.map(|relative| self.root.join(relative)));
        }
        for folder in folders {
            if is_changed || !self.synced.contains(&folder) {
                self.fs.sync_folder(&folder).map_err(ConvertError::io(&folder, "sync"))?;
                self.synced.insert(folder);
            }
        }
        Ok(())
    }

    /// Takes back everything this run has put into place.
    pub(crate) fn roll_back(&mut self) {
        let mut is_gone = true;
        for path in std::mem::take(&mut self.placed) {
            if let Err(error) = self.remove_placed(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                // What cannot be removed stays a whole file, and stays noted.
                is_gone = false;
                let path = self.root.join(path);
                self.warnings.push(format!("cannot remove `{}`: {error}", path.display()));
            }
        }
        if is_gone && let Err(error) = self.journals.roll_back() {
            self.warnings.push(error.to_string());
        }
    }

    /// Removes the temporary folder, the lock and the folders that are empty. Returns what a user
    /// should know, above all what could not be removed.
    pub(crate) fn close(mut self) -> Vec<String> {
        self.finish();
        std::mem::take(&mut self.warnings)
    }

    fn finish(&mut self) {
        let Some(locks) = self.locks.take() else { return };
        let mut left = Left::new();
        place::clear_temp(&*self.fs, &self.temp, &mut left);
        // The lock file stands in the folder, so it goes first.
        drop(locks);
        if !left.is_empty() {
            // The lock was a handle, which may be what was missing.
            left.clear();
            place::clear_temp(&*self.fs, &self.temp, &mut left);
        }
        self.warnings.extend(left.into_iter().map(|(path, error)| match error {
            Some(error) => {
                format!("cannot remove the temporary `{}`: {error}", path.display())
            }
            None => format!("`{}` is not a file of loblab and stays", path.display()),
        }));
        remove_empty(&self.fs, &self.made);
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        // After a panic; nobody is left to tell.
        self.finish();
    }
}

/// Makes a folder and its parents, noting those that were missing.
fn make_folders(fs: &SharedFs, folder: &Path, made: &mut Vec<PathBuf>) -> Result<(), ConvertError> {
    fs::make_folders(&**fs, folder, |folder| made.push(folder.to_owned()))
        .map_err(|(folder, source)| ConvertError::io(&folder, "make")(source))
}

/// Removes those of the folders that are empty, innermost first.
fn remove_empty(fs: &SharedFs, made: &[PathBuf]) {
    for folder in made.iter().rev() {
        drop(fs.remove_folder(folder));
    }
}
