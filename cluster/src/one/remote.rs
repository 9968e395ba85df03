//! One file where the input or the store lies in a bucket.
//!
//! `lob` reads and writes paths, so an input is fetched first, and the store is a folder of its own
//! that stands for the one in the bucket: it has the journal of the task, and for each file that
//! the journal names and the bucket holds whole, an empty file of that length. So `lob` itself
//! decides what is finished, what is refused and what is stale, as in a store on a disk.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    path::{Component, Path},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Local, failed, run_unlocked, worker};
use crate::{
    bucket::{Bucket, Patience},
    job::Job,
    place::Place,
    row::Row,
    scratch::Scratch,
    store::{JOURNAL_ALONE, JOURNALS},
};

/// Requests at the same time for objects of one file.
const REQUESTS: usize = 4;

/// Files up to here are uploaded several at a time.
const SMALL_BYTES: u64 = 8 << 20;

/// What is noted with a line of the journal about the object it came from. If all of it is the
/// same, the object need not be fetched again to see that it is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    e_tag: String,
    bytes: u64,
    flags: Vec<String>,
    lob: String,
}

impl Stamp {
    /// `None` if the same stamp does not mean the same result.
    fn new(meta: &ObjectMeta, job: &Job, lob: &str) -> Option<Self> {
        const READ_FILES: [&str; 5] =
            ["--config", "--label-edges", "--edges", "--definitions", "--truth"];
        let reads_a_file =
            |flag: &String| READ_FILES.contains(&flag.split('=').next().unwrap_or(flag));
        if job.flags.iter().any(reads_a_file) {
            return None;
        }
        let (flags, lob) = (job.flags.clone(), lob.to_owned());
        Some(Self { e_tag: meta.e_tag.clone()?, bytes: meta.size, flags, lob })
    }
}

/// The part of a journal's line that counts here.
#[derive(Debug, Deserialize)]
struct Line {
    outcome: Outcome,
    #[serde(default)]
    object: Option<Stamp>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    input: Input,
    outputs: Vec<Output>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Input {
    sha256: Option<String>,
    records: u64,
}

#[derive(Debug, Deserialize)]
struct Output {
    path: String,
    bytes: u64,
    rows: u64,
}

/// Converts one file; `path` is what `input` was read from.
pub(super) async fn attempt(
    path: &str,
    input: &Place,
    journal: &str,
    job: &Job,
    end: Instant,
) -> Result<Row> {
    let out = match &job.out {
        Place::Object(at) => Some(Bucket::open(at, Patience::Long)?),
        Place::Path(_) => None,
    };
    let mut source = None;
    if let Place::Object(at) = input {
        let bucket = Bucket::open(at, Patience::Long)?;
        let Some(meta) = bucket.head("").await? else {
            return Ok(failed("the object is not there any more; submit again".to_owned()));
        };
        source = Some((bucket, meta, at));
    }
    let lob = &worker()?.version;
    let stamp = source.as_ref().and_then(|(_, meta, _)| Stamp::new(meta, job, lob));
    if let (Some(out), Some(stamp)) = (&out, &stamp)
        && let Some(row) = finished(out, journal, stamp).await?
    {
        return Ok(row);
    }
    let scratch = Scratch::new()?;
    let mut downloaded_bytes = 0;
    if let Some((bucket, meta, at)) = &source {
        // Below `s3:`, so that in this folder the URL is a path: messages name it.
        let to = scratch.path().join("s3:").join(&at.bucket).join(at.key.as_ref());
        make_parent(&to)?;
        bucket.download("", meta, &to).await?;
        downloaded_bytes = meta.size;
    }
    let root = match &job.out {
        Place::Path(root) => root.clone(),
        Place::Object(_) => scratch.path().join("store"),
    };
    let held = match &out {
        Some(out) => shadow(out, journal, &root).await?,
        None => Vec::new(),
    };
    let folder = source.is_some().then(|| scratch.path());
    let local = Local { input: path, journal, out: &root, folder };
    let mut row = run_unlocked(&local, job, end).await?;
    row.downloaded_bytes = downloaded_bytes;
    if let Some(out) = &out {
        let (here, there) = (root.display().to_string(), out.url(""));
        for text in row.error.iter_mut().chain(&mut row.warnings) {
            *text = text.replace(&here, &there);
        }
        if row.error.is_none() {
            row.uploaded_bytes = publish(out, journal, &root, &row, stamp.as_ref()).await?;
            remove_stale(out, &root, &held).await?;
        }
    }
    Ok(row)
}

fn journal_key(journal: &str) -> String {
    format!("{JOURNALS}/{journal}.jsonl")
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("make `{}`", parent.display()))
}

