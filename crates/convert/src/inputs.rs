//! Which files to convert: files, folders and patterns, and what batch folders say about them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{ConvertError, Shard};

/// Folders below a given one that are searched.
const DEPTH_MAX: usize = 8;

/// A file to convert, and what its batch folder promises about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// From `manifest.json`: lower-case hex.
    pub(crate) expected_sha256: Option<String>,
}

/// The files of all `inputs`, each once, folders and patterns in path order; and warnings of
/// days that a vendor's `condition.json` marks.
///
/// # Errors
/// Nothing was found, or a file differs in size from its manifest.
pub(crate) fn find_inputs(
    inputs: &[PathBuf],
    shard: Option<Shard>,
) -> Result<(Vec<Input>, Vec<String>), ConvertError> {
    let mut paths = Vec::new();
    for input in inputs {
        let before = paths.len();
        if input.is_dir() {
            collect_folder(input, 0, &mut paths)?;
        } else if input.exists() || !is_pattern(input) {
            paths.push(input.clone());
        } else {
            expand(input, &mut paths)?;
        }
        if paths.len() == before {
            let found = format!("`{}` holds no `.dbn` or `.dbn.zst` file", input.display());
            return Err(ConvertError::NoInput { found });
        }
        paths[before..].sort();
    }
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    if paths.is_empty() {
        return Err(ConvertError::NoInput { found: "an empty list".to_owned() });
    }
    if let Some(Shard { index, count }) = shard {
        let all = paths.len();
        paths = paths.into_iter().skip(index).step_by(count).collect();
        if paths.is_empty() {
            let found = format!("shard {index}/{count} of {all} files is empty");
            return Err(ConvertError::NoInput { found });
        }
    }
    describe(paths)
}

/// Adds sizes and what manifests say.
fn describe(paths: Vec<PathBuf>) -> Result<(Vec<Input>, Vec<String>), ConvertError> {
    let mut folders: BTreeMap<PathBuf, Manifest> = BTreeMap::new();
    let mut warnings = Vec::new();
    let mut inputs = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = fs::metadata(&path).map_err(ConvertError::io(&path, "open"))?.len();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        if !folders.contains_key(&folder) {
            warnings.extend(read_condition(&folder)?);
            folders.insert(folder.clone(), read_manifest(&folder)?);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let listed = folders[&folder].files.iter().find(|file| file.filename == name);
        if let Some(file) = listed
            && file.size != bytes
        {
            return Err(ConvertError::Manifest {
                path,
                found: format!("{bytes} bytes"),
                expected: format!("{} bytes", file.size),
            });
        }
        let expected_sha256 =
            listed.and_then(|file| file.hash.strip_prefix("sha256:")).map(str::to_ascii_lowercase);
        inputs.push(Input { path, bytes, expected_sha256 });
    }
    Ok((inputs, warnings))
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

fn read_manifest(folder: &Path) -> Result<Manifest, ConvertError> {
    read_sidecar(&folder.join("manifest.json"))
}

fn read_condition(folder: &Path) -> Result<Vec<String>, ConvertError> {
    let path = folder.join("condition.json");
    let days: Vec<Condition> = read_sidecar(&path)?;
    Ok(days
        .iter()
        .filter(|day| day.condition != "available")
        .map(|day| format!("`{}` marks {} as {}", path.display(), day.date, day.condition))
        .collect())
}

fn is_dbn(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && (name.ends_with(".dbn") || name.ends_with(".dbn.zst"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = read().map_err(ConvertError::io(folder, "list"))?;
    paths.sort();
    Ok(paths)
}

fn collect_folder(
    folder: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
) -> Result<(), ConvertError> {
    for path in entries(folder)? {
        if path.is_dir() && depth < DEPTH_MAX {
            collect_folder(&path, depth + 1, paths)?;
        } else if is_dbn(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// Files that match a pattern with `*` and `?` in any of its components.
fn expand(pattern: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ConvertError> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(component));
            found.retain(|path| path.exists());
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            if !listed.is_dir() {
                continue;
            }
            for path in entries(listed)? {
                let name = path.file_name().unwrap_or_default();
                if matches(&text, &name.to_string_lossy()) {
                    next.push(folder.join(name));
                }
            }
        }
        found = next;
    }
    for path in found {
        if path.is_dir() {
            collect_folder(&path, 0, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether a name matches a pattern of `*` (anything) and `?` (one character). A dot at the start
/// must be spelled out, as in a shell.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last `*` must take one character more.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    retry = Some((after_star, taken + 1));
                    (p, n) = (after_star, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*.dbn", "a.dbn", true),
            ("*.dbn", "a.dbn.zst", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("2024-0?-*", "2024-01-02", true),
            ("?", "", false),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn folders_patterns_and_shards() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        for name in ["2.dbn", "1.dbn.zst", "b/3.dbn", "b/c/4.dbn", "b/notes.txt", ".hidden.dbn"] {
            fs::write(root.join(name), name).unwrap();
        }
        let names = |inputs: &[&str], shard| {
            let inputs: Vec<_> = inputs.iter().map(|name| root.join(name)).collect();
            find_inputs(&inputs, shard).map(|(found, _)| {
                let name = |input: &Input| {
                    input.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
                };
                found.iter().map(name).collect::<Vec<_>>()
            })
        };
        let all = ["1.dbn.zst", "2.dbn", "b/3.dbn", "b/c/4.dbn"];
        assert_eq!(names(&[""], None).unwrap(), all);
        assert_eq!(names(&["2.dbn", ""], None).unwrap(), ["2.dbn", all[0], all[2], all[3]]);
        assert_eq!(names(&["*.dbn*"], None).unwrap(), all[..2]);
        assert_eq!(names(&["*/*.dbn"], None).unwrap(), ["b/3.dbn"]);
        let shard = |index| Some(Shard { index, count: 3 });
        assert_eq!(names(&[""], shard(0)).unwrap(), [all[0], all[3]]);
        assert_eq!(names(&[""], shard(2)).unwrap(), [all[2]]);
        assert!(matches!(names(&["*.csv"], None), Err(ConvertError::NoInput { .. })));
        assert!(matches!(names(&["absent.dbn"], None), Err(ConvertError::Io { .. })));
    }

    #[test]
    fn batch_folders() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.dbn", "12345");
        write(
            "condition.json",
            r#"[{"date":"2024-01-02","condition":"degraded"},{"date":"2024-01-03","condition":"available"}]"#,
        );
        write("manifest.json", r#"{"files":[{"filename":"a.dbn","size":5,"hash":"sha256:AB"}]}"#);
        let find = || find_inputs(&[folder.path().to_owned()], None);
        let (inputs, warnings) = find().unwrap();
        assert_eq!(inputs[0].expected_sha256.as_deref(), Some("ab"));
        assert!(warnings.len() == 1 && warnings[0].contains("2024-01-02 as degraded"));
        write("a.dbn", "1234");
        assert!(matches!(find(), Err(ConvertError::Manifest { .. })));
        write("manifest.json", "{");
        assert!(matches!(find(), Err(ConvertError::Sidecar { .. })));
    }
}
