//! A layer as one operation: product, bias, LayerNorm, activation, dropout.

use burn_autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::Flex;
use burn_flex::FlexTensor;
use burn_tensor::ops::FloatTensorOps;
use burn_tensor::{Tensor, TensorMetadata, backend::Backend};

use super::kernels::{BLOCK_ROWS, add, exp, for_each, sum_of, sum_of_pairs, vectorised};
use super::{
    Node, Tracked, as_backend, contiguous, from_primitive, is, owned, primitive, slice, slice_mut,
    tensor,
};
use crate::Activation;

/// Added to the variance in LayerNorm, PyTorch's default.
pub(crate) const NORM_EPSILON: f32 = 1e-5;

/// What a layer does after its product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    /// Whether `gamma` and `beta` are real.
    pub(crate) has_norm: bool,
    pub(crate) activation: Option<Activation>,
    pub(crate) dropout: Option<Dropout>,
}

/// A dropout mask (Srivastava et al., 2014) that can be made again from two numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// Probability of dropping a value, in `0..1`.
    pub(crate) p: f32,
    /// Names the mask.
    pub(crate) key: u64,
    /// Place of the array's first value in the mask.
    pub(crate) first: usize,
}

impl Dropout {
    /// Multiplies the values from `start` on by 0 or `1 / (1 - p)`. Each value's fate hangs on the
    /// key and its place alone: 16 bits of a SplitMix64 hash of the place.
    pub(crate) fn apply(self, start: usize, values: &mut [f32]) {
        vectorised(|| self.apply_here(self.first + start, values));
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "16 bits of a hash at a time")]
    #[expect(clippy::cast_sign_loss, reason = "`p` is in 0..1")]
    fn apply_here(self, start: usize, values: &mut [f32]) {
        let threshold = (self.p * 65_536.0) as u64;
        let keep = 1.0 / (1.0 - self.p);
        let hash = |place: usize| {
            let mut z = self.key.wrapping_add((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let factor = |bits: u64| if bits & 0xffff < threshold { 0.0 } else { keep };
        if !start.is_multiple_of(4) || !values.len().is_multiple_of(4) {
            for (i, x) in values.iter_mut().enumerate() {
                let at = start + i;
                *x *= factor(hash(at / 4) >> (16 * (at % 4)));
            }
            return;
        }
        for (i, four) in values.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let bits = hash(start / 4 + i);
            four[0] *= factor(bits);
            four[1] *= factor(bits >> 16);
            four[2] *= factor(bits >> 32);
            four[3] *= factor(bits >> 48);
        }
    }
}

/// `dropout(act(norm(x W + b)))`, or `Err` with the arguments where the backend is not the CPU's.
///
/// `x` is `[rows, inputs]`, `w` `[inputs, outputs]`, the vectors `[outputs]`.
pub(crate) fn dense<B: Backend>(
    x: Tensor<B, 2>,
    w: &Tensor<B, 2>,
    vectors: [&Tensor<B, 1>; 3],
    layer: Layer,
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    if is::<B, Tracked>() {
        let x: Node = primitive(as_backend::<B, Tracked, 2>(x));
        let w: Node = primitive(as_backend::<B, Tracked, 2>(w.clone()));
        let vectors = vectors.map(|v| primitive(as_backend::<B, Tracked, 1>(v.clone())));
        return Ok(as_backend::<Tracked, B, 2>(from_primitive(tracked(x, w, vectors, layer))));
    }
    if is::<B, Flex>() {
        let x = primitive(as_backend::<B, Flex, 2>(x));
        let w = primitive(as_backend::<B, Flex, 2>(w.clone()));
        let vectors = vectors.map(|v| primitive(as_backend::<B, Flex, 1>(v.clone())));
        let (y, _) = forward(x, w, vectors, layer, false);
        return Ok(as_backend::<Flex, B, 2>(from_primitive(y)));
    }
    Err(x)
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    w: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    /// The output, whose sign is ReLU's and dropout's mask.
    y: Option<FlexTensor>,
    /// The values before the activation: normalised but neither scaled nor shifted where there is
    /// a norm.
    inner: Option<FlexTensor>,
    /// Inverse deviations by row; empty without a norm.
    inverse: Vec<f32>,
    layer: Layer,
}

fn tracked(x: Node, w: Node, vectors: [Node; 3], layer: Layer) -> Node {
    let [b, gamma, beta] = vectors;
    let nodes =
        [x.node.clone(), w.node.clone(), b.node.clone(), gamma.node.clone(), beta.node.clone()];
    let vectors = [b.primitive, gamma.primitive, beta.primitive];
    match DenseBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, saved) = forward(x.primitive, w.primitive, vectors, layer, true);
            prep.finish(saved.expect("it was asked for"), y)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(forward(x.primitive, w.primitive, vectors, layer, false).0)
        }
    }
}

