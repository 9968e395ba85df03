//! InfoNCE, its symmetric form and NT-Xent with their gradients in closed form.
//!
//! With `s = u vᵀ / tau`, row losses `l_i = ln Σ_j exp(s_ij) - s_ik` and their upstream gradients
//! `g_i`: `∂s_ij = g_i (softmax(s_i)_j - [j = k])`, `∂u = ∂s v / tau`, `∂v = ∂sᵀ u / tau`,
//! `∂ln(1/tau) = Σ ∂s_ij s_ij`, and through `u = z / |z|`: `∂z = (∂u - u (u · ∂u)) / |z|`.

use burn_autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::Flex;
use burn_flex::FlexTensor;
use burn_tensor::ops::FloatTensorOps;
use burn_tensor::{Bool, Tensor, TensorMetadata, backend::Backend};

use super::kernels::{exp, max_of, sum_of, sum_of_pairs, vectorised};
use super::{
    Node, Tracked, as_backend, contiguous, from_primitive, is, owned, primitive, slice, slice_mut,
    tensor,
};
use crate::loss::{MASKED, SHORT_ROW, Scale};

/// What is contrasted with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contrast {
    /// Anchors with positives.
    OneWay,
    /// Both directions, halved.
    Symmetric,
    /// All views with each other.
    AllViews,
}

/// The loss by row, or `None` where the backend is not the CPU's autodiff.
///
/// Shapes as in [`crate::loss::info_nce`]; for [`Contrast::AllViews`] as in
/// [`crate::loss::nt_xent`].
pub(crate) fn softmax_loss<B: Backend>(
    za: &Tensor<B, 2>,
    zp: &Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<&Tensor<B, 2, Bool>>,
    contrast: Contrast,
) -> Option<Tensor<B, 1>> {
    if !is::<B, Tracked>() || za.dims() != zp.dims() || za.dims().contains(&0) {
        return None;
    }
    let (log_scale, factor) = match scale {
        Scale::Fixed(tau) => (Tensor::from_floats([-tau.ln()], &za.device()), Some(1.0 / tau)),
        Scale::Learned(s) => (s.clone(), None),
    };
    let ignore = ignore.map(|mask| mask.to_data().iter::<bool>().collect::<Vec<bool>>());
    let node = |z: &Tensor<B, 2>| primitive(as_backend::<B, Tracked, 2>(z.clone()));
    let log_scale: Node = primitive(as_backend::<B, Tracked, 1>(log_scale));
    let (za, zp): (Node, Node) = (node(za), node(zp));
    let factor = factor.unwrap_or_else(|| slice(&log_scale.primitive)[0].exp());
    let nodes = [za.node.clone(), zp.node.clone(), log_scale.node.clone()];
    let run = || Softmax::forward(za.primitive, zp.primitive, factor, ignore.as_deref(), contrast);
    let rows = match SoftmaxBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (rows, saved) = run();
            prep.finish(saved, rows)
        }
        OpsKind::UnTracked(prep) => prep.finish(run().0),
    };
    Some(as_backend::<Tracked, B, 1>(from_primitive(rows)))
}

