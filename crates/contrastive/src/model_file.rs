use std::collections::BTreeMap;
use std::path::Path;

use lob_store::StoreFingerprint;
use serde::{Deserialize, Serialize};

use crate::safetensors_file::{self, Contents};
use crate::{
    ContrastiveError, EncoderConfig, Head, HeadFacts, InputSpec, NamedTensor, Positives,
    TrainedModel, Training,
};

/// A trained model with all it takes to use it on new data: a safetensors file.
///
/// The arrays have the names of [`TrainedModel::tensors`], a linear layer's weight is
/// `[inputs, outputs]` (PyTorch's transposed), and two more hold the scale of the inputs:
/// `input.mean` and `input.inverse_deviation`. The metadata entry `loblab.model` says the rest as
/// JSON, `loblab.checksum` is the XXH3-128 of all of it. Every value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// The weights.
    pub model: TrainedModel,
    /// What its windows are.
    pub input: InputSpec,
    /// Which windows were positives of each other in training.
    pub positives: Positives,
    /// Mean and inverse deviation of each channel or input.
    pub scale: Vec<(f32, f32)>,
    /// Seed of the run that made it.
    pub seed: u64,
    /// Steps of that run.
    pub steps: usize,
    /// The store it was trained on; `None` for generated signals and in files of before 0.2.
    pub data: Option<StoreFingerprint>,
    /// What it was trained on, how, and with what result; `None` in files of versions 1 and 2.
    pub training: Option<Training>,
    /// What turns its embeddings into probabilities of classes, if one was fitted.
    pub head: Option<Head>,
}

/// Key of the description in the file's metadata.
const KEY: &str = "loblab.model";
const VERSION: u32 = 3;
/// The last version whose files have no checksum.
const WITHOUT_CHECKSUM: u32 = 1;
const MEAN: &str = "input.mean";
const HEAD_WEIGHT: &str = "head.weight";
const HEAD_BIAS: &str = "head.bias";
const INVERSE: &str = "input.inverse_deviation";

#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    encoder: EncoderConfig,
    n_inputs: usize,
    input: InputSpec,
    positives: Positives,
    seed: u64,
    steps: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<StoreFingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<HeadFacts>,
}

