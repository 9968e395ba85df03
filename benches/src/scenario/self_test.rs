//! One launch of the self-test: the signal pipeline, timed with and without more work.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lob_metrics::stats::SplitMix64;
use lob_metrics::{Direction, Measurement, Unit};
use lob_signals::{
    FeatureConfig, FeatureMatrix, GateConfig, LogisticModel, Quotes, Signal, SignalPipeline,
};

use super::quotes::QuoteColumns;
use super::{Bench, Spec, quotes};
use crate::self_test::{CPU_METRICS, WALL_METRICS};

/// Not listed: only [`crate::self_test()`] starts it.
pub(super) static LAUNCH: Spec = Spec {
    id: "self_test.launch",
    suite: "self_test",
    test: "hardware",
    title: "Pairs of the signal pipeline with and without a known slow-down",
    needs: &[],
    time_cap_s: 300,
    main: &[],
    run: launch,
};

/// Passes before the first pair.
const WARM_UP: usize = 5;

fn launch(bench: &mut Bench<'_>) -> Result<()> {
    let asked = bench.state.self_test.clone().context("no self-test asked for this launch")?;
    let columns = quotes::of_instrument(bench, asked.instrument_id)?;
    let more = asked.quotes_with_slow_down();
    ensure!(
        columns.bid_px.len() >= more,
        "the input has {} quotes of this instrument, a sample needs {more}",
        columns.bid_px.len()
    );
    let mut work = Work::new()?;
    for _ in 0..WARM_UP {
        work.timed(&columns, more)?;
    }
    let mut rng = SplitMix64::new(asked.seed);
    // Wall and CPU seconds of baseline and candidate.
    let mut seconds: [[Vec<f64>; 2]; 2] = Default::default();
    for _ in 0..asked.pairs.div_ceil(2) {
        let abba = rng.next_u64() & 1 == 0;
        let sides = if abba { [0, 1, 1, 0] } else { [1, 0, 0, 1] };
        for side in sides {
            let n = if side == 0 { asked.quotes } else { more };
            let (wall_s, cpu_s) = work.timed(&columns, n)?;
            seconds[0][side].push(wall_s);
            seconds[1][side].push(cpu_s);
        }
    }
    let lower = Direction::LowerIsBetter;
    for (names, samples) in [WALL_METRICS, CPU_METRICS].iter().zip(&seconds) {
        for (name, samples) in names.iter().zip(samples) {
            bench.rec.add(Measurement::measured(name, Unit::Seconds, lower, samples));
        }
    }
    Ok(())
}

/// The pipeline and its buffers.
struct Work {
    pipeline: SignalPipeline<LogisticModel>,
    features: FeatureMatrix,
    probabilities: Vec<f32>,
    signals: Vec<Signal>,
}

impl Work {
    fn new() -> Result<Self> {
        let model = LogisticModel::queue_pressure();
        Ok(Self {
            pipeline: SignalPipeline::new(FeatureConfig::default(), model, GateConfig::default())?,
            features: FeatureMatrix::default(),
            probabilities: Vec::new(),
            signals: Vec::new(),
        })
    }

    /// Wall and CPU seconds of the first `n` quotes through the pipeline.
    fn timed(&mut self, columns: &QuoteColumns, n: usize) -> Result<(f64, f64)> {
        let quotes = Quotes::new(
            &columns.bid_px[..n],
            &columns.ask_px[..n],
            &columns.bid_sz[..n],
            &columns.ask_sz[..n],
        )?;
        self.pipeline.reset();
        let (begun, cpu) = (Instant::now(), lob_scope::thread_cpu_time_s());
        self.pipeline.calculate_features(quotes, &mut self.features);
        self.pipeline.infer(&self.features, &mut self.probabilities)?;
        self.pipeline.generate_signals(&self.features, &self.probabilities, &mut self.signals)?;
        let cpu_s = lob_scope::thread_cpu_time_s().and_then(|after| Ok(after - cpu?));
        // Without a CPU clock the wall clock is the only witness.
        Ok((begun.elapsed().as_secs_f64(), cpu_s.unwrap_or(f64::NAN)))
    }
}