fn forward(
    x: FlexTensor,
    w: FlexTensor,
    vectors: [FlexTensor; 3],
    layer: Layer,
    save: bool,
) -> (FlexTensor, Option<Saved>) {
    let [b, gamma, beta] = vectors.map(contiguous);
    let shape: [usize; 2] = [x.shape()[0], w.shape()[1]];
    let mut product = owned(Flex::float_matmul(x.clone(), w.clone()));
    let h = slice_mut(&mut product);
    let needs_inner = layer.has_norm || layer.activation == Some(Activation::Gelu);
    let mut y = if needs_inner { vec![0.0; h.len()] } else { Vec::new() };
    let mut inverse = vec![0.0; if layer.has_norm { shape[0] } else { 0 }];
    let rows = BLOCK_ROWS * shape[1];
    let (bias, norm) = (slice(&b), (slice(&gamma), slice(&beta)));
    if needs_inner {
        let mut inverse_blocks = inverse.chunks_mut(BLOCK_ROWS);
        let blocks = h.chunks_mut(rows).zip(y.chunks_mut(rows)).enumerate();
        let blocks: Vec<_> =
            blocks.map(|block| (block, inverse_blocks.next().unwrap_or_default())).collect();
        for_each(shape[0] * shape[1], blocks, |((i, (h, y)), inverse)| {
            vectorised(|| forward_inner(h, y, inverse, bias, norm, layer));
            if let Some(dropout) = layer.dropout {
                dropout.apply(i * rows, y);
            }
        });
    } else {
        let blocks: Vec<_> = h.chunks_mut(rows).enumerate().collect();
        for_each(shape[0] * shape[1], blocks, |(i, h)| {
            vectorised(|| forward_plain(h, bias, layer.activation.is_some()));
            if let Some(dropout) = layer.dropout {
                dropout.apply(i * rows, h);
            }
        });
    }
    let (inner, y) = if needs_inner { (Some(product), tensor(y, shape)) } else { (None, product) };
    let saved = save.then(|| Saved {
        x,
        w,
        gamma,
        beta,
        y: (layer.activation == Some(Activation::Relu)).then(|| y.clone()),
        inner,
        inverse,
        layer,
    });
    (y, saved)
}

/// `h + b`, then ReLU if wanted, in place.
#[inline(always)]
fn forward_plain(h: &mut [f32], bias: &[f32], relu: bool) {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    for row in h.chunks_exact_mut(bias.len()) {
        for (h, b) in row.iter_mut().zip(bias) {
            let x = *h + b;
            // Not `max`, which would hide a NaN.
            *h = if x < floor { floor } else { x };
        }
    }
}

/// Leaves the values before the activation in `h` and the output in `y`.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "layer widths are far below 2^24")]
fn forward_inner(
    h: &mut [f32],
    y: &mut [f32],
    inverse: &mut [f32],
    bias: &[f32],
    (gamma, beta): (&[f32], &[f32]),
    layer: Layer,
) {
    let width = bias.len();
    for (i, (h, y)) in h.chunks_exact_mut(width).zip(y.chunks_exact_mut(width)).enumerate() {
        add(h, bias);
        if layer.has_norm {
            let mean = sum_of(h, |x| x) / width as f32;
            h.iter_mut().for_each(|x| *x -= mean);
            let variance = sum_of(h, |x| x * x) / width as f32;
            let scale = 1.0 / (variance + NORM_EPSILON).sqrt();
            inverse[i] = scale;
            for (((h, y), gamma), beta) in h.iter_mut().zip(&mut *y).zip(gamma).zip(beta) {
                *h *= scale;
                *y = *h * gamma + beta;
            }
        } else {
            y.copy_from_slice(h);
        }
        match layer.activation {
            Some(Activation::Relu) => {
                y.iter_mut().for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y })
            }
            Some(Activation::Gelu) => y.iter_mut().for_each(|y| *y *= normal_cdf(*y)),
            None => {}
        }
    }
}

/// Gradients of one block of rows; the sums over its rows.
struct Sums {
    bias: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 5> for DenseBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let saved = ops.state;
        let gradient = grads.consume::<Flex>(&ops.node);
        let shape = [gradient.shape()[0], gradient.shape()[1]];
        let mut inner = owned(gradient);
        let sums = backward_inner(slice_mut(&mut inner), shape, &saved);
        let width = [shape[1]];
        let [x, w, b, gamma, beta] = ops.parents;
        if let Some(x) = x {
            let w = Flex::float_transpose(saved.w);
            grads.register::<Flex>(x.id, Flex::float_matmul(inner.clone(), w));
        }
        if let Some(w) = w {
            let x = Flex::float_transpose(saved.x);
            grads.register::<Flex>(w.id, Flex::float_matmul(x, inner));
        }
        if let Some(b) = b {
            grads.register::<Flex>(b.id, tensor(sums.bias, width));
        }
        if saved.layer.has_norm {
            if let Some(gamma) = gamma {
                grads.register::<Flex>(gamma.id, tensor(sums.gamma, width));
            }
            if let Some(beta) = beta {
                grads.register::<Flex>(beta.id, tensor(sums.beta, width));
            }
        }
    }
}

