//! Many windows at once: side by side on the CPU, and as tensors.

use anyhow::Result;
use lob_metrics::stats::largest;
use lob_metrics::{Severity, Summary, Unit};
use lob_signals::{DeviceWindows, Study, TensorDevice, Ticks, time_major};

use super::super::Bench;
use super::super::recorder::repeat;

/// Windows at once and steps in each.
const WINDOWS: usize = 512;
const STEPS: usize = 256;

/// Largest difference allowed between the two, relative to the largest value of the result: the
/// tensors are single precision.
const TOLERANCE: f64 = 1e-4;

pub(super) fn run(bench: &mut Bench<'_>, mids: &[f64]) -> Result<Vec<String>> {
    let rows: Vec<f64> = mids.iter().copied().cycle().take(WINDOWS * STEPS).collect();
    let series: Vec<&[f64]> = rows.chunks_exact(STEPS).collect();
    let side_by_side = time_major(&series)?;
    let wide = Ticks { price: &side_by_side, ..Ticks::default() };
    let long = Ticks { price: &rows, ..Ticks::default() };
    let windows = DeviceWindows::upload(&long, STEPS, TensorDevice::Cpu)?;
    bench.rec.config("batch", format!("{WINDOWS} windows x {STEPS} steps"));
    let budget_s = if bench.options.quick { 0.05 } else { 0.5 };
    let mut promised = Vec::new();
    let mut differences = Vec::new();
    for text in ["rsi:14", "momentum:10", "volatility:20", "macd", "bollinger"] {
        let study: Study = text.parse()?;
        let mut cpu = Vec::new();
        let on_cpu = repeat(budget_s, 3, || {
            let _scope = lob_scope::scope("batch_on_the_cpu");
            cpu = study.batch(&wide, WINDOWS)?;
            Ok::<(), lob_signals::SignalError>(())
        })?;
        let mut tensors = Vec::new();
        let as_tensors = repeat(budget_s, 3, || {
            let _scope = lob_scope::scope("batch_as_tensors");
            tensors = windows.run(&study)?;
            Ok::<(), lob_signals::SignalError>(())
        })?;
        differences.push(difference(&cpu, &tensors));
        for (way, seconds) in [("batch", on_cpu), ("tensor", as_tensors)] {
            let rates: Vec<f64> = seconds.iter().map(|s| rows.len() as f64 / s).collect();
            let metric = format!("signals.{way}_{}_values_per_s", study.name());
            bench.rec.rate(&metric, Unit::ValuesPerSecond, &rates, None);
            promised.push(metric);
        }
    }
    let worst = largest(differences).unwrap_or(f64::NAN);
    anyhow::ensure!(
        worst <= TOLERANCE,
        "tensors and slices differ by {worst:.1e} of the largest value, {TOLERANCE:.0e} is allowed"
    );
    let text = format!("tensors (Flex, single precision) and slices agree within {worst:.1e}");
    bench.rec.finding(Severity::Info, text);
    Ok(promised)
}

/// Largest difference over all columns, relative to the largest value of the column; infinite where
/// only one of two values is null, NaN where a column has no value at all.
fn difference(cpu: &[Vec<f64>], tensors: &[Vec<f32>]) -> f64 {
    let columns = cpu.iter().zip(tensors).map(|(cpu, tensor)| {
        let finite: Vec<f64> = cpu.iter().copied().filter(|x| x.is_finite()).collect();
        let size = Summary::of(&finite).map(|s| s.max.abs().max(s.min.abs()));
        let size = size.map_or(f64::NAN, |size| size.max(f64::MIN_POSITIVE));
        let cells = cpu.iter().enumerate().map(|(i, &expected)| {
            // One is time-major, the other window after window.
            let found = f64::from(tensor[i % WINDOWS * STEPS + i / WINDOWS]);
            match (expected.is_nan(), found.is_nan()) {
                (true, true) => 0.0 * size,
                (false, false) => (expected - found).abs() / size,
                _ => f64::INFINITY,
            }
        });
        largest(cells).unwrap_or(f64::NAN)
    });
    largest(columns).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_for_equal_that_is_not() {
        let nan = f64::NAN;
        let column = |x: f64| {
            let mut column = vec![2.0; WINDOWS * STEPS];
            (column[0], column[7]) = (nan, x);
            column
        };
        // The same values window after window: the eighth of the first step is window 7's first.
        let tensor = |x: f32| {
            let mut tensor = vec![2.0_f32; WINDOWS * STEPS];
            (tensor[0], tensor[7 * STEPS]) = (f32::NAN, x);
            tensor
        };
        let found = |a: f64, b: f32| difference(&[column(a)], &[tensor(b)]);
        assert!(found(2.0, 2.0).abs() < 1e-12 && (found(4.0, 3.0) - 0.25).abs() < 1e-12);
        assert!(found(nan, f32::NAN).abs() < 1e-12, "both are null");
        for (a, b) in [(nan, 2.0), (2.0, f32::NAN)] {
            assert!(found(a, b).is_infinite(), "{a} {b}");
        }
        for b in [f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!found(f64::INFINITY, b).is_finite(), "no number to hold {b} against");
        }
        let (none, nulls) = ([vec![nan; WINDOWS * STEPS]], [vec![f32::NAN; WINDOWS * STEPS]]);
        assert!(difference(&none, &nulls).is_nan() && difference(&[], &[]).is_nan());
    }
}
