use super::{Rows, kernels};

/// Temperature of the vote: a neighbour weighs `exp(cosine / 0.1)` (Wu et al., 2018).
const TEMPERATURE: f64 = 0.1;

/// Classes of `test` by a weighted vote of the `k` training rows of largest cosine. Votes are
/// divided by how often their class occurs in training, so that a common class has no advantage.
/// `None` where a vote is no number.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn knn_predict(
    train: &Rows,
    classes: &[u32],
    test: &Rows,
    k: usize,
    n_classes: usize,
) -> Vec<Option<u32>> {
    let train = normalised(train);
    let test = normalised(test);
    let mut shares = vec![0.0_f64; n_classes];
    for &class in classes {
        shares[class as usize] += 1.0 / classes.len() as f64;
    }
    let k = k.min(train.len()).max(1);
    test.iter()
        .map(|row| {
            let mut near: Vec<(f32, u32)> = train
                .iter()
                .zip(classes)
                .map(|(other, &class)| (kernels::dot(row, other), class))
                .collect();
            // The order has a place for NaN, near or far by its sign; a vote has none.
            if near.iter().any(|(cosine, _)| cosine.is_nan()) {
                return None;
            }
            near.select_nth_unstable_by(k - 1, |a, b| b.0.total_cmp(&a.0));
            let mut votes = vec![0.0_f64; n_classes];
            for (cosine, class) in &near[..k] {
                let weight = (f64::from(*cosine) / TEMPERATURE).exp();
                votes[*class as usize] += weight / shares[*class as usize];
            }
            largest(&votes)
        })
        .collect()
}

/// Index of the largest value, the first one of several; `None` unless all of them are finite.
pub(super) fn largest(values: &[f64]) -> Option<u32> {
    let mut best = None;
    for (i, &value) in values.iter().enumerate() {
        if !value.is_finite() {
            return None;
        }
        if best.is_none_or(|(_, other)| value > other) {
            best = Some((i, value));
        }
    }
    best.and_then(|(i, _)| u32::try_from(i).ok())
}

/// Rows of length one; rows of zeros stay.
pub(crate) fn normalised(rows: &Rows) -> Rows {
    let mut out = rows.clone();
    for row in out.values.chunks_exact_mut(rows.dim.max(1)) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
        row.iter_mut().for_each(|x| *x /= norm);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directions_decide() {
        let rows = |values: &[f32]| Rows { dim: 2, values: values.to_vec() };
        let train = rows(&[1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.1, 5.0]);
        let test = rows(&[7.0, 0.5, 0.0, 0.01]);
        let expected = [Some(0), Some(1)];
        assert_eq!(knn_predict(&train, &[0, 0, 1, 1], &test, 2, 2), expected);
        // More neighbours than rows are all rows; the balanced vote stays with the nearer.
        assert_eq!(knn_predict(&train, &[0, 0, 1, 1], &test, 99, 3), expected);
    }

    #[test]
    fn a_vote_that_is_no_number_is_no_class() {
        let rows = |values: &[f32]| Rows { dim: 2, values: values.to_vec() };
        let train = rows(&[1.0, 0.0, 0.9, 0.1, 0.0, 1.0]);
        let test = rows(&[f32::NAN, 0.5, 0.0, 1.0, f32::INFINITY, 0.0]);
        assert_eq!(knn_predict(&train, &[0, 0, 1], &test, 1, 2), [None, Some(1), None]);
        let odd = rows(&[1.0, f32::NAN, 0.9, 0.1, 0.0, 1.0]);
        let found = knn_predict(&odd, &[0, 0, 1], &rows(&[1.0, 0.0]), 1, 2);
        assert_eq!(found, [None], "a neighbour without a place spoils the vote");
        assert_eq!(largest(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!([largest(&[]), largest(&[1.0, f64::INFINITY])], [None, None]);
    }
}
