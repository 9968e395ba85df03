#![allow(clippy::unwrap_used, reason = "tests")]

use burn::backend::{Autodiff, Flex};

use super::*;
use crate::{EncoderConfig, Objective, Temperature, TrainConfig, WindowSource};

type Back = Autodiff<Flex>;

/// Pairs of random windows.
struct Noise(usize);

impl WindowSource for Noise {
    fn len(&self) -> usize {
        1000
    }

    fn n_inputs(&self) -> usize {
        self.0
    }

    fn window(&mut self, _: usize, out: &mut [f32]) -> Result<(), ContrastiveError> {
        out.fill(0.0);
        Ok(())
    }

    fn pairs(
        &mut self,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        for (a, p) in anchors.iter_mut().zip(positives) {
            *a = rng.normal_f32();
            *p = *a + 0.5 * rng.normal_f32();
        }
        for (i, key) in keys.iter_mut().enumerate() {
            key.label = i64::try_from(i % 3).unwrap();
        }
        Ok(())
    }
}

fn config(objective: Objective, dropout: f32) -> TrainConfig {
    TrainConfig {
        batch_size: 12,
        objective,
        temperature: Temperature::Learned(0.1),
        encoder: EncoderConfig {
            hidden: vec![24, 16],
            embedding_dim: 8,
            layer_norm: true,
            dropout,
            ..EncoderConfig::simple()
        }
        .with_projection(6),
        ..TrainConfig::default()
    }
}

fn gradients_with(config: &TrainConfig) -> (f32, Vec<Vec<f32>>) {
    let mut source = Noise(10);
    let mut trainer = Trainer::<Back>::new(config, &source, &Default::default(), true);
    let batch = trainer.training_batch(&mut source, 0, 0).unwrap();
    if config.queue > 0 {
        let old = Tensor::from_data(TensorData::new(vec![0.3; 2 * 6], [2, 6]), &Default::default());
        trainer.queue.push(old, &batch.keys[..2]);
    }
    let data = TensorData::new(batch.values, [24, 10]);
    let x = Tensor::from_data(data, &Default::default());
    let (mut times, mut clock) = (StepTimes::default(), Lap::start());
    let found = trainer.gradients(x, &batch.keys, (0, 0), &mut times, &mut clock);
    let arrays = found.arrays.into_iter().map(|g| g.unwrap().download()).collect();
    (found.loss, arrays)
}

#[test]
fn cached_gradients_equal_those_of_the_whole_batch() {
    for (_, objective) in Objective::NAMES {
        let whole = config(objective, 0.0);
        let (loss, gradients) = gradients_with(&whole);
        for rows in [1, 5, 8, 23] {
            let cached = TrainConfig { grad_cache: Some(rows), ..whole.clone() };
            let (cached_loss, cached) = gradients_with(&cached);
            assert!((cached_loss - loss).abs() < 1e-5, "{objective} {rows}");
            let largest = gradients.iter().flatten().fold(0.0_f32, |m, g| m.max(g.abs()));
            assert!(largest > 1e-3, "{objective}: the test needs gradients");
            for (i, (a, b)) in gradients.iter().zip(&cached).enumerate() {
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() < 1e-5, "{objective} {rows} array {i}: {a} and {b}");
                }
            }
        }
    }
    let queued = TrainConfig { queue: 4, ..config(Objective::InfoNce, 0.0) };
    let (loss, gradients) = gradients_with(&queued);
    let (cached_loss, cached) =
        gradients_with(&TrainConfig { grad_cache: Some(7), ..queued.clone() });
    assert!((loss - cached_loss).abs() < 1e-5);
    assert!(loss > gradients_with(&TrainConfig { queue: 0, ..queued }).0, "negatives count");
    for (a, b) in gradients.iter().flatten().zip(cached.iter().flatten()) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

/// The chunks in one graph, each with its own dropout: what the cache must reproduce.
#[test]
fn dropout_is_the_same_in_both_passes() {
    let cached = TrainConfig { grad_cache: Some(7), ..config(Objective::Symmetric, 0.4) };
    let (loss, gradients) = gradients_with(&cached);

    let mut source = Noise(10);
    let trainer = Trainer::<Back>::new(&cached, &source, &Default::default(), true);
    let batch = trainer.training_batch(&mut source, 0, 0).unwrap();
    let x =
        Tensor::<Back, 2>::from_data(TensorData::new(batch.values, [24, 10]), &Default::default());
    let leaves: Vec<Weight<Back>> = trainer.weights.iter().map(tracked::<Back>).collect();
    let encoder = trainer.encoder_of(&leaves[..trainer.n_encoder_weights]);
    let parts = chunks(24, 7).into_iter().enumerate().map(|(i, chunk)| {
        let x = x.clone().narrow(0, chunk.start, chunk.len());
        encoder.forward(x, Some(&mut trainer.dropout_rng((0, 0), i))).projection
    });
    let z = Tensor::cat(parts.collect(), 0);
    let weights = LossWeights::new(&cached, &leaves[trainer.n_encoder_weights..]);
    let marks = Marks::new(&cached, &batch.keys, None, &Default::default());
    let joined = objective_loss(&cached, z, &weights, marks).loss;
    let mut all = joined.backward();
    drop((encoder, weights));
    let expected = take_gradients(leaves, &mut all);
    assert!((to_vec(joined.inner())[0] - loss).abs() < 1e-5);
    for (expected, found) in expected.into_iter().zip(gradients) {
        for (a, b) in expected.unwrap().download().iter().zip(found) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }
}

#[test]
fn accumulated_batches_give_the_mean_gradient() {
    let config = config(Objective::Symmetric, 0.0);
    let two = TrainConfig { accumulate: 2, clip_norm: None, steps: 1, ..config.clone() };
    let mut source = Noise(10);
    let trainer = Trainer::<Back>::new(&two, &source, &Default::default(), true);
    let mut single = Vec::new();
    for part in 0..2 {
        let batch = trainer.training_batch(&mut source, 0, part).unwrap();
        let x = Tensor::from_data(TensorData::new(batch.values, [24, 10]), &Default::default());
        let (mut times, mut clock) = (StepTimes::default(), Lap::start());
        single.push(trainer.gradients(x, &batch.keys, (0, part), &mut times, &mut clock));
    }
    let values = |g: &Gradients<Back>| -> Vec<f32> {
        g.arrays.iter().flat_map(|a| a.clone().unwrap().download()).collect()
    };
    let (a, b) = (values(&single[0]), values(&single[1]));
    assert_ne!(a, b);
    let norm = a.iter().zip(&b).map(|(a, b)| (0.5 * (a + b)).powi(2)).sum::<f32>().sqrt();
    let mut trainer = Trainer::<Back>::new(&two, &source, &Default::default(), true);
    let times = trainer.step(&mut source).unwrap();
    assert!((times.grad_norm - norm).abs() < 1e-4 * norm, "{} and {norm}", times.grad_norm);
    assert!((trainer.losses[0] - 0.5 * (single[0].loss + single[1].loss)).abs() < 1e-5);
}
