mod file;

use std::path::{Path, PathBuf};

use crate::precision::LossScale;
use crate::run::CheckpointPlan;
use crate::trainer::QueueState;
use crate::{ContrastiveError, NamedTensor, Schedule, TrainConfig};

/// A run between two steps, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) config: TrainConfig,
    pub(crate) n_inputs: usize,
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
            if name.starts_with(".step-") && name.ends_with(lob_store::TEMP_SUFFIX) {
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
        match self.list()?.pop() {
            Some((_, path)) => file::read(&path).map(|snapshot| Some((path, snapshot))),
            None => Ok(None),
        }
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
        let path = self.plan.folder.join(format!("step-{:08}.safetensors", snapshot.losses.len()));
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
            if let Some(step) = step {
                found.push((step, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}
