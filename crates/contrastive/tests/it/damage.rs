//! Values that are no numbers, and files that are not what was written: named, never used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lob_contrastive::{
    CheckpointPlan, ContrastiveError, Device, Embedder, EncoderConfig, Ended, EvaluateConfig,
    Evaluated, Head, HeadFacts, InputSpec, ModelFile, NoisePairs, Origin, PairKey, Positives, Rng,
    RunOptions, Task, TimeSplit, TrainConfig, TrainOutcome, TrainedModel, WindowScratch,
    WindowSource, evaluate, pca_2d, train, train_with,
};
use serde_json::Value;

fn config() -> TrainConfig {
    TrainConfig {
        steps: 6,
        batch_size: 8,
        encoder: EncoderConfig { hidden: vec![8], embedding_dim: 4, ..EncoderConfig::simple() },
        device: Device::Cpu,
        ..TrainConfig::default()
    }
}

fn model() -> TrainedModel {
    let steps = TrainConfig { steps: 1, ..config() };
    train(Arc::new(NoisePairs::new(90, 6, 3)), &steps).unwrap().model
}

fn file(model: TrainedModel) -> ModelFile {
    ModelFile {
        model,
        input: InputSpec::Bins { window: 2, stride: 1 },
        positives: Positives::Same,
        scale: vec![(0.5, 2.0); 3],
        seed: 7,
        steps: 1,
        data: Some("0123456789abcdef".repeat(2).parse().unwrap()),
        training: None,
        head: None,
    }
}

/// A safetensors file taken apart.
struct Parts {
    header: Value,
    values: Vec<u8>,
}

impl Parts {
    fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = serde_json::from_slice(&bytes[8..end]).unwrap();
        Self { header, values: bytes[end..].to_vec() }
    }

    fn write(&self, path: &Path) {
        let mut header = serde_json::to_vec(&self.header).unwrap();
        header.resize(header.len().next_multiple_of(8), b' ');
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(path, [&length[..], &header, &self.values].concat()).unwrap();
    }

    /// What an earlier version of the program wrote: no checksum, and a lower version.
    fn into_earlier_version(mut self, key: &str, version: u32) -> Self {
        let metadata = self.header["__metadata__"].as_object_mut().unwrap();
        assert!(metadata.remove("loblab.checksum").is_some());
        let mut said: Value = serde_json::from_str(metadata[key].as_str().unwrap()).unwrap();
        said["version"] = version.into();
        metadata.insert(key.to_owned(), said.to_string().into());
        self
    }

    fn set(&mut self, tensor: &str, index: usize, value: f32) {
        let first = self.header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
        self.values[first + 4 * index..][..4].copy_from_slice(&value.to_le_bytes());
    }
}

#[test]
fn a_flipped_bit_in_a_model_is_damage_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    file(model()).save(&path).unwrap();
    let sound = std::fs::read(&path).unwrap();
    let mut n_checksums = 0;
    for bit in (0..8 * sound.len()).step_by(7) {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let error = ModelFile::load(&path).expect_err(&format!("bit {bit}"));
        n_checksums += usize::from(matches!(error, ContrastiveError::Damaged { .. }));
        assert!(error.to_string().contains("m.safetensors"), "{error}");
    }
    assert!(n_checksums > sound.len() / 2, "{n_checksums}");
    // The review's edit: another activation, in text of the same length and of another.
    for other in ["gelu", "tanh_"] {
        std::fs::write(&path, &sound).unwrap();
        let mut parts = Parts::of(&path);
        let said = parts.header["__metadata__"]["loblab.model"].as_str().unwrap();
        assert!(said.contains("\"relu\""), "{said}");
        parts.header["__metadata__"]["loblab.model"] = said.replace("relu", other).into();
        parts.write(&path);
        let error = ModelFile::load(&path).unwrap_err();
        assert!(matches!(error, ContrastiveError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("is damaged: its checksum is `xxh3-128:"), "{error}");
    }
}

