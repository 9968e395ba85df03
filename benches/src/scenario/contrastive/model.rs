//! What each encoder and size costs: parts of a step, InfoNCE alone, batch and window scaling.

use std::sync::Arc;

use anyhow::Result;
use lob_contrastive::{EncoderConfig, NoisePairs, TrainOutcome};
use lob_metrics::{Artifact, Axis, Direction, Measurement, Severity, Summary, Unit};

use super::shape::{Shape, compute_s};
use super::{Bench, gemm_limit, settings, warm};

/// Encoder, batch and window of the seed document's three trainings.
const SEED_SIZES: [(&str, usize, usize); 3] =
    [("simple", 16, 512), ("medium", 32, 1024), ("complex", 64, 2048)];

/// More sizes of the full suite; together with [`SEED_SIZES`] those that PyTorch is held against.
const MORE_SIZES: [(&str, usize, usize); 10] = [
    ("simple", 64, 1024),
    ("simple", 256, 1024),
    ("simple", 256, 4096),
    ("medium", 32, 4096),
    ("medium", 256, 1024),
    ("complex", 16, 512),
    ("complex", 16, 1024),
    ("complex", 64, 1024),
    ("complex", 256, 512),
    ("complex", 256, 4096),
];

/// Batch sizes of the scaling curve, at [`SCALING_WINDOW`].
const BATCHES: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];
/// Windows of the scaling curve, at [`SCALING_BATCH`].
const WINDOWS: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];
const SCALING_WINDOW: usize = 1024;
const SCALING_BATCH: usize = 32;

/// Batch and width of the loss measured alone.
const LOSS_SIZES: [(usize, usize); 2] = [(32, 128), (256, 128)];

/// Encoders by size.
pub(in crate::scenario) fn model(bench: &mut Bench<'_>) -> Result<()> {
    let mut shapes: Vec<Shape> =
        SEED_SIZES.iter().map(|&(name, batch, n)| Shape::perceptron(name, batch, n)).collect();
    if !bench.options.quick {
        shapes.extend(MORE_SIZES.iter().map(|&(name, b, n)| Shape::perceptron(name, b, n)));
    }
    let (tcn, lob) = (EncoderConfig::tcn(8), EncoderConfig::deep_lob(1, 67));
    shapes.push(Shape { name: "tcn", encoder: tcn, batch_size: 32, n_inputs: 64 * 8 });
    shapes.push(Shape { name: "deep_lob", encoder: lob, batch_size: 32, n_inputs: 67 * 16 });
    let of = settings(bench);
    bench.rec.config("encoders", "simple, medium, complex (perceptrons), tcn, deep_lob");
    for shape in &shapes {
        let steps = if bench.options.quick || shape.batch_size > 64 { 16 } else { 60 };
        match shape.train(steps, &of) {
            Ok(outcome) => report(bench, shape, &outcome),
            Err(error) => failed(bench, &format!("model.{}.step", shape.id()), &error.to_string()),
        }
    }
    for (batch, dim) in LOSS_SIZES {
        let n = if bench.options.quick { 50 } else { 300 };
        let times = lob_contrastive::time_info_nce(batch, dim, n, of.device)?;
        bench.rec.latency(&format!("model.info_nce_{batch}x{dim}"), &warm(&times));
    }
    Ok(())
}

/// Parts of the step of one shape.
fn report(bench: &mut Bench<'_>, shape: &Shape, outcome: &TrainOutcome) {
    let metric = |of: &str| format!("model.{}.{of}", shape.id());
    let step_s = warm(&compute_s(outcome));
    bench.rec.latency(&metric("step"), &step_s);
    bench.rec.latency(&metric("batch_preparation"), &warm(&outcome.batch_s));
    bench.rec.latency(&metric("forward"), &warm(&outcome.forward_s));
    bench.rec.latency(&metric("info_nce"), &warm(&outcome.loss_s));
    bench.rec.latency(&metric("backward"), &warm(&outcome.backward_s));
    bench.rec.latency(&metric("optimiser"), &warm(&outcome.optimiser_s));
    let flops = shape.encoder.forward_flops(shape.n_inputs);
    let median = Summary::of(&step_s).map_or(f64::NAN, |s| s.median);
    let per_s = shape.encoder.step_flops(shape.batch_size, shape.n_inputs) as f64 / median;
    let rates: Vec<f64> = step_s.iter().map(|s| shape.batch_size as f64 / s).collect();
    let limit = gemm_limit(bench, per_s);
    bench.rec.rate(&metric("pairs_per_s"), Unit::SamplesPerSecond, &rates, limit);
    let parameters = shape.encoder.n_params(shape.n_inputs);
    bench.rec.count(&metric("parameters"), parameters as f64);
    bench.rec.count(&metric("forward_flop_per_window"), flops as f64);
}

/// A size that does not work is a result: a missing value with its reason, and a finding.
fn failed(bench: &mut Bench<'_>, metric: &str, why: &str) {
    let direction = Direction::LowerIsBetter;
    bench.rec.add(Measurement::unavailable(metric, Unit::Seconds, direction, why));
    bench.rec.finding(Severity::Warning, format!("{metric}: {why}"));
}

