#![allow(clippy::unwrap_used, reason = "tests")]

use burn_autodiff::Autodiff;
use burn_flex::Flex;

use std::sync::Arc;

use lob_dataloader::{Loader, Prefetch};

use super::passes::{Piece, pieces};
use super::*;
use crate::{
    EncoderConfig, Objective, PairKey, Rng, Temperature, TrainConfig, WindowScratch, WindowSource,
};

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

    fn window(
        &self,
        _: usize,
        _: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        out.fill(0.0);
        Ok(())
    }

    fn pairs(
        &self,
        _: &mut WindowScratch,
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

fn loader(config: &TrainConfig) -> Loader<PairBatches> {
    let pairs = PairBatches::new(Arc::new(Noise(10)), config, 0..12);
    Loader::of(pairs, Prefetch::default()).unwrap()
}

fn gradients_of(trainer: &Trainer<'_, Back>, batch: &Batch, part: usize) -> Gradients<Back> {
    let data = TensorData::new(batch.values().to_vec(), [24, 10]);
    let x = Tensor::from_data(data, &Default::default());
    let (mut times, mut clock) = (StepTimes::default(), Lap::start());
    let mut team = Team::new(None, 12).unwrap();
    trainer.gradients(x, batch, (0, part), &mut team, &mut times, &mut clock).unwrap()
}

fn gradients_with(config: &TrainConfig) -> (f32, Vec<Vec<f32>>) {
    let mut trainer = Trainer::<Back>::new(config, &Noise(10), &Default::default(), true);
    let batch = loader(config).batches(0..1).next().unwrap().unwrap();
    if config.queue > 0 {
        let old = Tensor::from_data(TensorData::new(vec![0.3; 2 * 6], [2, 6]), &Default::default());
        trainer.queue.push(old, &batch.keys[..2]);
    }
    let found = gradients_of(&trainer, &batch, 0);
    let arrays = found.arrays.into_iter().map(|g| g.unwrap().download()).collect();
    (found.loss, arrays)
}

#[test]
fn cached_gradients_equal_those_of_the_whole_batch() {
    for (i, (_, objective)) in Objective::NAMES.into_iter().enumerate() {
        // Dropout hangs on the place in the batch, not on the chunk.
        let whole = config(objective, if i % 2 == 0 { 0.0 } else { 0.4 });
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

#[test]
fn pieces_cover_a_share_and_know_their_place() {
    let piece = |rows, first| Piece { rows, first };
    assert_eq!(pieces(&(0..4), 4, usize::MAX), [piece(0..8, 0)]);
    assert_eq!(pieces(&(0..4), 4, 3), [piece(0..3, 0), piece(3..6, 3), piece(6..8, 6)]);
    // The second of two ranks: pairs 2 and 3, anchors in rows 2 and 3, positives in 6 and 7.
    assert_eq!(pieces(&(2..4), 4, usize::MAX), [piece(0..2, 2), piece(2..4, 6)]);
    let split = [piece(0..1, 2), piece(1..2, 3), piece(2..3, 6), piece(3..4, 7)];
    assert_eq!(pieces(&(2..4), 4, 1), split);
}

#[test]
fn accumulated_batches_give_the_mean_gradient() {
    let config = config(Objective::Symmetric, 0.0);
    let two = TrainConfig { accumulate: 2, clip_norm: None, steps: 1, ..config.clone() };
    let source = Noise(10);
    let trainer = Trainer::<Back>::new(&two, &source, &Default::default(), true);
    let loader = loader(&two);
    let batches = loader.batches(0..2).zip(0..);
    let single: Vec<_> =
        batches.map(|(batch, part)| gradients_of(&trainer, &batch.unwrap(), part)).collect();
    let values = |g: &Gradients<Back>| -> Vec<f32> {
        g.arrays.iter().flat_map(|a| a.clone().unwrap().download()).collect()
    };
    let (a, b) = (values(&single[0]), values(&single[1]));
    assert_ne!(a, b);
    let norm = a.iter().zip(&b).map(|(a, b)| (0.5 * (a + b)).powi(2)).sum::<f32>().sqrt();
    let mut trainer = Trainer::<Back>::new(&two, &source, &Default::default(), true);
    let times =
        trainer.step(&mut loader.batches(0..2), &mut Team::new(None, 12).unwrap(), false).unwrap();
    assert!((times.grad_norm - norm).abs() < 1e-4 * norm, "{} and {norm}", times.grad_norm);
    assert!((trainer.losses[0] - 0.5 * (single[0].loss + single[1].loss)).abs() < 1e-5);
}
