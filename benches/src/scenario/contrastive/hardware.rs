//! The same training on the CPU and on the GPU, and in three precisions.

use anyhow::Result;
use lob_contrastive::{Device, Precision, TrainConfig, TrainOutcome};
use lob_metrics::stats::largest;
use lob_metrics::{Direction, Means, Measurement, Severity, Summary, Unit};

use super::shape::{Shape, compute_s};
use super::{Bench, settings, warm};

/// CPU against GPU, half against single precision. What there is no GPU for is not measured.
pub(in crate::scenario) fn hardware(bench: &mut Bench<'_>) -> Result<()> {
    let shape = Shape::perceptron("medium", 32, 1024);
    let steps = if bench.options.quick { 16 } else { 60 };
    bench.rec.config("encoder", "medium, batch 32, window 1024");
    let of = settings(bench);
    let on = |device: Device, precision: Precision| {
        shape.train(steps, &TrainConfig { device, precision, ..of.clone() })
    };
    let cpu = on(Device::Cpu, Precision::F32)?;
    bench.rec.add(step("hardware.cpu_step", &cpu).by("hardware.step", Means::Cpu));
    match on(Device::Cuda, Precision::F32) {
        Ok(gpu) => {
            bench.rec.add(step("hardware.gpu_step", &gpu).by("hardware.step", Means::Gpu));
            let speed_up = median(&cpu) / median(&gpu);
            bench.rec.add(plain("hardware.gpu_speed_up", Direction::HigherIsBetter, speed_up));
        }
        Err(error) => no_gpu(bench, &error.to_string()),
    }
    precisions(bench, of.device, &on)?;
    super::model::memory_growth(bench);
    Ok(())
}

fn no_gpu(bench: &mut Bench<'_>, why: &str) {
    for (figure, unit, direction) in [
        ("step", Unit::Seconds, Direction::LowerIsBetter),
        ("speed_up", Unit::Dimensionless, Direction::HigherIsBetter),
        ("memory_per_pair", Unit::Bytes, Direction::LowerIsBetter),
        ("half_speed_up", Unit::Dimensionless, Direction::HigherIsBetter),
    ] {
        let metric = format!("hardware.gpu_{figure}");
        let unknown = Measurement::unavailable(&metric, unit, direction, why);
        bench.rec.add(unknown.by(format!("hardware.{figure}"), Means::Gpu));
    }
    bench.rec.finding(Severity::Info, format!("GPU figures are not measured: {why}"));
}

/// Step time and loss in half precision against single precision on the same device.
fn precisions(
    bench: &mut Bench<'_>,
    device: Device,
    on: &dyn Fn(Device, Precision) -> Result<TrainOutcome, lob_contrastive::ContrastiveError>,
) -> Result<()> {
    let single = on(device, Precision::F32)?;
    let is_gpu = single.device.device == Device::Cuda;
    let figure = "precision.step";
    bench.rec.add(step("precision.f32.step", &single).by(figure, Means::F32));
    let mut fastest = None;
    for (precision, means) in [(Precision::Bf16, Means::Bf16), (Precision::F16, Means::F16)] {
        let metric = |of: &str| format!("precision.{precision}.{of}");
        let half = match on(device, precision) {
            Ok(half) => half,
            Err(error) => {
                let (unit, lower) = (Unit::Seconds, Direction::LowerIsBetter);
                let missing =
                    Measurement::unavailable(&metric("step"), unit, lower, &error.to_string());
                bench.rec.add(missing.by(figure, means));
                continue;
            }
        };
        bench.rec.add(step(&metric("step"), &half).by(figure, means));
        let speed_up = median(&single) / median(&half);
        fastest = largest(fastest.into_iter().chain([speed_up]));
        bench.rec.add(plain(&metric("speed_up"), Direction::HigherIsBetter, speed_up));
        let difference = loss_difference(&single.losses, &half.losses);
        bench.rec.add(plain(&metric("loss_difference"), Direction::LowerIsBetter, difference));
    }
    let name = "hardware.gpu_half_speed_up";
    let Some(fastest) = fastest.filter(|speed_up| *speed_up > 0.0) else {
        let why = "no half precision has a step time here";
        let (unit, direction) = (Unit::Dimensionless, Direction::HigherIsBetter);
        bench.rec.add(Measurement::unavailable(name, unit, direction, why));
        return Ok(());
    };
    if is_gpu {
        bench.rec.add(plain(name, Direction::HigherIsBetter, fastest));
    } else {
        let text = format!(
            "half precision takes {:.1} times as long as single precision on this CPU: its matrix \
             product has no fast path for it. It is meant for a GPU.",
            1.0 / fastest
        );
        bench.rec.finding(Severity::Info, text);
    }
    Ok(())
}

/// Largest relative difference of the losses, step by step; NaN where one of them is no number, one
/// run has more of them, or there are none: nothing is accurate by being left out.
fn loss_difference(single: &[f32], half: &[f32]) -> f64 {
    if single.len() != half.len() {
        return f64::NAN;
    }
    let pairs = single.iter().zip(half);
    largest(pairs.map(|(a, b)| f64::from((a - b).abs() / a.abs().max(1e-3)))).unwrap_or(f64::NAN)
}

/// Time of a step, once warm.
fn step(metric: &str, outcome: &TrainOutcome) -> Measurement {
    let samples = warm(&compute_s(outcome));
    Measurement::measured(metric, Unit::Seconds, Direction::LowerIsBetter, &samples)
}

fn median(outcome: &TrainOutcome) -> f64 {
    Summary::of(&warm(&compute_s(outcome))).map_or(f64::NAN, |s| s.median)
}

fn plain(metric: &str, direction: Direction, value: f64) -> Measurement {
    Measurement::measured(metric, Unit::Dimensionless, direction, &[value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_compared_by_step() {
        assert!((loss_difference(&[2.0, 4.0], &[2.0, 3.0]) - 0.25).abs() < 1e-12);
    }

    /// Before, a half precision that gave NaN in every step differed by 0.
    #[test]
    fn losses_that_are_no_numbers_do_not_pass_for_equal() {
        let nan = f32::NAN;
        for (single, half) in [
            (&[2.0, 4.0][..], &[2.0, nan][..]),
            (&[2.0, 4.0], &[nan, 4.0]),
            (&[2.0, 4.0], &[nan, nan]),
            (&[nan, 4.0], &[2.0, 4.0]),
            (&[f32::INFINITY, 4.0], &[f32::INFINITY, 4.0]),
            (&[2.0, 4.0], &[2.0]),
            (&[], &[]),
        ] {
            let found = loss_difference(single, half);
            assert!(found.is_nan(), "{single:?} {half:?}: {found}");
            let recorded = plain("x", Direction::LowerIsBetter, found);
            assert_eq!(recorded.value(), None, "and it is recorded as not measured");
        }
        let found = loss_difference(&[2.0], &[f32::INFINITY]);
        assert_eq!(plain("x", Direction::LowerIsBetter, found).value(), None, "{found}");
    }
}
