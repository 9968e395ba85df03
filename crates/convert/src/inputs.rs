//! Which files to convert: files, folders and patterns, and what batch folders say about them.

mod batch;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::batch::Batch;
pub(crate) use self::batch::{SYMBOLOGY, folder_symbols};
use crate::{ConvertConfig, ConvertError, InputHash, Shard, symbols::SymbolMap};

/// Folders below a given one that are searched.
const DEPTH_MAX: usize = 8;

/// A file to convert, and what its batch folder promises about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// From `manifest.json`: lower-case hex.
    pub(crate) expected_sha256: Option<String>,
    /// From `symbology.json`.
    pub(crate) symbols: Option<Arc<SymbolMap>>,
    /// What source it is a delivery of, by its header; see [`source_of`](crate::summary::source_of).
    pub(crate) source: Option<String>,
    /// Whether another input of the run looks like a delivery of the same source.
    pub(crate) is_one_of_several: bool,
}

impl Input {
    /// What its content is known by: what a manifest lists must be computed.
    pub(crate) fn hash(&self, config: &ConvertConfig) -> InputHash {
        match self.expected_sha256 {
            Some(_) => InputHash::Sha256,
            None => config.input_hash,
        }
    }
}

/// What [`find_inputs`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    pub(crate) inputs: Vec<Input>,
    /// Files of definition records among them, told by their names.
    pub(crate) definitions: Vec<PathBuf>,
    /// Days that a vendor's `condition.json` marks.
    pub(crate) warnings: Vec<String>,
}

/// The files of all `inputs`, each once, folders and patterns in path order, and what the files of
/// batch folders say about them.
///
/// # Errors
/// Nothing was found, or a file differs in size from its manifest.
pub(crate) fn find_inputs(
    inputs: &[PathBuf],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Found, ConvertError> {
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
    // Links may lead to a file twice, or around in a circle; its records count once.
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    let (definitions, paths): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| is_definitions(path));
    if paths.is_empty() {
        let found = match definitions.len() {
            0 => "an empty list".to_owned(),
            n => format!("{n} files of definitions, but no records of a market"),
        };
        return Err(ConvertError::NoInput { found });
    }
    Ok(Found { definitions, ..describe(paths, is_cancelled)? })
}

/// Whether a file holds definition records, by its name: `glbx-mdp3-20240401.definition.dbn.zst`.
fn is_definitions(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".definition.dbn") || name.ends_with(".definition.dbn.zst")
}

/// The files of one shard, in their order: the largest file first, each to the shard that has the
/// fewest bytes so far. Sizes and names decide alone, so all shards agree without talking.
pub(crate) fn share(inputs: Vec<Input>, shard: Shard) -> Vec<Input> {
    let places = inputs.iter().enumerate();
    let mut by_size: Vec<_> =
        places.map(|(place, input)| (std::cmp::Reverse(input.bytes), &input.path, place)).collect();
    by_size.sort_unstable();
    let mut loads = std::collections::BinaryHeap::new();
    loads.extend((0..shard.count).map(|index| std::cmp::Reverse((0_u64, index))));
    let mut ours = vec![false; inputs.len()];
    for (std::cmp::Reverse(bytes), _, place) in by_size {
        let Some(std::cmp::Reverse((load, index))) = loads.pop() else { break };
        ours[place] = index == shard.index;
        // An empty file costs a task too.
        loads.push(std::cmp::Reverse((load.saturating_add(bytes.max(1)), index)));
    }
    inputs.into_iter().zip(ours).filter_map(|(input, ours)| ours.then_some(input)).collect()
}