impl ModelFile {
    /// The name of a model in the folder of its run.
    pub const FILE_NAME: &str = "model.safetensors";

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`ContrastiveError::Io`] when it cannot be written, [`ContrastiveError::UnfitModel`] when a
    /// value is not finite.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ContrastiveError> {
        let path = path.as_ref();
        let description = Description {
            version: VERSION,
            encoder: self.model.encoder.clone(),
            n_inputs: self.model.n_inputs,
            input: self.input.clone(),
            positives: self.positives,
            seed: self.seed,
            steps: self.steps,
            data: self.data,
            training: self.training.clone(),
            head: self.head.as_ref().map(|head| head.facts.clone()),
        };
        let json = serde_json::to_string(&description).map_err(|source| ContrastiveError::Io {
            action: "write",
            path: path.to_owned(),
            source: source.into(),
        })?;
        let column = |name: &str, of: fn(&(f32, f32)) -> f32| NamedTensor {
            name: name.to_owned(),
            shape: vec![self.scale.len()],
            values: self.scale.iter().map(of).collect(),
        };
        let mut tensors = self.model.tensors.clone();
        tensors.push(column(MEAN, |s| s.0));
        tensors.push(column(INVERSE, |s| s.1));
        if let Some(head) = &self.head {
            let n_classes = head.bias.len();
            let tensor = |name: &str, shape: Vec<usize>, values: &[f32]| NamedTensor {
                name: name.to_owned(),
                shape,
                values: values.to_vec(),
            };
            let dim = self.model.embedding_dim();
            tensors.push(tensor(HEAD_WEIGHT, vec![dim, n_classes], &head.weights));
            tensors.push(tensor(HEAD_BIAS, vec![n_classes], &head.bias));
        }
        let unfit = |reason| ContrastiveError::UnfitModel { path: path.to_owned(), reason };
        safetensors_file::check_finite(&tensors).map_err(|flaw| unfit(flaw.to_string()))?;
        safetensors_file::write(path, &tensors, BTreeMap::from([(KEY.to_owned(), json)]))
    }

    /// Reads a file, or the [`FILE_NAME`](Self::FILE_NAME) of a run's folder, and checks that its
    /// arrays fit its description.
    ///
    /// # Errors
    /// [`ContrastiveError::Io`] when it cannot be read, [`ContrastiveError::Damaged`] when it is not
    /// what was written, [`ContrastiveError::BadModel`] when it is something else or holds a value
    /// that is not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ContrastiveError> {
        Self::load_with_version(path).map(|(model, _)| model)
    }

    /// The same, with the version of the file's format.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_version(path: impl AsRef<Path>) -> Result<(Self, u32), ContrastiveError> {
        let in_folder = path.as_ref().join(Self::FILE_NAME);
        let path = if path.as_ref().is_dir() { &in_folder } else { path.as_ref() };
        let bad = |reason: String| ContrastiveError::BadModel { path: path.to_owned(), reason };
        let Contents { mut tensors, metadata, has_checksum } = safetensors_file::read(path)?;
        let json = metadata.get(KEY).ok_or_else(|| bad(format!("it has no `{KEY}`")))?;
        let description: Description =
            serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
        let version = description.version;
        if !(WITHOUT_CHECKSUM..=VERSION).contains(&version) {
            return Err(bad(format!("it has version `{version}`, this build reads `{VERSION}`")));
        }
        if !has_checksum && version > WITHOUT_CHECKSUM {
            return Err(bad(format!("it has version `{version}` and no checksum")));
        }
        safetensors_file::check_finite(&tensors).map_err(|flaw| bad(flaw.to_string()))?;
        let mut take = |name: &str| {
            let at = tensors.iter().position(|t| t.name == name);
            at.map(|at| tensors.swap_remove(at)).ok_or_else(|| bad(format!("it has no `{name}`")))
        };
        let (mean, inverse) = (take(MEAN)?.values, take(INVERSE)?.values);
        if mean.len() != inverse.len() {
            return Err(bad(format!("`{MEAN}` and `{INVERSE}` differ in length")));
        }
        let expected = crate::encoder::shapes(&description.encoder, description.n_inputs);
        let mut ordered = Vec::with_capacity(expected.len());
        for (name, shape) in expected {
            let tensor = take(&name)?;
            if tensor.shape != shape {
                let found = tensor.shape;
                return Err(bad(format!("`{name}` has shape {found:?}, expected {shape:?}")));
            }
            ordered.push(tensor);
        }
        let head = match description.head {
            Some(facts) => {
                let (weight, bias) = (take(HEAD_WEIGHT)?, take(HEAD_BIAS)?);
                let n = facts.classes.len();
                let expected = [description.encoder.embedding_dim, n];
                let is_odd = n < 2
                    || weight.shape != expected
                    || bias.shape != [n]
                    || facts.base_rates.len() != n;
                if is_odd {
                    let found = (weight.shape, bias.shape, facts.base_rates.len());
                    let expected = (expected, [n], n);
                    return Err(bad(format!(
                        "its head has shapes and rates {found:?}, expected {expected:?}"
                    )));
                }
                Some(Head { facts, weights: weight.values, bias: bias.values })
            }
            None => None,
        };
        let file = Self {
            model: TrainedModel {
                encoder: description.encoder,
                n_inputs: description.n_inputs,
                tensors: ordered,
            },
            input: description.input,
            positives: description.positives,
            scale: mean.into_iter().zip(inverse).collect(),
            seed: description.seed,
            steps: description.steps,
            data: description.data,
            training: description.training,
            head,
        };
        Ok((file, version))
    }
}
