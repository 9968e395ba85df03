use std::collections::BTreeMap;
use std::path::Path;

use lob_store::StoreFingerprint;
use serde::{Deserialize, Serialize};

use super::{BestState, Snapshot};
use crate::precision::LossScale;
use crate::queue_state::{QueueKey, QueueState};
use crate::safetensors_file::{self, Contents};
use crate::{ContrastiveError, NamedTensor, TrainConfig};

/// Key of the description in the file's metadata.
const KEY: &str = "loblab.checkpoint";

const LOSSES: &str = "losses";
const QUEUE: &str = "queue";

/// What a checkpoint says besides arrays.
#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    config: TrainConfig,
    n_inputs: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<StoreFingerprint>,
    optimiser_steps: i32,
    loss_scale: Option<LossScale>,
    best: Option<BestState>,
    queue_keys: Vec<QueueKey>,
    n_lone_anchors: usize,
}

const VERSION: u32 = 3;
/// The last version whose files have no checksum.
const WITHOUT_CHECKSUM: u32 = 2;

/// Writes a snapshot whose values are finite, see [`Snapshot::check_finite`].
pub(super) fn write(path: &Path, snapshot: &Snapshot) -> Result<(), ContrastiveError> {
    let description = Description {
        version: VERSION,
        config: snapshot.config.clone(),
        n_inputs: snapshot.n_inputs,
        data: snapshot.data,
        optimiser_steps: snapshot.optimiser_steps,
        loss_scale: snapshot.loss_scale,
        best: snapshot.best,
        queue_keys: snapshot.queue.keys.clone(),
        n_lone_anchors: snapshot.n_lone_anchors,
    };
    let json = serde_json::to_string(&description).map_err(|source| ContrastiveError::Io {
        action: "write",
        path: path.to_owned(),
        source: source.into(),
    })?;
    let flat = |name: &str, shape: Vec<usize>, values: &[f32]| NamedTensor {
        name: name.to_owned(),
        shape,
        values: values.to_vec(),
    };
    let mut tensors = snapshot.tensors.clone();
    tensors.push(flat(LOSSES, vec![snapshot.losses.len()], &snapshot.losses));
    let queue = &snapshot.queue;
    tensors.push(flat(QUEUE, vec![queue.keys.len(), queue.dim], &queue.rows));
    safetensors_file::write(path, &tensors, BTreeMap::from([(KEY.to_owned(), json)]))
}

pub(super) fn read(path: &Path) -> Result<Snapshot, ContrastiveError> {
    let Contents { mut tensors, metadata, has_checksum } = safetensors_file::read(path)?;
    let bad = |reason: String| ContrastiveError::Checkpoint { path: path.to_owned(), reason };
    let json =
        metadata.get(KEY).ok_or_else(|| bad("it is no checkpoint of this program".into()))?;
    let description: Description = serde_json::from_str(json)
        .map_err(|error| bad(format!("its description is not understood: {error}")))?;
    let version = description.version;
    if !(WITHOUT_CHECKSUM..=VERSION).contains(&version) {
        return Err(bad(format!("it has version `{version}`, this build reads `{VERSION}`")));
    }
    if !has_checksum && version > WITHOUT_CHECKSUM {
        return Err(bad(format!("it has version `{version}` and no checksum")));
    }
    let mut take = |name: &str| {
        let at = tensors.iter().position(|t| t.name == name);
        at.map(|at| tensors.swap_remove(at)).ok_or_else(|| bad(format!("it has no `{name}`")))
    };
    let losses = take(LOSSES)?.values;
    let queue = take(QUEUE)?;
    let n_keys = description.queue_keys.len();
    if queue.shape.first() != Some(&n_keys) || queue.shape.len() != 2 {
        let found = queue.shape;
        return Err(bad(format!("`{QUEUE}` has shape {found:?}, expected {n_keys} rows")));
    }
    let snapshot = Snapshot {
        config: description.config,
        n_inputs: description.n_inputs,
        data: description.data,
        losses,
        tensors,
        optimiser_steps: description.optimiser_steps,
        loss_scale: description.loss_scale,
        queue: QueueState {
            dim: queue.shape.get(1).copied().unwrap_or(0),
            rows: queue.values,
            keys: description.queue_keys,
        },
        best: description.best,
        n_lone_anchors: description.n_lone_anchors,
    };
    snapshot.check_finite().map_err(bad)?;
    Ok(snapshot)
}
