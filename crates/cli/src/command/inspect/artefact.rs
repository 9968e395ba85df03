//! A look at what training leaves: models, checkpoints, run folders, embeddings.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Result;
use lob_contrastive::{CheckpointFacts, InputSpec, ModelFile, Training, utc};
use lob_runs::{TrainingRun, is_training_run, read_training_run};
use lob_store::{TableFacts, read_table_facts};
use serde_json::{Value, json};

use super::{fact, text};
use crate::command::train::head_words;
use crate::output::print_json;

/// What a path turned out to be.
enum Artefact {
    Model(Box<(ModelFile, u32)>),
    Checkpoint(Box<CheckpointFacts>),
    Run(Box<TrainingRun>, Option<Box<(ModelFile, u32)>>),
    Embeddings(TableFacts),
}

/// Key of the table's version in the footer of embeddings.
const EMBEDDINGS: &str = "loblab:embeddings";

/// Shows the path if it is something that training left; whether it was.
pub(super) fn show(path: &Path, as_json: bool) -> Result<bool> {
    let Some(found) = look(path)? else { return Ok(false) };
    if as_json {
        print_json(&document(path, &found))?;
    } else {
        print(path, &found)?;
    }
    Ok(true)
}

fn look(path: &Path) -> Result<Option<Artefact>> {
    let load = |path: &Path| -> Result<Box<(ModelFile, u32)>> {
        Ok(Box::new(ModelFile::load_with_version(path)?))
    };
    if path.is_dir() {
        let model = path.join(ModelFile::FILE_NAME);
        let model = if model.is_file() { Some(load(&model)?) } else { None };
        return Ok(match (is_training_run(path), model) {
            (true, model) => Some(Artefact::Run(Box::new(read_training_run(path)?), model)),
            (false, Some(model)) => Some(Artefact::Model(model)),
            (false, None) => None,
        });
    }
    let mut begin = [0; 9];
    let n = File::open(path).and_then(|mut file| file.read(&mut begin)).unwrap_or(0);
    if n >= 4 && begin.starts_with(b"PAR1") {
        // A store file is told by its own reader, and so is what is damaged.
        let facts = read_table_facts(path).ok();
        // Version 1 said which model it is of, and no version.
        let is_ours = |facts: &TableFacts| {
            [EMBEDDINGS, "loblab:model"].iter().any(|key| facts.described.contains_key(*key))
        };
        return Ok(facts.filter(is_ours).map(Artefact::Embeddings));
    }
    if path.extension().is_some_and(|e| e == "safetensors") || is_safetensors(&begin[..n], path) {
        // The metadata come first in a header, and its keys in their order.
        let mut head = Vec::new();
        File::open(path)?.take(1 << 12).read_to_end(&mut head)?;
        let key = b"\"loblab.checkpoint\"";
        let is_checkpoint = head.windows(key.len()).any(|part| part == key);
        return Ok(Some(match is_checkpoint {
            true => Artefact::Checkpoint(Box::new(CheckpointFacts::read(path)?)),
            false => Artefact::Model(load(path)?),
        }));
    }
    Ok(None)
}

/// The length of a header that fits the file, and the header's first character.
fn is_safetensors(begin: &[u8], path: &Path) -> bool {
    let Some((length, [b'{'])) = begin.split_first_chunk::<8>() else { return false };
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    u64::from_le_bytes(*length).checked_add(8).is_some_and(|end| end <= size)
}

fn document(path: &Path, found: &Artefact) -> Value {
    let model = |of: &(ModelFile, u32)| {
        let (file, version) = of;
        json!({
            "version": version,
            "encoder": file.model.encoder,
            "parameters": file.model.n_params(),
            "n_inputs": file.model.n_inputs,
            "embedding_dim": file.model.embedding_dim(),
            "input": file.input,
            "positives": file.positives,
            "scale": file.scale,
            "seed": file.seed,
            "steps": file.steps,
            "data": file.data,
            "training": file.training,
            "head": file.head.as_ref().map(|head| &head.facts),
        })
    };
    let mut document = match found {
        Artefact::Model(of) => json!({ "kind": "model", "model": model(of) }),
        Artefact::Checkpoint(of) => json!({ "kind": "checkpoint", "checkpoint": of }),
        Artefact::Run(run, of) => {
            json!({ "kind": "run", "run": run, "model": of.as_deref().map(model) })
        }
        Artefact::Embeddings(table) => json!({
            "kind": "embeddings",
            "rows": table.rows,
            "columns": table.columns,
            "described": table.described,
        }),
    };
    document["path"] = path.display().to_string().into();
    document
}

