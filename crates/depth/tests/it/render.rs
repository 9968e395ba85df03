//! Images with expectations computed by hand, and laws that hold for every book.

use lob_depth::{
    Bf16, BinColumns, Cell, DepthError, Dtype, F16, Feature, Geometry, LEVELS, NO_PRICE, Normalise,
    ROWS, RenderSpec, Renderer, SLOTS, bf16_bits, f16_bits, quantise,
};
use proptest::prelude::*;

use crate::reference;

/// Adds a bin with these (price, size) levels, best first; the touch of level 0 is its mid.
fn push(bins: &mut BinColumns, bids: &[(i32, f64)], asks: &[(i32, f64)]) {
    let mut px = [NO_PRICE; SLOTS];
    let mut size = [0.0; SLOTS];
    for (from, side) in [(0, bids), (LEVELS, asks)] {
        for (i, level) in side.iter().enumerate() {
            (px[from + i], size[from + i]) = *level;
        }
    }
    bins.px.extend(px);
    bins.size.extend(size);
    bins.variance.extend(size.map(|x| x * x));
    bins.count.extend(size.map(|x| x + 1.0));
    bins.last_bid.push(px[0]);
    bins.last_ask.push(px[LEVELS]);
}

fn spec(geometry: Geometry, n_bins: usize) -> RenderSpec {
    RenderSpec { geometry, normalise: Normalise::None, n_bins, ..RenderSpec::default() }
}

fn draw<C: Cell>(bins: &BinColumns, spec: &RenderSpec) -> Result<Vec<C>, DepthError> {
    let mut out = vec![C::from_value(0.5); spec.len()];
    Renderer::default().render_into(spec, bins.as_slice(0..bins.len()), &mut out)?;
    Ok(out)
}

/// The depth differences before normalisation.
fn depth(bins: &BinColumns, spec: &RenderSpec) -> Vec<f64> {
    let mut out = vec![0.5; spec.len()];
    let window = bins.as_slice(0..bins.len());
    Renderer::default().render_depth(spec, window, &mut out).expect("a book");
    out
}

/// Checks a column of one bin, given as (rows, value) runs that cover it.
fn check(geometry: Geometry, bids: &[(i32, f64)], asks: &[(i32, f64)], runs: &[(usize, f64)]) {
    let mut bins = BinColumns::default();
    push(&mut bins, bids, asks);
    let found = depth(&bins, &spec(geometry, 1));
    let expected: Vec<f64> = runs.iter().flat_map(|&(n, x)| std::iter::repeat_n(x, n)).collect();
    assert_eq!(found, expected);
}

#[test]
fn contiguous_columns() {
    let check = |bids: &[_], asks: &[_], runs: &[_]| check(Geometry::Contiguous, bids, asks, runs);
    // Mid 100.5: row 0 is 301, the ask at 101 is on row 200, the bid at 100 on row 201.
    check(&[(100, 5.0)], &[(101, 3.0)], &[(201, 3.0), (201, -5.0)]);
    // Depth grows away from the touch; the rows of a wide spread are empty.
    check(
        &[(98, 5.0), (97, 1.0)],
        &[(103, 3.0), (105, 2.0)],
        // Row of 105 is 196, of 103 198, of 98 203, of 97 204.
        &[(197, 5.0), (2, 3.0), (4, 0.0), (1, -5.0), (198, -6.0)],
    );
    // Levels that share a row add up.
    check(
        &[(100, 5.0), (100, 2.0)],
        &[(101, 3.0), (101, 4.0), (102, 1.0)],
        &[(200, 8.0), (1, 7.0), (201, -7.0)],
    );
    // A crossed book: the ask at 100 is on row 201 and the bid at 101 on row 200.
    check(&[(101, 5.0)], &[(100, 3.0)], &[(200, 3.0), (2, -2.0), (200, -5.0)]);
    // A locked book at 100, on row 200: mid 100, so row 0 is 300.
    check(&[(100, 5.0)], &[(100, 3.0)], &[(200, 3.0), (1, -2.0), (201, -5.0)]);
    // Levels at the very ends, and one beyond each that is dropped.
    check(
        &[(100, 1.0), (-100, 2.0), (-101, 9.0)],
        &[(101, 3.0), (301, 4.0), (302, 9.0)],
        &[(1, 7.0), (200, 3.0), (200, -1.0), (1, -3.0)],
    );
    // Negative prices, as calendar spreads have them. Mid -5.5: row 0 is 195.
    check(&[(-6, 2.0)], &[(-5, 1.0)], &[(201, 1.0), (201, -2.0)]);
}

