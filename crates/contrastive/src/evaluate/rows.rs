//! Rows of numbers, and their standardisation.

/// Rows of `dim` numbers each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) dim: usize,
    pub(crate) values: Vec<f32>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    pub(super) fn row(&self, idx: usize) -> &[f32] {
        &self.values[idx * self.dim..(idx + 1) * self.dim]
    }

    /// These rows, in this order.
    pub(super) fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let values = rows.flat_map(|idx| self.row(idx)).copied().collect();
        Self { dim: self.dim, values }
    }

    /// The first columns of each row.
    pub(super) fn first_columns(&self, dim: usize) -> Self {
        let values = self.iter().flat_map(|row| &row[..dim.min(row.len())]).copied().collect();
        Self { dim, values }
    }

    /// Each row with the row of `other` behind it.
    pub(super) fn beside(&self, other: &Self) -> Self {
        let rows = self.iter().zip(other.iter());
        let values = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
        Self { dim: self.dim + other.dim, values }
    }
}

/// Shift and scale of each column that bring the rows they were fitted on to mean 0 and deviation
/// 1; a column that does not vary there becomes 0.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standardiser {
    /// Mean and inverse deviation.
    columns: Vec<(f64, f64)>,
}

impl Standardiser {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn fit(rows: &Rows) -> Self {
        let n = rows.len().max(1) as f64;
        let mut means = vec![0.0_f64; rows.dim];
        for row in rows.iter() {
            means.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
        }
        let mut squares = vec![0.0_f64; rows.dim];
        for row in rows.iter() {
            for ((square, mean), &x) in squares.iter_mut().zip(&means).zip(row) {
                *square += (f64::from(x) - mean).powi(2) / n;
            }
        }
        let columns = means.into_iter().zip(squares).map(|(mean, square)| {
            let deviation = square.sqrt();
            // Round-off of single precision around the mean is no variation.
            let varies = deviation > 1e-7 * mean.abs().max(1e-30);
            (mean, if varies { 1.0 / deviation } else { 0.0 })
        });
        Self { columns: columns.collect() }
    }

    /// Mean and inverse deviation of each column.
    pub(crate) fn columns(&self) -> &[(f64, f64)] {
        &self.columns
    }

    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    pub(crate) fn apply(&self, rows: &mut Rows) {
        for row in rows.values.chunks_exact_mut(rows.dim.max(1)) {
            for (x, (mean, scale)) in row.iter_mut().zip(&self.columns) {
                *x = ((f64::from(*x) - mean) * scale) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_mean_zero_and_deviation_one() {
        let mut rows = Rows { dim: 2, values: vec![1.0, 0.1, 3.0, 0.1, 5.0, 0.1] };
        let standardiser = Standardiser::fit(&rows);
        standardiser.apply(&mut rows);
        let root = 1.5_f32.sqrt();
        for (found, expected) in rows.values.iter().zip([-root, 0.0, 0.0, 0.0, root, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{rows:?}");
        }
        let mut other = Rows { dim: 2, values: vec![3.0, 9.0] };
        standardiser.apply(&mut other);
        assert_eq!(other.values, [0.0, 0.0]);
    }

    #[test]
    fn rows_are_chosen_and_joined() {
        let rows = Rows { dim: 1, values: vec![1.0, 2.0, 3.0] };
        let chosen = rows.select([2, 0].into_iter());
        assert_eq!(chosen.values, [3.0, 1.0]);
        let joined = chosen.beside(&Rows { dim: 2, values: vec![7.0, 8.0, 9.0, 10.0] });
        assert_eq!((joined.dim, joined.values), (3, vec![3.0, 7.0, 8.0, 1.0, 9.0, 10.0]));
    }
}
