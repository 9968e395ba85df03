//! Checkpoints: a run that is stopped and goes on is the run that was never stopped.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lob_contrastive::{
    Augment, CheckpointPlan, ContrastiveError, Device, EarlyStop, EncoderConfig, Ended, InputSpec,
    ModelFile, Objective, Positives, PrepareOptions, RunOptions, Schedule, SignalKind, SignalSpec,
    StepReport, Stop, Temperature, TrainConfig, TrainOutcome, embed, prepare, train_with,
};

const INPUT: InputSpec = InputSpec::Signals {
    window: 12,
    stride: 3,
    spec: SignalSpec {
        kind: SignalKind::Complex,
        n_signals: 40,
        n_rows: 60,
        n_channels: 2,
        seed: 5,
    },
};

const OPTIONS: PrepareOptions = PrepareOptions::new(Positives::Apart { max_gap: 12 });

/// Everything that has a state, at once.
fn config() -> TrainConfig {
    TrainConfig {
        seed: 11,
        steps: 22,
        batch_size: 6,
        accumulate: 2,
        grad_cache: Some(5),
        encoder: EncoderConfig {
            hidden: vec![16],
            embedding_dim: 8,
            layer_norm: true,
            dropout: 0.2,
            ..EncoderConfig::simple()
        }
        .with_projection(4),
        objective: Objective::InfoNce,
        temperature: Temperature::Learned(0.2),
        schedule: Schedule::WarmupCosine { warmup_steps: 4 },
        ignore_radius: 6,
        queue: 9,
        augment: Augment { side_flip: 0.3, ..Augment::gentle() },
        ema_decay: Some(0.9),
        evaluate_every: 4,
        early_stop: Some(EarlyStop { patience: 100, min_delta: 0.0 }),
        device: Device::Cpu,
        ..TrainConfig::default()
    }
}

fn plan(folder: &Path) -> CheckpointPlan {
    CheckpointPlan { folder: folder.to_owned(), every: 3, keep: 2 }
}

/// Trains, and stops after `stop_after` steps of this process.
fn run(
    config: &TrainConfig,
    folder: Option<&Path>,
    resume: bool,
    stop_after: Option<usize>,
) -> Result<TrainOutcome, ContrastiveError> {
    let prepared = prepare(&INPUT, None, &OPTIONS).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let stop = stop_after.map(|n| {
        let seen = Arc::clone(&seen);
        Stop::when(move || seen.load(Ordering::Relaxed) >= n)
    });
    let mut observer = |_: &StepReport| {
        seen.fetch_add(1, Ordering::Relaxed);
    };
    let options = RunOptions {
        validation: prepared.validation,
        checkpoints: folder.map(plan),
        resume,
        stop: stop.unwrap_or_default(),
        observer: Some(&mut observer),
        ..RunOptions::default()
    };
    train_with(prepared.train, config, options)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(&config(), None, false, None).unwrap();
    assert_eq!((whole.losses.len(), whole.ended), (22, Ended::Finished));
    assert!(whole.best_step.is_some());

    let first = run(&config(), Some(folder.path()), false, Some(7)).unwrap();
    assert_eq!((first.losses.len(), first.ended), (7, Ended::Interrupted));
    let second = run(&config(), Some(folder.path()), true, Some(6)).unwrap();
    assert_eq!((second.first_step, second.losses.len()), (7, 13));
    let last = run(&config(), Some(folder.path()), true, None).unwrap();
    assert_eq!((last.first_step, last.ended), (13, Ended::Finished));

    let bits = |losses: &[f32]| losses.iter().map(|l| l.to_bits()).collect::<Vec<u32>>();
    assert_eq!(bits(&last.losses), bits(&whole.losses));
    assert_eq!(last.model, whole.model);
    assert_eq!(last.metrics, whole.metrics);
    assert_eq!(last.best_step, whole.best_step);
    assert_eq!(last.temperature.to_bits(), whole.temperature.to_bits());
    let validation = [first.validation, second.validation, last.validation].concat();
    assert_eq!(validation, whole.validation);

    // The last two checkpoints are kept, the log has every step once, nothing else lies there.
    let expected = ["metrics.jsonl", "step-00000021.safetensors", "step-00000022.safetensors"];
    assert_eq!(names(folder.path()), expected);
    let log = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    let steps: Vec<u64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .inspect(|line| {
            for key in ["loss", "learning_rate", "temperature", "pairs_per_s", "data_wait_share"] {
                assert!(line[key].is_number(), "{key} in {line}");
            }
            let is_evaluated = line["step"].as_u64().unwrap() % 4 == 0;
            assert_eq!(line["metrics"]["effective_rank"].is_number(), is_evaluated, "{line}");
        })
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=22).collect::<Vec<u64>>());
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(&config(), Some(folder.path()), false, Some(4)).unwrap();
    let refused = |config: &TrainConfig, resume| {
        run(config, Some(folder.path()), resume, None).unwrap_err().to_string()
    };
    assert!(refused(&config(), false).contains("belongs to an earlier run"));
    let other = TrainConfig { batch_size: 7, seed: 12, ..config() };
    let message = refused(&other, true);
    assert!(message.contains("`batch_size` 6 there, 7 here"), "{message}");
    assert!(message.contains("`seed` 11 there, 12 here"), "{message}");
    let bent = TrainConfig { steps: 30, ..config() };
    assert!(refused(&bent, true).contains("`steps`"));

    // A checkpoint cut anywhere is refused by name, and the one before it still works.
    let newest = folder.path().join(names(folder.path()).pop().unwrap());
    let bytes = std::fs::read(&newest).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&newest, &bytes[..length]).unwrap();
        let message = refused(&config(), true);
        assert!(message.contains("step-00000004.safetensors"), "{length}: {message}");
    }
    std::fs::remove_file(&newest).unwrap();
    let half = folder.path().join(".step-00000005.safetensors.1-0.loblab-tmp");
    std::fs::write(&half, &bytes[..50]).unwrap();
    let outcome = run(&config(), Some(folder.path()), true, None).unwrap();
    assert_eq!(outcome.first_step, 3);
    assert!(!half.exists(), "what a killed process left is swept away");
}

