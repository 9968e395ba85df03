//! Which files to convert, and which of them go to one task.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    bucket::{Bucket, Patience},
    place::Place,
};

/// A file to convert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Absolute path or URL, as text: it travels to other machines.
    pub(crate) path: String,
    pub(crate) bytes: u64,
}

/// The DBN files and objects among `inputs` and below their folders and prefixes, each once, in
/// order of their paths and URLs.
///
/// # Errors
/// Nothing was found, a place cannot be read, or a path is not Unicode.
pub(crate) async fn find(inputs: &[Place]) -> Result<Vec<Input>> {
    let mut found = Vec::new();
    for input in inputs {
        let before = found.len();
        match input {
            Place::Path(path) => found.extend(find_files(path)?),
            Place::Object(at) => {
                found.extend(find_objects(&Bucket::open(at, Patience::Short)?).await?)
            }
        }
        if found.len() == before {
            bail!("`{input}` holds no `.dbn` or `.dbn.zst` file");
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

fn find_files(path: &Path) -> Result<Vec<Input>> {
    let context = || format!("input `{}`", path.display());
    let absolute = path.canonicalize().with_context(context)?;
    let mut paths = Vec::new();
    if absolute.is_dir() {
        walk(&absolute, &mut paths)?
    } else {
        paths.push(absolute)
    }
    let describe = |path: PathBuf| {
        let bytes = path.metadata().with_context(|| format!("input `{}`", path.display()))?.len();
        let Some(text) = path.to_str() else {
            bail!("`{}` is no Unicode path\nhint: rename it", path.display());
        };
        Ok(Input { path: text.to_owned(), bytes })
    };
    paths.into_iter().map(describe).collect()
}

/// The object at a URL, or those below it.
async fn find_objects(bucket: &Bucket) -> Result<Vec<Input>> {
    // A listing fails in a missing bucket, where a question for one object is only answered "no".
    let below = bucket.list("").await?;
    if below.is_empty() && !bucket.is_whole() {
        let alone = bucket.head("").await?;
        return Ok(alone
            .map(|meta| Input { path: bucket.url(""), bytes: meta.size })
            .into_iter()
            .collect());
    }
    let is_input = |name: &String| {
        (name.ends_with(".dbn") || name.ends_with(".dbn.zst"))
            && !name.split('/').any(|part| part.starts_with('.'))
    };
    let names = below.into_iter().filter(|(name, _)| is_input(name));
    Ok(names.map(|(name, meta)| Input { path: bucket.url(&name), bytes: meta.size }).collect())
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

    #[tokio::test]
    async fn folders_are_searched_and_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let place = |path: PathBuf| Place::Path(path);
        std::fs::create_dir(at("b")).unwrap();
        for name in ["a.dbn", "b/c.dbn.zst", "b/notes.txt", ".hidden.dbn"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let found = find(&[place(folder.path().to_owned()), place(at("a.dbn"))]).await.unwrap();
        let names: Vec<_> = found.iter().map(|i| i.path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.dbn", "c.dbn.zst"]);
        assert!(find(&[place(at("missing.dbn"))]).await.is_err());
        std::fs::remove_file(at("b/c.dbn.zst")).unwrap();
        let error = find(&[place(at("b"))]).await.unwrap_err();
        assert!(error.to_string().contains("holds no"));
    }

    #[tokio::test]
    async fn prefixes_are_searched_by_whole_parts() {
        let store = std::sync::Arc::new(object_store::memory::InMemory::new());
        let bucket = |url: &str| {
            let Place::Object(at) = url.parse().unwrap() else { panic!() };
            Bucket::over(store.clone(), &at)
        };
        let root = bucket("s3://b");
        for (name, text) in [
            ("in/b.dbn.zst", "22"),
            ("in/a.dbn", "1"),
            ("in/day=2024-01-02/c d.dbn", "333"),
            ("in/notes.txt", "x"),
            ("in/.trash/e.dbn", "x"),
            ("in-other/f.dbn", "x"),
        ] {
            root.write(name, text.to_owned()).await.unwrap();
        }
        let of = async |url: &str| {
            let found = find_objects(&bucket(url)).await.unwrap();
            found.into_iter().map(|i| (i.path, i.bytes)).collect::<Vec<_>>()
        };
        let expected = [
            ("s3://b/in/a.dbn".to_owned(), 1),
            ("s3://b/in/b.dbn.zst".to_owned(), 2),
            ("s3://b/in/day=2024-01-02/c d.dbn".to_owned(), 3),
        ];
        assert_eq!(of("s3://b/in").await, expected);
        assert_eq!(of("s3://b/in/").await, expected);
        assert_eq!(of("s3://b").await.len(), 4);
        assert_eq!(of("s3://b/in/a.dbn").await, expected[..1]);
        assert!(of("s3://b/none").await.is_empty());
    }
}
