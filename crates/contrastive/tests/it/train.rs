use std::sync::Arc;

use lob_contrastive::{
    AdamWConfig, ContrastiveError, Device, Embedder, EncoderConfig, NamedTensor, NoisePairs,
    Objective, Rng, Schedule, SeriesSpec, SeriesWindows, Temperature, TrainConfig, WindowScratch,
    WindowSource, embed, train,
};

fn small() -> TrainConfig {
    TrainConfig {
        steps: 12,
        batch_size: 8,
        encoder: EncoderConfig {
            hidden: vec![16],
            embedding_dim: 8,
            dropout: 0.1,
            layer_norm: true,
            ..EncoderConfig::simple()
        }
        .with_projection(4),
        device: Device::Cpu,
        ..TrainConfig::default()
    }
}

#[test]
fn sixty_four_pairs_are_learnt_by_heart() {
    let source = Arc::new(NoisePairs::new(64, 32, 1));
    let config = TrainConfig {
        steps: 150,
        batch_size: 64,
        encoder: EncoderConfig { hidden: vec![64], embedding_dim: 32, ..EncoderConfig::simple() },
        objective: Objective::InfoNce,
        device: Device::Cpu,
        ..TrainConfig::default()
    };
    let outcome = train(source, &config).unwrap();
    assert_eq!(outcome.metrics.top1, 1.0, "{:?}", outcome.metrics);
    assert!(outcome.losses[149] < 0.1 * outcome.losses[0], "{:?}", outcome.losses);
    assert_eq!(outcome.metrics.collapse, None);
    assert!(outcome.metrics.effective_rank > 8.0);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let run = |seed| {
        let outcome =
            train(Arc::new(NoisePairs::new(8, 10, 2)), &TrainConfig { seed, ..small() }).unwrap();
        let bits: Vec<u32> = outcome.losses.iter().map(|l| l.to_bits()).collect();
        (bits, outcome.model)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

/// Work large enough for a second thread in the products, the layers, the loss, the convolutions
/// and the optimiser gives the same weights, bit for bit.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let perceptron = EncoderConfig {
        hidden: vec![320, 256],
        layer_norm: true,
        dropout: 0.2,
        ..EncoderConfig::simple()
    };
    for (encoder, batch_size, n_inputs) in [
        (perceptron.with_projection(64), 192, 512),
        (EncoderConfig::tcn(4), 16, 4 * 64),
        (EncoderConfig::deep_lob(1, 67), 16, 67 * 16),
    ] {
        let config = TrainConfig {
            steps: 2,
            batch_size,
            encoder,
            clip_norm: Some(0.5),
            device: Device::Cpu,
            ..TrainConfig::default()
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                assert_eq!(rayon::current_num_threads(), threads);
                let outcome =
                    train(Arc::new(NoisePairs::new(batch_size, n_inputs, 6)), &config).unwrap();
                let bits: Vec<u32> = outcome.losses.iter().map(|l| l.to_bits()).collect();
                let values = |t: &NamedTensor| t.values.iter().map(|x| x.to_bits()).collect();
                let weights: Vec<Vec<u32>> = outcome.model.tensors.iter().map(values).collect();
                (bits, weights)
            })
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one.0, two.0, "losses of {:?}", config.encoder.trunk);
        assert!(one.1 == two.1, "weights of {:?}", config.encoder.trunk);
    }
}

#[test]
fn every_objective_learns() {
    for objective in [
        Objective::InfoNce,
        Objective::Symmetric,
        Objective::NtXent,
        Objective::SupCon,
        Objective::Decoupled,
        Objective::SigLip,
    ] {
        for temperature in [Temperature::Fixed(0.2), Temperature::Learned(0.07)] {
            let config = TrainConfig {
                objective,
                temperature,
                steps: 40,
                ignore_radius: 0,
                schedule: Schedule::WarmupCosine { warmup_steps: 5 },
                ..small()
            };
            let outcome = train(Arc::new(NoisePairs::new(8, 10, 5)), &config).unwrap();
            let mean = |l: &[f32]| l.iter().sum::<f32>() / l.len() as f32;
            let (first, last) = (mean(&outcome.losses[..5]), mean(&outcome.losses[35..]));
            assert!(last < first, "{objective:?} {temperature:?}: {first} to {last}");
            let moved = (outcome.temperature - temperature.initial()).abs() > 1e-6;
            let learns =
                matches!(temperature, Temperature::Learned(_)) || objective == Objective::SigLip;
            assert_eq!(moved, learns, "{objective:?} {temperature:?}: {}", outcome.temperature);
            assert!((0.01..=1.0).contains(&outcome.temperature));
        }
    }
}

