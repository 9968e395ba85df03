//! One depth image from bins that are already in memory.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lob_depth::{
    BinColumns, BinSlice, Feature, LEVELS, NO_PRICE, PriceAxis, ROWS, RenderSpec, Renderer, SLOTS,
};
use lob_metrics::{Artifact, Direction, Measurement, Severity, Summary, Unit};
use lob_profiler::machine::Method;
use lob_store::Store;

use super::Bench;
use super::recorder::{Limit, repeat};

/// Columns of the picture in the report; wider images are thinned to this.
const PICTURE_COLUMNS: usize = 250;

/// Steps of a cell's value from 0 to 1 in the picture: finer than an eye tells apart.
const PICTURE_STEPS: f32 = 500.0;

pub(super) fn render(bench: &mut Bench<'_>) -> Result<()> {
    let fit = bench.fit()?;
    let store = Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    let segment = file
        .meta()
        .segments
        .iter()
        .max_by_key(|s| s.rows)
        .context("the store's largest file has no segment")?;
    let n_bins = fit.n_bins as u64;
    ensure!(segment.rows >= n_bins, "the longest run has {} bins, a window {n_bins}", segment.rows);
    let first = segment.first_row + (segment.rows - n_bins) / 2;
    let mut columns = BinColumns::default();
    file.read(first..first + n_bins, &mut columns)?;
    let slice = columns.as_slice(0..fit.n_bins);
    bench.rec.config("symbol", file.meta().symbol.clone());
    bench.rec.config("n_bins", fit.n_bins);
    bench.rec.config("geometry", "contiguous");

    let budget_s = if bench.options.quick { 0.3 } else { 2.0 };
    let mut renderer = Renderer::default();
    let mut picture = Vec::new();
    let sets = [
        ("volume", vec![Feature::Volume]),
        ("volume_variance", vec![Feature::Volume, Feature::Variance]),
        ("all3", vec![Feature::Volume, Feature::Variance, Feature::TradeCounts]),
    ];
    for (name, features) in sets {
        let spec = RenderSpec { features, n_bins: fit.n_bins, ..RenderSpec::default() };
        let mut image = vec![0.0f32; spec.len()];
        let samples = repeat(budget_s, 50, || {
            let _scope = lob_scope::scope("render");
            renderer.render(&spec, slice, &mut image)
        })?;
        bench.rec.latency(&format!("render.{name}"), &samples);
        if name == "volume" {
            let rates: Vec<f64> = samples.iter().map(|s| 1.0 / s).collect();
            let bytes = (spec.len() * size_of::<f32>()) as f64;
            let median = Summary::of(&rates).map_or(f64::NAN, |s| s.median);
            let fill = bench.state.roof.more.get("fill_804kB_bytes_per_s").copied();
            let limit = Limit::of(median * bytes, fill, "cached fill", Unit::BytesPerSecond);
            bench.rec.rate("render.images_per_s", Unit::SamplesPerSecond, &rates, limit);
            picture = image;
        }
    }
    of_fill(bench, slice, fit.n_bins)?;
    let filled = picture.iter().filter(|v| v.abs() > 0.0).count();
    ensure!(filled > 0, "the depth image is empty: the price step is too fine or too coarse");
    bench.rec.count("render.filled_cells", filled as f64);
    let share = filled as f64 / picture.len() as f64;
    bench
        .rec
        .finding(Severity::Info, format!("{:.0} % of the image's cells hold depth", share * 100.0));
    if let Some(book) = book_of(slice, &file.meta().symbol) {
        bench.rec.artifacts.push(book);
    }
    let step = file.meta().price_step as f64 / lob_depth::PRICE_SCALE as f64;
    bench.rec.artifacts.push(picture_of(
        &picture,
        fit.n_bins,
        &file.meta().symbol,
        step,
        fit.ticks_per_bin,
    ));
    Ok(())
}

/// Images of the buffers of a loader: eleven batches of 32.
const POOL_IMAGES: usize = 11 * 32;

