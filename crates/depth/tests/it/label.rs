//! Movements and classes by hand and against plain loops.

use lob_depth::{
    DepthError, LabelSpec, MovementStream, UNDEF_PRICE, class_edges, classify, movements,
    train_prefix, twice_mid,
};
use proptest::prelude::*;

fn spec(lookback: u32, lookforward: u32, offset: u32) -> LabelSpec {
    LabelSpec { lookback, lookforward, offset, classes: 3 }
}

#[test]
fn movement_by_hand() {
    // Row 2: before (100 + 200) / 2, skip 1 row, after (300 + 180) / 2.
    let mids = [200, 400, 999, 888, 600, 360].map(Some);
    let found = movements(&mids, spec(2, 2, 1)).expect("valid");
    assert_eq!(found, [None, None, Some(0.6), None, None, None]);
    // One row fewer than needed: no label at all.
    assert_eq!(spec(2, 2, 1).min_rows(), 6);
    assert_eq!(movements(&mids[..5], spec(2, 2, 1)), Ok(vec![None; 5]));
    assert_eq!(movements(&[], spec(2, 2, 1)), Ok(vec![]));
}

#[test]
fn missing_mids_cost_only_empty_windows() {
    let mids = [Some(200), None, Some(7), Some(220), Some(240)];
    assert_eq!(movements(&mids, spec(2, 2, 0)), Ok(vec![None, None, Some(0.15), None, None]));
    let mids = [None, None, Some(7), Some(220), Some(240)];
    assert_eq!(movements(&mids, spec(2, 2, 0)), Ok(vec![None; 5]));
    let mids = [Some(200), Some(200), Some(7), None, None];
    assert_eq!(movements(&mids, spec(2, 2, 0)), Ok(vec![None; 5]));
}

#[test]
fn negative_prices_move_up_when_they_rise() {
    assert_eq!(
        movements(&[Some(-200), Some(0), Some(-100)], spec(1, 1, 0)).expect("valid")[1],
        Some(0.5)
    );
    assert_eq!(movements(&[Some(0), Some(0), Some(10)], spec(1, 1, 0)).expect("valid")[1], None);
}

#[test]
fn mids() {
    assert_eq!(twice_mid(3, 4), Ok(Some(7)));
    assert_eq!(twice_mid(UNDEF_PRICE, 4), Ok(None));
    assert_eq!(twice_mid(3, UNDEF_PRICE), Ok(None));
    assert!(twice_mid(i64::MAX - 1, 2).is_err() && twice_mid(i64::MAX - 1, 1).is_err());
}

#[test]
fn stream_tells_what_is_pending() {
    let mut stream = MovementStream::new(spec(2, 2, 1)).expect("valid");
    for row in 0..10_u64 {
        let movement = stream.push(Some(100));
        assert_eq!(movement.map(|m| m.row), row.checked_sub(3));
        assert_eq!(movement.and_then(|m| m.value), (row >= 5).then_some(0.0));
        assert_eq!(stream.n_pending(), (row + 1).min(3));
    }
}

#[test]
fn edges_and_classes() {
    let train: Vec<f64> = (0..=100).map(f64::from).collect();
    let edges = class_edges(&train, 4).expect("movements");
    assert_eq!(edges, [0.0, 25.0, 50.0, 75.0, 100.0]);
    for (x, class) in
        [(-5.0, 0), (0.0, 0), (24.9, 0), (25.0, 1), (50.0, 2), (75.0, 3), (100.0, 3), (1e9, 3)]
    {
        assert_eq!(classify(x, &edges), class, "{x}");
    }
    // Interpolated: quantile 1/2 of four numbers.
    assert_eq!(class_edges(&[1.0, 2.0, 4.0, 9.0], 2), Ok(vec![1.0, 3.0, 9.0]));
    // Coinciding quantiles: equally wide classes.
    let ties = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0];
    assert_eq!(class_edges(&ties, 3), Ok(vec![0.0, 3.0, 6.0, 9.0]));
}

#[test]
fn flat_prices_are_in_the_middle_class() {
    for (classes, middle) in [(3, 1), (5, 2), (13, 6)] {
        let edges = class_edges(&[0.0; 50], classes).expect("movements");
        assert_eq!(edges, vec![0.0; classes as usize + 1]);
        let class = |x| classify(x, &edges);
        let top = i32::try_from(classes).expect("few") - 1;
        assert_eq!((class(-0.1), class(0.0), class(0.1)), (0, middle, top));
    }
}

#[test]
fn training_part() {
    let all = vec![0.5; 100];
    assert_eq!(train_prefix(&all, 5).len(), 50);
    assert_eq!(train_prefix(&all[..99], 5).len(), 99);
    assert_eq!(train_prefix(&all, 13).len(), 100);
}

#[test]
fn refusals() {
    for bad in [
        spec(0, 1, 0),
        spec(1, 0, 0),
        spec(u32::MAX, 1, 0),
        LabelSpec { classes: 1, ..spec(1, 1, 0) },
    ] {
        assert!(matches!(movements(&[], bad), Err(DepthError::InvalidLabel { .. })), "{bad:?}");
    }
    for train in [&[][..], &[1.0, f64::NAN], &[f64::INFINITY]] {
        assert!(class_edges(train, 3).is_err());
    }
    assert!(class_edges(&[1.0], 1).is_err() && class_edges(&[1.0], 256).is_err());
}

proptest! {
    #[test]
    fn equals_plain_means(
        mids in prop::collection::vec(prop::option::weighted(0.9, 1_000_000_i64..2_000_000), 0..80),
        lookback in 1_u32..9, lookforward in 1_u32..9, offset in 0_u32..5,
    ) {
        let found = movements(&mids, spec(lookback, lookforward, offset)).expect("valid");
        let (lb, lf, off) = (lookback as usize, lookforward as usize, offset as usize);
        let mean = |window: &[Option<i64>]| {
            let seen: Vec<f64> = window.iter().flatten().map(|&x| x as f64 / 2.0).collect();
            (!seen.is_empty()).then(|| seen.iter().sum::<f64>() / seen.len() as f64)
        };
        prop_assert_eq!(found.len(), mids.len());
        for (i, value) in found.iter().enumerate() {
            let expected = (i >= lb && i + off + lf < mids.len())
                .then(|| mean(&mids[i - lb..i]).zip(mean(&mids[i + 1 + off..i + 1 + off + lf])))
                .flatten()
                .map(|(back, forward)| (forward - back) / back);
            match (value, expected) {
                (Some(x), Some(y)) => prop_assert!((x - y).abs() <= 1e-12, "row {}: {} {}", i, x, y),
                (x, y) => prop_assert!(x.is_none() && y.is_none(), "row {}: {:?} {:?}", i, x, y),
            }
        }
    }

    #[test]
    fn classes_rise_with_the_movement(train in prop::collection::vec(-1.0_f64..1.0, 1..200), classes in 2_u32..14) {
        let edges = class_edges(&train, classes).expect("movements");
        prop_assert_eq!(edges.len(), classes as usize + 1);
        prop_assert!(edges.windows(2).all(|pair| pair[0] <= pair[1]));
        let mut sorted = train;
        sorted.sort_by(f64::total_cmp);
        let labels: Vec<i32> = sorted.iter().map(|&x| classify(x, &edges)).collect();
        prop_assert!(labels.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(labels.iter().all(|label| (0..classes.cast_signed()).contains(label)));
    }
}