/// Turns the output's gradient into that with respect to `x W + b`; its sums by column.
fn backward_inner(g: &mut [f32], shape: [usize; 2], saved: &Saved) -> Sums {
    let [n_rows, width] = shape;
    let layer = saved.layer;
    let rows = BLOCK_ROWS * width;
    let n_sums = if layer.has_norm { 3 } else { 1 };
    // Partial sums by block, added in order: the same for any number of threads.
    let mut partial = vec![0.0; n_rows.div_ceil(BLOCK_ROWS) * n_sums * width];
    let y = saved.y.as_ref().map(slice).unwrap_or_default();
    let inner = saved.inner.as_ref().map(slice).unwrap_or_default();
    let norm = (slice(&saved.gamma), slice(&saved.beta));
    let piece = |of: &'_ [f32], i: usize| -> std::ops::Range<usize> {
        let end = of.len().min((i + 1) * rows);
        end.min(i * rows)..end
    };
    let blocks: Vec<_> =
        g.chunks_mut(rows).zip(partial.chunks_mut(n_sums * width)).enumerate().collect();
    for_each(n_rows * width, blocks, |(i, (g, sums))| {
        let (y, inner) = (&y[piece(y, i)], &inner[piece(inner, i)]);
        if let (Some(dropout), true) = (layer.dropout, y.is_empty()) {
            dropout.apply(i * rows, g);
        }
        let inverse = saved.inverse.get(i * BLOCK_ROWS..).unwrap_or_default();
        vectorised(|| backward_block(g, y, inner, inverse, norm, sums, layer));
    });
    let mut total = vec![0.0; n_sums * width];
    vectorised(|| partial.chunks_exact(n_sums * width).for_each(|part| add(&mut total, part)));
    let beta = if layer.has_norm { total.split_off(2 * width) } else { Vec::new() };
    let gamma = if layer.has_norm { total.split_off(width) } else { Vec::new() };
    Sums { bias: total, gamma, beta }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "layer widths are far below 2^24")]
fn backward_block(
    g: &mut [f32],
    y: &[f32],
    inner: &[f32],
    inverse: &[f32],
    (gamma, beta): (&[f32], &[f32]),
    sums: &mut [f32],
    layer: Layer,
) {
    let width = gamma.len();
    let keep = layer.dropout.map_or(1.0, |dropout| 1.0 / (1.0 - dropout.p));
    let (bias_sum, norm_sums) = sums.split_at_mut(width);
    for (i, g) in g.chunks_exact_mut(width).enumerate() {
        let row = i * width..(i + 1) * width;
        match layer.activation {
            Some(Activation::Relu) => {
                for (g, &y) in g.iter_mut().zip(&y[row.clone()]) {
                    *g = if y > 0.0 { *g * keep } else { 0.0 };
                }
            }
            Some(Activation::Gelu) if layer.has_norm => {
                let scaled = inner[row.clone()].iter().zip(gamma).zip(beta);
                for (g, ((x, gamma), beta)) in g.iter_mut().zip(scaled) {
                    *g *= gelu_slope(x * gamma + beta);
                }
            }
            Some(Activation::Gelu) => {
                for (g, x) in g.iter_mut().zip(&inner[row.clone()]) {
                    *g *= gelu_slope(*x);
                }
            }
            None => {}
        }
        if layer.has_norm {
            let x = &inner[row];
            let (gamma_sum, beta_sum) = norm_sums.split_at_mut(width);
            for ((sum, g), x) in gamma_sum.iter_mut().zip(&*g).zip(x) {
                *sum += g * x;
            }
            add(beta_sum, g);
            g.iter_mut().zip(gamma).for_each(|(g, gamma)| *g *= gamma);
            let mean = sum_of(g, |g| g) / width as f32;
            let along = sum_of_pairs(g, x, |g, x| g * x) / width as f32;
            let scale = inverse[i];
            g.iter_mut().zip(x).for_each(|(g, x)| *g = scale * (*g - mean - x * along));
        }
        add(bias_sum, g);
    }
}

/// `Φ(x)`, from Abramowitz and Stegun, 7.1.26: within 1.5e-7.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = 1.061_405_4 * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * exp(-z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The derivative of `x Φ(x)`.
#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    const DENSITY_AT_0: f32 = 0.398_942_3;
    normal_cdf(x) + x * DENSITY_AT_0 * exp(-0.5 * x * x)
}
