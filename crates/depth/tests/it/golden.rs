//! Images and labels against values of independent implementations.

use std::path::Path;

use lob_depth::{
    BinBuilder, BinColumns, BinRule, Cell, CompatBins, Feature, Geometry, LabelSpec, Normalise,
    PriceStep, ROWS, RenderSpec, Renderer, SizeAggregate, UpdateMeta, class_edges, classify,
    compat_row_bins, movements, train_prefix, twice_mid,
};

use crate::{
    evidence::golden,
    npy,
    source::{self, Book},
};

fn micro_pip() -> PriceStep {
    PriceStep::new(10_000).expect("positive")
}

/// Bins of `rows_per_bin` rows; rows the rule drops still set the mid.
fn bins(books: &[Book], rule: CompatBins, aggregate: SizeAggregate) -> BinColumns {
    let rows_per_bin = u32::try_from(rule.rows_per_bin).expect("small");
    let rule = BinRule::Updates(rows_per_bin);
    let mut builder = BinBuilder::new(rule, aggregate, micro_pip()).expect("valid");
    let mut bins = BinColumns::default();
    for book in books {
        if let Some(bin) = builder.push(UpdateMeta::default(), book).expect("in range") {
            bins.push(&bin);
        }
    }
    assert_eq!(builder.n_pending(), 0);
    bins
}

fn render<C: Cell>(bins: &BinColumns, spec: &RenderSpec) -> Vec<C> {
    let mut out = vec![C::from_value(0.0); spec.len()];
    Renderer::default().render_into(spec, bins.as_slice(0..spec.n_bins), &mut out).expect("a book");
    out
}

fn assert_planes(name: &str, found: &[f32], expected: &[f32], tolerances: [f32; 3]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let plane_len = expected.len() / 3;
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        let (plane, tolerance) = (i / plane_len, tolerances[i / plane_len]);
        assert!((x - y).abs() <= tolerance, "{name} plane {plane} cell {i}: {x} {y}");
    }
    assert!(expected.iter().any(|x| *x != 0.0));
}

fn check_compat(dir: &Path, name: &str, books: &[Book]) {
    let rule = compat_row_bins(books.len(), 10, 2_500).expect("500 rows");
    let bins = bins(books, rule, SizeAggregate::Median);
    let all = RenderSpec {
        // Asked for out of order: planes come in the fixed order.
        features: vec![Feature::TradeCounts, Feature::Volume, Feature::Variance],
        geometry: Geometry::Compat,
        normalise: Normalise::Max,
        n_bins: rule.n_bins,
    };
    let golden = npy::read(&dir.join(format!("{name}_all3.npy")));
    assert_eq!(golden.shape, all.shape());
    assert_planes(name, &render(&bins, &all), &golden.f32(), [0.0, 1e-6, 0.0]);
    for feature in Feature::DEPTH {
        let golden = npy::read(&dir.join(format!("{name}_{feature}.npy"))).f32();
        let one = RenderSpec { features: vec![feature], ..all.clone() };
        let image: Vec<f32> = render(&bins, &one);
        let tolerance = if feature == Feature::Variance { 1e-6 } else { 0.0 };
        assert_eq!(image.len(), golden.len());
        for (x, y) in image.iter().zip(&golden) {
            assert!((x - y).abs() <= tolerance, "{name} {feature}: {x} {y}");
        }
    }
}

#[test]
fn compat_images() {
    let dir = golden("represent");
    check_compat(&dir, "tiny", &source::csv(&dir.join("tiny_i64.csv")));
    for name in ["tiny", "tiny_evenspread", "dup_levels"] {
        let books = source::dbn(&dir.join(format!("{name}.mbp-10.dbn.zst")));
        assert_eq!(books.len(), 500);
        check_compat(&dir, name, &books);
    }
}

