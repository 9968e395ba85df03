//! Folders of training runs: what `lob train --checkpoint DIR` leaves, read back and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::RunsError;

/// The document of a finished or interrupted run in its folder: what `lob train --json` prints.
pub const TRAINING_FILE: &str = "training.json";
/// The settings of a run in its folder, as `lob train --config` reads them.
pub const SETTINGS_FILE: &str = "settings.toml";
/// One line of JSON for each step.
const LOG_FILE: &str = "metrics.jsonl";
/// Version of [`TRAINING_FILE`] that this build writes and reads.
pub const TRAINING_VERSION: u64 = 1;
/// Deepest folder that is looked into for runs.
const MAX_DEPTH: u32 = 4;

/// A training run, as its folder tells it. `None` stands for what was not measured, or not yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingRun {
    /// Its folder.
    pub folder: PathBuf,
    /// The network in words: trunk, widths of hidden layers, width of the embedding.
    pub encoder: Option<String>,
    /// The loss that is minimised.
    pub loss: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// Steps taken.
    pub steps: u64,
    /// Why it ended; `None` for a run under way, or one that was killed.
    pub ended: Option<String>,
    /// Fingerprint of the store.
    pub data: Option<String>,
    /// Mean training loss of the last tenth of the steps.
    pub train_loss: Option<f64>,
    /// Validation loss at the end.
    pub validation_loss: Option<f64>,
    /// Step and loss of the best evaluation.
    pub best_validation: Option<(u64, f64)>,
    /// Effective number of dimensions of the embeddings.
    pub effective_rank: Option<f64>,
    /// Why it looks collapsed.
    pub collapse: Option<String>,
    /// Seconds of the last process that worked on it.
    pub elapsed_s: Option<f64>,
    /// Settings of the training by name; those of the encoder as `encoder.NAME`.
    pub settings: BTreeMap<String, Value>,
}

/// Whether a folder is that of a training run.
#[must_use]
pub fn is_training_run(folder: &Path) -> bool {
    [TRAINING_FILE, LOG_FILE].iter().any(|name| folder.join(name).is_file())
}

/// The training runs in these folders: each is one, or has some below it, in the order of paths.
///
/// # Errors
/// A folder cannot be listed or has no run; or as [`read_training_run`].
pub fn find_training_runs(folders: &[PathBuf]) -> Result<Vec<TrainingRun>, RunsError> {
    let mut runs = Vec::new();
    for folder in folders {
        let mut found = Vec::new();
        walk(folder, MAX_DEPTH, &mut found)?;
        if found.is_empty() {
            return Err(RunsError::NoRun { path: folder.clone() });
        }
        found.sort();
        for path in found {
            runs.push(read_training_run(&path)?);
        }
    }
    Ok(runs)
}