#[test]
fn contiguous_bid_on_row_0_hides_what_is_above() {
    // The first bin's bid lies on the highest price of an axis that the last bin sets.
    let mut bins = BinColumns::default();
    push(&mut bins, &[(301, 4.0)], &[(302, 50.0)]);
    push(&mut bins, &[(100, 1.0)], &[(101, 1.0)]);
    let spec = RenderSpec { normalise: Normalise::Max, ..spec(Geometry::Contiguous, 2) };
    let image: Vec<f32> = draw(&bins, &spec).expect("a book");
    // The ask at 302 is off the axis, so 4 is the largest depth and not 50.
    assert_eq!((image[0], image[1]), (-1.0, 0.25));
    assert!((0..ROWS).all(|row| image[2 * row] == -1.0));
}

#[test]
fn compat_columns() {
    let check = |bids: &[_], asks: &[_], runs: &[_]| check(Geometry::Compat, bids, asks, runs);
    // Mid 66000.5, M = 66000: the best bid is on M and dropped; bids are summed from row 401 up.
    check(
        &[(66_000, 7.0), (65_999, 5.0), (65_800, 2.0), (65_799, 9.0)],
        &[(66_001, 3.0), (66_200, 4.0), (66_201, 9.0)],
        &[(1, -7.0), (199, -2.0), (2, 0.0), (199, 3.0), (1, 7.0)],
    );
    // The deepest level wins a shared row.
    check(
        &[(98, 5.0), (98, 2.0)],
        &[(102, 3.0), (102, 4.0), (102, 1.0)],
        // M = 100: 98 is on row 1 and 102 on row 203.
        &[(2, -2.0), (201, 0.0), (199, 1.0)],
    );
}

#[test]
fn compat_leaves_missing_bins_blank() {
    let mut bins = BinColumns::default();
    push(&mut bins, &[(99, 5.0)], &[(101, 3.0)]);
    let image: Vec<f32> = draw(&bins, &spec(Geometry::Compat, 3)).expect("a book");
    for cells in image.chunks_exact(3) {
        assert_eq!(cells[1..], [0.0, 0.0]);
    }
    assert_eq!((image[0], image[3 * 401]), (-5.0, 3.0));
    // Off-axis levels only: the reference gives zeros.
    bins.px.fill(40_000);
    let image: Vec<f32> = draw(&bins, &spec(Geometry::Compat, 1)).expect("a book");
    assert!(image.iter().all(|x| *x == 0.0));
}

#[test]
fn thin_and_one_sided_and_empty_bins() {
    let mut bins = BinColumns::default();
    push(&mut bins, &[], &[]);
    push(&mut bins, &[(100, 2.0)], &[]);
    push(&mut bins, &[(100, 2.0)], &[(101, 1.0)]);
    push(&mut bins, &[], &[(101, 4.0)]);
    push(&mut bins, &[], &[]);
    // The mid is that of the third bin, the latest with both sides.
    let window = bins.as_slice(0..5);
    assert_eq!((window.last_bid, window.last_ask), (100, 101));
    let image = depth(&bins, &spec(Geometry::Contiguous, 5));
    assert_eq!(image[200 * 5..201 * 5], [0.0, 0.0, 1.0, 4.0, 0.0]);
    assert_eq!(image[201 * 5..202 * 5], [0.0, -2.0, -2.0, 0.0, 0.0]);
    for range in [0..2, 3..5] {
        let window = bins.as_slice(range);
        let mut out = vec![9.0; ROWS * 2];
        let result = Renderer::default().render(&spec(Geometry::Contiguous, 2), window, &mut out);
        assert_eq!(result, Err(DepthError::EmptyBook));
        assert!(out.iter().all(|x| *x == 9.0));
    }
}