#[test]
fn models_of_the_version_before_checksums_load_and_must_be_finite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let written = file(model());
    written.save(&path).unwrap();
    Parts::of(&path).into_earlier_version("loblab.model", 1).write(&path);
    assert_eq!(ModelFile::load(&path).unwrap(), written);
    for (tensor, index) in [("layers.0.weight", 5), ("layers.1.bias", 3), ("input.mean", 2)] {
        for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-1.0 / 0.0, "-inf")] {
            written.save(&path).unwrap();
            let mut parts = Parts::of(&path).into_earlier_version("loblab.model", 1);
            parts.set(tensor, index, value);
            parts.write(&path);
            let message = ModelFile::load(&path).unwrap_err().to_string();
            let expected = format!("`{tensor}` holds `{shown}` at index {index}");
            assert!(message.ends_with(&expected), "{message}");
        }
    }
    // A file that should have a checksum and has none is not taken for an earlier one.
    written.save(&path).unwrap();
    let mut parts = Parts::of(&path);
    parts.header["__metadata__"].as_object_mut().unwrap().remove("loblab.checksum");
    parts.write(&path);
    let message = ModelFile::load(&path).unwrap_err().to_string();
    assert!(message.ends_with("it has version `3` and no checksum"), "{message}");
}

fn head(n_classes: usize) -> Head {
    Head {
        facts: HeadFacts {
            label: "forward_10".into(),
            description: "made up".into(),
            horizon_bins: 10,
            classes: (0..n_classes).map(|class| format!("class_{class}")).collect(),
            base_rates: vec![1.0 / n_classes as f64; n_classes],
            n_train: 9,
            n_validation: 3,
            validation_balanced_accuracy: 0.5,
            validation_log_loss: [1.0, 1.0],
        },
        weights: vec![0.25; 4 * n_classes],
        bias: vec![0.5; n_classes],
    }
}

/// A head comes back as it was written, is under the checksum, and fits its classes or is refused.
#[test]
fn a_head_that_does_not_fit_its_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let written = ModelFile { head: Some(head(3)), ..file(model()) };
    written.save(&path).unwrap();
    assert_eq!(ModelFile::load(&path).unwrap(), written);
    let mut parts = Parts::of(&path);
    parts.set("head.weight", 2, 7.0);
    parts.write(&path);
    let error = ModelFile::load(&path).unwrap_err();
    assert!(matches!(error, ContrastiveError::Damaged { .. }), "{error}");
    for odd in [2, 4] {
        written.save(&path).unwrap();
        // Without a checksum only its shape can tell.
        let mut parts = Parts::of(&path).into_earlier_version("loblab.model", 1);
        let metadata = parts.header["__metadata__"].as_object_mut().unwrap();
        let mut said: Value =
            serde_json::from_str(metadata["loblab.model"].as_str().unwrap()).unwrap();
        said["head"]["classes"] = (0..odd).map(|class| Value::from(format!("c{class}"))).collect();
        metadata.insert("loblab.model".into(), said.to_string().into());
        parts.write(&path);
        let message = ModelFile::load(&path).unwrap_err().to_string();
        assert!(message.contains("its head has shapes and rates"), "{message}");
    }
    let mut broken = head(2);
    broken.bias[1] = f32::NAN;
    let message =
        ModelFile { head: Some(broken), ..file(model()) }.save(&path).unwrap_err().to_string();
    assert!(message.ends_with("`head.bias` holds `NaN` at index 1"), "{message}");
}

#[test]
fn a_model_that_is_not_finite_is_neither_saved_nor_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let mut odd = file(model());
    odd.model.tensors[0].values[4] = f32::NAN;
    let message = odd.save(&path).unwrap_err().to_string();
    assert!(message.ends_with("`layers.0.weight` holds `NaN` at index 4"), "{message}");
    assert!(!path.exists());
    let message = Embedder::new(&odd.model, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("`layers.0.weight` holds `NaN` at index 4"), "{message}");

    let mut scale = file(model());
    scale.scale[1].1 = f32::INFINITY;
    let message = scale.save(&path).unwrap_err().to_string();
    assert!(message.ends_with("`input.inverse_deviation` holds `inf` at index 1"), "{message}");

    // Finite weights may still overflow, and a window may hold anything.
    let mut huge = model();
    huge.tensors.iter_mut().for_each(|t| t.values.iter_mut().for_each(|x| *x = 3e38));
    let mut embedder = Embedder::new(&huge, Device::Cpu).unwrap();
    let mut out = [0.0; 4];
    let error = embedder.embed_into(&[3e38; 6], &mut out).unwrap_err();
    assert!(matches!(error, ContrastiveError::Embedding { row: 0, .. }), "{error}");
    assert_eq!(out, [0.0; 4], "nothing is handed out");
    let mut embedder = Embedder::new(&model(), Device::Cpu).unwrap();
    let mut windows = [0.0; 12];
    windows[8] = f32::NAN;
    let error = embedder.embed_into(&windows, &mut [0.0; 8]).unwrap_err();
    assert!(matches!(error, ContrastiveError::NotFinite { window: 1, position: 2, .. }), "{error}");
    let error = pca_2d(&[1.0, f32::NAN, 0.0, 0.0], 2).unwrap_err();
    assert!(matches!(error, ContrastiveError::NotFinite { window: 0, position: 1, .. }), "{error}");
}

