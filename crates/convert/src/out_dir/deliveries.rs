//! Sources that are delivered again: what of them is replaced, and goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{OutDir, place};
use crate::{InputSummary, OutputSummary, summary::InputOutcome};

impl OutDir {
    /// Deliveries that took the place of this one, which is delivered again now.
    pub(super) fn replacing(&self, input: &InputSummary) -> Vec<String> {
        let Some(id) = input.identity() else { return Vec::new() };
        let is_later = |other: &&InputSummary| {
            other.source() == input.source()
                && other.identity() != Some(id)
                && other.replaces.iter().any(|replaced| replaced == id)
        };
        let later = self.outcomes().map(|outcome| &outcome.input).filter(is_later);
        later.filter_map(|other| other.identity().map(str::to_owned)).collect()
    }

    /// Earlier deliveries of the source of `outcome`: those with other records of an instrument and
    /// day that it has too. None where `is_one_of_several` inputs of the run that look like
    /// deliveries of one source: then neither takes the place of anything.
    pub(super) fn replaced_by(
        &self,
        outcome: &InputOutcome,
        is_one_of_several: bool,
    ) -> Vec<String> {
        if is_one_of_several {
            return Vec::new();
        }
        let partitions = |outcome: &InputOutcome| -> BTreeSet<PathBuf> {
            let folders = outcome.outputs.iter().filter_map(|output| output.path.parent());
            folders.map(Path::to_owned).collect()
        };
        let (input, ours) = (&outcome.input, partitions(outcome));
        let is_replaced = |before: &&InputOutcome| {
            before.input.source() == input.source()
                && before.input.identity() != input.identity()
                && !partitions(before).is_disjoint(&ours)
        };
        let replaced = self.outcomes().filter(is_replaced);
        let ids: BTreeSet<_> = replaced.filter_map(|before| before.input.identity()).collect();
        ids.into_iter().map(str::to_owned).collect()
    }

    /// Removes the files of sources that were delivered again with other content, and says so: they
    /// must not be in the store twice. Until here both are there, as a run that fails must leave
    /// the old ones.
    pub(crate) fn remove_superseded(&mut self) -> Vec<String> {
        // What the last known content of each source was made into stays, whatever it was called,
        // and so does all that this run has made.
        let mut last = BTreeMap::new();
        for outcome in self.outcomes().chain(&self.done) {
            last.insert(outcome.input.source(), outcome);
        }
        let live: BTreeSet<&Path> = last
            .into_values()
            .chain(&self.done)
            .flat_map(|outcome| &outcome.outputs)
            .map(|output| &*output.path)
            .collect();
        let replaced: BTreeSet<(String, &str)> = self
            .done
            .iter()
            .flat_map(|outcome| outcome.input.replaces.iter().map(|id| (&outcome.input, id)))
            .map(|(input, id)| (input.source(), &**id))
            .collect();
        let is_replaced = |input: &InputSummary| {
            input.identity().is_some_and(|id| replaced.contains(&(input.source(), id)))
        };
        let stale: BTreeMap<&Path, (&OutputSummary, &Path)> = self
            .outcomes()
            .filter(|outcome| is_replaced(&outcome.input))
            .flat_map(|outcome| outcome.outputs.iter().map(move |output| (output, outcome)))
            .filter(|(output, _)| !live.contains(&*output.path))
            .map(|(output, outcome)| (&*output.path, (output, &*outcome.input.path)))
            .collect();
        let all = stale.into_values();
        all.filter_map(|(output, source)| self.remove_stale(output, source)).collect()
    }

    /// Removes one file, if it is there and as it was made.
    fn remove_stale(&self, output: &OutputSummary, source: &Path) -> Option<String> {
        let path = self.root.join(&output.path);
        let (shown, source) = (path.display(), source.display());
        let removed = match place::look(&*self.fs, &self.root, &output.path) {
            // A run that was killed may have removed it in the system's memory only.
            Ok(None) => match self.sync_absence(&output.path) {
                Ok(()) => return None,
                Err(error) => Err(error),
            },
            Ok(Some(len)) if len != output.bytes => Ok(false),
            Ok(Some(_)) => place::has_content(&*self.fs, &path, output).and_then(|is_ours| {
                if is_ours {
                    self.remove_placed(&output.path)?;
                }
                Ok(is_ours)
            }),
            Err(error) => Err(error),
        };
        Some(match removed {
            Ok(true) => format!(
                "`{source}` has changed since it was converted; `{shown}`, made of what it was, \
                 is removed"
            ),
            Ok(false) => format!(
                "`{shown}` has the name of a file made of an earlier delivery of `{source}`, but \
                 not its content, and stays; remove it if it is not wanted"
            ),
            Err(error) => format!(
                "`{shown}` is made of an earlier delivery of `{source}` and cannot be removed: \
                 {error}"
            ),
        })
    }

    /// Makes it last that nothing stands under a path: syncs the innermost of its folders that is
    /// there.
    fn sync_absence(&self, relative: &Path) -> io::Result<()> {
        for folder in relative.ancestors().skip(1).map(|folder| self.root.join(folder)) {
            match self.fs.sync_folder(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        Ok(())
    }
}
