//! Several ranks train the model that one process trains.

use std::sync::Arc;

use lob_contrastive::{
    Activation, Augment, CheckpointPlan, ContrastiveError, Device, EarlyStop, EncoderConfig, Ended,
    InputSpec, Objective, PairKey, Positives, PrepareOptions, Rng, RunOptions, Schedule,
    SignalKind, SignalSpec, Stop, Temperature, TrainConfig, TrainOutcome, WindowScratch,
    WindowSource, prepare, train_with,
};
use lob_ranks::{Collective, RankError, ThreadRanks};
use proptest::prelude::*;

fn input(seed: u64) -> InputSpec {
    let kind = SignalKind::Complex;
    let spec = SignalSpec { kind, n_signals: 40, n_rows: 60, n_channels: 2, seed };
    InputSpec::Signals { window: 12, stride: 3, spec }
}

const OPTIONS: PrepareOptions = PrepareOptions::new(Positives::Apart { max_gap: 12 });

fn small() -> TrainConfig {
    TrainConfig {
        seed: 3,
        steps: 12,
        batch_size: 12,
        encoder: EncoderConfig {
            hidden: vec![16],
            embedding_dim: 8,
            // No kink that a rounding could fall on either side of.
            activation: Activation::Gelu,
            layer_norm: true,
            dropout: 0.2,
            ..EncoderConfig::simple()
        }
        .with_projection(6),
        augment: Augment { side_flip: 0.3, ..Augment::gentle() },
        device: Device::Cpu,
        ..TrainConfig::default()
    }
}

fn run(
    config: &TrainConfig,
    seed: u64,
    ranks: Option<&mut dyn Collective>,
    checkpoints: Option<CheckpointPlan>,
    stop: Stop,
) -> Result<TrainOutcome, ContrastiveError> {
    let prepared = prepare(&input(seed), None, &OPTIONS).unwrap();
    let validation = prepared.validation;
    let resume = checkpoints.is_some();
    let ranks = ranks.map(|ranks| ranks as &mut dyn Collective);
    let options =
        RunOptions { validation, checkpoints, resume, stop, ranks, ..RunOptions::default() };
    train_with(prepared.train, config, options)
}

/// Runs `work` on each of `n` ranks, which live until all are done.
fn on_ranks<T: Send + 'static>(
    n: usize,
    work: impl Fn(&mut ThreadRanks) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let threads = ThreadRanks::group(n).into_iter().map(|mut rank| {
        let work = work.clone();
        std::thread::spawn(move || (work(&mut rank), rank))
    });
    let threads: Vec<_> = threads.collect();
    let (found, _ranks): (Vec<T>, Vec<ThreadRanks>) =
        threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
    found
}

fn together(config: &TrainConfig, n: usize) -> Vec<TrainOutcome> {
    let config = config.clone();
    on_ranks(n, move |rank| run(&config, 5, Some(rank), None, Stop::default()).unwrap())
}

