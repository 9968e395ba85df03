use crate::Metrics;

/// Rows of an evaluation batch used for the effective rank; more would cost cubic time.
const MAX_RANK_ROWS: usize = 128;

/// Rotations over the whole matrix; Jacobi's method settles in well under ten.
const MAX_SWEEPS: usize = 12;

/// What evaluation looks at: normalised pairs, and the loss they were trained to.
pub(crate) struct Evaluation<'a> {
    /// Anchors as the loss sees them, n × `dim`.
    pub(crate) anchors: &'a [f32],
    /// Their positives.
    pub(crate) positives: &'a [f32],
    /// Width of both.
    pub(crate) dim: usize,
    /// Embeddings of the anchors, n × `embedding_dim`.
    pub(crate) embeddings: &'a [f32],
    /// Width of the embeddings.
    pub(crate) embedding_dim: usize,
    /// Losses by step.
    pub(crate) losses: &'a [f32],
    /// The loss when every similarity is equal, e.g. `ln B`; `None` when the loss has no such value.
    pub(crate) chance_loss: Option<f64>,
}

/// Metrics of a batch of pairs.
pub(crate) fn evaluate(e: &Evaluation<'_>) -> Metrics {
    let (u, v) = (normalised(e.anchors, e.dim), normalised(e.positives, e.dim));
    let n = u.len() / e.dim;
    let ranks: Vec<usize> = (0..n).map(|i| rank_of_own(&u, &v, e.dim, i)).collect();
    let share = |below: usize| mean(ranks.iter().map(|&r| f64::from(u8::from(r < below))), n);
    let dim_std = dim_std(&u, e.dim);
    let mut metrics = Metrics {
        loss: f32::NAN,
        top1: share(1),
        top5: share(5),
        mrr: mean(ranks.iter().map(|&r| 1.0 / real(r + 1)), n),
        alignment: mean(u.iter().zip(&v).map(|(a, b)| (a - b).powi(2)), n),
        uniformity: uniformity(&u, e.dim),
        effective_rank: effective_rank(&normalised(e.embeddings, e.embedding_dim), e.embedding_dim),
        dim_std,
        collapse: None,
        has_negatives: n > 1,
    };
    metrics.collapse = collapse(e, &metrics, n);
    metrics
}

/// Why a run looks collapsed.
fn collapse(e: &Evaluation<'_>, metrics: &Metrics, n: usize) -> Option<String> {
    let ideal = 1.0 / real(e.dim).sqrt();
    if !(metrics.dim_std.is_finite() && metrics.effective_rank.is_finite()) {
        return Some("the embeddings hold something else than numbers".into());
    }
    if metrics.dim_std < 0.1 * ideal {
        return Some(format!(
            "all embeddings point the same way: the mean deviation of the normalised dimensions is \
             {:.2e}, {ideal:.2e} is ideal",
            metrics.dim_std
        ));
    }
    let chance = e.chance_loss?;
    let tail = &e.losses[e.losses.len() - e.losses.len().div_ceil(10)..];
    let recent = mean(tail.iter().map(|&l| f64::from(l)), tail.len());
    let is_stuck = (recent - chance).abs() < 0.02 * chance && metrics.top1 <= 3.0 / real(n);
    is_stuck.then(|| {
        format!("the loss is stuck at {recent:.3}, its value by chance ({chance:.3}): nothing is learned")
    })
}

/// How many other positives are at least as similar to anchor `i` as its own: a tie counts against
/// it, and so does a similarity that is no number.
fn rank_of_own(u: &[f64], v: &[f64], dim: usize, i: usize) -> usize {
    let anchor = &u[i * dim..(i + 1) * dim];
    let similarity = |row: &[f64]| anchor.iter().zip(row).map(|(a, b)| a * b).sum::<f64>();
    let own = similarity(&v[i * dim..(i + 1) * dim]);
    let is_less = |row: &[f64]| similarity(row) < own;
    v.chunks_exact(dim).enumerate().filter(|(j, row)| *j != i && !is_less(row)).count()
}

fn uniformity(u: &[f64], dim: usize) -> f64 {
    let n = u.len() / dim;
    let mut sum = 0.0;
    for (i, a) in u.chunks_exact(dim).enumerate() {
        for b in u.chunks_exact(dim).skip(i + 1) {
            let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            sum += (-2.0 * square).exp();
        }
    }
    if n < 2 { 0.0 } else { (sum / real(n * (n - 1) / 2)).ln() }
}

fn dim_std(u: &[f64], dim: usize) -> f64 {
    let n = u.len() / dim;
    let column = |d: usize| u.iter().skip(d).step_by(dim);
    let deviation = |d: usize| {
        let m = mean(column(d).copied(), n);
        mean(column(d).map(|x| (x - m).powi(2)), n).sqrt()
    };
    mean((0..dim).map(deviation), dim)
}