/// Rows of length one and what it takes to go back.
#[derive(Debug, Clone)]
struct Directions {
    unit: FlexTensor,
    /// Inverse lengths; 0 for rows that are no direction and get no gradient.
    inverse: Vec<f32>,
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct Softmax {
    u: Directions,
    /// `None` when the views are contrasted with themselves.
    v: Option<Directions>,
    similarities: FlexTensor,
    /// `ln Σ_j exp(s_ij)` by row.
    row_log_sums: Vec<f32>,
    /// The same by column; empty unless symmetric.
    column_log_sums: Vec<f32>,
    factor: f32,
    contrast: Contrast,
}

impl Softmax {
    fn forward(
        za: FlexTensor,
        zp: FlexTensor,
        factor: f32,
        ignore: Option<&[bool]>,
        contrast: Contrast,
    ) -> (FlexTensor, Self) {
        let (za, zp) = (contiguous(za), contiguous(zp));
        let [n_pairs, dim] = [za.shape()[0], za.shape()[1]];
        let all_views = contrast == Contrast::AllViews;
        let (u, v) = if all_views {
            (Directions::new([slice(&za), slice(&zp)].concat(), dim), None)
        } else {
            let v = Directions::new(slice(&zp).to_vec(), dim);
            (Directions::new(slice(&za).to_vec(), dim), Some(v))
        };
        let n = if all_views { 2 * n_pairs } else { n_pairs };
        // The scale acts on the smaller factor.
        let mut scaled = slice(&u.unit).to_vec();
        scaled.iter_mut().for_each(|x| *x *= factor);
        let columns = Flex::float_transpose(v.as_ref().unwrap_or(&u).unit.clone());
        let mut similarities = owned(Flex::float_matmul(tensor(scaled, [n, dim]), columns));
        let s = slice_mut(&mut similarities);
        // Before the mask, so that the positive cannot be hidden.
        let partner = |i: usize| if all_views { (i + n_pairs) % n } else { i };
        let positive: Vec<f32> = (0..n).map(|i| s[i * n + partner(i)]).collect();
        if let Some(ignore) = ignore {
            s.iter_mut().zip(ignore).filter(|(_, ignore)| **ignore).for_each(|(s, _)| *s = MASKED);
        }
        if all_views {
            s.iter_mut().step_by(n + 1).for_each(|own| *own = MASKED);
        }
        let row_log_sums: Vec<f32> =
            s.chunks_exact(n).map(|row| vectorised(|| log_sum_exp(row))).collect();
        let column_log_sums = if contrast == Contrast::Symmetric {
            vectorised(|| column_log_sum_exp(s, n))
        } else {
            Vec::new()
        };
        let mut rows: Vec<f32> = row_log_sums.iter().zip(&positive).map(|(l, p)| l - p).collect();
        for ((row, column), positive) in rows.iter_mut().zip(&column_log_sums).zip(&positive) {
            *row = 0.5 * (*row + (column - positive));
        }
        let saved = Self { u, v, similarities, row_log_sums, column_log_sums, factor, contrast };
        (tensor(rows, [n]), saved)
    }

