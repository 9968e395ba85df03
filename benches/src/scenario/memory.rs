//! Allocations of fixed pieces of work on one thread: figures that repeat exactly.

use anyhow::{Context, Result, ensure};
use lob_convert::RecordStream;
use lob_depth::{BinColumns, Feature, RenderSpec, Renderer};
use lob_metrics::{COUNTS_REPEAT, Direction, Measurement, Unit};
use lob_scope::thread_alloc_stats;
use lob_signals::{
    FeatureConfig, FeatureMatrix, GateConfig, LogisticModel, Quotes, SignalPipeline,
};
use lob_store::Store;

use super::{Bench, quotes};

/// Records decoded, quotes worked on: the same for every input that has as many.
const MAX_RECORDS: usize = 20_000;
const MAX_QUOTES: usize = 10_000;
/// Images rendered.
const IMAGES: usize = 16;

pub(super) fn allocations(bench: &mut Bench<'_>) -> Result<()> {
    let path = bench.state.dbn.first().cloned().context("there is no input")?;
    let mut first = None;
    let decoded = counted(bench, "decode", || {
        let mut stream = RecordStream::open_unhashed(&path)?;
        let mut records = 0;
        while records < MAX_RECORDS
            && let Some(update) = stream.next()?
        {
            first.get_or_insert(update.hd.instrument_id);
            records += 1;
        }
        Ok(records)
    })?;
    bench.rec.config("records", decoded);
    let instrument_id = first.context("the input holds no book update")?;
    let columns = quotes::of_instrument(bench, instrument_id)?;
    let n = columns.bid_px.len().min(MAX_QUOTES);
    bench.rec.config("quotes", n);
    let quotes = Quotes::new(
        &columns.bid_px[..n],
        &columns.ask_px[..n],
        &columns.bid_sz[..n],
        &columns.ask_sz[..n],
    )?;
    let model = LogisticModel::queue_pressure();
    let mut pipeline = SignalPipeline::new(FeatureConfig::default(), model, GateConfig::default())?;
    let (mut features, mut probabilities, mut signals) =
        (FeatureMatrix::default(), Vec::new(), Vec::new());
    let mut pass = |pipeline: &mut SignalPipeline<LogisticModel>| -> Result<()> {
        pipeline.calculate_features(quotes, &mut features);
        pipeline.infer(&features, &mut probabilities)?;
        pipeline.generate_signals(&features, &probabilities, &mut signals)?;
        Ok(())
    };
    // The first pass fills the buffers; from the second on nothing should be asked for.
    pass(&mut pipeline)?;
    pipeline.reset();
    counted(bench, "signals_steady", || pass(&mut pipeline))?;
    images(bench)
}

/// Depth images of one window: after the first, a renderer should ask for nothing.
fn images(bench: &mut Bench<'_>) -> Result<()> {
    let n_bins = bench.fit()?.n_bins;
    let store = Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    ensure!(file.len() >= n_bins as u64, "the store holds no window of {n_bins} bins");
    let mut columns = BinColumns::default();
    counted(bench, "read_window", || Ok(file.read(0..n_bins as u64, &mut columns)?))?;
    let features = vec![Feature::Volume, Feature::Variance, Feature::TradeCounts];
    let spec = RenderSpec { features, n_bins, ..RenderSpec::default() };
    let mut image = vec![0.0_f32; spec.len()];
    let mut renderer = Renderer::default();
    renderer.render(&spec, columns.as_slice(0..n_bins), &mut image)?;
    bench.rec.config("images", IMAGES);
    counted(bench, "render_steady", || {
        for _ in 0..IMAGES {
            renderer.render(&spec, columns.as_slice(0..n_bins), &mut image)?;
        }
        Ok(())
    })
}

/// Runs a piece of work and records what it asked of the allocator on this thread.
fn counted<R>(bench: &mut Bench<'_>, name: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    let before = thread_alloc_stats();
    let outcome = work()?;
    let after = thread_alloc_stats();
    let is_counting = after.allocations > 0;
    for (what, unit, value) in [
        ("allocations", Unit::Count, after.allocations - before.allocations),
        ("allocated_bytes", Unit::Bytes, after.allocated_bytes - before.allocated_bytes),
    ] {
        let metric = format!("memory.{name}.{what}");
        let lower = Direction::LowerIsBetter;
        bench.rec.add(if is_counting {
            Measurement::measured(&metric, unit, lower, &[value as f64])
                .repeating_within(COUNTS_REPEAT)
        } else {
            let why = "this program was built without the counting allocator";
            Measurement::unavailable(&metric, unit, lower, why)
        });
    }
    Ok(outcome)
}
