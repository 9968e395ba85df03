//! Which files a store has.

use std::path::{Path, PathBuf};

use crate::ConvertError;

/// The Parquet files of a store in path order, or the one file given.
pub(crate) fn store_files(path: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let mut paths = Vec::new();
    if path.is_dir() {
        parquet_files(path, 0, &mut paths)?;
    } else {
        paths.push(path.to_owned());
    }
    paths.sort();
    Ok(paths)
}

/// Parquet files below a folder, hidden ones left out.
fn parquet_files(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), ConvertError> {
    const DEPTH_MAX: u32 = 8;
    for entry in std::fs::read_dir(folder).map_err(ConvertError::io(folder, "list"))? {
        let entry = entry.map_err(ConvertError::io(folder, "list"))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() && depth < DEPTH_MAX {
            parquet_files(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    Ok(())
}