/// `exp` of the entropy of the singular values' shares (RankMe, Garrido et al., 2023).
fn effective_rank(rows: &[f64], dim: usize) -> f64 {
    let rows = &rows[..rows.len().min(MAX_RANK_ROWS * dim)];
    let n = rows.len() / dim;
    let size = n.min(dim);
    if size == 0 {
        return 0.0;
    }
    let mut gram = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..size {
            gram[i * size + j] = if n <= dim {
                (0..dim).map(|d| rows[i * dim + d] * rows[j * dim + d]).sum()
            } else {
                (0..n).map(|r| rows[r * dim + i] * rows[r * dim + j]).sum()
            };
        }
    }
    // Round-off may leave less than nothing; `max` alone would make a 0 of what is no number.
    let root = |x: &f64| if x.is_nan() { f64::NAN } else { x.max(0.0).sqrt() };
    let singular: Vec<f64> = eigenvalues(&mut gram, size).iter().map(root).collect();
    let total: f64 = singular.iter().sum();
    if total == 0.0 {
        return 0.0;
    }
    let entropy = |s: f64| {
        let p = s / total;
        if p == 0.0 { 0.0 } else { -p * p.ln() }
    };
    singular.iter().map(|&s| entropy(s)).sum::<f64>().exp()
}

/// Eigenvalues of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, 8.5).
fn eigenvalues(a: &mut [f64], n: usize) -> Vec<f64> {
    for _ in 0..MAX_SWEEPS {
        let mut off = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                off += apq * apq;
                if apq.abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (kp, kq) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (c * kp - s * kq, s * kp + c * kq);
                }
                for k in 0..n {
                    let (pk, qk) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (c * pk - s * qk, s * pk + c * qk);
                }
            }
        }
        if off < 1e-22 {
            break;
        }
    }
    (0..n).map(|i| a[i * n + i]).collect()
}

/// Rows over their norms; rows of zeros stay.
fn normalised(rows: &[f32], dim: usize) -> Vec<f64> {
    let mut out: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
    for row in out.chunks_exact_mut(dim) {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
        row.iter_mut().for_each(|x| *x /= norm);
    }
    out
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / real(n)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn real(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(anchors: &[f32], positives: &[f32], dim: usize) -> Metrics {
        evaluate(&Evaluation {
            anchors,
            positives,
            dim,
            embeddings: anchors,
            embedding_dim: dim,
            losses: &[1.0],
            chance_loss: None,
        })
    }

    #[test]
    fn two_right_angles() {
        let m = check(&[3.0, 0.0, 0.0, 0.5], &[1.0, 0.0, 0.0, 1.0], 2);
        assert_eq!((m.top1, m.top5, m.alignment), (1.0, 1.0, 0.0));
        assert!((m.uniformity + 4.0).abs() < 1e-12);
        assert!((m.effective_rank - 2.0).abs() < 1e-9);
        assert!((m.dim_std - 0.5).abs() < 1e-12);
        assert_eq!(m.collapse, None);
    }

    #[test]
    fn collapse_rings_on_equal_rows_and_ties_do_not_score() {
        let m = check(&[1.0; 16], &[1.0; 16], 2);
        assert_eq!((m.top1, m.alignment, m.uniformity), (0.0, 0.0, 0.0));
        assert!((m.effective_rank - 1.0).abs() < 1e-6);
        assert!(m.collapse.unwrap().starts_with("all embeddings point the same way"));
    }

    #[test]
    fn collapse_rings_on_a_loss_stuck_at_chance() {
        let swap = [0.0, 1.0, 1.0, 0.0];
        let own = [1.0, 0.0, 0.0, 1.0];
        let at = |loss: f32| {
            let losses = [5.0, loss];
            let (anchors, positives) = (&own[..], &swap[..]);
            let chance_loss = Some(8.0_f64.ln());
            evaluate(&Evaluation {
                anchors,
                positives,
                dim: 2,
                embeddings: anchors,
                embedding_dim: 2,
                losses: &losses,
                chance_loss,
            })
        };
        assert!(at(2.08).collapse.unwrap().starts_with("the loss is stuck at 2.080"));
        assert_eq!(at(1.5).collapse, None);
    }

    #[test]
    fn eigenvalues_by_hand() {
        let mut values = eigenvalues(&mut [2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0], 3);
        values.sort_by(f64::total_cmp);
        for (value, expected) in values.iter().zip([1.0, 3.0, 5.0]) {
            assert!((value - expected).abs() < 1e-12, "{values:?}");
        }
    }
}
