//! Evaluation that can fail, on generated signals whose classes are known.

use lob_contrastive::{
    Augment, Device, EncoderConfig, EvaluateConfig, EvaluationTable, Features, InputSpec, Method,
    Positives, PrepareOptions, Prepared, SignalKind, SignalSpec, TrainConfig, TrainOutcome,
    Verdict, evaluate, prepare, train,
};

fn prepared(kind: SignalKind) -> Prepared {
    let spec = SignalSpec { kind, n_signals: 120, n_rows: 96, n_channels: 1, seed: 2 };
    let options = PrepareOptions::new(Positives::Apart { max_gap: 32 });
    prepare(&InputSpec::Signals { window: 32, stride: 8, spec }, None, &options).unwrap()
}

fn trained(prepared: &Prepared, seed: u64, steps: usize) -> TrainOutcome {
    let config = TrainConfig {
        seed,
        steps,
        batch_size: 32,
        encoder: EncoderConfig {
            hidden: vec![48, 48],
            embedding_dim: 24,
            ..EncoderConfig::simple()
        },
        augment: Augment { jitter: 0.1, ..Augment::none() },
        device: Device::Cpu,
        ..TrainConfig::default()
    };
    train(prepared.train.clone(), &config).unwrap()
}

fn table(
    prepared: &Prepared,
    outcomes: &[TrainOutcome],
    baselines: &[Features],
) -> EvaluationTable {
    let models: Vec<_> = outcomes.iter().map(|o| o.model.clone()).collect();
    let config = EvaluateConfig {
        seeds: 3,
        budgets: vec![50],
        baselines: baselines.to_vec(),
        ..EvaluateConfig::default()
    };
    evaluate(&prepared.evaluated(), &models, &config).unwrap()
}

#[test]
fn frequencies_are_learned_and_the_table_says_against_what() {
    let prepared = prepared(SignalKind::Medium);
    // No signal is in two parts.
    let signals = |part: &[usize]| -> std::collections::BTreeSet<usize> {
        part.iter().map(|&idx| prepared.origins[idx].file).collect()
    };
    let split = &prepared.split;
    assert!(signals(&split.train).is_disjoint(&signals(&split.test)));
    assert!(signals(&split.train).is_disjoint(&signals(&split.validation)));

    let outcomes: Vec<_> = (0..3).map(|seed| trained(&prepared, seed, 120)).collect();
    for outcome in &outcomes {
        assert!(outcome.losses[119] < 0.8 * outcome.losses[0], "{:?}", outcome.losses);
        assert_eq!(outcome.metrics.collapse, None);
    }
    let table =
        table(&prepared, &outcomes, &[Features::Raw, Features::HandStatistics, Features::Majority]);
    // Three kinds of features by a fit and a vote but the majority, and a network; no votes with
    // few labels.
    assert_eq!(table.rows.len(), 8 + 5);
    for row in &table.rows {
        let [low, high] = row.ci95.unwrap();
        assert!(low <= row.mean && row.mean <= high);
        assert!(row.scores.iter().all(|s| (0.0..=1.0).contains(s)));
        assert_eq!(row.n_blocks, 24, "a block for each signal of the test part");
    }
    let own = table.row("signal_class", Features::Contrastive, Method::Logistic).unwrap();
    assert!(own.mean > 0.6, "{own:?}");
    assert_eq!(own.scores.len(), 3, "a score for each model");
    // A raw window of a sine has a random phase: a linear probe cannot see its frequency.
    let raw = table.against("signal_class", Features::Raw, Method::Logistic).unwrap();
    assert_eq!(raw.verdict, Some(Verdict::Better), "{:#?}", table.rows);
    let majority = table.row("signal_class", Features::Majority, Method::Majority).unwrap();
    assert_eq!((majority.mean, majority.mcc), (majority.chance, None));
    assert!(table.findings()[0].contains("they beat"), "{:?}", table.findings());
}

#[test]
fn noise_is_not_learned_and_the_alarm_rings() {
    let prepared = prepared(SignalKind::Simple);
    assert!(prepared.tasks.is_empty(), "white noise has no classes");
    let outcome = trained(&prepared, 0, 60);
    let tail: f32 = outcome.losses[50..].iter().sum::<f32>() / 10.0;
    assert!(outcome.metrics.top1 < 0.15, "{:?}", outcome.metrics);
    assert!(tail > 0.9 * 32.0_f32.ln(), "{tail}");
}

#[test]
fn an_untrained_model_has_no_advantage_over_an_untrained_model() {
    let prepared = prepared(SignalKind::Mixed);
    let config = TrainConfig {
        steps: 1,
        batch_size: 8,
        encoder: EncoderConfig { hidden: vec![32], embedding_dim: 16, ..EncoderConfig::simple() },
        device: Device::Cpu,
        optimiser: lob_contrastive::AdamWConfig {
            learning_rate: 1e-12,
            ..lob_contrastive::AdamWConfig::default()
        },
        ..TrainConfig::default()
    };
    let outcome = train(prepared.train.clone(), &config).unwrap();
    let table = table(&prepared, &[outcome], &[Features::RandomEncoder]);
    for method in [Method::Logistic, Method::Knn] {
        let found = table.against("signal_class", Features::RandomEncoder, method).unwrap();
        assert!(found.mean.abs() < 0.15, "{found:?}");
        assert_ne!(found.verdict, Some(Verdict::Better), "{found:?}");
    }
    assert!(table.findings().iter().any(|f| f.contains("one trained model")));
}
