//! Principal components scaled to variance 1.

use super::Rows;
use crate::Rng;

/// Power steps of the subspace iteration.
const ITERATIONS: usize = 15;

/// The leading principal components, scaled to variance 1.
#[derive(Debug)]
pub(super) struct PcaWhitening {
    mean: Vec<f32>,
    /// One row for each component, divided by its deviation.
    axes: Rows,
}

impl PcaWhitening {
    /// By subspace iteration on the training rows (Halko et al., 2011).
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn fit(train: &Rows, components: usize, seed: u64) -> Self {
        let (n, dim) = (train.len().max(1), train.dim);
        let k = components.min(dim).min(n);
        let mut sums = vec![0.0_f64; dim];
        for row in train.iter() {
            sums.iter_mut().zip(row).for_each(|(s, &x)| *s += f64::from(x));
        }
        let mean: Vec<f32> = sums.iter().map(|s| (s / n as f64) as f32).collect();
        let mut centred = train.clone();
        for row in centred.values.chunks_exact_mut(dim.max(1)) {
            row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m);
        }
        let mut rng = Rng::at(seed, 29, 0, 0);
        let values = (0..k * dim).map(|_| rng.normal_f32()).collect();
        let mut axes = Rows { dim, values };
        let mut variances = vec![0.0; k];
        for _ in 0..ITERATIONS {
            // Cᵀ C v / n, axis by axis, then made orthonormal again.
            let mut next = vec![0.0_f32; k * dim];
            for row in centred.iter() {
                for (axis, out) in axes.iter().zip(next.chunks_exact_mut(dim)) {
                    let along = (dot(row, axis) / n as f64) as f32;
                    out.iter_mut().zip(row).for_each(|(o, x)| *o += along * x);
                }
            }
            axes.values = next;
            variances = orthonormalise(&mut axes);
        }
        for (axis, variance) in axes.values.chunks_exact_mut(dim.max(1)).zip(&variances) {
            let scale = if *variance > 1e-12 { 1.0 / variance.sqrt() } else { 0.0 };
            axis.iter_mut().for_each(|x| *x *= scale as f32);
        }
        Self { mean, axes }
    }

    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    pub(super) fn apply(&self, rows: &Rows) -> Rows {
        let mut values = Vec::with_capacity(rows.len() * self.axes.len());
        let mut centred = vec![0.0_f32; rows.dim];
        for row in rows.iter() {
            centred.iter_mut().zip(row).zip(&self.mean).for_each(|((c, x), m)| *c = x - m);
            values.extend(self.axes.iter().map(|axis| dot(&centred, axis) as f32));
        }
        Rows { dim: self.axes.len(), values }
    }
}

/// Gram and Schmidt's process; gives the lengths the rows had, which are the variances along the
/// axes once the iteration has settled.
#[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
fn orthonormalise(rows: &mut Rows) -> Vec<f64> {
    let dim = rows.dim;
    let mut lengths = Vec::with_capacity(rows.len());
    for i in 0..rows.len() {
        let (done, rest) = rows.values.split_at_mut(i * dim);
        let row = &mut rest[..dim];
        // Twice: once leaves round-off that grows with the number of axes.
        for _ in 0..2 {
            for other in done.chunks_exact(dim) {
                let along = dot(row, other) as f32;
                row.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
            }
        }
        let length = dot(row, row).sqrt();
        let scale = if length > 1e-20 { 1.0 / length } else { 0.0 };
        row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        lengths.push(length);
    }
    lengths
}

/// Sum of products: single precision in blocks of 64 values, double precision over them.
fn dot(a: &[f32], b: &[f32]) -> f64 {
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

    fn transposed(rows: &Rows) -> Rows {
        let (n, dim) = (rows.len(), rows.dim);
        let mut values = vec![0.0; n * dim];
        for (i, row) in rows.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                values[j * n + i] = *x;
            }
        }
        Rows { dim: n, values }
    }

    #[test]
    fn whitened_components_are_uncorrelated_with_variance_one() {
        let mut rng = Rng::new(5);
        let values = (0..500).flat_map(|_| {
            let (a, b) = (5.0 * rng.normal_f32(), rng.normal_f32());
            [a + b, a - b, 0.2 * rng.normal_f32(), 3.0]
        });
        let rows = Rows { dim: 4, values: values.collect() };
        let whitened = PcaWhitening::fit(&rows, 3, 1).apply(&rows);
        let columns = transposed(&whitened);
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate() {
                let covariance = dot(a, b) / 500.0;
                let expected = f64::from(u8::from(i == j));
                assert!((covariance - expected).abs() < 0.02, "{i} {j}: {covariance}");
            }
        }
        // A constant input has no component at all.
        let flat = Rows { dim: 2, values: vec![1.0; 20] };
        assert!(PcaWhitening::fit(&flat, 2, 1).apply(&flat).values.iter().all(|&x| x == 0.0));
    }
}
