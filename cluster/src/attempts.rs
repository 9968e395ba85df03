//! The log of attempts beside the data of a store. Each worker writes its own: lines that it
//! appends to a file, or in a bucket, where nothing can be appended to, short objects that it
//! writes anew until they are full.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde::{Deserialize, Serialize};

use crate::{
    bucket::{Bucket, Patience},
    place::Place,
};

/// Folder of the logs.
const FOLDER: &str = ".loblab-cluster";
/// Lines of an object. Each is written this often, so its size counts half squared.
const LINES_PER_OBJECT: usize = 64;
/// Logs read at the same time.
const READERS: usize = 16;

/// What happens to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// It begins.
    Start,
    /// The file is in the store.
    Done,
    /// It is not.
    Failed,
}

/// One line of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The input.
    pub(crate) path: String,
    /// What happened.
    pub(crate) event: Event,
    /// When, in seconds since 1970 by the worker's clock.
    pub(crate) at_s: f64,
}

/// Notes an event. The log is for progress bars and people: a conversion does not fail by it.
pub(crate) async fn note(out: &Place, worker: &str, path: &str, event: Event) {
    let attempt = Attempt { path: path.to_owned(), event, at_s: now_s() };
    let noted = match out {
        Place::Path(out) => append(out, worker, &attempt),
        Place::Object(at) => match Bucket::open(at, Patience::Short) {
            Ok(bucket) => {
                static OBJECTS: tokio::sync::Mutex<BTreeMap<String, Objects>> =
                    tokio::sync::Mutex::const_new(BTreeMap::new());
                // Held while it is written: of two writes at a time the older one could win.
                let mut objects = OBJECTS.lock().await;
                let own = objects.entry(format!("{at} {worker}")).or_default();
                own.append(&bucket, worker, &attempt).await
            }
            Err(error) => Err(error),
        },
    };
    if let Err(error) = noted {
        log::warn!("the log of attempts in `{out}`: {error:#}");
    }
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// A worker's name as a part of a file name.
fn plain(worker: &str) -> String {
    worker.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn append(out: &Path, worker: &str, attempt: &Attempt) -> Result<()> {
    let folder = out.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let name = format!("attempts-{}-{}.jsonl", plain(worker), std::process::id());
    let line = serde_json::to_string(attempt)? + "\n";
    let mut file = File::options().create(true).append(true).open(folder.join(name))?;
    // One write of one line: attempts of the same worker may end at the same time.
    Ok(file.write_all(line.as_bytes())?)
}

/// The object that a worker writes now.
#[derive(Debug, Default)]
struct Objects {
    name: String,
    text: String,
    lines: usize,
}

impl Objects {
    async fn append(&mut self, bucket: &Bucket, worker: &str, attempt: &Attempt) -> Result<()> {
        if self.lines.is_multiple_of(LINES_PER_OBJECT) {
            let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
            let id = std::process::id();
            self.name = format!("{FOLDER}/attempts-{}-{id}-{nanos}.jsonl", plain(worker));
            self.text.clear();
        }
        self.lines += 1;
        self.text += &serde_json::to_string(attempt)?;
        self.text.push('\n');
        bucket.write(&self.name, self.text.clone()).await
    }
}

/// The log of a store, read again and again.
#[derive(Debug)]
pub(crate) struct Log {
    out: Place,
    /// Objects read so far, by name, each with its ETag and size.
    known: BTreeMap<String, (Option<String>, u64, Vec<Attempt>)>,
}

impl Log {
    pub(crate) fn new(out: &Place) -> Self {
        Self { out: out.clone(), known: BTreeMap::new() }
    }

    /// Inputs that attempts have put into the store, and how often.
    ///
    /// # Errors
    /// A log cannot be read.
    pub(crate) async fn done(&mut self) -> Result<BTreeMap<String, u64>> {
        let attempts = match &self.out {
            Place::Path(out) => read_files(out)?,
            Place::Object(at) => {
                let bucket = Bucket::open(at, Patience::Short)?;
                self.read_objects(&bucket).await?
            }
        };
        let mut done = BTreeMap::new();
        for attempt in attempts {
            if attempt.event == Event::Done {
                *done.entry(attempt.path).or_default() += 1;
            }
        }
        Ok(done)
    }

    /// Only what has changed since the last time is fetched.
    async fn read_objects(&mut self, bucket: &Bucket) -> Result<Vec<Attempt>> {
        let listed = bucket.list(FOLDER).await?;
        let is_new = |name: &String, meta: &object_store::ObjectMeta| {
            let known = self.known.get(name);
            known.is_none_or(|(e_tag, size, _)| *e_tag != meta.e_tag || *size != meta.size)
        };
        let new: Vec<_> = listed.into_iter().filter(|(name, meta)| is_new(name, meta)).collect();
        let read = |(name, meta): (String, object_store::ObjectMeta)| {
            let read = async move {
                let text = bucket.read(&name).await?.unwrap_or_default();
                Ok((name, (meta.e_tag, meta.size, parse(&text))))
            };
            read.boxed()
        };
        let reads: Vec<BoxFuture<'_, Result<_>>> = new.into_iter().map(read).collect();
        let read: Vec<_> = stream::iter(reads).buffered(READERS).try_collect().await?;
        self.known.extend(read);
        Ok(self.known.values().flat_map(|(_, _, attempts)| attempts).cloned().collect())
    }
}

/// Half-written last lines of killed workers are passed over.
fn parse(text: &str) -> Vec<Attempt> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn read_files(out: &Path) -> Result<Vec<Attempt>> {
    let mut found = Vec::new();
    let folder = out.join(FOLDER);
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))? {
        found.extend(parse(&fs::read_to_string(entry?.path())?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn attempts_are_counted_once_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let out = Place::Path(folder.path().to_owned());
        for (worker, path, event) in [
            ("a:1", "/x.dbn", Event::Start),
            ("a:1", "/x.dbn", Event::Failed),
            ("b/../2", "/x.dbn", Event::Done),
            ("b/../2", "/x.dbn", Event::Done),
            ("b/../2", "/y\n.dbn", Event::Start),
        ] {
            note(&out, worker, path, event).await;
        }
        assert_eq!(read_files(folder.path()).unwrap().len(), 5);
        let done = Log::new(&out).done().await.unwrap();
        assert_eq!(done, BTreeMap::from([("/x.dbn".to_owned(), 2)]));
    }

    #[tokio::test]
    async fn in_a_bucket_full_objects_are_left_alone() {
        let place: Place = "s3://b/store".parse().unwrap();
        let Place::Object(at) = &place else { panic!() };
        let bucket = Bucket::over(Arc::new(object_store::memory::InMemory::new()), at);
        let (mut own, mut log) = (Objects::default(), Log::new(&place));
        let lines = 2 * LINES_PER_OBJECT + 3;
        for n in 0..lines {
            let attempt = Attempt { path: format!("s3://b/{n}"), event: Event::Done, at_s: 1.0 };
            own.append(&bucket, "a:1", &attempt).await.unwrap();
            if n == 1 {
                assert_eq!(log.read_objects(&bucket).await.unwrap().len(), 2);
            }
        }
        assert_eq!(bucket.list(FOLDER).await.unwrap().len(), 3);
        let found = log.read_objects(&bucket).await.unwrap();
        assert_eq!(found.len(), lines);
        let distinct: std::collections::BTreeSet<_> = found.iter().map(|a| &a.path).collect();
        assert_eq!(distinct.len(), lines);
    }
}