/// Trains into a folder, with something else than numbers in the pairs from batch `odd_from` on.
fn run(folder: &Path, resume: bool, odd_from: usize) -> Result<TrainOutcome, ContrastiveError> {
    let plan = CheckpointPlan { folder: folder.to_owned(), every: 2, keep: 9 };
    let options = RunOptions { checkpoints: Some(plan), resume, ..RunOptions::default() };
    train_with(spoilt(odd_from), &TrainConfig { steps: 5, ..config() }, options)
}

/// Sound pairs, and after some batches one value that is none.
struct Spoilt {
    sound: NoisePairs,
    n_batches: AtomicUsize,
    odd_from: usize,
}

fn spoilt(odd_from: usize) -> Arc<Spoilt> {
    let sound = NoisePairs::new(90, 6, 3);
    Arc::new(Spoilt { sound, n_batches: AtomicUsize::new(0), odd_from })
}

impl WindowSource for Spoilt {
    fn len(&self) -> usize {
        self.sound.len()
    }

    fn n_inputs(&self) -> usize {
        self.sound.n_inputs()
    }

    fn window(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        self.sound.window(idx, scratch, out)?;
        if self.odd_from == 0 && idx % 5 == 3 {
            out[1] = f32::NAN;
        }
        Ok(())
    }

    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        self.sound.pairs(scratch, rng, anchors, positives, keys)?;
        if self.n_batches.fetch_add(1, Ordering::Relaxed) >= self.odd_from {
            positives[2] = f32::NAN;
        }
        Ok(())
    }
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect();
    found.sort();
    found
}

#[test]
fn training_stops_at_what_is_no_number_and_names_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let message = run(folder.path(), false, 0).unwrap_err().to_string();
    assert!(message.starts_with("the loss is `NaN` at step 1; "), "{message}");
    assert!(message.contains("no checkpoint was written before that"), "{message}");
    assert!(checkpoints(folder.path()).is_empty());

    // Step 4 meets it: step 2 has a checkpoint, step 3 its line in the log.
    let message = run(folder.path(), false, 3).unwrap_err().to_string();
    let good = folder.path().join("step-00000002.safetensors");
    assert!(message.starts_with("the loss is `NaN` at step 4; "), "{message}");
    let expected = format!("the last good checkpoint is `{}`", good.display());
    assert!(message.contains(&expected), "{message}");
    assert_eq!(checkpoints(folder.path()), [good]);
    let log = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");

    let outcome = run(folder.path(), true, usize::MAX).unwrap();
    assert_eq!((outcome.first_step, outcome.ended), (2, Ended::Finished));
}

