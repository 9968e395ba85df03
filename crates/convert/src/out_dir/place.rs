//! Paths within a store: nothing that a journal or a folder says leads out of it.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path, PathBuf},
};

use lob_store::{
    TEMP_SUFFIX,
    fs::{EntryKind, FileSystem, OpenMode},
};
use sha2::{Digest, Sha256};

use crate::{ConvertError, OutputSummary};

/// Begins the name of a folder of unfinished files: then the writer's name and a dot, if it has
/// one, and the number of the process.
const TEMP_PREFIX: &str = ".loblab-tmp-";
const READ_BYTES: usize = 1 << 16;

/// Refuses a path that is not one a conversion gives to such an output:
/// `day=DAY/instrument_id=ID/NAME.parquet`.
pub(crate) fn check_output(output: &OutputSummary) -> Result<(), String> {
    let expected = lob_store::partition_path(&output.day, output.instrument_id);
    let parts: Vec<_> = output.path.components().collect();
    // `components` passes over a dot and a double separator, the same path without.
    let is_plain = parts.iter().all(|part| matches!(part, Component::Normal(_)))
        && parts.iter().collect::<PathBuf>().as_os_str() == output.path.as_os_str();
    let name = output.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_ours = parts.len() == 3
        && is_plain
        && output.path.parent() == expected.parent()
        && name.strip_suffix(".parquet").is_some_and(|stem| !stem.is_empty())
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_control() || c == '\\');
    if is_ours {
        return Ok(());
    }
    let found = output.path.display().to_string();
    Err(format!(
        "the output `{}`, which no conversion makes: expected `day=DAY/instrument_id=ID/NAME.parquet` \
         of its own day and instrument; nothing was changed\nhint: take the line out, or remove the \
         journal to convert everything again",
        found.escape_debug()
    ))
}

/// What stands in the place of an output, if its folders are folders and no links.
///
/// # Errors
/// A link or something else stands in the place of a folder, or the file system refuses.
pub(super) fn look(fs: &dyn FileSystem, root: &Path, relative: &Path) -> io::Result<Option<u64>> {
    let mut path = root.to_owned();
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let expected = if parts.peek().is_some() { EntryKind::Folder } else { EntryKind::File };
        match fs.look(&path)? {
            None => return Ok(None),
            Some(found) if found.kind == expected && expected == EntryKind::File => {
                return Ok(Some(found.len));
            }
            Some(found) if found.kind == expected => {}
            Some(found) => return Err(in_the_way(&path, found.kind, expected)),
        }
    }
    Ok(None)
}

fn in_the_way(path: &Path, found: EntryKind, expected: EntryKind) -> io::Error {
    let name = |kind| match kind {
        EntryKind::File => "a file",
        EntryKind::Folder => "a folder",
        EntryKind::Link => "a symbolic link, which is not followed out of the store",
        _ => "a device or a pipe",
    };
    let (found, expected) = (name(found), name(expected));
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("`{}` is {found}; expected {expected}, or nothing", path.display()),
    )
}

/// Whether the file has the content noted for it. One of nothing but zeros counts too: it stands
/// for an object in a bucket (`lob-cluster`), and nothing is lost with it.
pub(super) fn has_content(
    fs: &dyn FileSystem,
    path: &Path,
    output: &OutputSummary,
) -> io::Result<bool> {
    let mut file = fs.open(path, OpenMode::Read)?;
    let mut hash = Sha256::new();
    let mut buf = vec![0; READ_BYTES];
    let mut is_empty = true;
    loop {
        match file.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => {
                is_empty = is_empty && buf[..n].iter().all(|&byte| byte == 0);
                hash.update(&buf[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(is_empty || hash == output.sha256)
}

/// The folder for unfinished files of this process.
pub(super) fn temp_folder(root: &Path, writer: Option<&str>) -> PathBuf {
    let writer = writer.map(|name| format!("{name}.")).unwrap_or_default();
    root.join(format!("{TEMP_PREFIX}{writer}{}", std::process::id()))
}

/// Whether a name is that of such a folder, of the writer given or, for a run alone, of any.
fn is_temp_folder(name: &OsStr, writer: Option<&str>) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(TEMP_PREFIX)) else {
        return false;
    };
    // A writer's name may have dots; the number of the process has none.
    let (found, process) = match rest.rsplit_once('.') {
        Some((name, process)) => (Some(name), process),
        None => (None, rest),
    };
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (writer.is_none() || found == writer)
}

/// Removes the unfinished files of killed runs; the lock proves that nobody uses them. Says what
/// stays, as it is not ours.
///
/// # Errors
/// The folder cannot be listed, or one of ours not be removed.
pub(super) fn clear_left_over(
    fs: &dyn FileSystem,
    root: &Path,
    writer: Option<&str>,
) -> Result<Vec<String>, ConvertError> {
    let names = fs.list(root).map_err(ConvertError::io(root, "list"))?;
    let mut foreign = Vec::new();
    for name in names.into_iter().filter(|name| is_temp_folder(name, writer)) {
        let path = root.join(name);
        let mut left = Vec::new();
        clear_temp(fs, &path, &mut left);
        for (path, error) in left {
            let Some(reason) = error else {
                foreign.push(format!("`{}` is not a file of loblab and stays", path.display()));
                continue;
            };
            return Err(ConvertError::io(&path, "remove")(reason));
        }
    }
    Ok(foreign)
}

/// What stays of a folder for unfinished files, and why; no reason for what is not ours.
pub(super) type Left = Vec<(PathBuf, Option<io::Error>)>;

/// Removes a folder for unfinished files, as far as its content is ours, with one handle at most.
pub(super) fn clear_temp(fs: &dyn FileSystem, temp: &Path, left: &mut Left) {
    clear(fs, temp, 0, left);
}

/// Removes what [`clear_temp`] has left, of one input.
pub(super) fn clear_input(fs: &dyn FileSystem, folder: &Path, left: &mut Left) {
    clear(fs, folder, 1, left);
}

/// Depths are those of `TEMP/INPUT/day=.../instrument_id=.../FILE`.
fn clear(fs: &dyn FileSystem, path: &Path, depth: usize, left: &mut Left) {
    let mut fail = |error: io::Error| {
        if error.kind() != io::ErrorKind::NotFound {
            left.push((path.to_owned(), Some(error)));
        }
    };
    let kind = match fs.look(path) {
        Ok(Some(found)) => found.kind,
        Ok(None) => return,
        Err(error) => return fail(error),
    };
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_ours = match (kind, depth) {
        (EntryKind::Folder, 0) => true,
        (EntryKind::Folder, 1) => name.bytes().all(|byte| byte.is_ascii_digit()),
        (EntryKind::Folder, 2) => name.starts_with("day="),
        (EntryKind::Folder, 3) => name.starts_with("instrument_id="),
        (EntryKind::File, 2) => name == "spool",
        (EntryKind::File, 4) => name.ends_with(".parquet") || name.ends_with(TEMP_SUFFIX),
        _ => false,
    };
    if !is_ours {
        return left.push((path.to_owned(), None));
    }
    if kind == EntryKind::File {
        return fs.remove_file(path).unwrap_or_else(fail);
    }
    let names = match fs.list(path) {
        Ok(names) => names,
        Err(error) => return fail(error),
    };
    let before = left.len();
    for name in names {
        clear(fs, &path.join(name), depth + 1, left);
    }
    if left.len() == before
        && let Err(error) = fs.remove_folder(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        left.push((path.to_owned(), Some(error)));
    }
}
