//! Stores of older versions, written anew as this build writes them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lob_store::{
    BinFile, BinWriter, FORMAT_VERSION, FileSummary, Store, TEMP_SUFFIX, Unfinished,
    fs::{DiskSystem, FileSystem, parent},
    read_tick_meta, write_file,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    ConvertError, Progress,
    journal::{self, JournalLine},
    out_dir::journals,
    progress::go_on,
    store_files::store_files,
};

/// Rows that are in memory at once: 16 MiB.
const ROWS_AT_ONCE: usize = 1 << 14;

/// What [`upgrade`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpgradeSummary {
    /// The new store.
    pub path: PathBuf,
    /// Bins in it.
    pub rows: u64,
    /// Its files, in path order.
    pub files: Vec<UpgradedFile>,
}

/// One file of a store that was upgraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpgradedFile {
    /// Its path in both stores, below their folders.
    pub path: PathBuf,
    /// Version of its format before; of the newest, the file was copied.
    pub from_version: u32,
    /// Bins.
    pub rows: u64,
    /// Size in bytes before.
    pub bytes_before: u64,
    /// Size in bytes now.
    pub bytes: u64,
    /// SHA-256 of the file now, lower-case hex.
    pub sha256: String,
}

/// Writes the store of bins in `store` to `out` in the format of this build: the same rows, labels
/// and journals. What its version does not say stays unknown, and the footers name it.
///
/// `out` appears when it is whole; a run that fails leaves nothing behind.
///
/// # Errors
/// `out` is there already, or in `store`; `store` holds ticks, a damaged file, or nothing of an older version; the
/// disk refuses; `progress` stops the run.
pub fn upgrade(
    store: &Path,
    out: &Path,
    progress: &dyn Progress,
) -> Result<UpgradeSummary, ConvertError> {
    check(store, out)?;
    let opened = Store::open(store)?;
    if opened.files().iter().all(|file| file.meta().format_version == FORMAT_VERSION) {
        let found = format!("{}, all of version {FORMAT_VERSION}", store.display());
        return refuse("store", found, "a store with files of an older version");
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let temp = parent(out).join(format!(".{name}.{}{TEMP_SUFFIX}", std::process::id()));
    fs::create_dir_all(parent(out)).map_err(ConvertError::io(parent(out), "make"))?;
    let made = Unfinished::make(&temp, |path| fs::create_dir(path));
    let (noted, ()) = made.map_err(ConvertError::io(&temp, "make"))?;
    let done = write(&opened, &temp, progress).and_then(|files| {
        write_journals(store, &temp, &files)?;
        fs::rename(&temp, out).map_err(ConvertError::io(out, "rename to"))?;
        DiskSystem.sync_folder(parent(out)).map_err(ConvertError::io(parent(out), "sync"))?;
        Ok(files)
    });
    if done.is_err() {
        // What cannot be removed has a name that readers pass over.
        drop(fs::remove_dir_all(&temp));
    }
    drop(noted);
    let files = done?;
    let rows = files.iter().map(|file| file.rows).sum();
    Ok(UpgradeSummary { path: out.to_owned(), rows, files })
}

fn refuse<T>(setting: &'static str, found: String, expected: &str) -> Result<T, ConvertError> {
    Err(ConvertError::Config { setting, found, expected: expected.to_owned() })
}

fn check(store: &Path, out: &Path) -> Result<(), ConvertError> {
    if !store.is_dir() {
        return refuse("store", store.display().to_string(), "the folder of a store");
    }
    if fs::symlink_metadata(out).is_ok() {
        let found = format!("{}, which is there already", out.display());
        return refuse("out", found, "a folder that is not there yet");
    }
    // Its rows would be in the old store twice.
    let above = out.ancestors().skip(1).map(|folder| folder.join("."));
    let above = above.filter_map(|folder| fs::canonicalize(folder).ok()).next();
    let real = fs::canonicalize(store).map_err(ConvertError::io(store, "look at"))?;
    if above.is_some_and(|above| above.starts_with(real)) {
        return refuse("out", out.display().to_string(), "a folder outside the store");
    }
    for path in store_files(store)? {
        if read_tick_meta(&path)?.is_some() {
            let found = format!("{}, which holds ticks", path.display());
            return refuse("store", found, "a store of bins; convert the inputs of ticks again");
        }
    }
    Ok(())
}

/// Writes all files below `to`.
fn write(
    store: &Store,
    to: &Path,
    progress: &dyn Progress,
) -> Result<Vec<UpgradedFile>, ConvertError> {
    let files = store.files().iter().map(|file| {
        let path = file.path().strip_prefix(store.path()).unwrap_or(file.path()).to_owned();
        let target = to.join(&path);
        let io = ConvertError::io(file.path(), "look at");
        let bytes_before = fs::metadata(file.path()).map_err(io)?.len();
        let from_version = file.meta().format_version;
        let new = if from_version == FORMAT_VERSION {
            copy(file, &target, progress)
        } else {
            rewrite(file, &target, progress)
        };
        let FileSummary { rows, bytes, sha256, .. } = new?;
        Ok(UpgradedFile { path, from_version, rows, bytes_before, bytes, sha256 })
    });
    files.collect()
}

fn rewrite(
    file: &BinFile,
    to: &Path,
    progress: &dyn Progress,
) -> Result<FileSummary, ConvertError> {
    let mut writer = BinWriter::create(to, file.meta().price_step, file.options())?;
    for start in (0..file.len()).step_by(ROWS_AT_ONCE) {
        go_on(progress)?;
        for row in file.rows(start..file.len().min(start + ROWS_AT_ONCE as u64))? {
            writer.push(&row)?;
        }
    }
    let mut meta = file.meta().clone();
    for source in &mut meta.sources {
        // Version 1 has the path as it was given.
        let name = Path::new(&source.name).file_name().unwrap_or_default();
        source.name = name.to_string_lossy().into_owned();
    }
    Ok(writer.finish(meta)?)
}

fn copy(file: &BinFile, to: &Path, progress: &dyn Progress) -> Result<FileSummary, ConvertError> {
    go_on(progress)?;
    let bytes = fs::read(file.path()).map_err(ConvertError::io(file.path(), "read"))?;
    write_file(to, &bytes).map_err(ConvertError::io(to, "write"))?;
    let digest = Sha256::digest(&bytes);
    let (rows, sha256) = (file.len(), digest.iter().map(|byte| format!("{byte:02x}")).collect());
    Ok(FileSummary { path: to.to_owned(), rows, bytes: bytes.len() as u64, sha256 })
}

/// Writes the journals below `to`: what they say of inputs and settings stays, of files it is what
/// they are now.
fn write_journals(store: &Path, to: &Path, files: &[UpgradedFile]) -> Result<(), ConvertError> {
    let files: BTreeMap<_, _> = files.iter().map(|file| (&*file.path, file)).collect();
    for (path, bytes) in journals::on_disk(store)? {
        let mut text = String::new();
        for JournalLine { settings, mut outcome, .. } in journal::parse(&path, &bytes)?.0 {
            for output in &mut outcome.outputs {
                if let Some(file) = files.get(&*output.path) {
                    (output.bytes, output.sha256) = (file.bytes, file.sha256.clone());
                }
            }
            text += &JournalLine::new(&settings, outcome).to_text(&path)?;
        }
        let target = to.join(path.strip_prefix(store).unwrap_or(&path));
        write_file(&target, text.as_bytes()).map_err(ConvertError::io(&target, "write"))?;
    }
    Ok(())
}