fn print(path: &Path, found: &Artefact) -> Result<()> {
    let path = path.display().to_string();
    match found {
        Artefact::Model(of) => {
            fact("model", &path)?;
            print_model(of)
        }
        Artefact::Checkpoint(of) => {
            fact("checkpoint", &path)?;
            fact("step", &format!("{} of {}", of.step, of.config.steps))?;
            fact("loss", &of.last_loss.map_or_else(unknown, |loss| format!("{loss:.3}")))?;
            if let Some((step, loss)) = of.best_validation {
                fact("best", &format!("validation {loss:.3} at step {step}"))?;
            }
            fact("data", &of.data.map_or_else(unknown, |data| data.to_string()))?;
            fact("inputs", &format!("{} values a window", of.n_inputs))?;
            fact("settings", &serde_json::to_string(&of.config)?)
        }
        Artefact::Run(run, model) => {
            fact("run", &path)?;
            fact("steps", &run.steps.to_string())?;
            fact("ended", run.ended.as_deref().unwrap_or("not: under way, or killed"))?;
            fact("losses", &losses(run.train_loss, run.validation_loss, run.best_validation))?;
            match model {
                Some(model) => print_model(model),
                None => fact("model", "none yet"),
            }
        }
        Artefact::Embeddings(table) => {
            fact("embeddings", &path)?;
            fact("rows", &table.rows.to_string())?;
            let is_value = |name: &&String| {
                name.strip_prefix('e').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            };
            let n_values = table.columns.iter().filter(is_value).count();
            let named: Vec<&str> =
                table.columns.iter().filter(|c| !is_value(c)).map(String::as_str).collect();
            fact("dimensions", &n_values.to_string())?;
            fact("columns", &named.join(", "))?;
            for (key, value) in table.described.iter().filter(|(key, _)| key.contains(':')) {
                fact(key.trim_start_matches("loblab:"), value)?;
            }
            Ok(())
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn print_model((file, version): &(ModelFile, u32)) -> Result<()> {
    let model = &file.model;
    fact("version", &format!("{version} of the format"))?;
    fact("encoder", &serde_json::to_string(&model.encoder)?)?;
    let sizes = format!(
        "{} of {} values in, {} out",
        model.n_params(),
        model.n_inputs,
        model.embedding_dim()
    );
    fact("parameters", &sizes)?;
    let input = match &file.input {
        InputSpec::Bins { window, stride } => format!("windows of {window} bins, each {stride}"),
        InputSpec::Images { window, stride, .. } => {
            format!("depth images of {window} bins, each {stride}")
        }
        InputSpec::Signals { window, stride, .. } => {
            format!("windows of {window} rows of generated signals, each {stride}")
        }
    };
    fact("input", &input)?;
    fact("data", &file.data.map_or_else(unknown, |data| data.to_string()))?;
    fact("seed", &file.seed.to_string())?;
    fact("steps", &file.steps.to_string())?;
    match &file.head {
        Some(head) => fact("head", &head_words(&head.facts))?,
        None => fact("head", "none")?,
    }
    match &file.training {
        Some(training) => print_training(training),
        None => fact("training", "unknown: files of versions 1 and 2 do not say"),
    }
}

fn print_training(training: &Training) -> Result<()> {
    fact("written by", &training.program)?;
    fact("channels", &training.inputs.join(", "))?;
    if let Some(range) = training.trained {
        fact("trained on", &range.to_string())?;
    }
    if let Some(cuts) = training.cuts {
        fact("validation", &format!("from {}", utc(cuts.validation_from)))?;
        fact("test", &format!("from {}", utc(cuts.test_from)))?;
        fact("embargo", &format!("{} bins after each cut", cuts.embargo))?;
    }
    if let Some(facts) = &training.facts {
        fact("symbols", &facts.symbols.join(", "))?;
        fact("days", &facts.days.join(", "))?;
        fact("bins", facts.bin_rule.as_deref().unwrap_or("of several rules"))?;
        for label in &facts.labels {
            fact("label", &text(label))?;
        }
    }
    let result = &training.result;
    fact("losses", &losses(result.train_loss, result.validation_loss, None))?;
    if let Some(step) = result.best_step {
        fact("weights", &format!("of step {step}, the best on validation"))?;
    }
    let rank = result.effective_rank.map_or_else(not_measured, |rank| format!("{rank:.1}"));
    fact("rank", &format!("{rank} of the embeddings, effective"))?;
    if let Some(why) = &result.collapse {
        fact("collapse", why)?;
    }
    fact("settings", &training.config.to_string())
}

fn not_measured() -> String {
    "not measured".to_owned()
}

fn losses(train: Option<f64>, validation: Option<f64>, best: Option<(u64, f64)>) -> String {
    let figure = |loss: Option<f64>| loss.map_or_else(not_measured, |loss| format!("{loss:.3}"));
    let best =
        best.map_or_else(String::new, |(step, loss)| format!(", best {loss:.3} at step {step}"));
    format!("training {}, validation {}{best}", figure(train), figure(validation))
}