#[test]
fn compat_image_of_one_row_bins() {
    let dir = golden("represent");
    let books = source::parquet(&dir.join("one_row_bins_i64.parquet"));
    let rule = compat_row_bins(books.len(), 500, 50).expect("500 rows");
    assert_eq!(rule.rows_per_bin, 1);
    let bins = bins(&books, rule, SizeAggregate::Median);
    let spec = RenderSpec { geometry: Geometry::Compat, ..RenderSpec::default() };
    let golden = npy::read(&dir.join("one_row_bins_volume.npy"));
    assert_eq!(golden.shape, [ROWS, 500]);
    assert!(render::<f32>(&bins, &spec) == golden.f32());
    // A variance of one row is 0, and so is the plane; it blanks no other.
    let all = RenderSpec { features: Feature::DEPTH.to_vec(), ..spec };
    let planes = render::<f32>(&bins, &all);
    let (volume, rest) = planes.split_at(all.plane_len());
    assert!(volume == golden.f32());
    assert!(rest[..all.plane_len()].iter().all(|x| *x == 0.0));
    assert!(rest[all.plane_len()..].iter().any(|x| *x != 0.0));
}

#[test]
fn notebook_images_to_the_last_bit() {
    let dir = golden("represent");
    for name in ["tiny", "tiny_evenspread"] {
        let books = source::dbn(&dir.join(format!("{name}.mbp-10.dbn.zst")));
        let rule = compat_row_bins(books.len(), 10, 2_500).expect("500 rows");
        let bins = bins(&books, rule, SizeAggregate::Mean);
        let spec = RenderSpec { normalise: Normalise::None, n_bins: 10, ..RenderSpec::default() };
        let golden = npy::read(&dir.join(format!("{name}_notebook_ask_minus_bid_f64.npy")));
        let mut found = vec![9.0; spec.len()];
        Renderer::default().render_depth(&spec, bins.as_slice(0..10), &mut found).expect("a book");
        let same = found.iter().zip(golden.f64()).all(|(x, y)| x.to_bits() == y.to_bits());
        assert!(found.len() == golden.f64().len() && same, "{name}");
    }
}

#[test]
fn contiguous_images() {
    let dir = golden("represent");
    for name in ["tiny", "tiny_evenspread"] {
        let books = source::dbn(&dir.join(format!("{name}.mbp-10.dbn.zst")));
        let rule = compat_row_bins(books.len(), 10, 2_500).expect("500 rows");
        let bins = bins(&books, rule, SizeAggregate::Median);
        let spec =
            RenderSpec { features: Feature::DEPTH.to_vec(), n_bins: 10, ..RenderSpec::default() };
        let golden = npy::read(&dir.join(format!("{name}_contiguous_all3.npy")));
        assert_eq!(golden.shape, spec.shape());
        let (found, expected) = (render::<f32>(&bins, &spec), golden.f32());
        assert_planes(name, &found, &expected, [f32::MAX, 1e-6, f32::MAX]);
        for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
            let ulps = x.to_bits().abs_diff(y.to_bits());
            assert!(i / spec.plane_len() == 1 || ulps <= 1, "{name} cell {i}: {x} {y}");
        }
    }
}

#[test]
fn labels() {
    let dir = golden("represent");
    let books = source::dbn(&dir.join("cls.mbp-10.dbn.zst"));
    assert!(books == source::parquet(&dir.join("cls_i64.parquet")));
    let mids: Vec<_> =
        books.iter().map(|b| twice_mid(b[0].bid_px, b[0].ask_px).expect("in range")).collect();
    let golden = npy::read(&dir.join("cls_price_movement_f64.npy")).f64();
    for classes in [5, 13] {
        let spec = LabelSpec { lookback: 200, lookforward: 150, offset: 20, classes };
        let found = movements(&mids, spec).expect("valid");
        assert_eq!(found.len(), golden.len());
        let largest = golden.iter().fold(0.0, |x: f64, y| x.max(y.abs()));
        for (i, (x, y)) in found.iter().zip(&golden).enumerate() {
            match x {
                Some(x) => assert!((x - y).abs() <= 1e-9 * largest, "row {i}: {x} {y}"),
                None => assert!(y.is_nan(), "row {i}: none, {y}"),
            }
        }
        let valid: Vec<f64> = found.into_iter().flatten().collect();
        let edges = class_edges(train_prefix(&valid, classes), classes).expect("movements");
        let labels: Vec<i32> = valid.iter().map(|&x| classify(x, &edges)).collect();
        assert_eq!(labels, npy::read(&dir.join(format!("cls_labels_{classes}.npy"))).i32());
    }
}
