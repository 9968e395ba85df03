//! Threads that draw the pairs ahead, and stops in the middle of it, change no bit of a run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lob_contrastive::{
    Augment, CheckpointPlan, ContrastiveError, Device, EarlyStop, EncoderConfig, Ended, InputSpec,
    Objective, PairKey, Positives, Prefetch, PrepareOptions, Rng, RunOptions, SignalKind,
    SignalSpec, Stop, Temperature, TrainConfig, TrainOutcome, WindowScratch, WindowSource, prepare,
    train_with,
};
use lob_ranks::{Collective, ThreadRanks};

/// Pairs of generated signals.
fn signals() -> Arc<dyn WindowSource> {
    let spec =
        SignalSpec { kind: SignalKind::Complex, n_signals: 40, n_rows: 60, n_channels: 2, seed: 5 };
    let input = InputSpec::Signals { window: 12, stride: 3, spec };
    let positives = Positives::Apart { max_gap: 12 };
    let options = PrepareOptions::new(positives);
    prepare(&input, None, &options).unwrap().train
}

/// Accumulated batches in pieces, with everything that has a state.
fn config() -> TrainConfig {
    TrainConfig {
        seed: 11,
        steps: 7,
        batch_size: 6,
        accumulate: 2,
        grad_cache: Some(5),
        encoder: EncoderConfig {
            hidden: vec![16],
            embedding_dim: 8,
            dropout: 0.2,
            ..EncoderConfig::simple()
        }
        .with_projection(4),
        objective: Objective::InfoNce,
        temperature: Temperature::Learned(0.2),
        queue: 9,
        augment: Augment { side_flip: 0.3, ..Augment::gentle() },
        ema_decay: Some(0.9),
        evaluate_every: 3,
        device: Device::Cpu,
        ..TrainConfig::default()
    }
}

fn plan(folder: &Path) -> Option<CheckpointPlan> {
    Some(CheckpointPlan { folder: folder.to_owned(), every: 0, keep: 2 })
}

fn workers(workers: usize) -> Prefetch {
    Prefetch { workers, ..Prefetch::for_training() }
}

fn run(
    config: &TrainConfig,
    folder: Option<&Path>,
    prefetch: Prefetch,
    stop: Stop,
) -> Result<TrainOutcome, ContrastiveError> {
    let checkpoints = folder.and_then(plan);
    let options = RunOptions { checkpoints, resume: true, prefetch, stop, ..RunOptions::default() };
    train_with(signals(), config, options)
}

fn bits(losses: &[f32]) -> Vec<u32> {
    losses.iter().map(|loss| loss.to_bits()).collect()
}

#[track_caller]
fn assert_same(a: &TrainOutcome, b: &TrainOutcome) {
    assert_eq!(bits(&a.losses), bits(&b.losses));
    assert_eq!(a.model, b.model);
    assert_eq!((&a.metrics, a.temperature.to_bits()), (&b.metrics, b.temperature.to_bits()));
}

fn checkpoint(folder: &Path, step: usize) -> Vec<u8> {
    std::fs::read(folder.join(format!("step-{step:08}.safetensors"))).unwrap()
}

#[test]
fn workers_and_a_resumption_change_no_bit_of_losses_weights_and_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let alone = run(&config(), Some(&at("0")), workers(0), Stop::default()).unwrap();
    assert_eq!(alone.losses.len(), 7);
    // What was waited for is a part of what the batches took, and measured.
    for (wait, batch) in alone.wait_s.iter().zip(&alone.batch_s) {
        assert!(*wait > 0.0 && wait <= batch, "{wait} of {batch}");
    }
    for (name, prefetch) in [
        ("1", workers(1)),
        ("2", workers(2)),
        ("one ahead", Prefetch { bytes: 0, ..workers(2) }),
        ("all ahead", Prefetch { factor: None, ..workers(3) }),
    ] {
        assert_same(&run(&config(), Some(&at(name)), prefetch, Stop::default()).unwrap(), &alone);
        assert!(checkpoint(&at(name), 7) == checkpoint(&at("0"), 7), "{name}");
    }
    // Stopped in the middle; other workers go on from the checkpoint.
    for (first, then) in [(2, 0), (0, 2), (1, 2)] {
        let path = at(&format!("{first}, then {then}"));
        let n_polls = AtomicUsize::new(0);
        // Of about 350; those who draw ahead ask for eight batches before the first step.
        let stop = Stop::when(move || n_polls.fetch_add(1, Ordering::Relaxed) > 270);
        let begun = run(&config(), Some(&path), workers(first), stop).unwrap();
        assert_eq!(begun.ended, Ended::Interrupted);
        let n = begun.losses.len();
        assert!((1..7).contains(&n), "{n} steps");
        let last = run(&config(), Some(&path), workers(then), Stop::default()).unwrap();
        assert_eq!(last.first_step, n);
        assert_same(&last, &alone);
        assert!(checkpoint(&path, 7) == checkpoint(&at("0"), 7), "{first}, then {then}");
    }
}