#[test]
fn more_steps_at_a_constant_rate_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let base = TrainConfig { schedule: Schedule::Constant, ..config() };
    let short = TrainConfig { steps: 5, ..base.clone() };
    let long = TrainConfig { steps: 9, ..base };
    run(&short, Some(folder.path()), false, None).unwrap();
    let resumed = run(&long, Some(folder.path()), true, None).unwrap();
    let whole = run(&long, None, false, None).unwrap();
    assert_eq!((resumed.first_step, resumed.losses), (5, whole.losses));
}

#[test]
fn early_stopping_hands_out_the_best_weights() {
    // A learning rate this high makes things worse sooner or later.
    let mut config = TrainConfig {
        steps: 400,
        early_stop: Some(EarlyStop { patience: 2, min_delta: 0.0 }),
        evaluate_every: 2,
        schedule: Schedule::Constant,
        ema_decay: None,
        ..config()
    };
    config.optimiser.learning_rate = 0.05;
    let outcome = run(&config, None, false, None).unwrap();
    assert_eq!(outcome.ended, Ended::Early);
    assert!(outcome.losses.len() < 400);
    let best = outcome.validation.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(outcome.best_step, Some(best.0));
    assert!((outcome.metrics.loss - best.1).abs() < 0.3, "{:?}", outcome.validation);
}

#[test]
fn a_model_file_comes_back_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/model.safetensors");
    let prepared = prepare(&INPUT, None, &OPTIONS).unwrap();
    let outcome = run(&TrainConfig { steps: 2, ..config() }, None, false, None).unwrap();
    let file = ModelFile {
        model: outcome.model,
        input: INPUT,
        positives: OPTIONS.positives,
        scale: prepared.scale,
        seed: 11,
        steps: 2,
        data: Some("0123456789abcdef".repeat(2).parse().unwrap()),
        training: None,
        head: None,
    };
    file.save(&path).unwrap();
    let again = ModelFile::load(&path).unwrap();
    assert_eq!(again, file);
    // The folder of a run stands for the model in it.
    assert_eq!(ModelFile::load(path.parent().unwrap()).unwrap(), file);
    let windows: Vec<f32> = (0..3 * 24).map(|i| (i as f32 * 0.1).sin()).collect();
    assert_eq!(embed(&again.model, &windows).unwrap(), embed(&file.model, &windows).unwrap());

    let bytes = std::fs::read(&path).unwrap();
    // Other programs read it: an eight-byte length, a JSON header with shapes, then the values.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    assert_eq!(header["layers.0.weight"]["dtype"], "F32");
    assert_eq!(header["layers.0.weight"]["shape"], serde_json::json!([24, 16]));
    assert!(header["__metadata__"]["loblab.model"].is_string());
    for length in [0, 8, 200, bytes.len() - 4] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = ModelFile::load(&path).unwrap_err().to_string();
        assert!(message.contains("model.safetensors"), "{message}");
    }
}