#[test]
fn order_flow_and_microprice_by_hand() {
    let mut bins = BinColumns::default();
    push(&mut bins, &[(100, 4.0), (99, 7.0)], &[(101, 12.0)]);
    // The bid at 100 grows by 2 and the one at 99 goes; the ask at 101 shrinks by 4.
    push(&mut bins, &[(100, 6.0)], &[(101, 8.0), (103, 1.0)]);
    let spec = RenderSpec {
        features: vec![Feature::Microprice, Feature::OrderFlowImbalance],
        ..spec(Geometry::Contiguous, 2)
    };
    let image = depth(&bins, &spec);
    let (flow, microprice) = image.split_at(spec.plane_len());
    let axis = lob_depth::PriceAxis::new(Geometry::Contiguous, 100, 101);
    let cell = |plane: &[f64], px: i32, bin: usize| plane[axis.row(px).expect("near") * 2 + bin];
    let flows = [(100, 2.0), (99, -7.0), (101, 4.0), (103, -1.0), (102, 0.0)];
    for (px, expected) in flows {
        assert_eq!((cell(flow, px, 0), cell(flow, px, 1)), (0.0, expected), "{px}");
    }
    assert_eq!(flow.iter().filter(|x| **x != 0.0).count(), 4);
    // (100 * 12 + 101 * 4) / 16 = 100.25.
    assert_eq!((cell(microprice, 100, 0), cell(microprice, 101, 0)), (0.75, 0.25));
    assert!((microprice.iter().sum::<f64>() - 2.0).abs() < 1e-12);
}

#[test]
fn an_image_off_the_axis_is_an_error() {
    // An index future at 4,700.25 in steps of 1e-5: the spread alone is 25,000 steps.
    let mut bins = BinColumns::default();
    push(&mut bins, &[(470_000_000, 5.0)], &[(470_025_000, 3.0)]);
    let error = draw::<f32>(&bins, &spec(Geometry::Contiguous, 1)).expect_err("off the axis");
    assert_eq!(error, DepthError::OffAxis { bid: 470_000_000, ask: 470_025_000 });
    assert!(error.to_string().contains("price step"), "{error}");
}

#[test]
fn wrong_lengths_and_specs() {
    let mut bins = BinColumns::default();
    push(&mut bins, &[(100, 2.0)], &[(101, 1.0)]);
    let check = |spec: &RenderSpec, columns: &BinColumns, n_out| {
        let mut out = vec![0.0; n_out];
        let window = columns.as_slice(0..columns.len());
        Renderer::default().render(spec, window, &mut out).expect_err("a wrong length")
    };
    let one = spec(Geometry::Contiguous, 1);
    let error = check(&one, &bins, 401);
    assert_eq!(error, DepthError::Length { what: "the output image", expected: 402, found: 401 });
    assert!(matches!(check(&spec(Geometry::Contiguous, 2), &bins, 804), DepthError::Length { .. }));
    let mut no_sizes = bins.clone();
    no_sizes.size.clear();
    assert!(matches!(check(&one, &no_sizes, 402), DepthError::Length { .. }));
    // A plane that is not drawn may be missing.
    let counts = RenderSpec { features: vec![Feature::TradeCounts], ..one.clone() };
    assert_eq!(draw::<f32>(&no_sizes, &counts).map(|image| image[0]), Ok(2.0));
    let mut out = vec![0; 402 * 4 - 1];
    let window = bins.as_slice(0..1);
    let error = Renderer::default().render_bytes(&one, window, Dtype::F32, &mut out);
    assert!(error.expect_err("a byte short").to_string().contains("`1607` elements"));
    let error = draw::<u8>(&bins, &one).expect_err("not bounded");
    assert!(error.to_string().contains("normalisation `none`"), "{error}");
}

#[test]
fn a_plane_of_zeros_stays_zero() {
    let mut bins = BinColumns::default();
    push(&mut bins, &[(100, 0.0)], &[(101, 0.0)]);
    for normalise in [Normalise::Max, Normalise::SignedLog, Normalise::Constant(3.0)] {
        let spec = RenderSpec { normalise, ..spec(Geometry::Contiguous, 1) };
        let image: Vec<f32> = draw(&bins, &spec).expect("a book");
        assert!(image.iter().all(|x| x.to_bits() == 0), "{normalise}");
    }
}