#[test]
fn workers_change_no_bit_on_any_rank() {
    let on_ranks = |n: usize, prefetch: Prefetch| -> Vec<TrainOutcome> {
        let threads = ThreadRanks::group(n).into_iter().map(|mut rank| {
            std::thread::spawn(move || {
                let ranks = Some(&mut rank as &mut dyn Collective);
                let options = RunOptions { prefetch, ranks, ..RunOptions::default() };
                let outcome = train_with(signals(), &config(), options).unwrap();
                // Kept until all are done.
                (outcome, rank)
            })
        });
        let threads: Vec<_> = threads.collect();
        let (found, _ranks): (Vec<_>, Vec<_>) =
            threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
        found
    };
    let expected = on_ranks(2, workers(0));
    for prefetch in [workers(1), workers(2)] {
        for (rank, expected) in on_ranks(2, prefetch).iter().zip(&expected) {
            assert_eq!(bits(&rank.losses), bits(&expected.losses));
            assert_eq!(rank.model, expected.model);
        }
    }
}

/// Asks for a stop at one poll after the other over the first two steps: between pairs, windows,
/// pieces and batches. Each time the run goes on as if nothing had happened.
#[test]
fn a_stop_is_heard_at_any_poll_and_leaves_no_trace() {
    let config = TrainConfig { steps: 3, evaluate_every: 0, ..config() };
    let polls = |until: usize| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        (Stop::when(move || counted.fetch_add(1, Ordering::Relaxed) >= until), asked)
    };
    let (stop, asked) = polls(usize::MAX);
    let whole = run(&config, None, workers(0), stop).unwrap();
    let n_polls = asked.load(Ordering::Relaxed);
    // A batch of 6 pairs is 12 windows in 3 pieces, which go through the encoder twice.
    let of_batch = 1 + 6 + 12 + 2 * 3;
    assert!(n_polls >= 3 * 2 * of_batch, "{n_polls} polls, {of_batch} of a batch");
    for (until, n_workers) in (0..n_polls).step_by(7).zip([0, 1].into_iter().cycle()) {
        let folder = tempfile::tempdir().unwrap();
        let (stop, _) = polls(until);
        let begun = run(&config, Some(folder.path()), workers(n_workers), stop).unwrap();
        assert_eq!(begun.losses, whole.losses[..begun.losses.len()], "poll {until}");
        assert_eq!(begun.checkpoint.is_some(), !begun.losses.is_empty(), "poll {until}");
        if begun.ended == Ended::Interrupted {
            assert!(begun.metrics.loss.is_nan(), "no time for an evaluation");
        }
        let last = run(&config, Some(folder.path()), workers(0), Stop::default()).unwrap();
        assert_eq!(last.first_step, begun.losses.len(), "poll {until}");
        assert_same(&last, &whole);
    }
}

/// A run that is done has no step left, and its model is the same.
#[test]
fn a_run_that_is_done_stays_done() {
    let stops = EarlyStop { patience: 1, min_delta: 100.0 };
    for early_stop in [None, Some(stops)] {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { early_stop, ..config() };
        let first = run(&config, Some(folder.path()), workers(2), Stop::default()).unwrap();
        let ended = if early_stop.is_some() { Ended::Early } else { Ended::Finished };
        let n = first.losses.len();
        assert_eq!((first.ended, n == 7), (ended, early_stop.is_none()));
        let again = run(&config, Some(folder.path()), workers(2), Stop::default()).unwrap();
        assert_eq!((again.ended, again.first_step, again.step_s.len()), (ended, n, 0));
        assert_same(&again, &first);
        assert_eq!(again.best_step, first.best_step);
    }
}

/// Pairs that cannot be drawn from some batch on.
struct Failing {
    sound: Arc<dyn WindowSource>,
    n_drawn: AtomicUsize,
    from: usize,
    panics: bool,
}

impl WindowSource for Failing {
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
        self.sound.window(idx, scratch, out)
    }

    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        if self.n_drawn.fetch_add(1, Ordering::Relaxed) >= self.from {
            assert!(!self.panics, "a made-up fault");
            let source = std::io::Error::other("gone").into();
            return Err(ContrastiveError::Source { window: 3, source });
        }
        self.sound.pairs(scratch, rng, anchors, positives, keys)
    }
}

#[test]
fn a_worker_that_fails_ends_the_run_by_name_and_the_checkpoints_stay() {
    let config = TrainConfig { accumulate: 1, evaluate_every: 0, ..config() };
    for n_workers in [0, 1, 2] {
        for panics in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (sound, n_drawn) = (signals(), AtomicUsize::new(0));
            let source = Arc::new(Failing { sound, n_drawn, from: 4, panics });
            let checkpoints =
                Some(CheckpointPlan { folder: folder.path().to_owned(), every: 1, keep: 9 });
            let prefetch = workers(n_workers);
            let options = RunOptions { checkpoints, prefetch, ..RunOptions::default() };
            let message = train_with(source, &config, options).unwrap_err().to_string();
            if panics {
                let (start, end) = ("a panic while pairs of step ", "were drawn: a made-up fault");
                assert!(message.starts_with(start) && message.contains(end), "{message}");
            } else {
                assert_eq!(message, "cannot read window 3: gone");
            }
            // Of two workers one may draw four batches before the other draws the first.
            let n = std::fs::read_dir(folder.path()).unwrap().count() - 1;
            let least = if n_workers == 2 { 0 } else { 4 };
            assert!((least..=4).contains(&n), "{n} checkpoints with {n_workers} workers");
        }
    }
}
