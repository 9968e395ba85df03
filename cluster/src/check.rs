//! `lob-cluster check`.

mod contents;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use anyhow::Result;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::{
    inputs,
    job::journal_name,
    place::{self, Place},
};
use contents::Contents;

/// Check a store against its journals: whole files, nothing left over
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob-cluster check /data/store
  lob-cluster check /data/store --deep --inputs /data/dbn
  lob-cluster check s3://ticks/store --inputs s3://ticks/dbn

Exit code 2 if a file is missing, differs from its journal, stands in no journal, or is left over.")]
pub(crate) struct Args {
    /// Folder of the store, or `s3://bucket/prefix`
    #[arg(value_parser = place::parser())]
    store: Place,
    /// Files or folders that must have been converted, or `s3://bucket/prefix`
    #[arg(long, num_args = 1.., value_parser = place::parser())]
    inputs: Vec<Place>,
    /// Compare the SHA-256 of every file, not its size only
    #[arg(long)]
    deep: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What a check found.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// Journals read.
    journals: usize,
    /// Inputs they note as finished.
    inputs: usize,
    /// Files of the store they name.
    outputs: usize,
    /// What is wrong.
    problems: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    input: LineInput,
    outputs: Vec<LineOutput>,
}

#[derive(Deserialize)]
struct LineInput {
    path: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    replaces: Vec<String>,
}

impl LineInput {
    /// The file without its folder, which journals of version 1 hold.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.path)
    }
}

#[derive(Clone, Deserialize)]
struct LineOutput {
    path: String,
    bytes: u64,
    sha256: String,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let found = check(&args).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for problem in &found.problems {
            println!("{problem}");
        }
        eprintln!(
            "{} journals, {} inputs, {} files, {} problems",
            found.journals,
            found.inputs,
            found.outputs,
            found.problems.len()
        );
    }
    Ok(if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn check(args: &Args) -> Result<Found> {
    let mut found = Found::default();
    let contents = Contents::of(&args.store).await?;
    // Of an input that stands in several lines the last one counts: it was delivered again, and
    // what was made of it before is removed.
    let mut inputs = BTreeMap::new();
    let mut converted = BTreeSet::new();
    let mut journals = contents.journals();
    while let Some(journal) = journals.next().await {
        let (name, text) = journal?;
        found.journals += 1;
        let file = name.rsplit(['/', '\\']).next().unwrap_or(&name);
        let stem = file.strip_suffix(".jsonl").unwrap_or(file);
        for (n, line) in text.lines().enumerate() {
            let Ok(Line { outcome }) = serde_json::from_str(line) else {
                found.problems.push(format!("`{name}`: line {} is broken", n + 1));
                continue;
            };
            let Outcome { input, outputs } = outcome;
            // A task's journal is called after the path of its input, of which a line has the name.
            let is_task = stem.starts_with("task-");
            converted.insert(if is_task { stem } else { input.name() }.to_owned());
            for replaced in &input.replaces {
                inputs.remove(&(input.source().to_owned(), Some(replaced.clone())));
            }
            inputs.insert((input.source().to_owned(), input.fingerprint), outputs);
        }
    }
    drop(journals);
    let outputs = inputs.values().flatten();
    let outputs: BTreeMap<_, _> = outputs.map(|output| (&*output.path, output)).collect();
    (found.inputs, found.outputs) = (inputs.len(), outputs.len());
    for output in outputs.values() {
        found.problems.extend(check_output(&contents, output, args.deep).await?);
    }
    for name in contents.files().filter(|name| !outputs.contains_key(name)) {
        found.problems.push(format!("`{}` stands in no journal", contents.shown(name)));
    }
    if !args.inputs.is_empty() {
        for input in inputs::find(&args.inputs).await? {
            let name = input.path.rsplit('/').next().unwrap_or(&input.path);
            let is_known = |name: &str| converted.contains(name);
            if !is_known(&journal_name(&input.path)) && !is_known(name) {
                found.problems.push(format!("`{}` is not converted", input.path));
            }
        }
    }
    for name in contents.left_over()? {
        found.problems.push(format!("`{name}` is left over from a killed task"));
    }
    Ok(found)
}

async fn check_output(
    contents: &Contents,
    output: &LineOutput,
    deep: bool,
) -> Result<Option<String>> {
    let (shown, expected) = (contents.shown(&output.path), output.bytes);
    let Some(bytes) = contents.bytes(&output.path) else {
        return Ok(Some(format!("`{shown}` is missing")));
    };
    if bytes != expected {
        return Ok(Some(format!("`{shown}` has {bytes} bytes, expected {expected}")));
    }
    let differs = deep && contents.hash(&output.path).await? != output.sha256;
    Ok(differs.then(|| format!("`{shown}` differs from its journal (sha256)")))
}
