mod file;

use std::path::{Path, PathBuf};

use lob_store::StoreFingerprint;

use crate::precision::LossScale;
use crate::queue_state::QueueState;
use crate::run::CheckpointPlan;
use crate::safetensors_file;
use crate::{ContrastiveError, NamedTensor, Schedule, TrainConfig};

/// A run between two steps, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) config: TrainConfig,
    pub(crate) n_inputs: usize,
    /// The store trained on; `None` for generated signals and in files of before 0.2.
    pub(crate) data: Option<StoreFingerprint>,
    /// Loss of every step so far; their number is the step.
    pub(crate) losses: Vec<f32>,
    /// `weight.N`, `moment1.N`, `moment2.N`, and where they are used `average.N`, `best.N`.
    pub(crate) tensors: Vec<NamedTensor>,
    pub(crate) optimiser_steps: i32,
    pub(crate) loss_scale: Option<LossScale>,
    pub(crate) queue: QueueState,
    pub(crate) best: Option<BestState>,
    pub(crate) n_lone_anchors: usize,
}

/// What a checkpoint says of its run, for a look at it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CheckpointFacts {
    /// Steps taken.
    pub step: usize,
    /// Settings of the run.
    pub config: TrainConfig,
    /// Values of a window.
    pub n_inputs: usize,
    /// The store trained on.
    pub data: Option<StoreFingerprint>,
    /// Loss of the last step.
    pub last_loss: Option<f32>,
    /// Step and validation loss of the best evaluation, where early stopping keeps one.
    pub best_validation: Option<(usize, f32)>,
}

impl CheckpointFacts {
    /// Reads a checkpoint, which must be whole.
    ///
    /// # Errors
    /// [`ContrastiveError::Io`] when it cannot be read, [`ContrastiveError::Damaged`] and
    /// [`ContrastiveError::Checkpoint`] when it is not what was written.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ContrastiveError> {
        let snapshot = file::read(path.as_ref())?;
        Ok(Self {
            step: snapshot.losses.len(),
            last_loss: snapshot.losses.last().copied(),
            best_validation: snapshot.best.map(|best| (best.step, best.loss)),
            config: snapshot.config,
            n_inputs: snapshot.n_inputs,
            data: snapshot.data,
        })
    }
}

/// The best evaluation so far; its weights are among the arrays.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct BestState {
    pub(crate) loss: f32,
    pub(crate) step: usize,
    pub(crate) n_worse: usize,
}

impl Snapshot {
    pub(crate) fn values(&self, name: &str) -> Option<&[f32]> {
        self.tensors.iter().find(|t| t.name == name).map(|t| t.values.as_slice())
    }

    /// Checks that there is nothing but numbers in it; says what is not.
    ///
    /// A step that half precision skipped may have left a loss that is none: there are at most as
    /// many of them as steps were skipped.
    pub(crate) fn check_finite(&self) -> Result<(), String> {
        safetensors_file::check_finite(&self.tensors).map_err(|flaw| flaw.to_string())?;
        if let Some(index) = self.queue.rows.iter().position(|x| !x.is_finite()) {
            return Err(format!("the queue holds `{}` at index {index}", self.queue.rows[index]));
        }
        let scalars = [
            self.loss_scale.map(|scale| ("loss scale", scale.factor())),
            self.best.map(|best| ("best validation loss", best.loss)),
        ];
        if let Some((name, value)) = scalars.into_iter().flatten().find(|s| !s.1.is_finite()) {
            return Err(format!("the {name} is `{value}`"));
        }
        let is_lost = |(_, loss): &(usize, &f32)| !loss.is_finite();
        let n_skipped = self.loss_scale.map_or(0, LossScale::skipped);
        let n_lost = self.losses.iter().enumerate().filter(is_lost).count();
        match self.losses.iter().enumerate().find(is_lost) {
            Some((step, loss)) if n_lost as u64 > n_skipped => Err(format!(
                "the loss of step {} is `{loss}`, and {n_skipped} steps were skipped",
                step + 1
            )),
            _ => Ok(()),
        }
    }

