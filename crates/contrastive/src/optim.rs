mod state;

use burn_tensor::{Tensor, backend::Backend};

use crate::AdamWConfig;
use crate::encoder::{Weight, to_vec};
use crate::fused::{HostArray, Step, squared_norm, update};
use crate::precision::{LossScale, Precision};
pub(crate) use state::{Moments, OptimiserState};

/// AdamW over a list of arrays, with clipping by the global norm (Pascanu et al., 2013).
///
/// The update is PyTorch's: `p -= lr·wd·p`, then `p -= lr/(1-β1^t) · m / (sqrt(v/(1-β2^t)) + ε)`.
/// On the CPU one fused pass over the plain values does it; on another device tensor operations
/// do, so that nothing is downloaded.
pub(crate) struct AdamW<B: Backend> {
    config: AdamWConfig,
    n_steps: i32,
    loss_scale: Option<LossScale>,
    state: State<B>,
}

enum State<B: Backend> {
    Host(Vec<Moments>),
    Device(Vec<Option<(Weight<B>, Weight<B>)>>),
}

impl<B: Backend> AdamW<B> {
    /// `host` says whether the backend's memory is the host's.
    pub(crate) fn new(config: AdamWConfig, n_arrays: usize, host: bool) -> Self {
        let state = if host && HostArray::works_for::<B>() {
            State::Host(vec![(Vec::new(), Vec::new()); n_arrays])
        } else {
            State::Device((0..n_arrays).map(|_| None).collect())
        };
        Self { config, n_steps: 0, loss_scale: None, state }
    }

    /// The same optimiser for gradients that come from products in this precision.
    pub(crate) fn with_precision(mut self, precision: Precision) -> Self {
        self.loss_scale = precision.loss_scale();
        self
    }

    /// What the loss must be multiplied by before its backward pass; [`step`](Self::step) takes it
    /// back.
    pub(crate) fn loss_factor(&self) -> f32 {
        self.loss_scale.map_or(1.0, LossScale::factor)
    }

    /// Steps skipped because a gradient was not finite in half precision.
    pub(crate) fn skipped(&self) -> u64 {
        self.loss_scale.map_or(0, LossScale::skipped)
    }

    /// Moves every weight by one step and returns them with the gradients' global norm before
    /// clipping. An array without a gradient stays. Under a loss scale, a step whose gradients are
    /// not finite moves nothing.
    pub(crate) fn step(
        &mut self,
        weights: Vec<Weight<B>>,
        gradients: Vec<Option<Weight<B>>>,
        learning_rate: f64,
        clip_norm: Option<f32>,
    ) -> (Vec<Weight<B>>, f32) {
        let unscale = 1.0 / self.loss_factor();
        let gradients = match self.state {
            State::Host(_) => {
                Gradients::Host(gradients.into_iter().map(|g| g.map(Weight::into_host)).collect())
            }
            State::Device(_) => Gradients::Device(gradients),
        };
        let norm = gradients.norm() * unscale;
        if let Some(scale) = &mut self.loss_scale
            && !scale.accept(norm.is_finite())
        {
            return (weights, norm);
        }
        self.n_steps += 1;
        let step = factors(&self.config, self.n_steps, learning_rate, (norm, unscale), clip_norm);
        let moved = match (&mut self.state, gradients) {
            (State::Host(moments), Gradients::Host(gradients)) => {
                let arrays = weights.into_iter().zip(gradients).zip(moments);
                let moved = arrays.map(|((w, g), m)| match g {
                    Some(g) => host_update(w, g.slice(), m, step),
                    None => w,
                });
                moved.collect()
            }
            (State::Device(moments), Gradients::Device(gradients)) => {
                let arrays = weights.into_iter().zip(gradients).zip(moments);
                let moved = arrays.map(|((w, g), m)| match g {
                    Some(g) => device_update(w, g, m, step),
                    None => w,
                });
                moved.collect()
            }
            _ => unreachable!("the gradients were made for the state"),
        };
        (moved, norm)
    }
}

/// Gradients where the state is.
enum Gradients<B: Backend> {
    Host(Vec<Option<HostArray>>),
    Device(Vec<Option<Weight<B>>>),
}

