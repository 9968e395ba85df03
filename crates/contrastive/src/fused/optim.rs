//! One pass of AdamW over plain values.

use super::kernels::{for_each, vectorised};

/// Values that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// The factors of one optimiser step that are the same for every value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Takes back a loss scale and clips.
    pub(crate) gradient_scale: f32,
    /// `1 - lr · weight decay`.
    pub(crate) decay: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    /// `lr / (1 - beta1^t)`.
    pub(crate) step_size: f32,
    /// `1 / sqrt(1 - beta2^t)`.
    pub(crate) root_scale: f32,
    pub(crate) epsilon: f32,
}

/// `p -= lr·wd·p`, then `p -= lr/(1-β1^t) · m / (sqrt(v/(1-β2^t)) + ε)`, moments included.
pub(crate) fn update(
    weights: &mut [f32],
    gradient: &[f32],
    moments: (&mut [f32], &mut [f32]),
    step: Step,
) {
    let n = weights.len();
    let pieces: Vec<_> = weights
        .chunks_mut(CHUNK)
        .zip(gradient.chunks(CHUNK))
        .zip(moments.0.chunks_mut(CHUNK).zip(moments.1.chunks_mut(CHUNK)))
        .collect();
    for_each(n, pieces, |((w, g), (m, v))| vectorised(|| update_chunk(w, g, m, v, step)));
}

#[inline(always)]
fn update_chunk(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: Step) {
    for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * step.gradient_scale;
        *m = step.beta1 * *m + (1.0 - step.beta1) * g;
        *v = step.beta2 * *v + (1.0 - step.beta2) * g * g;
        *w = *w * step.decay - step.step_size * *m / (v.sqrt() * step.root_scale + step.epsilon);
    }
}

/// Sum of the squares, in double precision beyond 1024 values.
pub(crate) fn squared_norm(values: &[f32]) -> f64 {
    vectorised(|| {
        values
            .chunks(1024)
            .map(|chunk| f64::from(super::kernels::sum_of(chunk, |x| x * x)))
            .sum::<f64>()
    })
}
