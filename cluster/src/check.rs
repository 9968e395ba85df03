//! `lob-cluster check`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{inputs, store};

/// Check a store against its journals: whole files, nothing left over
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob-cluster check /data/store
  lob-cluster check /data/store --deep --inputs /data/dbn

Exit code 2 if a file is missing, differs from its journal, stands in no journal, or is left over.")]
pub(crate) struct Args {
    /// Folder of the store
    store: PathBuf,
    /// Files or folders that must have been converted
    #[arg(long, num_args = 1..)]
    inputs: Vec<PathBuf>,
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
}

#[derive(Clone, Deserialize)]
struct LineOutput {
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let found = check(args)?;
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

fn check(args: &Args) -> Result<Found> {
    let mut found = Found::default();
    // Of an input or output that stands in several lines the last one counts.
    let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
    for path in store::journals(&args.store)? {
        found.journals += 1;
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("read the journal `{}`", path.display()))?;
        for (n, line) in text.lines().enumerate() {
            let Ok(Line { outcome }) = serde_json::from_str(line) else {
                found.problems.push(format!("`{}`: line {} is broken", path.display(), n + 1));
                continue;
            };
            inputs.insert(outcome.input.path, ());
            outputs.extend(outcome.outputs.into_iter().map(|output| (output.path.clone(), output)));
        }
    }
    (found.inputs, found.outputs) = (inputs.len(), outputs.len());
    for output in outputs.values() {
        found.problems.extend(check_output(&args.store, output, args.deep)?);
    }
    let mut files = Vec::new();
    data_files(&args.store, &mut files)?;
    for file in files {
        let relative = file.strip_prefix(&args.store).unwrap_or(&file);
        if !outputs.contains_key(relative) {
            found.problems.push(format!("`{}` stands in no journal", file.display()));
        }
    }
    if !args.inputs.is_empty() {
        for input in inputs::find(&args.inputs)? {
            if !inputs.contains_key(&input.path) {
                found.problems.push(format!("`{}` is not converted", input.path));
            }
        }
    }
    for path in store::left_over(&args.store)? {
        found.problems.push(format!("`{}` is left over from a killed task", path.display()));
    }
    Ok(found)
}

fn check_output(root: &Path, output: &LineOutput, deep: bool) -> Result<Option<String>> {
    let path = root.join(&output.path);
    let bytes = match path.metadata() {
        Ok(file) => file.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(format!("`{}` is missing", path.display())));
        }
        Err(error) => return Err(error).with_context(|| format!("look at `{}`", path.display())),
    };
    if bytes != output.bytes {
        let expected = output.bytes;
        return Ok(Some(format!("`{}` has {bytes} bytes, expected {expected}", path.display())));
    }
    let differs = deep && hash(&path)? != output.sha256;
    Ok(differs.then(|| format!("`{}` differs from its journal (sha256)", path.display())))
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

/// Parquet files below a folder, hidden folders left out.
fn data_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("list `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            data_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    Ok(())
}
