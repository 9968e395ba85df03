//! What a vendor's batch download says about its files, in files beside them.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::Deserialize;

use crate::{
    ConvertError,
    symbols::{SymbolMap, Symbology},
};

/// Name of the file of symbols in a batch folder.
pub(crate) const SYMBOLOGY: &str = "symbology.json";

/// The folder of a batch download; empty for any other folder.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The manifest's entries by file name: a folder has as many inputs as it has entries.
    listed: BTreeMap<String, ManifestFile>,
    pub(super) symbols: Option<Arc<SymbolMap>>,
}

impl Batch {
    /// Reads `manifest.json`, `symbology.json` and `condition.json`; what the latter marks comes
    /// as warnings.
    pub(super) fn read(
        folder: &Path,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(Self, Vec<String>), ConvertError> {
        let manifest: Manifest = read_sidecar(&folder.join("manifest.json"))?;
        let symbols = folder_symbols(folder, is_cancelled)?;
        // Of two entries of one name the first counts.
        let entries = manifest.files.into_iter().rev();
        let listed = entries.map(|file| (file.filename.clone(), file)).collect();
        Ok((Self { listed, symbols }, read_condition(folder)?))
    }

    /// The SHA-256 listed for a file, whose size must be the one listed.
    pub(super) fn expected_sha256(
        &self,
        path: &Path,
        bytes: u64,
    ) -> Result<Option<String>, ConvertError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(file) = self.listed.get(&*name) else { return Ok(None) };
        if file.size != bytes {
            return Err(ConvertError::Manifest {
                path: path.to_owned(),
                found: format!("{bytes} bytes"),
                expected: format!("{} bytes", file.size),
            });
        }
        Ok(file.hash.strip_prefix("sha256:").map(str::to_ascii_lowercase))
    }
}

/// What `symbology.json` in a folder says about instrument ids.
///
/// # Errors
/// It cannot be read or is not such a document; or `is_cancelled` said so.
pub(crate) fn folder_symbols(
    folder: &Path,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Option<Arc<SymbolMap>>, ConvertError> {
    let symbology: Symbology = read_sidecar(&folder.join(SYMBOLOGY))?;
    Ok(symbology.map(is_cancelled)?.map(Arc::new))
}

/// `manifest.json` of a batch download.
#[derive(Debug, Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    files: Vec<ManifestFile>,
}

#[derive(Debug, Deserialize)]
struct ManifestFile {
    filename: String,
    size: u64,
    #[serde(default)]
    hash: String,
}

/// One day of `condition.json`.
#[derive(Debug, Deserialize)]
struct Condition {
    date: String,
    condition: String,
}

fn read_sidecar<T: Default + for<'a> Deserialize<'a>>(path: &Path) -> Result<T, ConvertError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(ConvertError::io(path, "read")(error)),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| ConvertError::Sidecar { path: path.to_owned(), reason: error.to_string() })
}

/// Warnings of the days that are not as they should be.
fn read_condition(folder: &Path) -> Result<Vec<String>, ConvertError> {
    let path = folder.join("condition.json");
    let days: Vec<Condition> = read_sidecar(&path)?;
    Ok(days
        .iter()
        .filter(|day| day.condition != "available")
        .map(|day| format!("`{}` marks {} as {}", path.display(), day.date, day.condition))
        .collect())
}
