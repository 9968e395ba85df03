//! What a store holds: the files on a disk, or the objects in a bucket.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::{
    bucket::{Bucket, Patience},
    place::Place,
    store,
};

/// Journals read at the same time.
const READERS: usize = 16;

/// A store as it was found.
#[derive(Debug)]
pub(super) enum Contents {
    /// Below a folder: data files and their bytes.
    Files(PathBuf, BTreeMap<String, u64>),
    /// In a bucket: all objects by name.
    Objects(Bucket, BTreeMap<String, ObjectMeta>),
}

impl Contents {
    /// Lists a store.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) async fn of(place: &Place) -> Result<Self> {
        match place {
            Place::Path(root) => {
                let mut files = BTreeMap::new();
                data_files(root, root, &mut files)?;
                Ok(Self::Files(root.clone(), files))
            }
            Place::Object(at) => {
                let bucket = Bucket::open(at, Patience::Short)?;
                let objects = bucket.list("").await?;
                Ok(Self::Objects(bucket, objects))
            }
        }
    }

    /// What messages call a file.
    pub(super) fn shown(&self, name: &str) -> String {
        match self {
            Self::Files(root, _) => root.join(name).display().to_string(),
            Self::Objects(bucket, _) => bucket.url(name),
        }
    }

    /// The data files.
    pub(super) fn files(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Files(_, files) => Box::new(files.keys().map(String::as_str)),
            Self::Objects(_, objects) => {
                let names = objects.keys().map(String::as_str);
                Box::new(names.filter(|name| {
                    name.ends_with(".parquet") && !name.split('/').any(|p| p.starts_with('.'))
                }))
            }
        }
    }

    /// Bytes of a file; `None` if there is none.
    pub(super) fn bytes(&self, name: &str) -> Option<u64> {
        match self {
            Self::Files(_, files) => files.get(name).copied(),
            Self::Objects(_, objects) => objects.get(name).map(|meta| meta.size),
        }
    }

    /// Name and text of each journal.
    pub(super) fn journals(&self) -> BoxStream<'_, Result<(String, String)>> {
        match self {
            Self::Files(root, _) => {
                let read = |path: PathBuf| {
                    let shown = path.display().to_string();
                    let text = std::fs::read_to_string(&path);
                    let text = text.with_context(|| format!("read the journal `{shown}`"))?;
                    Ok((shown, text))
                };
                match store::journals(root) {
                    Ok(paths) => stream::iter(paths.into_iter().map(read)).boxed(),
                    Err(error) => stream::iter([Err(error)]).boxed(),
                }
            }
            Self::Objects(bucket, objects) => {
                let is_journal = |name: &&String| {
                    *name == store::JOURNAL_ALONE
                        || (name.starts_with(store::JOURNALS) && name.ends_with(".jsonl"))
                };
                let read = async |name: &String| {
                    let text = bucket.read(name).await?.unwrap_or_default();
                    Ok((bucket.url(name), text))
                };
                stream::iter(objects.keys().filter(is_journal)).map(read).buffered(READERS).boxed()
            }
        }
    }

    /// SHA-256 of a file, in hexadecimal digits.
    pub(super) async fn hash(&self, name: &str) -> Result<String> {
        match self {
            Self::Files(root, _) => hash(&root.join(name)),
            Self::Objects(bucket, objects) => {
                let meta = objects.get(name).with_context(|| format!("no object `{name}`"))?;
                bucket.hash(name, meta).await
            }
        }
    }

    /// What killed tasks left on a disk. In a bucket that is parts of uploads, which only a rule
    /// of the bucket sees and removes.
    pub(super) fn left_over(&self) -> Result<Vec<String>> {
        match self {
            Self::Files(root, _) => {
                let paths = store::left_over(root)?;
                Ok(paths.iter().map(|path| path.display().to_string()).collect())
            }
            Self::Objects(..) => Ok(Vec::new()),
        }
    }
}

fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("open `{}`", path.display()))?;
    let (mut hash, mut buf) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        let n = file.read(&mut buf).with_context(|| format!("read `{}`", path.display()))?;
        if n == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buf[..n]);
    }
}

/// Parquet files below a folder by their path from the root, hidden folders left out.
fn data_files(root: &Path, folder: &Path, found: &mut BTreeMap<String, u64>) -> Result<()> {
    let context = || format!("list `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            data_files(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let bytes = path.metadata().with_context(|| format!("look at `{}`", path.display()))?;
            found.insert(name, bytes.len());
        }
    }
    Ok(())
}