/// Rendering into buffers and filling others of the same size in turn, as many as a loader keeps:
/// they are written to memory, not to a cache. They are filled by every method the CPU has, and the
/// fastest is the limit.
fn of_fill(bench: &mut Bench<'_>, slice: BinSlice<'_>, n_bins: usize) -> Result<()> {
    let spec = RenderSpec { n_bins, ..RenderSpec::default() };
    let mut pool = vec![0.0_f32; spec.len() * POOL_IMAGES];
    let mut renderer = Renderer::default();
    let rounds = if bench.options.quick { 3 } else { 20 };
    let mut bytes = vec![1_u8; size_of_val(&pool[..])];
    let methods = Method::all();
    let (mut rendered, mut filled) = (Vec::new(), vec![Vec::new(); methods.len()]);
    for _ in 0..rounds {
        for (method, filled) in methods.iter().zip(&mut filled) {
            for image in bytes.chunks_exact_mut(spec.len() * size_of::<f32>()) {
                let begun = Instant::now();
                method.fill(black_box(&mut *image), black_box(1));
                filled.push(begun.elapsed().as_secs_f64());
            }
        }
        for image in pool.chunks_exact_mut(spec.len()) {
            let begun = Instant::now();
            renderer.render(&spec, slice, black_box(image))?;
            rendered.push(begun.elapsed().as_secs_f64());
        }
    }
    let median = |samples: &[f64]| Summary::of(samples).map_or(f64::NAN, |s| s.median);
    filled.sort_by(|a, b| median(a).total_cmp(&median(b)));
    let filled = filled.swap_remove(0);
    let share = median(&filled) / median(&rendered);
    bench.rec.latency("render.volume_pool", &rendered);
    bench.rec.latency("render.fill_pool", &filled);
    bench.rec.add(Measurement::measured(
        "render.share_of_fill",
        Unit::Fraction,
        Direction::HigherIsBetter,
        &[share],
    ));
    Ok(())
}

/// Rows drawn beyond the best prices on either side.
const BOOK_MARGIN: usize = 12;

/// The same window level by level, near the touch: the image above accumulates, which hides walls.
fn book_of(bins: BinSlice<'_>, symbol: &str) -> Option<Artifact> {
    let axis = PriceAxis::new(RenderSpec::default().geometry, bins.last_bid, bins.last_ask);
    let (n_bins, columns) = (bins.len(), bins.len().min(PICTURE_COLUMNS));
    let slot_row = |bin: usize, slot: usize| {
        let px = bins.px[bin * SLOTS + slot];
        (px != NO_PRICE).then(|| axis.row(px)).flatten()
    };
    let touch = || (0..n_bins).flat_map(|bin| [0, LEVELS].map(|slot| (bin, slot)));
    let best = || touch().filter_map(|(bin, slot)| slot_row(bin, slot));
    let top = best().min()?.saturating_sub(BOOK_MARGIN);
    let bottom = (best().max()? + BOOK_MARGIN).min(ROWS - 1);
    let rows = bottom - top + 1;
    let mut values = vec![0.0_f32; rows * columns];
    for column in 0..columns {
        let bin = column * n_bins / columns;
        for slot in 0..SLOTS {
            let Some(row) = slot_row(bin, slot).and_then(|row| row.checked_sub(top)) else {
                continue;
            };
            if row < rows {
                let sign = if slot < LEVELS { -1.0 } else { 1.0 };
                // A square root, so that small levels stay visible beside walls.
                let size = bins.size[bin * SLOTS + slot].sqrt();
                #[expect(clippy::cast_possible_truncation, reason = "a colour")]
                let value = (sign * size) as f32;
                values[row * columns + column] += value;
            }
        }
    }
    let largest = values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    if largest <= 0.0 {
        return None;
    }
    for value in &mut values {
        *value = (*value / largest * PICTURE_STEPS).round() / PICTURE_STEPS;
    }
    Some(Artifact::Heatmap {
        title: format!("Order book of {symbol}, level by level"),
        rows,
        columns,
        values,
        row_label: format!("price, {rows} steps around the touch, highest at the top"),
        column_label: format!(
            "time, {n_bins} bins; square root of the size, asks above, bids below"
        ),
    })
}

fn picture_of(
    image: &[f32],
    n_bins: usize,
    symbol: &str,
    step: f64,
    ticks_per_bin: u32,
) -> Artifact {
    let columns = n_bins.min(PICTURE_COLUMNS);
    let column_of = |c: usize| c * n_bins / columns;
    let values = (0..ROWS)
        .flat_map(|row| (0..columns).map(move |c| (row, c)))
        .map(|(row, c)| {
            (image[row * n_bins + column_of(c)] * PICTURE_STEPS).round() / PICTURE_STEPS
        })
        .collect();
    Artifact::Heatmap {
        title: format!("Depth image of {symbol}"),
        rows: ROWS,
        columns,
        values,
        row_label: format!("price, {ROWS} steps of {step} around the last mid, highest at the top"),
        column_label: format!("time, {n_bins} bins of {ticks_per_bin} book updates"),
    }
}
