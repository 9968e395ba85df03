//! What a store may hold, and what it must hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Files and their content, paths relative to the store.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// A file that no conversion wrote.
const FOREIGN: [(&str, &[u8]); 3] = [
    ("README.txt", b"foreign, at the root"),
    ("day=2024-04-01/notes.txt", b"foreign, in a folder of a day"),
    ("day=2024-04-01/other.parquet", b"foreign, with a name that a reader takes up"),
];

/// The files that stand in the store before any conversion.
pub(crate) fn foreign() -> impl Iterator<Item = (&'static Path, &'static [u8])> {
    FOREIGN.iter().map(|(path, content)| (Path::new(*path), *content))
}

/// Every file that an undisturbed conversion makes, by name.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<PathBuf, BTreeSet<Vec<u8>>>);

impl Known {
    pub(crate) fn add(&mut self, tree: &Tree) {
        for (path, content) in tree {
            self.0.entry(path.clone()).or_default().insert(content.clone());
        }
    }

    /// Whether all files that a reader sees are whole, and foreign ones as they were.
    pub(crate) fn check(&self, files: &BTreeMap<PathBuf, &[u8]>) -> Result<(), String> {
        for (path, content) in files.iter().filter(|(path, _)| is_seen(path)) {
            let is_whole = match foreign().find(|(name, _)| path == name) {
                Some((_, expected)) => *content == expected,
                None => self.0.get(path).is_some_and(|known| known.contains(*content)),
            };
            if !is_whole {
                let (path, n) = (path.display(), content.len());
                return Err(format!("a reader sees `{path}` with {n} bytes that nobody wrote"));
            }
        }
        Ok(())
    }
}

/// Whether readers of a store see a file.
fn is_seen(path: &Path) -> bool {
    path.components().all(|part| !part.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// The data of a store: what readers see but for foreign files.
pub(crate) fn data(files: &BTreeMap<PathBuf, &[u8]>) -> Tree {
    files
        .iter()
        .filter(|(path, _)| is_seen(path) && foreign().all(|(name, _)| *path != name))
        .map(|(path, content)| (path.clone(), content.to_vec()))
        .collect()
}

/// The lines of all journals, whichever order writers appended them in.
pub(crate) fn journal_lines(files: &BTreeMap<PathBuf, &[u8]>) -> BTreeSet<Vec<u8>> {
    let journals = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "jsonl"));
    journals
        .flat_map(|(_, content)| content.split_inclusive(|&byte| byte == b'\n'))
        .map(<[u8]>::to_vec)
        .collect()
}

/// Folders for unfinished files that are still there.
pub(crate) fn left_over(files: &BTreeMap<PathBuf, &[u8]>) -> Option<PathBuf> {
    files
        .keys()
        .find(|path| {
            path.starts_with(".loblab-tmp") || {
                let first = path.components().next();
                first.is_some_and(|p| p.as_os_str().as_encoded_bytes().starts_with(b".loblab-tmp"))
            }
        })
        .cloned()
}

/// How two trees differ; `None` if they do not.
pub(crate) fn difference(found: &Tree, expected: &Tree) -> Option<String> {
    let missing = expected.keys().find(|path| !found.contains_key(*path));
    if let Some(path) = missing {
        return Some(format!("`{}` is missing", path.display()));
    }
    if let Some(path) = found.keys().find(|path| !expected.contains_key(*path)) {
        return Some(format!("`{}` should not be there", path.display()));
    }
    let other = found.iter().find(|(path, content)| expected[*path] != **content);
    other.map(|(path, _)| format!("`{}` has other bytes", path.display()))
}