/// Time and memory over batch sizes and windows.
pub(in crate::scenario) fn scaling(bench: &mut Bench<'_>) -> Result<()> {
    // A size may be too large for a device; without the device no size says anything.
    settings(bench).device.resolve()?;
    bench.rec.config("encoder", "medium");
    let by_batch = BATCHES.map(|batch| Shape::perceptron("medium", batch, SCALING_WINDOW));
    let by_window = WINDOWS.map(|n| Shape::perceptron("medium", SCALING_BATCH, n));
    let batches = curve(bench, Axis::Batch, &by_batch, |shape| shape.batch_size);
    let windows = curve(bench, Axis::Window, &by_window, |shape| shape.n_inputs);
    for (name, points) in [("batch", &batches), ("window", &windows)] {
        let (metric, higher) = (format!("train.max_{name}"), Direction::HigherIsBetter);
        bench.rec.add(match points.iter().map(|p| p.size).max() {
            Some(largest) => Measurement::measured(&metric, Unit::Count, higher, &[largest as f64]),
            None => Measurement::unavailable(&metric, Unit::Count, higher, "no size worked"),
        });
    }
    memory(bench, &batches);
    Ok(())
}

/// One size that worked.
struct Point {
    size: usize,
    /// Growth of the peak resident memory over the memory before, where it can be read.
    peak: Option<f64>,
}

fn curve(
    bench: &mut Bench<'_>,
    axis: Axis,
    shapes: &[Shape],
    size: impl Fn(&Shape) -> usize,
) -> Vec<Point> {
    let of = settings(bench);
    let name = axis.name();
    let steps = if bench.options.quick { 12 } else { 40 };
    let (mut points, mut medians) = (Vec::new(), Vec::new());
    for shape in shapes {
        let metric = format!("train.pairs_per_s_{name}_{}", size(shape));
        let before = lob_scope::rss_bytes().ok().filter(|_| lob_scope::reset_peak_rss().is_ok());
        match shape.train(steps, &of) {
            Ok(outcome) => {
                let step_s = warm(&outcome.step_s);
                let rates: Vec<f64> = step_s.iter().map(|s| shape.batch_size as f64 / s).collect();
                let place = ("train.pairs_per_s", axis, size(shape));
                bench.rec.rate_over(&metric, Unit::SamplesPerSecond, &rates, place);
                let peak = before.and_then(|before| {
                    let peak = lob_scope::peak_rss_bytes().ok()?;
                    Some(peak.saturating_sub(before) as f64)
                });
                medians.push(Summary::of(&step_s).map_or(f64::NAN, |s| s.median));
                points.push(Point { size: size(shape), peak });
            }
            Err(error) => failed(bench, &metric, &error.to_string()),
        }
    }
    bench.rec.artifacts.push(Artifact::Line {
        title: format!("Training step over the {name} size"),
        x_label: format!("{name} size"),
        y_label: "seconds a step".to_owned(),
        x: points.iter().map(|p| p.size as f64).collect(),
        y: medians,
    });
    points
}

/// Memory of one more pair, and whether it stays the same as batches grow.
fn memory(bench: &mut Bench<'_>, batches: &[Point]) {
    let lower = Direction::LowerIsBetter;
    let between = |a: usize, b: usize| {
        let at = |size: usize| batches.iter().find(|p| p.size == size).and_then(|p| p.peak);
        Some((at(b)? - at(a)?).max(0.0) / (b - a) as f64)
    };
    let unread = "the peak of the resident memory cannot be read or reset on this system";
    let add = |bench: &mut Bench<'_>, metric: &str, unit: Unit, value: Result<f64, &str>| {
        bench.rec.add(match value {
            Ok(value) => Measurement::measured(metric, unit, lower, &[value]),
            Err(reason) => Measurement::unavailable(metric, unit, lower, reason),
        });
    };
    add(bench, "train.memory_per_pair", Unit::Bytes, between(32, 256).ok_or(unread));
    let factor = match between(64, 128).zip(between(128, 256)) {
        Some((first, second)) if first > 0.0 => Ok(second / first),
        Some(_) => {
            Err("batches of 128 took no more memory than those of 64: nothing to compare with")
        }
        None => Err(unread),
    };
    add(bench, "train.memory_scaling_factor", Unit::Dimensionless, factor);
}

/// Whether memory grows from step to step: the resident memory after many steps against that
/// after the first few.
pub(super) fn memory_growth(bench: &mut Bench<'_>) {
    let shape = Shape::perceptron("medium", SCALING_BATCH, SCALING_WINDOW);
    let steps = if bench.options.quick { 60 } else { 300 };
    let config = shape.config(steps, &settings(bench));
    let source = NoisePairs::new(shape.batch_size, shape.n_inputs, config.seed);
    let (mut first, mut last) = (None, None);
    let mut observe = |report: &lob_contrastive::StepReport| {
        let now = lob_scope::anon_rss_bytes().ok();
        if report.step == 10 {
            first = now;
        }
        last = now;
    };
    let options = lob_contrastive::RunOptions {
        observer: Some(&mut observe),
        ..lob_contrastive::RunOptions::default()
    };
    let outcome = lob_contrastive::train_with(Arc::new(source), &config, options);
    let growth = first.zip(last).filter(|_| outcome.is_ok());
    let growth = growth.map(|(first, last)| (last as f64 - first as f64) / first as f64);
    let (metric, lower) = ("train.memory_growth", Direction::LowerIsBetter);
    bench.rec.add(match growth {
        Some(growth) => Measurement::measured(metric, Unit::Fraction, lower, &[growth]),
        None => Measurement::unavailable(metric, Unit::Fraction, lower, "no resident memory read"),
    });
}
