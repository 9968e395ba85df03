//! A little dense linear algebra in double precision.

use super::Rows;

/// Solves `A X = B` for a symmetric positive definite `A` (n × n) in place of `B` (n × m), by
/// Cholesky's factorisation; `false` when `A` is not positive definite or not finite.
pub(super) fn solve(a: &mut [f64], n: usize, b: &mut [f64], m: usize) -> bool {
    for j in 0..n {
        for i in j..n {
            let (upper, lower) = a.split_at(i * n);
            let row_j = if i == j { &lower[..j] } else { &upper[j * n..j * n + j] };
            let dot: f64 = lower[..j].iter().zip(row_j).map(|(x, y)| x * y).sum();
            let value = lower[j] - dot;
            if i == j {
                if !value.is_finite() || value <= 0.0 {
                    return false;
                }
                a[j * n + j] = value.sqrt();
            } else {
                a[i * n + j] = value / a[j * n + j];
            }
        }
    }
    for i in 0..n {
        let (done, rest) = b.split_at_mut(i * m);
        let row = &mut rest[..m];
        for k in 0..i {
            let factor = a[i * n + k];
            row.iter_mut().zip(&done[k * m..]).for_each(|(x, y)| *x -= factor * y);
        }
        row.iter_mut().for_each(|x| *x /= a[i * n + i]);
    }
    for i in (0..n).rev() {
        let (head, done) = b.split_at_mut((i + 1) * m);
        let row = &mut head[i * m..];
        for k in i + 1..n {
            let factor = a[k * n + i];
            row.iter_mut().zip(&done[(k - i - 1) * m..]).for_each(|(x, y)| *x -= factor * y);
        }
        row.iter_mut().for_each(|x| *x /= a[i * n + i]);
    }
    true
}

/// `R Rᵀ` (n × n) of rows, or `Rᵀ R` (dim × dim), whichever is smaller; `true` for the first.
pub(super) fn gram(rows: &Rows) -> (Vec<f64>, usize, bool) {
    let (n, dim) = (rows.len(), rows.dim);
    if n <= dim {
        let mut out = vec![0.0; n * n];
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate().take(i + 1) {
                let dot = dot(a, b);
                out[i * n + j] = dot;
                out[j * n + i] = dot;
            }
        }
        return (out, n, true);
    }
    let columns = transposed(rows);
    let mut out = vec![0.0; dim * dim];
    for (i, a) in columns.iter().enumerate() {
        for (j, b) in columns.iter().enumerate().take(i + 1) {
            let dot = dot(a, b);
            out[i * dim + j] = dot;
            out[j * dim + i] = dot;
        }
    }
    (out, dim, false)
}

pub(super) fn transposed(rows: &Rows) -> Rows {
    let (n, dim) = (rows.len(), rows.dim);
    let mut values = vec![0.0; n * dim];
    for (i, row) in rows.iter().enumerate() {
        for (j, x) in row.iter().enumerate() {
            values[j * n + i] = *x;
        }
    }
    Rows { dim: n, values }
}

/// Sum of products: single precision in blocks of 64 values, double precision over them.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let blocks = a.chunks(64).zip(b.chunks(64));
    blocks
        .map(|(a, b)| {
            let mut lanes = [0.0_f32; 8];
            let (eights_a, rest_a) = a.as_chunks::<8>();
            let (eights_b, rest_b) = b.as_chunks::<8>();
            for (a, b) in eights_a.iter().zip(eights_b) {
                for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                    *lane += a * b;
                }
            }
            let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
            f64::from(lanes.iter().sum::<f32>() + rest)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_by_hand() {
        // [4 2; 2 3] x = [8; 7] has the solution [1.25, 1.5]; the second column is twice the first.
        let mut b = [8.0, 16.0, 7.0, 14.0];
        assert!(solve(&mut [4.0, 2.0, 2.0, 3.0], 2, &mut b, 2));
        for (found, expected) in b.iter().zip([1.25, 2.5, 1.5, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{b:?}");
        }
        assert!(!solve(&mut [1.0, 2.0, 2.0, 1.0], 2, &mut [1.0, 1.0], 1));
    }

    #[test]
    fn the_smaller_product_is_made() {
        let wide = Rows { dim: 3, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        assert_eq!(gram(&wide), (vec![14.0, 32.0, 32.0, 77.0], 2, true));
        let tall = transposed(&wide);
        assert_eq!((tall.dim, tall.len()), (2, 3));
        assert_eq!(gram(&tall), (vec![14.0, 32.0, 32.0, 77.0], 2, false));
    }
}