#[test]
fn a_validation_loss_that_is_no_number_ends_the_run() {
    let sound = Arc::new(NoisePairs::new(90, 6, 3));
    let odd = spoilt(0);
    for (evaluate_every, step) in [(2, 2), (0, 6)] {
        let options = RunOptions { validation: Some(odd.clone()), ..RunOptions::default() };
        let config = TrainConfig { evaluate_every, ..config() };
        let message = train_with(sound.clone(), &config, options).unwrap_err().to_string();
        let expected = format!("the validation loss is `NaN` at step {step}; ");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn a_checkpoint_that_is_not_what_was_written_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let reference = run(folder.path(), false, usize::MAX).unwrap();
    let newest = checkpoints(folder.path()).pop().unwrap();
    let sound = std::fs::read(&newest).unwrap();
    // Fault 10 of the review: 11 of 15 of these ended with another model and exit code 0.
    let end = 8 + u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    for at in (end..sound.len()).step_by(41) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&newest, &bytes).unwrap();
        let error = run(folder.path(), true, usize::MAX).expect_err(&format!("byte {at}"));
        assert!(matches!(error, ContrastiveError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("step-00000005.safetensors"), "{error}");
    }
    // One of the version before checksums goes on, if it is finite.
    std::fs::write(&newest, &sound).unwrap();
    Parts::of(&newest).into_earlier_version("loblab.checkpoint", 2).write(&newest);
    assert_eq!(run(folder.path(), true, usize::MAX).unwrap().model, reference.model);
    for tensor in ["weight.0", "moment1.1", "moment2.0", "losses"] {
        std::fs::write(&newest, &sound).unwrap();
        let mut parts = Parts::of(&newest).into_earlier_version("loblab.checkpoint", 2);
        parts.set(tensor, 1, f32::NAN);
        parts.write(&newest);
        let message = run(folder.path(), true, usize::MAX).unwrap_err().to_string();
        let expected = match tensor {
            "losses" => "the loss of step 2 is `NaN`, and 0 steps were skipped".to_owned(),
            _ => format!("`{tensor}` holds `NaN` at index 1"),
        };
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn an_evaluation_of_what_is_no_number_is_refused() {
    let (train_part, validation, test) =
        ((0..40).collect(), (40..60).collect(), (60..90).collect());
    let split = TimeSplit { train: train_part, validation, test };
    let config = EvaluateConfig { seeds: 3, device: Device::Cpu, ..EvaluateConfig::default() };
    let check = |odd_from: usize, model: TrainedModel| {
        let source = spoilt(odd_from);
        let labels = (0..source.len()).map(|i| Some(u32::from(i % 2 == 0))).collect();
        let tasks = [Task {
            name: "parity".into(),
            description: "made up".into(),
            n_classes: 2,
            labels,
            reach: 0,
            past: vec![],
            past_description: String::new(),
        }];
        let place =
            |row| Origin { file: 0, row, ts_first: None, ts_event: Some(row), instrument_id: None };
        let places: Vec<Origin> = (0..source.len() as u64).map(place).collect();
        let (split, tasks) = (&split, &tasks);
        let data = Evaluated { source: &*source, places: &places, window: 1, split, tasks };
        evaluate(&data, &[model], &config)
    };
    let table = check(usize::MAX, model()).unwrap();
    assert!(table.rows.iter().all(|row| row.n_unclassed == 0 && row.mean > 0.0));
    // Fault 4 of the review: `contrastive 0.000 [0.000, 0.000]` beside real numbers.
    let mut odd = model();
    odd.tensors[0].values[4] = f32::NAN;
    let message = check(usize::MAX, odd).unwrap_err().to_string();
    assert!(message.contains("`layers.0.weight` holds `NaN` at index 4"), "{message}");
    let error = check(0, model()).unwrap_err();
    assert!(matches!(error, ContrastiveError::NotFinite { .. }), "{error}");
    let mut huge = model();
    huge.tensors.iter_mut().for_each(|t| t.values.iter_mut().for_each(|x| *x *= 3e37));
    let error = check(usize::MAX, huge).unwrap_err();
    assert!(matches!(error, ContrastiveError::Embedding { .. }), "{error}");
}

/// Allocations and bytes allocated by this thread while a file is refused.
fn cost_of_refusal(path: &Path) -> (u64, u64) {
    let before = lob_scope::thread_alloc_stats();
    ModelFile::load(path).unwrap_err();
    let after = lob_scope::thread_alloc_stats();
    let taken = after.allocations + after.reallocations;
    (
        taken - before.allocations - before.reallocations,
        after.allocated_bytes - before.allocated_bytes,
    )
}

/// The most that 1 MB can hold as header: entries of metadata, or arrays of no values. Twice the
/// header takes twice the memory and twice the allocations, not four times.
#[test]
fn the_largest_header_of_one_megabyte_costs_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let entries = |n: usize| (0..n).map(|i| format!("\"k{i:07}\":\"v\"")).collect::<Vec<_>>();
    let arrays = |n: usize| {
        let array = "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
        (0..n).map(|i| format!("\"a{i:07}\":{array}")).collect::<Vec<_>>()
    };
    let metadata = |n| format!("{{\"__metadata__\":{{{}}}}}", entries(n).join(","));
    let tensors = |n| format!("{{{}}}", arrays(n).join(","));
    for (header, n) in [(&metadata as &dyn Fn(usize) -> String, 33_000), (&tensors, 8_000)] {
        let mut costs = [1, 2].map(|part| {
            let text = header(n * part);
            let bytes = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
            std::fs::write(&path, &bytes).unwrap();
            (bytes.len() as u64, cost_of_refusal(&path))
        });
        costs.sort_unstable();
        let [(_, (n_half, half)), (len, (n_whole, whole))] = costs;
        assert!(len > 800_000 && len < 1 << 20, "{len}");
        assert!(10 * n_whole < 23 * n_half, "{n_half} allocations, then {n_whole}");
        // Tables grow by doubling: a size beyond a threshold takes up to twice its share.
        assert!(whole < 5 * half && whole < 64 * len, "{half} bytes, then {whole} of {len}");
    }
}