/// The row of a file that the store holds whole, made of the same object in the same way.
async fn finished(out: &Bucket, journal: &str, stamp: &Stamp) -> Result<Option<Row>> {
    let Some(text) = out.read(&journal_key(journal)).await? else { return Ok(None) };
    let line = text.lines().last().and_then(|line| serde_json::from_str::<Line>(line).ok());
    let Some(Line { outcome, .. }) = line.filter(|line| line.object.as_ref() == Some(stamp)) else {
        return Ok(None);
    };
    if held(out, &outcome.outputs).await?.len() < outcome.outputs.len() {
        return Ok(None);
    }
    Ok(Some(Row {
        resumed: true,
        sha256: outcome.input.sha256,
        records: outcome.input.records,
        rows: outcome.outputs.iter().map(|output| output.rows).sum(),
        outputs: outcome.outputs.into_iter().map(|output| output.path).collect(),
        warnings: outcome.warnings,
        ..Row::default()
    }))
}

/// Those of the files that the bucket holds with the length noted.
async fn held<'a>(out: &Bucket, outputs: &'a [Output]) -> Result<Vec<&'a Output>> {
    // Text of a bucket becomes a path here.
    let is_plain = |part| matches!(part, Component::Normal(_));
    if let Some(output) = outputs.iter().find(|o| !Path::new(&o.path).components().all(is_plain)) {
        bail!("a journal in `{}` names `{}`, no path within a store", out.url(""), output.path);
    }
    let looks: Vec<BoxFuture<'_, Result<bool>>> = outputs
        .iter()
        .map(|output| {
            let held = async move {
                Ok(out.head(&output.path).await?.is_some_and(|meta| meta.size == output.bytes))
            };
            held.boxed()
        })
        .collect();
    let held: Vec<bool> = stream::iter(looks).buffered(REQUESTS).try_collect().await?;
    Ok(outputs.iter().zip(held).filter(|(_, held)| *held).map(|(output, _)| output).collect())
}

/// Makes a folder stand for the store; the files in it that stand for objects.
async fn shadow(out: &Bucket, journal: &str, root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for key in [JOURNAL_ALONE.to_owned(), journal_key(journal)] {
        let Some(text) = out.read(&key).await? else { continue };
        write(&root.join(&key), &text)?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let outputs: Vec<_> = lines.flat_map(|line| line.outcome.outputs).collect();
        for output in held(out, &outputs).await? {
            let path = root.join(&output.path);
            make_parent(&path)?;
            let file = File::create(&path).and_then(|file| file.set_len(output.bytes));
            file.with_context(|| format!("make `{}`", path.display()))?;
            names.push(output.path.clone());
        }
    }
    Ok(names)
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("write `{}`", path.display()))
}

/// Uploads what a conversion made: the data first and the journal last. Until the journal is there
/// the file counts as not converted, whatever of its data is.
async fn publish(
    out: &Bucket,
    journal: &str,
    root: &Path,
    row: &Row,
    stamp: Option<&Stamp>,
) -> Result<u64> {
    let mut bytes = 0;
    if !row.resumed {
        let is_large =
            |name: &&String| root.join(name).metadata().is_ok_and(|m| m.len() > SMALL_BYTES);
        // A large one has parts in flight by itself.
        let (large, small): (Vec<_>, Vec<_>) = row.outputs.iter().partition(is_large);
        for (names, requests) in [(small, REQUESTS), (large, 1)] {
            let mut uploads: Vec<BoxFuture<'_, Result<u64>>> = Vec::new();
            for name in names {
                uploads.push(async move { out.upload(name, &root.join(name)).await }.boxed());
            }
            let sent: Vec<u64> =
                stream::iter(uploads).buffer_unordered(requests).try_collect().await?;
            bytes += sent.iter().sum::<u64>();
        }
    }
    let path = root.join(journal_key(journal));
    if !path.exists() {
        // Finished by a run without a cluster, whose journal lies in the bucket.
        return Ok(bytes);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    let stamped = match stamp {
        Some(stamp) if is_last(&text, row) => stamped(&text, stamp)?,
        _ => text.clone(),
    };
    if !row.resumed || stamped != text {
        out.write(&journal_key(journal), stamped).await?;
    }
    Ok(bytes)
}

/// Whether the last line of a journal is that of the row.
fn is_last(text: &str, row: &Row) -> bool {
    let last = text.lines().last().and_then(|line| serde_json::from_str::<Line>(line).ok());
    let is_same = |line: Line| line.outcome.input.sha256 == row.sha256;
    !row.resumed || (row.sha256.is_some() && last.is_some_and(is_same))
}

/// The journal with a stamp in its last line.
fn stamped(text: &str, stamp: &Stamp) -> Result<String> {
    let text = text.trim_end();
    let at = text.rfind('\n').map_or(0, |at| at + 1);
    // Within a text the quotes would be escaped, so this is a key.
    let end = text[at..].rfind(",\"object\":").map_or(text.len() - 1, |object| at + object);
    Ok(format!("{},\"object\":{}}}\n", &text[..end], serde_json::to_string(stamp)?))
}

/// Removes the objects whose stand-ins `lob` removed: made of an earlier content of the input.
async fn remove_stale(out: &Bucket, root: &Path, shadow: &[String]) -> Result<()> {
    for name in shadow.iter().filter(|name| !root.join(name).exists()) {
        out.remove(name).await?;
    }
    Ok(())
}