#[test]
fn constant_input_rings_the_collapse_alarm() {
    let spec = SeriesSpec { window: 10, stride: 10, max_gap: 10 };
    let source = SeriesWindows::new(vec![1.0; 400], 1, &[0; 400], 0..400, spec).unwrap();
    let source = Arc::new(source);
    let mut config = small();
    config.encoder.dropout = 0.0;
    let outcome = train(source, &config).unwrap();
    let expected = 8.0_f32.ln();
    assert!(outcome.losses.iter().all(|l| (l - expected).abs() < 1e-4), "{:?}", outcome.losses);
    assert!(outcome.metrics.collapse.unwrap().contains("point the same way"));
}

#[test]
fn a_series_of_regimes_trains_and_embeds_before_the_head() {
    // Two channels whose level changes every 40 rows: neighbours in time are alike.
    let mut rng = Rng::new(9);
    let values: Vec<f32> = (0..800_usize)
        .flat_map(|row| {
            let level = ((row / 40) as f32 * 2.4).sin();
            [level + 0.1 * rng.normal_f32(), -level + 0.1 * rng.normal_f32()]
        })
        .collect();
    let spec = SeriesSpec { window: 6, stride: 3, max_gap: 2 };
    let source = Arc::new(SeriesWindows::new(values, 2, &[0; 800], 0..600, spec).unwrap());
    let config = TrainConfig { steps: 60, ignore_radius: 40, ..small() };
    let outcome = train(source.clone(), &config).unwrap();
    assert_eq!(outcome.losses.len(), 60);
    for times in [
        &outcome.step_s,
        &outcome.wait_s,
        &outcome.batch_s,
        &outcome.forward_s,
        &outcome.loss_s,
        &outcome.backward_s,
        &outcome.optimiser_s,
    ] {
        assert!(times.len() == 60 && times.iter().all(|&t| t >= 0.0));
    }
    assert_eq!(outcome.model.n_params(), config.encoder.n_params(12));

    let mut windows = vec![0.0; 3 * 12];
    for (idx, out) in windows.chunks_exact_mut(12).enumerate() {
        source.window(idx, &mut WindowScratch::default(), out).unwrap();
    }
    let features = embed(&outcome.model, &windows).unwrap();
    assert_eq!(features.len(), 3 * 8);
    let mut one = vec![0.0; 8];
    let mut embedder = Embedder::new(&outcome.model, Device::Cpu).unwrap();
    embedder.embed_into(&windows[12..24], &mut one).unwrap();
    assert!(one.iter().zip(&features[8..16]).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(embedder.embed_into(&windows[..13], &mut one).is_err());
    assert!(embed(&outcome.model, &[]).unwrap().is_empty());
}

#[test]
fn divergence_and_bad_settings_are_errors() {
    let config = TrainConfig {
        optimiser: AdamWConfig { learning_rate: 1e30, ..AdamWConfig::default() },
        ..small()
    };
    let error = train(Arc::new(NoisePairs::new(8, 10, 1)), &config).unwrap_err();
    assert!(matches!(error, ContrastiveError::Diverged { .. }), "{error}");
    let empty = Arc::new(NoisePairs::new(0, 4, 1));
    let message = train(empty, &small()).unwrap_err().to_string();
    assert!(message.starts_with("the window source is empty"), "{message}");
    let config = TrainConfig { batch_size: 0, ..small() };
    assert!(train(Arc::new(NoisePairs::new(8, 10, 1)), &config).is_err());
}
