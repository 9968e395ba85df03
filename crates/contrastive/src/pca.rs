use crate::cpu::not_finite;
use crate::{ContrastiveError, Rng};

/// Two leading principal components of a set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Coordinates of each row.
    pub points: Vec<[f32; 2]>,
    /// Share of the total variance along each axis, `0..=1`.
    pub explained: [f64; 2],
}

/// Power-iteration steps before giving up on more digits.
const MAX_ITERATIONS: usize = 500;

/// Projects `rows` (n × `dim`, row-major) on their two leading principal components, by power
/// iteration with deflation on the covariance matrix. The sign of an axis is fixed so that its
/// largest coefficient is positive. Constant rows give points at the origin and 0 explained.
///
/// # Errors
/// [`ContrastiveError::Shape`] when `rows` is no multiple of `dim`, or `dim` is 0, and
/// [`ContrastiveError::NotFinite`] for a value that is no number.
#[expect(clippy::cast_possible_truncation, reason = "coordinates for a plot")]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub fn pca_2d(rows: &[f32], dim: usize) -> Result<Pca, ContrastiveError> {
    if dim == 0 || !rows.len().is_multiple_of(dim) {
        return Err(ContrastiveError::Shape {
            what: "the rows of the projection",
            expected: dim,
            found: rows.len(),
        });
    }
    if let Some((window, position, value)) = not_finite(rows, dim) {
        return Err(ContrastiveError::NotFinite { window, position, value });
    }
    let n = rows.len() / dim;
    if n == 0 {
        return Ok(Pca { points: Vec::new(), explained: [0.0; 2] });
    }
    let mut mean = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / n as f64);
    }
    let mut covariance = vec![0.0; dim * dim];
    let mut centred = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        centred.iter_mut().zip(row).zip(&mean).for_each(|((c, &x), m)| *c = f64::from(x) - m);
        for (line, a) in covariance.chunks_exact_mut(dim).zip(&centred) {
            line.iter_mut().zip(&centred).for_each(|(cell, b)| *cell += a * b / n as f64);
        }
    }
    let total: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
    let mut axes = Vec::with_capacity(2);
    let mut explained = [0.0; 2];
    for share in &mut explained {
        let (value, axis) = leading_axis(&covariance, dim);
        *share = if total > 0.0 { (value / total).clamp(0.0, 1.0) } else { 0.0 };
        for (i, line) in covariance.chunks_exact_mut(dim).enumerate() {
            line.iter_mut().zip(&axis).for_each(|(cell, a)| *cell -= value * axis[i] * a);
        }
        axes.push(axis);
    }
    let project = |row: &[f32], axis: &[f64]| -> f32 {
        row.iter().zip(&mean).zip(axis).map(|((&x, m), a)| (f64::from(x) - m) * a).sum::<f64>()
            as f32
    };
    let points = rows
        .chunks_exact(dim)
        .map(|row| [project(row, &axes[0]), project(row, &axes[1])])
        .collect();
    Ok(Pca { points, explained })
}

/// The largest eigenvalue of a symmetric matrix and its unit vector; zeros for a zero matrix.
fn leading_axis(matrix: &[f64], dim: usize) -> (f64, Vec<f64>) {
    let mut rng = Rng::new(0x9ca);
    let mut axis: Vec<f64> = (0..dim).map(|_| f64::from(rng.normal_f32())).collect();
    let length = axis.iter().map(|x| x * x).sum::<f64>().sqrt();
    axis.iter_mut().for_each(|x| *x /= length);
    let mut value = 0.0;
    for _ in 0..MAX_ITERATIONS {
        let next: Vec<f64> = matrix
            .chunks_exact(dim)
            .map(|line| line.iter().zip(&axis).map(|(m, a)| m * a).sum())
            .collect();
        let norm = next.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
        if norm < 1e-300 {
            return (0.0, vec![0.0; dim]);
        }
        let previous = std::mem::replace(&mut axis, next.iter().map(|x| x / norm).collect());
        value = norm;
        let cosine: f64 = previous.iter().zip(&axis).map(|(a, b)| a * b).sum();
        if 1.0 - cosine.abs() < 1e-14 {
            break;
        }
    }
    let largest = axis.iter().copied().fold(0.0, |m: f64, x| if x.abs() > m.abs() { x } else { m });
    if largest < 0.0 {
        axis.iter_mut().for_each(|x| *x = -*x);
    }
    (value, axis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_axes_of_a_stretched_cross() {
        // Variance 8 along (0.6, 0.8), 2 along (-0.8, 0.6), 0 along the third dimension.
        let rows: Vec<f32> = [(4.0, 0.0), (-4.0, 0.0), (0.0, 2.0), (0.0, -2.0)]
            .iter()
            .flat_map(|(a, b)| [0.6 * a - 0.8 * b + 7.0, 0.8 * a + 0.6 * b, 3.0])
            .collect();
        let pca = pca_2d(&rows, 3).unwrap();
        assert!((pca.explained[0] - 0.8).abs() < 1e-6, "{:?}", pca.explained);
        assert!((pca.explained[1] - 0.2).abs() < 1e-6, "{:?}", pca.explained);
        assert!((pca.points[0][0] - 4.0).abs() < 1e-5 && pca.points[0][1].abs() < 1e-5);
        assert!((pca.points[2][1].abs() - 2.0).abs() < 1e-5);
    }

    #[test]
    fn degenerate_rows_have_defined_results() {
        let constant = pca_2d(&[1.0, 2.0, 1.0, 2.0], 2).unwrap();
        assert_eq!(constant.points, vec![[0.0; 2]; 2]);
        assert!(constant.explained.iter().all(|&e| e == 0.0));
        assert!(pca_2d(&[], 4).unwrap().points.is_empty());
        assert!(pca_2d(&[1.0; 3], 2).is_err());
        assert_eq!(pca_2d(&[1.0, 2.0, 5.0], 1).unwrap().points.len(), 3);
    }
}