/// Bins near a common price: regular, thin, crossed, off the axis, with shared rows.
fn any_bins() -> impl Strategy<Value = BinColumns> {
    let size = || (0_u32..2_000).prop_map(|x| f64::from(x) / 2.0);
    let gaps = |least: i32| prop::collection::vec((least..4, size()), 0..=LEVELS);
    let full = || prop::collection::vec((1_i32..4, size()), LEVELS..=LEVELS);
    let regular = (-30_i32..30, 1_i32..4, full(), full());
    let wild = (-250_i32..250, -3_i32..40, gaps(-1), gaps(-1));
    let bin = prop_oneof![3 => regular, 1 => wild];
    (prop::collection::vec(bin, 1..40), -100_000_i32..100_000).prop_map(|(all, base)| {
        let mut bins = BinColumns::default();
        for (shift, spread, bids, asks) in all {
            let side = |start: i32, sign: i32, gaps: &[(i32, f64)]| -> Vec<(i32, f64)> {
                let mut px = start;
                gaps.iter()
                    .map(|&(gap, size)| {
                        px += sign * gap;
                        (px, size)
                    })
                    .collect()
            };
            let bids = side(base + shift + 1, -1, &bids);
            let asks = side(base + shift + spread - 1, 1, &asks);
            push(&mut bins, &bids, &asks);
        }
        push(&mut bins, &[(base, 1.0)], &[(base + 1, 2.0)]);
        bins
    })
}

/// Bins of ten levels a side, none crossed: near each other, or drifting far.
fn regular_bins() -> impl Strategy<Value = BinColumns> {
    let side = |most: i32| {
        let gap = prop_oneof![5 => Just(1), 2 => 1..=most];
        prop::collection::vec((gap, (0_u32..2_000).prop_map(|x| f64::from(x) / 2.0)), LEVELS)
    };
    let bin = (1_i32..6).prop_flat_map(move |most| (-1_i32..=1, 1_i32..4, side(most), side(most)));
    (prop::collection::vec(bin, 1..60), 0_i32..5, -100_000_i32..100_000).prop_map(
        |(all, stride, base)| {
            let mut bins = BinColumns::default();
            let mut bid = base;
            for (step, spread, bids, asks) in all {
                bid += step * stride * stride;
                let levels = |mut px: i32, sign: i32, gaps: &[(i32, f64)]| -> Vec<(i32, f64)> {
                    let level = |&(gap, size): &(i32, f64)| {
                        px += sign * gap;
                        (px, size)
                    };
                    gaps.iter().map(level).collect()
                };
                push(&mut bins, &levels(bid + 1, -1, &bids), &levels(bid + spread - 1, 1, &asks));
            }
            bins
        },
    )
}

