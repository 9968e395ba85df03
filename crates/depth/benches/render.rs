//! Rendering 402 x 500 images from cached bins, beside filling and copying the same buffers.
//!
//! `pool` cases walk through the images of as many batches as a loader keeps with its default
//! budget (256 MiB made ahead), `batch` cases through those of one batch, which fits some caches;
//! the others write one image again and again. A slower `render/volume_pool` means that a loader can
//! no longer keep up with memory: it should take at most twice `bound/fill_pool`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_depth::{
    BinColumns, Cell, Dtype, F16, Feature, Geometry, LEVELS, Normalise, RenderSpec, Renderer, SLOTS,
};

const N_BINS: usize = 500;
/// Images of a batch.
const N_BATCH: usize = 32;
/// Images of the eleven batches a loader's buffers hold.
const N_POOL: usize = 11 * N_BATCH;

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

/// Fills, copies and renders `n_images` in turn; a case of each feature set.
fn turns(criterion: &mut Criterion, bins: &BinColumns, name: &str, n_images: usize) {
    let volume = RenderSpec { n_bins: N_BINS, ..RenderSpec::default() };
    let len = volume.len();
    let mut images = vec![0.0_f32; n_images * len];
    let source = vec![1.0_f32; len];
    let mut next = 0;
    let mut turn = move |n_planes: usize| {
        let start = if (next + n_planes) * len > n_images * len { 0 } else { next };
        next = start + n_planes;
        start * len..next * len
    };
    let mut group = criterion.benchmark_group("bound");
    group.throughput(Throughput::Bytes(std::mem::size_of_val(&source[..]) as u64));
    group.bench_function(format!("fill_{name}"), |b| {
        b.iter(|| black_box(&mut images[turn(1)]).fill(black_box(0.5)));
    });
    group.bench_function(format!("copy_{name}"), |b| {
        b.iter(|| black_box(&mut images[turn(1)]).copy_from_slice(black_box(&source)));
    });
    group.finish();
    let mut renderer = Renderer::default();
    let window = bins.as_slice(0..N_BINS);
    let mut group = criterion.benchmark_group("render");
    for (features, n) in [("volume", 1), ("two_features", 2), ("three_features", 3)] {
        let spec = RenderSpec { features: Feature::DEPTH[..n].to_vec(), ..volume.clone() };
        group.throughput(Throughput::Bytes((n * len * Dtype::F32.size_bytes()) as u64));
        group.bench_function(format!("{features}_{name}"), |b| {
            b.iter(|| {
                let out = black_box(&mut images[turn(n)]);
                renderer.render(&spec, black_box(window), out).expect("valid");
            });
        });
    }
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
    turns(criterion, &calm, "batch", N_BATCH);
    turns(criterion, &calm, "pool", N_POOL);

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
