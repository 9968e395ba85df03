//! Which files to convert, and which of them go to one task.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A file to convert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Absolute path, as text: it travels to other machines.
    pub(crate) path: String,
    pub(crate) bytes: u64,
}

/// The DBN files among `inputs` and below its folders, each once, in path order.
///
/// # Errors
/// Nothing was found, a path cannot be read, or a path is not Unicode.
pub(crate) fn find(inputs: &[PathBuf]) -> Result<Vec<Input>> {
    let mut paths = Vec::new();
    for input in inputs {
        let absolute =
            input.canonicalize().with_context(|| format!("input `{}`", input.display()))?;
        let before = paths.len();
        if absolute.is_dir() {
            walk(&absolute, &mut paths)?
        } else {
            paths.push(absolute)
        }
        if paths.len() == before {
            bail!("`{}` holds no `.dbn` or `.dbn.zst` file", input.display());
        }
    }
    paths.sort();
    paths.dedup();
    let describe = |path: PathBuf| {
        let bytes = path.metadata().with_context(|| format!("input `{}`", path.display()))?.len();
        let Some(text) = path.to_str() else {
            bail!("`{}` is no Unicode path\nhint: rename it", path.display());
        };
        Ok(Input { path: text.to_owned(), bytes })
    };
    paths.into_iter().map(describe).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("list `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            walk(&path, paths)?;
        } else if name.ends_with(".dbn") || name.ends_with(".dbn.zst") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Groups of files for one task each: small files share one, because a task costs the engine about
/// 10 ms and a heartbeat's worth of state. Large ones come first, so that none is last alone.
pub(crate) fn groups(
    inputs: &[Input],
    bytes_per_task: u64,
    files_per_task: usize,
) -> Vec<Vec<String>> {
    let mut sorted: Vec<_> = inputs.iter().collect();
    sorted.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for input in sorted {
        let is_full = groups.last().is_none_or(|g| g.len() >= files_per_task);
        if is_full || input.bytes > room {
            groups.push(Vec::new());
            room = bytes_per_task;
        }
        if let Some(group) = groups.last_mut() {
            group.push(input.path.clone());
        }
        room = room.saturating_sub(input.bytes);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, bytes: u64) -> Input {
        Input { path: name.to_owned(), bytes }
    }

    #[test]
    fn groups_hold_each_file_once() {
        let inputs: Vec<_> = (0..100).map(|n| input(&format!("{n}"), n * n)).collect();
        for (bytes, files) in [(0, 1), (1, 5), (500, 3), (2_000, 50), (u64::MAX, 7)] {
            let groups = groups(&inputs, bytes, files);
            let mut all: Vec<_> = groups.concat();
            all.sort();
            let mut expected: Vec<_> = inputs.iter().map(|i| i.path.clone()).collect();
            expected.sort();
            assert_eq!(all, expected);
            assert!(groups.iter().all(|g| (1..=files).contains(&g.len())));
        }
    }

    #[test]
    fn large_files_go_alone_and_first() {
        let inputs = [input("a", 10), input("big", 5_000), input("b", 10), input("c", 10)];
        assert_eq!(groups(&inputs, 25, 9), [vec!["big"], vec!["a", "b"], vec!["c"]]);
    }

    #[test]
    fn folders_are_searched_and_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("b")).unwrap();
        for name in ["a.dbn", "b/c.dbn.zst", "b/notes.txt", ".hidden.dbn"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let found = find(&[folder.path().to_owned(), at("a.dbn")]).unwrap();
        let names: Vec<_> = found.iter().map(|i| i.path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.dbn", "c.dbn.zst"]);
        assert!(find(&[at("missing.dbn")]).is_err());
        std::fs::remove_file(at("b/c.dbn.zst")).unwrap();
        assert!(find(&[at("b")]).unwrap_err().to_string().contains("holds no"));
    }
}