fn walk(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), RunsError> {
    if is_training_run(folder) {
        found.push(folder.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(RunsError::io("read", folder))? {
        let path = entry.map_err(RunsError::io("read", folder))?.path();
        if depth > 0 && path.is_dir() {
            walk(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// Reads the folder of a training run: its document if it has one, else its log.
///
/// # Errors
/// A file cannot be read, or is not what a training writes.
pub fn read_training_run(folder: &Path) -> Result<TrainingRun, RunsError> {
    let path = folder.join(TRAINING_FILE);
    if !path.is_file() {
        return of_log(folder);
    }
    let bad = |reason: String| RunsError::NotATraining { path: path.clone(), reason };
    let text = fs::read_to_string(&path).map_err(RunsError::io("read", &path))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let version = &document["version"];
    if *version != TRAINING_VERSION {
        return Err(bad(format!(
            "it has version `{version}`, this build reads `{TRAINING_VERSION}`"
        )));
    }
    let steps = document["steps"].as_u64().ok_or_else(|| bad("it has no `steps`".to_owned()))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let metrics = &document["metrics"];
    let has_validation = document["evaluated_on"] == "validation";
    let config = &document["config"];
    let best = match folder.join(LOG_FILE).is_file() {
        true => of_log(folder)?.best_validation,
        false => None,
    };
    Ok(TrainingRun {
        folder: folder.to_owned(),
        encoder: encoder(&config["encoder"]),
        loss: text(&config["objective"]),
        seed: config["seed"].as_u64(),
        steps,
        ended: text(&document["ended"]),
        data: text(&document["data"]),
        train_loss: document["loss_last"].as_f64(),
        validation_loss: metrics["loss"].as_f64().filter(|_| has_validation),
        // The document has the evaluations of its own process, the log those of all.
        best_validation: best.filter(|_| has_validation),
        effective_rank: metrics["effective_rank"].as_f64(),
        collapse: text(&metrics["collapse"]),
        elapsed_s: document["elapsed_s"].as_f64(),
        settings: flat(config),
    })
}

/// A run without a document: under way, or killed.
fn of_log(folder: &Path) -> Result<TrainingRun, RunsError> {
    let path = folder.join(LOG_FILE);
    let text = fs::read_to_string(&path).map_err(RunsError::io("read", &path))?;
    let mut run = TrainingRun {
        folder: folder.to_owned(),
        encoder: None,
        loss: None,
        seed: None,
        steps: 0,
        ended: None,
        data: None,
        train_loss: None,
        validation_loss: None,
        best_validation: None,
        effective_rank: None,
        collapse: None,
        elapsed_s: None,
        settings: BTreeMap::new(),
    };
    let lines = text.lines().count();
    let mut losses = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Ok(step) = serde_json::from_str::<Value>(line) else {
            // A killed process may have left half a line at the end.
            if number == lines {
                break;
            }
            let reason = format!("line {number} is no JSON");
            return Err(RunsError::NotATraining { path, reason });
        };
        run.steps = step["step"].as_u64().unwrap_or(run.steps);
        losses.extend(step["loss"].as_f64());
        let metrics = &step["metrics"];
        if let Some(loss) = metrics["loss"].as_f64() {
            run.validation_loss = Some(loss);
            if run.best_validation.is_none_or(|(_, best)| loss < best) {
                run.best_validation = Some((run.steps, loss));
            }
        }
        run.effective_rank = metrics["effective_rank"].as_f64().or(run.effective_rank);
    }
    let last = &losses[losses.len() - losses.len().div_ceil(10)..];
    #[expect(clippy::cast_precision_loss, reason = "a count of steps")]
    if !last.is_empty() {
        run.train_loss = Some(last.iter().sum::<f64>() / last.len() as f64);
    }
    Ok(run)
}

/// The network in words.
fn encoder(config: &Value) -> Option<String> {
    let trunk = &config["trunk"];
    let name = trunk.as_str().or_else(|| trunk.as_object()?.keys().next().map(String::as_str));
    let hidden = config["hidden"].as_array().into_iter().flatten().map(Value::to_string);
    let widths: Vec<String> =
        hidden.chain([config["embedding_dim"].as_u64()?.to_string()]).collect();
    Some(format!("{} {}", name.unwrap_or("mlp"), widths.join("-")))
}

/// Settings by name, those of a group as `GROUP.NAME`.
fn flat(config: &Value) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    for (name, value) in config.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(group) => out.extend(
                group.iter().map(|(inner, value)| (format!("{name}.{inner}"), value.clone())),
            ),
            None => drop(out.insert(name.clone(), value.clone())),
        }
    }
    out
}

/// The settings in which runs differ, each with its value in every run; `null` where a run does not
/// say.
#[must_use]
pub fn differing_settings(runs: &[TrainingRun]) -> BTreeMap<String, Vec<Value>> {
    let known = runs.iter().filter(|run| !run.settings.is_empty());
    let names: BTreeSet<&String> = known.clone().flat_map(|run| run.settings.keys()).collect();
    let of = |run: &TrainingRun, name: &str| run.settings.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .filter(|name| {
            let values: Vec<Value> = known.clone().map(|run| of(run, name)).collect();
            values.windows(2).any(|pair| pair[0] != pair[1])
        })
        .map(|name| (name.clone(), runs.iter().map(|run| of(run, name)).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(folder: &Path, seed: u64, hidden: &[u64]) {
        fs::create_dir_all(folder).unwrap();
        let text = serde_json::json!({
            "version": 1, "steps": 30, "ended": "finished", "loss_last": 2.5, "data": "ab",
            "evaluated_on": "validation",
            "metrics": { "loss": 2.0, "effective_rank": 7.5, "collapse": null },
            "config": {
                "seed": seed, "objective": "symmetric",
                "encoder": { "trunk": "mlp", "hidden": hidden, "embedding_dim": 8 },
            },
        });
        fs::write(folder.join(TRAINING_FILE), text.to_string()).unwrap();
        let log = "{\"step\":10,\"loss\":3.0,\"metrics\":{\"loss\":1.5}}\n\
                   {\"step\":30,\"loss\":3.0,\"metrics\":{\"loss\":2.0}}\n";
        fs::write(folder.join(LOG_FILE), log).unwrap();
    }

    #[test]
    fn runs_are_found_below_a_folder_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        document(&folder.path().join("a"), 1, &[16]);
        document(&folder.path().join("deep/b"), 2, &[16]);
        let log = folder.path().join("c");
        fs::create_dir(&log).unwrap();
        let lines = "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":2.0,\
                     \"metrics\":{\"loss\":null,\"effective_rank\":3.0}}\n{\"st";
        fs::write(log.join(LOG_FILE), lines).unwrap();
        let runs = find_training_runs(&[folder.path().to_owned()]).unwrap();
        assert_eq!(runs.len(), 3);
        assert_eq!(runs[0].encoder.as_deref(), Some("mlp 16-8"));
        assert_eq!(runs[0].best_validation, Some((10, 1.5)));
        let killed = &runs[1];
        assert_eq!((killed.steps, killed.train_loss, &killed.ended), (2, Some(2.0), &None));
        // A loss that was not measured is no best one.
        assert_eq!((killed.validation_loss, killed.best_validation), (None, None));
        let differing = differing_settings(&runs);
        assert_eq!(differing.keys().collect::<Vec<_>>(), ["seed"]);
        assert_eq!(differing["seed"], [1.into(), Value::Null, 2.into()]);
    }

    #[test]
    fn what_is_no_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = |folder: &Path| {
            let found = find_training_runs(&[folder.to_owned()]);
            found.unwrap_err().to_string()
        };
        assert!(said(folder.path()).contains("no training run"));
        let path = folder.path().join(TRAINING_FILE);
        for (text, part) in [
            ("{", "EOF"),
            ("{}", "version `null`"),
            ("{\"version\": 2, \"steps\": 1}", "version `2`"),
            ("{\"version\": 1}", "no `steps`"),
        ] {
            fs::write(&path, text).unwrap();
            let said = said(folder.path());
            assert!(said.contains(part) && said.contains("training.json"), "{said}");
        }
        fs::remove_file(&path).unwrap();
        fs::write(folder.path().join(LOG_FILE), "{\"step\":1}\nx\n{\"step\":2}\n").unwrap();
        assert!(said(folder.path()).contains("line 2 is no JSON"));
    }
}