fn weights(outcome: &TrainOutcome) -> Vec<f32> {
    outcome.model.tensors.iter().flat_map(|t| t.values.iter().copied()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[track_caller]
fn assert_near(name: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    assert!(a.iter().chain(b).all(|x| x.is_finite()), "{name}: not all are numbers");
    let worst = a.iter().zip(b).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= 1e-5, "{name}: {worst} apart");
}

#[track_caller]
fn check(name: &str, n: usize, config: &TrainConfig) {
    let alone = run(config, 5, None, None, Stop::default()).unwrap();
    let ranks = together(config, n);
    for rank in &ranks {
        assert_near(&format!("{name}: losses"), &rank.losses, &alone.losses);
        assert_near(&format!("{name}: weights"), &weights(rank), &weights(&alone));
        assert!((rank.temperature - alone.temperature).abs() <= 1e-5, "{name}: temperature");
        assert_eq!(bits(&weights(rank)), bits(&weights(&ranks[0])), "{name}: ranks differ");
        assert_eq!(bits(&rank.losses), bits(&ranks[0].losses), "{name}: ranks differ");
        assert_eq!(rank.n_lone_anchors, alone.n_lone_anchors, "{name}");
        assert_eq!(rank.validation, ranks[0].validation, "{name}");
        assert!(rank.exchanged_bytes > 0 && alone.exchanged_bytes == 0);
    }
    assert!((ranks[0].metrics.loss - alone.metrics.loss).abs() <= 1e-5, "{name}: metrics");
    assert!(ranks[1].metrics.loss.is_nan(), "{name}: rank 0 alone evaluates");
    let moved = alone.losses[0] - alone.losses[alone.losses.len() - 1];
    assert!(moved.abs() > 1e-3, "{name}: the test needs weights that move");
}

#[test]
fn two_ranks_equal_one_process_for_every_objective() {
    for (name, objective) in Objective::NAMES {
        check(name, 2, &TrainConfig { objective, ..small() });
    }
}

#[test]
fn every_setting_is_shared_by_the_ranks() {
    let base = TrainConfig { objective: Objective::InfoNce, ..small() };
    for (name, n, config) in [
        ("learned", 2, TrainConfig { temperature: Temperature::Learned(0.2), ..base.clone() }),
        ("queue", 2, TrainConfig { queue: 30, ..base.clone() }),
        ("accumulate", 2, TrainConfig { accumulate: 3, steps: 6, ..base.clone() }),
        ("grad cache", 2, TrainConfig { grad_cache: Some(5), ..base.clone() }),
        ("radius", 3, TrainConfig { ignore_radius: 24, ..base.clone() }),
        ("instrument", 2, TrainConfig { ignore_same_instrument: true, ..base.clone() }),
        ("a pair each", 4, TrainConfig { batch_size: 4, ..base.clone() }),
        (
            "all at once",
            3,
            TrainConfig {
                temperature: Temperature::Learned(0.2),
                queue: 9,
                accumulate: 2,
                grad_cache: Some(3),
                ignore_radius: 6,
                ema_decay: Some(0.9),
                clip_norm: Some(0.3),
                schedule: Schedule::WarmupCosine { warmup_steps: 4 },
                evaluate_every: 3,
                early_stop: Some(EarlyStop { patience: 2, min_delta: 0.5 }),
                ..base.clone()
            },
        ),
        ("tcn", 2, TrainConfig { encoder: EncoderConfig::tcn(2), steps: 3, ..base }),
    ] {
        check(name, n, &config);
    }
}

/// The line that the others cross: with negatives of its own rank only, a rank would have another
/// loss and another gradient.
#[test]
fn negatives_come_from_all_ranks() {
    /// Gathers no projections: a sum is the rank's own values alone.
    struct Selfish(ThreadRanks);
    impl Collective for Selfish {
        fn rank(&self) -> usize {
            self.0.rank()
        }
        fn world_size(&self) -> usize {
            self.0.world_size()
        }
        fn all_reduce_sum(&mut self, values: &mut [f32]) -> Result<(), RankError> {
            let own = values.to_vec();
            self.0.all_reduce_sum(values)?;
            // Projections are the one message of 2 B rows of 6.
            if values.len() == 2 * 12 * 6 {
                values.copy_from_slice(&own);
            }
            Ok(())
        }
    }
    let config = TrainConfig { objective: Objective::InfoNce, steps: 1, ..small() };
    let alone = run(&config, 5, None, None, Stop::default()).unwrap();
    let shared = together(&config, 2);
    assert_near("gathered", &shared[0].losses, &alone.losses);
    let threads = ThreadRanks::group(2).into_iter().map(|rank| {
        let config = config.clone();
        std::thread::spawn(move || {
            let mut rank = Selfish(rank);
            // The ranks notice that their weights differ, at the latest at the end.
            let found = run(&config, 5, Some(&mut rank), None, Stop::default())
                .map(|outcome| outcome.losses);
            (found, rank)
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        let (found, _rank) = thread.join().unwrap();
        match found {
            Ok(losses) => assert!((losses[0] - alone.losses[0]).abs() > 1e-2, "{losses:?}"),
            Err(error) => assert!(error.to_string().contains("weights of rank 1"), "{error}"),
        }
    }
}

#[test]
fn ranks_that_do_not_belong_together_are_told_so() {
    let check = |change: fn(&mut TrainConfig, usize) -> u64, expected: &'static str| {
        let errors = on_ranks(2, move |rank| {
            let mut config = small();
            let seed = change(&mut config, rank.rank());
            run(&config, seed, Some(rank), None, Stop::default()).unwrap_err().to_string()
        });
        for error in errors {
            assert!(error.contains(expected), "{error}");
        }
    };
    check(
        |c, rank| {
            c.seed = rank as u64;
            5
        },
        "the settings of rank 1 differ from those of rank 0",
    );
    check(|_, rank| 5 + rank as u64, "the training windows of rank 1 differ from those of rank 0");
    check(
        |c, _| {
            c.batch_size = 7;
            5
        },
        "`batch_size` is 7 for 2 ranks",
    );
}

#[test]
fn all_ranks_stop_when_one_is_asked_to_and_go_on_from_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let plan = |path: &std::path::Path| {
        Some(CheckpointPlan { folder: path.to_owned(), every: 2, keep: 3 })
    };
    let config = TrainConfig { objective: Objective::InfoNce, queue: 20, ..small() };
    let whole = run(&config, 5, None, None, Stop::default()).unwrap();
    let first = on_ranks(2, {
        let (config, path) = (config.clone(), path.clone());
        move |rank| {
            // Rank 1 is asked, from the first step on.
            let is_asked = rank.rank() == 1;
            let stop = Stop::when(move || is_asked);
            let outcome = run(&config, 5, Some(rank), plan(&path), stop).unwrap();
            (outcome.ended, outcome.losses.len(), outcome.checkpoint.is_some())
        }
    });
    assert_eq!(first, [(Ended::Interrupted, 1, true), (Ended::Interrupted, 1, false)]);
    // More ranks may go on than began; the last steps are one process's again.
    let second = on_ranks(3, {
        let config = TrainConfig { steps: 7, ..config.clone() };
        move |rank| run(&config, 5, Some(rank), plan(&path), Stop::default()).unwrap()
    });
    for rank in &second {
        assert_eq!((rank.first_step, rank.ended), (1, Ended::Finished));
        assert_near("losses", &rank.losses, &whole.losses[..7]);
    }
    let path = folder.path().join("run");
    let last = run(&config, 5, None, plan(&path), Stop::default()).unwrap();
    assert_eq!(last.first_step, 7);
    assert_near("losses", &last.losses, &whole.losses);
    assert_near("weights", &weights(&last), &weights(&whole));
    let log = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 12, "each step stands there once");
}

/// Knows no way to draw a part of a batch but to draw it whole.
struct Whole(Arc<dyn WindowSource>);

impl WindowSource for Whole {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn n_inputs(&self) -> usize {
        self.0.n_inputs()
    }
    fn window(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        self.0.window(idx, scratch, out)
    }
    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        self.0.pairs(scratch, rng, anchors, positives, keys)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_part_of_a_batch_is_that_part(n in 1_usize..40, cuts in (0_usize..41, 0_usize..41), seed in 0_u64..99) {
        let part = cuts.0.min(cuts.1).min(n)..cuts.0.max(cuts.1).min(n);
        let train = || prepare(&input(5), None, &OPTIONS).unwrap().train;
        let whole = train();
        let width = whole.n_inputs();
        let draw = |source: &dyn WindowSource, part: std::ops::Range<usize>| {
            let (mut a, mut p) = (vec![0.0; part.len() * width], vec![0.0; part.len() * width]);
            let mut keys = vec![PairKey::default(); n];
            let mut rng = Rng::new(seed);
            let scratch = &mut WindowScratch::default();
            source.pairs_of_part(scratch, &mut rng, part, &mut a, &mut p, &mut keys).unwrap();
            (a, p, keys, rng)
        };
        let (a, p, keys, rng) = draw(&*whole, 0..n);
        let values = part.start * width..part.end * width;
        for source in [&*train(), &Whole(train())] {
            let (part_a, part_p, part_keys, part_rng) = draw(source, part.clone());
            prop_assert_eq!(&part_a, &a[values.clone()]);
            prop_assert_eq!(&part_p, &p[values.clone()]);
            prop_assert_eq!(&part_keys, &keys);
            prop_assert_eq!(&part_rng, &rng);
        }
    }
}