    /// Whether a run with this configuration can go on from here. More steps are fine as long as
    /// they do not bend the learning rate of those already taken.
    pub(crate) fn check_fits(&self, config: &TrainConfig, n_inputs: usize) -> Result<(), String> {
        if self.n_inputs != n_inputs {
            let found = self.n_inputs;
            return Err(format!(
                "its windows have `{found}` values, these have `{n_inputs}`; use the same source"
            ));
        }
        let mut own = TrainConfig { device: config.device, ..self.config.clone() };
        if config.schedule == Schedule::Constant {
            own.steps = config.steps;
        }
        match differing(&own, config) {
            None => Ok(()),
            Some(fields) => Err(format!(
                "it was made with other settings ({fields}); use the same, or another folder"
            )),
        }
    }
}

/// Names of the settings in which two configurations differ.
fn differing(a: &TrainConfig, b: &TrainConfig) -> Option<String> {
    if a == b {
        return None;
    }
    let fields = |config: &TrainConfig| serde_json::to_value(config).unwrap_or_default();
    let (a, b) = (fields(a), fields(b));
    let names: Vec<String> = a
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| b.get(name.as_str()) != Some(value))
        .map(|(name, value)| format!("`{name}` {value} there, {} here", b[name.as_str()]))
        .collect();
    Some(names.join(", "))
}

/// The checkpoints of one run: `step-N.safetensors` in its folder.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    plan: CheckpointPlan,
}

impl Checkpoints {
    /// Makes the folder where it is missing and removes what a killed process left half-written.
    pub(crate) fn open(plan: CheckpointPlan) -> Result<Self, ContrastiveError> {
        let io = |source| ContrastiveError::Io {
            action: "make the folder of",
            path: plan.folder.clone(),
            source,
        };
        std::fs::create_dir_all(&plan.folder).map_err(io)?;
        for entry in std::fs::read_dir(&plan.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_file = entry.file_type().map_err(io)?.is_file();
            if is_file && name.starts_with(".step-") && name.ends_with(lob_store::TEMP_SUFFIX) {
                std::fs::remove_file(entry.path()).map_err(io)?;
            }
        }
        Ok(Self { plan })
    }

    /// The folder as it is, for a rank that only reads it: another one writes there.
    pub(crate) fn look(plan: CheckpointPlan) -> Self {
        Self { plan }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.plan.folder
    }

    pub(crate) fn is_due(&self, step: usize) -> bool {
        self.plan.every > 0 && step.is_multiple_of(self.plan.every)
    }

    /// The newest checkpoint, if the run is to be resumed and there is one.
    pub(crate) fn newest(
        &self,
        resume: bool,
    ) -> Result<Option<(PathBuf, Snapshot)>, ContrastiveError> {
        if !resume {
            return Ok(None);
        }
        match self.newest_path()? {
            Some(path) => file::read(&path).map(|snapshot| Some((path, snapshot))),
            None => Ok(None),
        }
    }

    /// Path of the newest checkpoint, if there is one.
    pub(crate) fn newest_path(&self) -> Result<Option<PathBuf>, ContrastiveError> {
        Ok(self.list()?.pop().map(|(_, path)| path))
    }

    /// Refuses to mix a new run with an old one.
    pub(crate) fn refuse_used(&self, resume: bool) -> Result<(), ContrastiveError> {
        match self.list()?.pop() {
            Some((_, path)) if !resume => Err(ContrastiveError::Checkpoint {
                path,
                reason: "the folder belongs to an earlier run; resume it, or use another folder"
                    .into(),
            }),
            _ => Ok(()),
        }
    }

    /// Writes a checkpoint, whole or not at all, and removes the oldest beyond those kept.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> Result<PathBuf, ContrastiveError> {
        let path = self.path(snapshot.losses.len() as u64);
        file::write(&path, snapshot)?;
        let all = self.list()?;
        let n_old = all.len().saturating_sub(self.plan.keep.max(1));
        for (_, old) in &all[..n_old] {
            std::fs::remove_file(old).map_err(|source| ContrastiveError::Io {
                action: "remove",
                path: old.clone(),
                source,
            })?;
        }
        Ok(path)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.plan.folder.join(format!("step-{step:08}.safetensors"))
    }

    /// Steps and paths, oldest first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>, ContrastiveError> {
        let io = |source| ContrastiveError::Io {
            action: "list the folder of",
            path: self.plan.folder.clone(),
            source,
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.plan.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let step = name
                .to_str()
                .and_then(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors"))
                .and_then(|digits| digits.parse().ok());
            // Old ones are removed: no other name of the same number is one of ours.
            if let Some(step) = step
                && entry.path() == self.path(step)
                && entry.file_type().map_err(io)?.is_file()
            {
                found.push((step, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}
