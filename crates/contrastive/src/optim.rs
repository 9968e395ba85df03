use burn::tensor::{Tensor, backend::Backend};

use crate::AdamWConfig;
use crate::encoder::{Weight, to_vec};

/// AdamW over a list of arrays, with clipping by the global norm (Pascanu et al., 2013).
///
/// The update is PyTorch's: `p -= lr·wd·p`, then `p -= lr/(1-β1^t) · m / (sqrt(v/(1-β2^t)) + ε)`.
/// On the CPU one fused pass over the plain values does it; on another device tensor operations
/// do, so that nothing is downloaded.
pub(crate) struct AdamW<B: Backend> {
    config: AdamWConfig,
    n_steps: i32,
    state: State<B>,
}

enum State<B: Backend> {
    Host(Vec<(Vec<f32>, Vec<f32>)>),
    Device(Vec<Option<(Weight<B>, Weight<B>)>>),
}

/// The factors of one step that are the same for every value.
#[derive(Clone, Copy)]
struct Step {
    gradient_scale: f32,
    decay: f32,
    beta1: f32,
    beta2: f32,
    step_size: f32,
    root_scale: f32,
    epsilon: f32,
}

impl<B: Backend> AdamW<B> {
    /// `host` says whether the backend's memory is the host's.
    pub(crate) fn new(config: AdamWConfig, n_arrays: usize, host: bool) -> Self {
        let state = if host {
            State::Host(vec![(Vec::new(), Vec::new()); n_arrays])
        } else {
            State::Device((0..n_arrays).map(|_| None).collect())
        };
        Self { config, n_steps: 0, state }
    }

    /// Moves every weight by one step and returns them with the gradients' global norm before
    /// clipping. An array without a gradient stays.
    pub(crate) fn step(
        &mut self,
        weights: Vec<Weight<B>>,
        gradients: Vec<Option<Weight<B>>>,
        learning_rate: f64,
        clip_norm: Option<f32>,
    ) -> (Vec<Weight<B>>, f32) {
        self.n_steps += 1;
        match &mut self.state {
            State::Host(moments) => {
                let gradients: Vec<Option<Vec<f32>>> =
                    gradients.into_iter().map(|g| g.map(Weight::download)).collect();
                let norm = host_norm(&gradients);
                let step = Step::new(&self.config, self.n_steps, learning_rate, norm, clip_norm);
                let moved = weights
                    .into_iter()
                    .zip(gradients)
                    .zip(moments)
                    .map(|((w, g), m)| match g {
                        Some(g) => host_update(w, &g, m, step),
                        None => w,
                    })
                    .collect();
                (moved, norm)
            }
            State::Device(moments) => {
                let norm = device_norm(&gradients);
                let step = Step::new(&self.config, self.n_steps, learning_rate, norm, clip_norm);
                let moved = weights
                    .into_iter()
                    .zip(gradients)
                    .zip(moments)
                    .map(|((w, g), m)| match g {
                        Some(g) => device_update(w, g, m, step),
                        None => w,
                    })
                    .collect();
                (moved, norm)
            }
        }
    }
}

