//! Values that can be worked out by hand, needing no file.

use burn_tensor::{Bool, Tensor, TensorData};
use lob_contrastive::Rng;
use lob_contrastive::loss::{
    Scale, decoupled, info_nce, info_nce_with_negatives, nt_xent, plain, sig_lip, sup_con,
    symmetric_info_nce,
};

use crate::{Back, gradient, leaf, value};

fn check(found: &Tensor<Back, 1>, expected: f32) {
    let found = value(found);
    assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
}

fn axes() -> Tensor<Back, 2> {
    leaf(&[vec![1.0, 0.0], vec![0.0, 1.0]])
}

#[test]
fn two_right_angles() {
    for tau in [0.05_f32, 0.5, 1.0] {
        let s = Scale::Fixed(tau);
        let e = (-1.0 / tau).exp();
        check(&info_nce(axes(), axes(), &s, None).mean(), e.ln_1p());
        check(&symmetric_info_nce(axes(), axes(), &s, None).mean(), e.ln_1p());
        check(&nt_xent(axes(), axes(), &s, None).mean(), (2.0 * e).ln_1p());
        check(
            &sup_con(Tensor::cat(vec![axes(), axes()], 0), &[0, 1, 0, 1], &s).loss,
            (2.0 * e).ln_1p(),
        );
        check(&decoupled(axes(), axes(), &s, None).mean(), 2.0_f32.ln() - 1.0 / tau);
        // One negative along the first axis: it ties with the first positive, is far from the second.
        let extra = leaf(&[vec![7.0, 0.0]]);
        let expected = 0.5 * (2.0_f32.ln() + e.ln_1p());
        check(&info_nce_with_negatives(axes(), axes(), extra, &s, false).mean(), expected);
    }
    let za = axes();
    let gradients = info_nce(za.clone(), axes(), &Scale::Fixed(0.5), None).mean().backward();
    for (found, expected) in gradient(&za, &gradients).iter().zip([0.0, 0.119_203, 0.119_203, 0.0])
    {
        assert!((found - expected).abs() < 1e-5);
    }
}

#[test]
fn equal_rows_cost_the_logarithm_of_the_choices_and_pull_nowhere() {
    let rows = vec![vec![0.3, -0.4, 1.2]; 8];
    let s = Scale::Fixed(0.07);
    let z = leaf(&rows);
    let loss = info_nce(z.clone(), leaf(&rows), &s, None).mean();
    check(&loss, 8.0_f32.ln());
    let gradients = loss.backward();
    assert!(gradient(&z, &gradients).iter().all(|g| g.abs() < 1e-5));
    check(&nt_xent(leaf(&rows), leaf(&rows), &s, None).mean(), 15.0_f32.ln());
    check(&decoupled(leaf(&rows), leaf(&rows), &s, None).mean(), 14.0_f32.ln());
}

#[test]
fn ignored_pairs_leave_the_denominator() {
    let rows = vec![vec![1.0, 1.0]; 3];
    let ignore = |mask: [bool; 9]| {
        Some(Tensor::<Back, 2, burn_tensor::Bool>::from_data(
            TensorData::new(mask.to_vec(), [3, 3]),
            &Default::default(),
        ))
    };
    let (t, f) = (true, false);
    let per_row =
        info_nce(leaf(&rows), leaf(&rows), &Scale::Fixed(0.1), ignore([f, t, t, f, f, t, f, f, f]));
    let per_row: Vec<f32> = per_row.into_data().into_vec().unwrap();
    for (found, expected) in per_row.iter().zip([0.0, 2.0_f32.ln(), 3.0_f32.ln()]) {
        assert!((found - expected).abs() < 1e-5, "{per_row:?}");
    }
    let one = |x: f32| Tensor::<Back, 1>::from_floats([x], &Default::default());
    let all = sig_lip(leaf(&rows), leaf(&rows), one(1.0), one(-1.0), None);
    // cosine 1, so every logit is 0
    check(&all, 3.0 * 2.0_f32.ln());
    let some =
        sig_lip(leaf(&rows), leaf(&rows), one(1.0), one(-1.0), ignore([f, t, t, t, f, t, t, t, f]));
    check(&some, 2.0_f32.ln());
}