fn any_normalise() -> impl Strategy<Value = Normalise> {
    prop_oneof![
        Just(Normalise::Max),
        Just(Normalise::None),
        Just(Normalise::SignedLog),
        Just(Normalise::Constant(1000.0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equals_the_reference(
        bins in prop_oneof![any_bins(), regular_bins()],
        normalise in any_normalise(),
        compat in any::<bool>(),
    ) {
        let geometry = if compat { Geometry::Compat } else { Geometry::Contiguous };
        let features = Feature::ALL.to_vec();
        let spec = RenderSpec { features, geometry, normalise, n_bins: bins.len() };
        let found: Vec<f32> = draw(&bins, &spec).expect("a book");
        let depth = depth(&bins, &spec);
        let window = bins.as_slice(0..bins.len());
        let planes = found.chunks_exact(spec.plane_len()).zip(depth.chunks_exact(spec.plane_len()));
        for (feature, (plane, depth)) in spec.planes().zip(planes) {
            let mut expected = reference::depth(geometry, feature, &window);
            prop_assert!(depth.iter().zip(&expected).all(|(x, y)| x.to_bits() == y.to_bits()));
            reference::normalise(normalise, &mut expected);
            for (i, (x, y)) in plane.iter().zip(&expected).enumerate() {
                let y = *y as f32;
                prop_assert!(x.to_bits() == y.to_bits(), "{} cell {}: {} {}", feature, i, x, y);
            }
        }
    }

    #[test]
    fn depth_grows_away_from_the_touch(bins in any_bins()) {
        // D falls from the highest price to the lowest, and ends at the sums of both sides.
        let n = bins.len();
        let image = depth(&bins, &spec(Geometry::Contiguous, n));
        let window = bins.as_slice(0..n);
        let axis = lob_depth::PriceAxis::new(Geometry::Contiguous, window.last_bid, window.last_ask);
        for bin in 0..n {
            for row in 1..ROWS {
                prop_assert!(image[row * n + bin] <= image[(row - 1) * n + bin]);
            }
            let px = &bins.px[bin * SLOTS..][..SLOTS];
            let total = |slots: std::ops::Range<usize>, end: usize| -> f64 {
                slots
                    .filter(|&slot| px[slot] != NO_PRICE)
                    .filter_map(|slot| axis.row(px[slot]).map(|row| (slot, row)))
                    .filter(|&(_, row)| row != end)
                    .map(|(slot, _)| bins.size[bin * SLOTS + slot])
                    .sum()
            };
            // Half sizes add up exactly. A level on the far end row counts against the other.
            let crossed = (0..SLOTS).any(|slot| {
                let end = if slot < LEVELS { 0 } else { ROWS - 1 };
                px[slot] != NO_PRICE && axis.row(px[slot]) == Some(end)
            });
            if !crossed {
                prop_assert_eq!(image[bin], total(LEVELS..SLOTS, ROWS));
                prop_assert_eq!(image[(ROWS - 1) * n + bin], -total(0..LEVELS, ROWS));
            }
        }
    }

    #[test]
    fn shifting_all_prices_changes_nothing(bins in any_bins(), shift in -50_000_i32..50_000) {
        let mut shifted = bins.clone();
        let prices = shifted.px.iter_mut().chain(&mut shifted.last_bid).chain(&mut shifted.last_ask);
        for px in prices.filter(|px| **px != NO_PRICE) {
            *px += shift;
        }
        let spec = spec(Geometry::Contiguous, bins.len());
        prop_assert!(draw::<f32>(&bins, &spec) == draw::<f32>(&shifted, &spec));
    }

    #[test]
    fn earlier_images_leave_no_trace(first in regular_bins(), second in any_bins(), compat in any::<bool>()) {
        let geometry = if compat { Geometry::Compat } else { Geometry::Contiguous };
        let mut renderer = Renderer::default();
        for bins in [&first, &second, &first] {
            let spec = RenderSpec { features: Feature::ALL.to_vec(), ..spec(geometry, bins.len()) };
            let mut out = vec![7.0_f32; spec.len()];
            renderer.render(&spec, bins.as_slice(0..bins.len()), &mut out).expect("a book");
            prop_assert!(draw(bins, &spec) == Ok(out));
        }
    }

    #[test]
    fn other_formats_are_the_f32_image_converted(
        bins in prop_oneof![any_bins(), regular_bins()],
    ) {
        let spec = RenderSpec { n_bins: bins.len(), ..RenderSpec::default() };
        let image: Vec<f32> = draw(&bins, &spec).expect("a book");
        prop_assert!(image.iter().all(|x| (-1.0..=1.0).contains(x)));
        let half: Vec<F16> = draw(&bins, &spec).expect("a book");
        prop_assert!(image.iter().zip(&half).all(|(x, y)| f16_bits(*x) == y.0));
        let brain: Vec<Bf16> = draw(&bins, &spec).expect("a book");
        prop_assert!(image.iter().zip(&brain).all(|(x, y)| bf16_bits(*x) == y.0));
        let bytes: Vec<u8> = draw(&bins, &spec).expect("a book");
        prop_assert!(image.iter().zip(&bytes).all(|(x, y)| quantise(*x) == *y));
        let window = bins.as_slice(0..bins.len());
        let raw = |dtype: Dtype| {
            let mut out = vec![7; spec.len() * dtype.size_bytes()];
            Renderer::default().render_bytes(&spec, window, dtype, &mut out).expect("a book");
            out
        };
        prop_assert!(raw(Dtype::F32).into_iter().eq(image.iter().flat_map(|x| x.to_ne_bytes())));
        prop_assert!(raw(Dtype::F16).into_iter().eq(half.iter().flat_map(|x| x.0.to_ne_bytes())));
        prop_assert!(raw(Dtype::Bf16).into_iter().eq(brain.iter().flat_map(|x| x.0.to_ne_bytes())));
        prop_assert!(raw(Dtype::U8) == bytes);
    }
}
