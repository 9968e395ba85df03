//! Rendering 402 x 500 images from cached bins, beside filling and copying the same buffers.
//!
//! `batch` cases walk through the 32 images of a batch, as a loader does; the others write one
//! image again and again, which then stays in the cache. A slower `render/volume_batch` means that
//! the loader can no longer keep up with memory: it should take at most twice `bound/fill_batch`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_depth::{
    BinColumns, Cell, Dtype, F16, Feature, Geometry, LEVELS, Normalise, RenderSpec, Renderer, SLOTS,
};

const N_BINS: usize = 500;
/// Images of a batch.
const N_BATCH: usize = 32;

/// Bins of a drifting market; with `wild`, thin and crossed columns that take the general path.
fn bins(wild: bool) -> BinColumns {
    let mut state = 1_u64;
    let mut draw = |n: i32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i32::try_from(state % u64::from(n.unsigned_abs())).expect("below n")
    };
    let mut bins = BinColumns::default();
    let mut bid = 66_000;
    for _ in 0..N_BINS {
        bid += draw(3) - 1;
        let mut px = [0; SLOTS];
        let (mut down, mut up) = (bid, bid + 1 + draw(2));
        for level in 0..LEVELS {
            (px[level], px[LEVELS + level]) = (down, up);
            down -= 1 + draw(2);
            up += 1 + draw(2);
        }
        if wild {
            px[LEVELS] = bid;
        }
        bins.px.extend_from_slice(&px);
        for plane in [&mut bins.size, &mut bins.variance, &mut bins.count] {
            plane.extend((0..SLOTS).map(|_| f64::from(1 + draw(400)) / 2.0));
        }
        bins.last_bid.push(px[0]);
        bins.last_ask.push(px[LEVELS]);
    }
    bins
}

fn run<C: Cell>(criterion: &mut Criterion, name: &str, bins: &BinColumns, spec: &RenderSpec) {
    let window = bins.as_slice(0..N_BINS);
    let mut renderer = Renderer::default();
    let mut out = vec![C::from_value(0.0); spec.len()];
    let mut group = criterion.benchmark_group("render");
    group.throughput(Throughput::Bytes(std::mem::size_of_val(&out[..]) as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            renderer.render_into(spec, black_box(window), black_box(&mut out)).expect("valid");
        });
    });
}

/// Fills, copies and renders the images of a batch in turn.
fn batch(criterion: &mut Criterion, bins: &BinColumns, spec: &RenderSpec) {
    let len = spec.len();
    let mut images = vec![0.0_f32; N_BATCH * len];
    let source = vec![1.0_f32; len];
    let mut next = 0;
    let mut turn = move || {
        next = (next + 1) % N_BATCH;
        next * len..(next + 1) * len
    };
    let bytes = Throughput::Bytes(std::mem::size_of_val(&source[..]) as u64);
    let mut group = criterion.benchmark_group("bound");
    group.throughput(bytes.clone());
    group.bench_function("fill_batch", |b| {
        b.iter(|| black_box(&mut images[turn()]).fill(black_box(0.5)));
    });
    group.bench_function("copy_batch", |b| {
        b.iter(|| black_box(&mut images[turn()]).copy_from_slice(black_box(&source)));
    });
    group.finish();
    let mut renderer = Renderer::default();
    let window = bins.as_slice(0..N_BINS);
    let mut group = criterion.benchmark_group("render");
    group.throughput(bytes);
    group.bench_function("volume_batch", |b| {
        b.iter(|| {
            let out = black_box(&mut images[turn()]);
            renderer.render(spec, black_box(window), out).expect("valid");
        });
    });
    group.finish();
}

fn render(criterion: &mut Criterion) {
    let (calm, wild) = (bins(false), bins(true));
    let volume = RenderSpec { n_bins: N_BINS, ..RenderSpec::default() };
    let two = RenderSpec { features: vec![Feature::Volume, Feature::Variance], ..volume.clone() };
    let three = RenderSpec { features: Feature::DEPTH.to_vec(), ..volume.clone() };

    let mut out = vec![0.0_f32; volume.len()];
    let source = vec![1.0_f32; volume.len()];
    let mut group = criterion.benchmark_group("bound");
    group.throughput(Throughput::Bytes((volume.len() * Dtype::F32.size_bytes()) as u64));
    group.bench_function("fill", |b| b.iter(|| black_box(&mut out[..]).fill(black_box(0.5))));
    group.bench_function("copy", |b| {
        b.iter(|| black_box(&mut out[..]).copy_from_slice(black_box(&source)));
    });
    group.finish();
    batch(criterion, &calm, &volume);

    run::<f32>(criterion, "volume", &calm, &volume);
    run::<f32>(criterion, "two_features", &calm, &two);
    run::<f32>(criterion, "three_features", &calm, &three);
    run::<f32>(criterion, "volume_crossed", &wild, &volume);
    let compat = RenderSpec { geometry: Geometry::Compat, ..volume.clone() };
    run::<f32>(criterion, "volume_compat", &calm, &compat);
    let log = RenderSpec { normalise: Normalise::SignedLog, ..volume.clone() };
    run::<f32>(criterion, "volume_signed_log", &calm, &log);
    for feature in [Feature::OrderFlowImbalance, Feature::Microprice] {
        let extra = RenderSpec { features: vec![feature], ..volume.clone() };
        run::<f32>(criterion, feature.name(), &calm, &extra);
    }
    run::<F16>(criterion, "volume_f16", &calm, &volume);
    run::<u8>(criterion, "volume_u8", &calm, &volume);
}

criterion_group!(benches, render);
criterion_main!(benches);