    /// Replaces the similarities by `∂s` for upstream gradients `g`; gives `Σ ∂s_ij s_ij`.
    fn differentiate(&mut self, g: &[f32]) -> f32 {
        let n = g.len();
        let s = slice_mut(&mut self.similarities);
        let share = if self.contrast == Contrast::Symmetric { 0.5 } else { 1.0 };
        let offset = if self.contrast == Contrast::AllViews { n / 2 } else { 0 };
        let mut along = 0.0_f64;
        for (i, row) in s.chunks_exact_mut(n).enumerate() {
            let sums = (self.row_log_sums[i], &self.column_log_sums[..]);
            let partner = (i + offset) % n;
            along += f64::from(vectorised(|| gradient_row(row, (g, i), sums, share, partner)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
        let along = along as f32;
        along
    }
}

/// Replaces a row of similarities by its gradient; the sum of the products of the two.
#[inline(always)]
fn gradient_row(
    row: &mut [f32],
    (g, i): (&[f32], usize),
    (row_log_sum, column_log_sums): (f32, &[f32]),
    share: f32,
    partner: usize,
) -> f32 {
    let own = g[i];
    let positive = row[partner];
    let mut along = 0.0;
    // Chunks, so that the products are still at hand when they are added up.
    for (at, chunk) in row.chunks_mut(64).enumerate() {
        let from = at * 64;
        let mut s = [0.0_f32; 64];
        s[..chunk.len()].copy_from_slice(chunk);
        for d in chunk.iter_mut() {
            *d = share * own * exp(*d - row_log_sum);
        }
        if let Some(sums) = column_log_sums.get(from..from + chunk.len()) {
            let columns = g[from..from + chunk.len()].iter().zip(sums);
            for ((d, s), (g, sum)) in chunk.iter_mut().zip(&s).zip(columns) {
                *d += share * g * exp(s - sum);
            }
        }
        along += sum_of_pairs(chunk, &s[..chunk.len()], |d, s| d * s);
    }
    row[partner] -= own;
    along - own * positive
}

impl Directions {
    /// As [`crate::loss::normalise`]: divided by the largest value first, so that neither huge nor
    /// tiny rows overflow or vanish when squared.
    fn new(mut z: Vec<f32>, dim: usize) -> Self {
        let n = z.len() / dim;
        let inverse =
            z.chunks_exact_mut(dim).map(|row| vectorised(|| normalise_row(row))).collect();
        Self { unit: tensor(z, [n, dim]), inverse }
    }

    /// The gradient with respect to the raw rows from that with respect to the unit rows.
    fn backward(&self, gradient: FlexTensor, factor: f32) -> FlexTensor {
        let dim = gradient.shape()[1];
        let mut gradient = owned(gradient);
        let rows = slice(&self.unit).chunks_exact(dim).zip(&self.inverse);
        for (g, (u, &inverse)) in slice_mut(&mut gradient).chunks_exact_mut(dim).zip(rows) {
            vectorised(|| {
                let along = sum_of_pairs(g, u, |g, u| g * u);
                let scale = factor * inverse;
                g.iter_mut().zip(u).for_each(|(g, u)| *g = scale * (*g - u * along));
            });
        }
        gradient
    }
}

/// Gives the row length one and returns its inverse length; 0 for one that is no direction.
#[inline(always)]
fn normalise_row(row: &mut [f32]) -> f32 {
    let largest = max_of(row, f32::abs).max(0.0);
    let divisor = largest.max(f32::MIN_POSITIVE);
    let length_of_scaled = sum_of(row, |x| (x / divisor) * (x / divisor)).sqrt();
    let length = length_of_scaled * largest;
    if length < SHORT_ROW {
        row.iter_mut().for_each(|x| *x /= SHORT_ROW);
        return 0.0;
    }
    row.iter_mut().for_each(|x| *x = *x / divisor / length_of_scaled);
    1.0 / length
}

#[inline(always)]
fn log_sum_exp(row: &[f32]) -> f32 {
    let largest = max_of(row, |x| x);
    sum_of(row, |x| exp(x - largest)).ln() + largest
}

#[inline(always)]
fn column_log_sum_exp(s: &[f32], n: usize) -> Vec<f32> {
    let mut largest = vec![f32::NEG_INFINITY; n];
    for row in s.chunks_exact(n) {
        largest.iter_mut().zip(row).for_each(|(m, x)| *m = if *x > *m { *x } else { *m });
    }
    let mut sums = vec![0.0; n];
    for row in s.chunks_exact(n) {
        for ((sum, x), m) in sums.iter_mut().zip(row).zip(&largest) {
            *sum += exp(x - m);
        }
    }
    sums.iter().zip(&largest).map(|(sum, m)| sum.ln() + m).collect()
}

#[derive(Debug)]
struct SoftmaxBackward;

impl Backward<Flex, 3> for SoftmaxBackward {
    type State = Softmax;

    fn backward(self, ops: Ops<Softmax, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut saved = ops.state;
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let n = g.shape()[0];
        let d_log_scale = saved.differentiate(slice(&g));
        let Softmax { u, v, similarities: mut d_s, factor, .. } = saved;
        let [za, zp, log_scale] = ops.parents;
        if let Some(v) = &v {
            if let Some(za) = za {
                let d_u = Flex::float_matmul(d_s.clone(), v.unit.clone());
                grads.register::<Flex>(za.id, u.backward(d_u, factor));
            }
            if let Some(zp) = zp {
                let d_v = Flex::float_matmul(Flex::float_transpose(d_s), u.unit.clone());
                grads.register::<Flex>(zp.id, v.backward(d_v, factor));
            }
        } else {
            add_transposed(slice_mut(&mut d_s), n);
            let d_z = u.backward(Flex::float_matmul(d_s, u.unit.clone()), factor);
            for (parent, from) in [(za, 0), (zp, n / 2)] {
                if let Some(parent) = parent {
                    grads.register::<Flex>(parent.id, d_z.narrow(0, from, n / 2));
                }
            }
        }
        if let Some(log_scale) = log_scale {
            grads.register::<Flex>(log_scale.id, tensor(vec![d_log_scale], [1]));
        }
    }
}

/// `x += xᵀ` for a square matrix.
fn add_transposed(x: &mut [f32], n: usize) {
    const TILE: usize = 16;
    for from_row in (0..n).step_by(TILE) {
        for from_column in (from_row..n).step_by(TILE) {
            for i in from_row..(from_row + TILE).min(n) {
                for j in from_column.max(i)..(from_column + TILE).min(n) {
                    let sum = x[i * n + j] + x[j * n + i];
                    (x[i * n + j], x[j * n + i]) = (sum, sum);
                }
            }
        }
    }
}