/// Adds sizes and what the files of batch folders say.
fn describe(paths: Vec<PathBuf>, is_cancelled: &dyn Fn() -> bool) -> Result<Found, ConvertError> {
    let mut folders: BTreeMap<PathBuf, Batch> = BTreeMap::new();
    let mut found = Found::default();
    for path in paths {
        let bytes = fs::metadata(&path).map_err(ConvertError::io(&path, "open"))?.len();
        let folder = path.parent().unwrap_or(Path::new(""));
        if !folders.contains_key(folder) {
            let (batch, warnings) = Batch::read(folder, is_cancelled)?;
            folders.insert(folder.to_owned(), batch);
            found.warnings.extend(warnings);
        }
        let batch = &folders[folder];
        let expected_sha256 = batch.expected_sha256(&path, bytes)?;
        found.inputs.push(Input {
            path,
            bytes,
            expected_sha256,
            symbols: batch.symbols.clone(),
            source: None,
            is_one_of_several: false,
        });
    }
    Ok(found)
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
            find_inputs(&inputs, &|| false).map(|mut found| {
                found.inputs = match shard {
                    Some(shard) => share(found.inputs, shard),
                    None => found.inputs,
                };
                let name = |input: &Input| {
                    input.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
                };
                found.inputs.iter().map(name).collect::<Vec<_>>()
            })
        };
        let all = ["1.dbn.zst", "2.dbn", "b/3.dbn", "b/c/4.dbn"];
        assert_eq!(names(&[""], None).unwrap(), all);
        assert_eq!(names(&["2.dbn", ""], None).unwrap(), ["2.dbn", all[0], all[2], all[3]]);
        assert_eq!(names(&["*.dbn*"], None).unwrap(), all[..2]);
        assert_eq!(names(&["*/*.dbn"], None).unwrap(), ["b/3.dbn"]);
        for count in 1..6 {
            let shard = |index| names(&[""], Some(Shard { index, count })).unwrap();
            let mut shared: Vec<_> = (0..count).flat_map(shard).collect();
            shared.sort();
            assert_eq!(shared, all, "{count} shards: each file once");
        }
        assert!(matches!(names(&["*.csv"], None), Err(ConvertError::NoInput { .. })));
        assert!(matches!(names(&["absent.dbn"], None), Err(ConvertError::Io { .. })));
    }

    #[test]
    fn shards_are_even_in_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [900, 10, 20, 400, 500, 30, 40];
        for (i, bytes) in sizes.into_iter().enumerate() {
            fs::write(folder.path().join(format!("{i}.dbn")), vec![0; bytes]).unwrap();
        }
        let load = |index| {
            let found = find_inputs(&[folder.path().to_owned()], &|| false).unwrap();
            let ours = share(found.inputs, Shard { index, count: 2 });
            ours.iter().map(|input| input.bytes).sum::<u64>()
        };
        assert_eq!((load(0), load(1)), (950, 950));
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
        let find = || find_inputs(&[folder.path().to_owned()], &|| false);
        let Found { inputs, warnings, .. } = find().unwrap();
        assert_eq!(inputs[0].expected_sha256.as_deref(), Some("ab"));
        assert!(warnings.len() == 1 && warnings[0].contains("2024-01-02 as degraded"));
        write("a.dbn", "1234");
        assert!(matches!(find(), Err(ConvertError::Manifest { .. })));
        write("manifest.json", "{");
        assert!(matches!(find(), Err(ConvertError::Sidecar { .. })));
        write("manifest.json", "{}");
        assert!(find().unwrap().inputs[0].symbols.is_none());
        write(
            "symbology.json",
            r#"{"stype_in":"raw_symbol","stype_out":"instrument_id","result":
            {"ES":[{"d0":"2024-01-02","d1":"2024-01-03","s":"5"}]}}"#,
        );
        write("a.definition.dbn", "");
        let found = find().unwrap();
        assert_eq!(found.definitions, [folder.path().join("a.definition.dbn")]);
        assert_eq!(found.inputs.len(), 1);
        assert!(found.inputs[0].symbols.is_some());
        write("symbology.json", r#"{"result":[]}"#);
        assert!(matches!(find(), Err(ConvertError::Sidecar { .. })));
        let only = find_inputs(&[folder.path().join("a.definition.dbn")], &|| false).unwrap_err();
        assert!(only.to_string().contains("1 files of definitions"), "{only}");
    }
}
