use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{BinFile, LabelKind, LabelUnit, NamedLabel, StoreError, StoreMeta};

/// Extension of store files.
const EXTENSION: &str = "parquet";
/// Deepest folder looked into: `day=.../instrument_id=...` needs two.
const MAX_DEPTH: u32 = 8;

/// Bins that [`Store::default_label`] looks ahead at least, where it can.
const NEAR_BINS: u64 = 10;

/// A folder of store files (or a single one), opened in path order. Files may differ in price
/// step, bin rule and instrument: each carries its own.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    files: Vec<Arc<BinFile>>,
}

impl Store {
    /// Opens every `.parquet` file under `path`, or the one file it names. Files and folders
    /// whose name begins with a dot (temporary ones among them) are passed over.
    ///
    /// # Errors
    /// The folder holds no store file, or one of them cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let io = |source| StoreError::Io { path: path.to_owned(), action: "open", source };
        let paths = if fs::metadata(path).map_err(io)?.is_dir() {
            let mut paths = Vec::new();
            walk(path, MAX_DEPTH, &mut paths)?;
            paths.sort();
            paths
        } else {
            vec![path.to_owned()]
        };
        if paths.is_empty() {
            let found = "no `.parquet` file in it".to_owned();
            return Err(StoreError::NoStore { path: path.to_owned(), found });
        }
        let open = |path: &PathBuf| BinFile::open(path).map(Arc::new);
        let files = paths.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), files })
    }

    /// The same store with those files alone that `is_wanted` takes by what they say of themselves;
    /// there may be none.
    #[must_use]
    pub fn retained(mut self, mut is_wanted: impl FnMut(&StoreMeta) -> bool) -> Self {
        self.files.retain(|file| is_wanted(file.meta()));
        self
    }

    /// Path as opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[Arc<BinFile>] {
        &self.files
    }

    /// Bins in all files together.
    pub fn total_bins(&self) -> u64 {
        self.files.iter().map(|file| file.len()).sum()
    }

    /// The label that samples have where none is asked for: of those that look forward by bins, have
    /// classes, and are in every file, the nearest at least 10 bins ahead, else the farthest; without
    /// any, [`NamedLabel::REVERSAL`].
    #[must_use]
    pub fn default_label(&self) -> &str {
        let Some((first, others)) = self.files.split_first() else { return NamedLabel::REVERSAL };
        let is_in_all = |label: &&NamedLabel| {
            others.iter().all(|file| {
                let same =
                    |other: &NamedLabel| (&other.name, other.kind) == (&label.name, label.kind);
                file.meta().labels.iter().any(same)
            })
        };
        let forward = first.meta().labels.iter().filter(|label| {
            label.kind == LabelKind::Forward && label.unit == LabelUnit::Bins && label.classes > 0
        });
        let forward = forward.filter(is_in_all);
        let near = forward.clone().filter(|label| label.horizon >= NEAR_BINS);
        near.min_by_key(|label| label.horizon)
            .or_else(|| forward.max_by_key(|label| label.horizon))
            .map_or(NamedLabel::REVERSAL, |label| &label.name)
    }

    /// Bytes of pages read from all files since they were opened.
    pub fn bytes_read(&self) -> u64 {
        self.files.iter().map(|file| file.bytes_read()).sum()
    }
}

fn walk(folder: &Path, depth: u32, paths: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let io = |source: io::Error| StoreError::Io {
        path: folder.to_owned(),
        action: "list the folder",
        source,
    };
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Follows links, as a store may be put together from several disks.
        if fs::metadata(&path).map_err(io)?.is_dir() {
            let depth = depth.checked_sub(1).ok_or_else(|| {
                let found =
                    format!("folders nested deeper than `{MAX_DEPTH}` at `{}`", path.display());
                StoreError::NoStore { path: folder.to_owned(), found }
            })?;
            walk(&path, depth, paths)?;
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Where the file of one day (`YYYY-MM-DD`) and instrument lies below the store's folder.
pub fn partition_path(day: &str, instrument_id: u32) -> PathBuf {
    PathBuf::from(format!("day={day}/instrument_id={instrument_id}/bins.parquet"))
}