impl Step {
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    fn new(c: &AdamWConfig, t: i32, learning_rate: f64, norm: f32, clip: Option<f32>) -> Self {
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(t);
        // PyTorch's clip_grad_norm_ adds the same 1e-6.
        let gradient_scale = clip.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        Self {
            gradient_scale,
            decay: (1.0 - learning_rate * f64::from(c.weight_decay)) as f32,
            beta1: c.beta1,
            beta2: c.beta2,
            step_size: (learning_rate / correction(c.beta1)) as f32,
            root_scale: (1.0 / correction(c.beta2).sqrt()) as f32,
            epsilon: c.epsilon,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a norm of single-precision values")]
fn host_norm(gradients: &[Option<Vec<f32>>]) -> f32 {
    // Eight independent sums a chunk keep the loop off the latency of one addition.
    let mut total = 0.0_f64;
    for gradient in gradients.iter().flatten() {
        for chunk in gradient.chunks(1024) {
            let mut lanes = [0.0_f32; 8];
            let (eights, rest) = chunk.as_chunks::<8>();
            for eight in eights {
                lanes.iter_mut().zip(eight).for_each(|(lane, g)| *lane += g * g);
            }
            total += lanes
                .iter()
                .chain(&[rest.iter().map(|g| g * g).sum::<f32>()])
                .map(|&x| f64::from(x))
                .sum::<f64>();
        }
    }
    total.sqrt() as f32
}

fn host_update<B: Backend>(
    weight: Weight<B>,
    gradient: &[f32],
    moments: &mut (Vec<f32>, Vec<f32>),
    step: Step,
) -> Weight<B> {
    let (is_matrix, shape, device) = match &weight {
        Weight::Matrix(t) => (true, t.dims().to_vec(), t.device()),
        Weight::Vector(t) => (false, t.dims().to_vec(), t.device()),
    };
    let mut values = weight.download();
    let (m, v) = moments;
    m.resize(values.len(), 0.0);
    v.resize(values.len(), 0.0);
    let decay = if is_matrix { step.decay } else { 1.0 };
    for (((w, &g), m), v) in values.iter_mut().zip(gradient).zip(m).zip(v) {
        let g = g * step.gradient_scale;
        *m = step.beta1 * *m + (1.0 - step.beta1) * g;
        *v = step.beta2 * *v + (1.0 - step.beta2) * g * g;
        *w = *w * decay - step.step_size * *m / (v.sqrt() * step.root_scale + step.epsilon);
    }
    Weight::upload(values, &shape, &device)
}

fn device_norm<B: Backend>(gradients: &[Option<Weight<B>>]) -> f32 {
    let squares: Vec<Tensor<B, 1>> = gradients
        .iter()
        .flatten()
        .map(|g| match g {
            Weight::Matrix(g) => g.clone().powi_scalar(2).sum(),
            Weight::Vector(g) => g.clone().powi_scalar(2).sum(),
        })
        .collect();
    if squares.is_empty() {
        return 0.0;
    }
    to_vec(Tensor::cat(squares, 0).sum().sqrt())[0]
}

fn device_update<B: Backend>(
    weight: Weight<B>,
    gradient: Weight<B>,
    moments: &mut Option<(Weight<B>, Weight<B>)>,
    step: Step,
) -> Weight<B> {
    match (weight, gradient) {
        (Weight::Matrix(w), Weight::Matrix(g)) => {
            let old = moments.take().and_then(|pair| match pair {
                (Weight::Matrix(m), Weight::Matrix(v)) => Some((m, v)),
                _ => None,
            });
            let (w, m, v) = tensor_update(w, g, old, step, step.decay);
            *moments = Some((Weight::Matrix(m), Weight::Matrix(v)));
            Weight::Matrix(w)
        }
        (Weight::Vector(w), Weight::Vector(g)) => {
            let old = moments.take().and_then(|pair| match pair {
                (Weight::Vector(m), Weight::Vector(v)) => Some((m, v)),
                _ => None,
            });
            let (w, m, v) = tensor_update(w, g, old, step, 1.0);
            *moments = Some((Weight::Vector(m), Weight::Vector(v)));
            Weight::Vector(w)
        }
        _ => unreachable!("a gradient has the shape of its weight"),
    }
}

fn tensor_update<B: Backend, const D: usize>(
    weight: Tensor<B, D>,
    gradient: Tensor<B, D>,
    moments: Option<(Tensor<B, D>, Tensor<B, D>)>,
    step: Step,
    decay: f32,
) -> (Tensor<B, D>, Tensor<B, D>, Tensor<B, D>) {
    let g = gradient.mul_scalar(step.gradient_scale);
    let (m, v) = moments.unwrap_or_else(|| (g.zeros_like(), g.zeros_like()));
    let m = m.mul_scalar(step.beta1) + g.clone().mul_scalar(1.0 - step.beta1);
    let v = v.mul_scalar(step.beta2) + g.powi_scalar(2).mul_scalar(1.0 - step.beta2);
    let root = v.clone().sqrt().mul_scalar(step.root_scale).add_scalar(step.epsilon);
    let moved = weight.mul_scalar(decay) - m.clone().mul_scalar(step.step_size) / root;
    (moved, m, v)
}