#[test]
fn hostile_rows_stay_finite() {
    let rows = vec![vec![0.0, 0.0], vec![3e19, 3e19], vec![1e-25, -1e-25], vec![1.0, 2.0]];
    let other: Vec<Vec<f32>> = rows.iter().rev().cloned().collect();
    type Loss = fn(Tensor<Back, 2>, Tensor<Back, 2>, &Scale<Back>) -> Tensor<Back, 1>;
    let losses: [Loss; 5] = [
        |a, p, s| info_nce(a, p, s, None).mean(),
        |a, p, s| symmetric_info_nce(a, p, s, None).mean(),
        |a, p, s| nt_xent(a, p, s, None).mean(),
        |a, p, s| decoupled(a, p, s, None).mean(),
        |a, p, s| sup_con(Tensor::cat(vec![a, p], 0), &[0, 1, 2, 3, 0, 1, 2, 9], s).loss,
    ];
    for loss in losses {
        let (za, zp) = (leaf(&rows), leaf(&other));
        let loss = loss(za.clone(), zp.clone(), &Scale::Fixed(0.01));
        assert!(value(&loss).is_finite());
        let gradients = loss.backward();
        for g in [gradient(&za, &gradients), gradient(&zp, &gradients)] {
            assert!(g.iter().all(|x| x.is_finite()), "{g:?}");
        }
    }
}

#[test]
fn lone_anchors_are_counted_not_averaged() {
    let result = sup_con(
        leaf(&[vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]]),
        &[0, 0, 1],
        &Scale::Fixed(1.0),
    );
    assert_eq!(result.n_skipped, 1);
    check(&result.loss, (-1.0_f32).exp().ln_1p());
    let alone = sup_con(axes(), &[0, 1], &Scale::Fixed(1.0));
    assert_eq!(alone.n_skipped, 2);
    check(&alone.loss, 0.0);
}

/// A softmax loss by row.
type Rows = fn(
    Tensor<Back, 2>,
    Tensor<Back, 2>,
    &Scale<Back>,
    Option<Tensor<Back, 2, Bool>>,
) -> Tensor<Back, 1>;

/// Rows and all gradients under a different upstream gradient for each row.
fn weighed(loss: Rows, [n, dim]: [usize; 2], tau: f32, side: Option<usize>) -> Vec<f32> {
    let mut rng = Rng::new(n as u64);
    let mut normal = |rows: usize, columns: usize| -> Vec<Vec<f32>> {
        (0..rows).map(|_| (0..columns).map(|_| rng.normal_f32()).collect()).collect()
    };
    let (za, zp) = (leaf(&normal(n, dim)), leaf(&normal(n, dim)));
    let s = Tensor::<Back, 1>::from_floats([-tau.ln()], &Default::default()).require_grad();
    let ignore = side.map(|factor| {
        let side = factor * n;
        let mask = (0..side * side).map(|at| {
            let (i, j) = (at / side, at % side);
            i % n != j % n && (i * 7 + j * 7) % 5 == 0
        });
        let data = TensorData::new(mask.collect::<Vec<bool>>(), [side, side]);
        Tensor::from_data(data, &Default::default())
    });
    let rows = loss(za.clone(), zp.clone(), &Scale::Learned(s.clone()), ignore);
    let upstream = normal(1, rows.dims()[0]).concat();
    let upstream = Tensor::from_data(TensorData::new(upstream, rows.dims()), &Default::default());
    let gradients = (rows.clone() * upstream).sum().backward();
    let scale: Vec<f32> = s.grad(&gradients).unwrap().into_data().into_vec().unwrap();
    let rows: Vec<f32> = rows.into_data().into_vec().unwrap();
    [rows, gradient(&za, &gradients), gradient(&zp, &gradients), scale].concat()
}

#[test]
fn the_closed_form_is_the_plain_one_for_any_upstream_gradient() {
    let kinds: [(Rows, Rows, usize); 3] = [
        (info_nce, plain::info_nce, 1),
        (symmetric_info_nce, plain::symmetric_info_nce, 1),
        (nt_xent, plain::nt_xent, 2),
    ];
    for (closed, plain, side) in kinds {
        for shape in [[2, 3], [5, 1], [17, 16], [70, 33]] {
            for tau in [0.05, 0.5] {
                for ignore in [None, Some(side)] {
                    let found = weighed(closed, shape, tau, ignore);
                    let expected = weighed(plain, shape, tau, ignore);
                    let size = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
                    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                        assert!((a - b).abs() <= 2e-5 * size, "{shape:?} {tau} {i}: {a} not {b}");
                    }
                }
            }
        }
    }
}