impl<B: Backend> Gradients<B> {
    #[expect(clippy::cast_possible_truncation, reason = "a norm of single-precision values")]
    fn norm(&self) -> f32 {
        match self {
            Gradients::Host(gradients) => {
                gradients.iter().flatten().map(|g| squared_norm(g.slice())).sum::<f64>().sqrt()
                    as f32
            }
            Gradients::Device(gradients) => device_norm(gradients),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
fn factors(
    c: &AdamWConfig,
    t: i32,
    learning_rate: f64,
    (norm, unscale): (f32, f32),
    clip: Option<f32>,
) -> Step {
    let correction = |beta: f32| 1.0 - f64::from(beta).powi(t);
    // PyTorch's clip_grad_norm_ adds the same 1e-6.
    let clip_scale = clip.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
    Step {
        gradient_scale: clip_scale * unscale,
        decay: (1.0 - learning_rate * f64::from(c.weight_decay)) as f32,
        beta1: c.beta1,
        beta2: c.beta2,
        step_size: (learning_rate / correction(c.beta1)) as f32,
        root_scale: (1.0 / correction(c.beta2).sqrt()) as f32,
        epsilon: c.epsilon,
    }
}

fn host_update<B: Backend>(
    weight: Weight<B>,
    gradient: &[f32],
    moments: &mut Moments,
    step: Step,
) -> Weight<B> {
    let (is_matrix, n) = match &weight {
        Weight::Matrix(t) => (true, t.shape().num_elements()),
        Weight::Vector(t) => (false, t.shape().num_elements()),
    };
    let mut values = weight.into_host();
    let (m, v) = moments;
    m.resize(n, 0.0);
    v.resize(n, 0.0);
    let decay = if is_matrix { step.decay } else { 1.0 };
    update(values.slice_mut(), gradient, (m, v), Step { decay, ..step });
    if is_matrix { Weight::Matrix(values.give()) } else { Weight::Vector(values.give()) }
}

impl<B: Backend> Weight<B> {
    fn into_host(self) -> HostArray {
        match self {
            Weight::Matrix(t) => HostArray::take(t),
            Weight::Vector(t) => HostArray::take(t),
        }
    }
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

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::Rng;

    fn arrays(rng: &mut Rng) -> Vec<Weight<Flex>> {
        let mut values = |n: usize| (0..n).map(|_| rng.normal_f32()).collect();
        vec![
            Weight::upload(values(40 * 7), &[40, 7], &Default::default()),
            Weight::upload(values(7), &[7], &Default::default()),
        ]
    }

    fn numbers(weights: &[Weight<Flex>]) -> Vec<f32> {
        weights.iter().flat_map(|w| w.clone().download()).collect()
    }

    /// Steps of both kinds of state over the same gradients.
    fn run(host: bool, n: usize) -> (Vec<f32>, Vec<f32>, AdamW<Flex>) {
        let mut rng = Rng::new(3);
        let mut weights = arrays(&mut rng);
        let config = AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() };
        let mut optimiser = AdamW::new(config, 2, host);
        let mut norms = Vec::new();
        for _ in 0..n {
            let gradients = arrays(&mut rng).into_iter().map(Some).collect();
            let (moved, norm) = optimiser.step(weights, gradients, 0.01, Some(3.0));
            weights = moved;
            norms.push(norm);
        }
        (numbers(&weights), norms, optimiser)
    }

    #[test]
    fn the_fused_pass_is_the_plain_update() {
        let ((fused, fused_norms, _), (plain, plain_norms, _)) = (run(true, 8), run(false, 8));
        for (a, b) in fused.iter().zip(&plain).chain(fused_norms.iter().zip(&plain_norms)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn the_first_step_is_the_learning_rate() {
        // m / sqrt(v) is the gradient's sign after one step, whatever its size.
        let mut optimiser = AdamW::<Flex>::new(
            AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() },
            2,
            true,
        );
        let weights = vec![
            Weight::upload(vec![1.0, 1.0], &[1, 2], &Default::default()),
            Weight::upload(vec![1.0], &[1], &Default::default()),
        ];
        let gradients = vec![
            Some(Weight::upload(vec![3.0, -1e-3], &[1, 2], &Default::default())),
            Some(Weight::upload(vec![2.0], &[1], &Default::default())),
        ];
        let (moved, norm) = optimiser.step(weights, gradients, 0.1, None);
        // The matrix decays by 0.1 · 0.5 first, the vector does not.
        for (found, expected) in numbers(&moved).iter().zip([0.85, 1.05, 0.9]) {
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
        assert!((norm - 13.0_f32.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn an_overflow_under_a_loss_scale_moves_nothing() {
        let mut rng = Rng::new(3);
        let weights = arrays(&mut rng);
        let before = numbers(&weights);
        let mut optimiser =
            AdamW::<Flex>::new(AdamWConfig::default(), 2, true).with_precision(Precision::F16);
        let factor = optimiser.loss_factor();
        let infinite = Weight::upload(vec![f32::INFINITY; 7], &[7], &Default::default());
        let (weights, norm) = optimiser.step(weights, vec![None, Some(infinite)], 0.1, Some(1.0));
        assert!(norm.is_infinite());
        assert_eq!(numbers(&weights), before);
        assert_eq!((optimiser.skipped(), optimiser.loss_factor()), (1, factor / 2.0));
        // A gradient that carries the factor ends up as the one without it.
        let one = Weight::upload(vec![factor / 2.0; 7], &[7], &Default::default());
        let (_, norm) = optimiser.step(weights, vec![None, Some(one)], 0.1, None);
        assert!((norm - 7.0_f32.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn a_missing_gradient_leaves_its_array() {
        let mut rng = Rng::new(3);
        let weights = arrays(&mut rng);
        let before = numbers(&weights);
        let mut optimiser = AdamW::<Flex>::new(AdamWConfig::default(), 2, true);
        let (moved, norm) = optimiser.step(weights, vec![None, None], 0.1, None);
        assert_eq!((numbers(&moved), norm), (before, 0.0));
    }
}
