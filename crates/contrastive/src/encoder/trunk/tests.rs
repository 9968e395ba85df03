//! Both trunks against loops in double precision, and their gradients against finite differences
//! of those loops.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test fails by panicking; its numbers are small"
)]

use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_tensor::TensorData;

use super::*;
use crate::Rng;
use crate::encoder::to_vec;

type Back = Autodiff<Flex>;

/// Weights and bias of one convolution.
type Array = (Vec<f64>, Vec<f64>);

/// Channels of rows of steps.
#[derive(Clone)]
struct Planes {
    rows: usize,
    steps: usize,
    values: Vec<f64>,
}

impl Planes {
    fn new(channels: usize, rows: usize, steps: usize) -> Self {
        Self { rows, steps, values: vec![0.0; channels * rows * steps] }
    }

    /// A value, 0 outside.
    fn at(&self, channel: usize, row: usize, step: isize) -> f64 {
        match usize::try_from(step) {
            Ok(step) if step < self.steps => {
                self.values[(channel * self.rows + row) * self.steps + step]
            }
            _ => 0.0,
        }
    }

    fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        self.values.iter_mut().for_each(|x| *x = f(*x));
        self
    }

    fn plus(mut self, other: &Self) -> Self {
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += b);
        self
    }

    fn means(&self) -> Vec<f64> {
        let per_channel = self.values.chunks(self.rows * self.steps);
        per_channel.map(|c| c.iter().sum::<f64>() / c.len() as f64).collect()
    }

    /// Largest of a step and its neighbours.
    fn pooled(&self) -> Self {
        let mut out = self.clone();
        for (i, y) in out.values.iter_mut().enumerate() {
            let (line, step) = (i / self.steps, i % self.steps);
            let range = step.saturating_sub(1)..(step + 2).min(self.steps);
            let near = &self.values[line * self.steps..][range];
            *y = near.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        }
        out
    }
}

fn convolved(x: &Planes, conv: &Conv, (weight, bias): &Array) -> Planes {
    let [high, wide] = conv.kernel;
    let mut out = Planes::new(conv.to, (x.rows - high) / conv.stride[0] + 1, x.steps);
    let (rows, steps) = (out.rows, out.steps);
    for (i, y) in out.values.iter_mut().enumerate() {
        let (to, row, step) = (i / (rows * steps), i / steps % rows, i % steps);
        *y = bias[to];
        for from in 0..conv.from {
            for a in 0..high {
                for b in 0..wide {
                    let at = (step + b * conv.dilation[1]) as isize - conv.padding[1] as isize;
                    let value = x.at(from, row * conv.stride[0] + a, at);
                    *y += value * weight[((from * high + a) * wide + b) * conv.to + to];
                }
            }
        }
    }
    out
}

fn relu(x: f64) -> f64 {
    x.max(0.0)
}

fn leaky(x: f64) -> f64 {
    if x < 0.0 { LEAK * x } else { x }
}

/// The trunk of one window, written out.
fn expected(trunk: &Trunk, convs: &[Conv], arrays: &[Array], window: &[f64]) -> Vec<f64> {
    match *trunk {
        Trunk::Mlp => window.to_vec(),
        Trunk::Tcn(Tcn { n_channels, .. }) => {
            let mut x = Planes::new(n_channels, 1, window.len() / n_channels);
            for (i, value) in window.iter().enumerate() {
                x.values[i % n_channels * x.steps + i / n_channels] = *value;
            }
            let mut x = convolved(&x, &convs[0], &arrays[0]).map(relu);
            for i in (1..convs.len()).step_by(2) {
                let inner = convolved(&x, &convs[i], &arrays[i]).map(relu);
                x = convolved(&inner, &convs[i + 1], &arrays[i + 1]).plus(&x).map(relu);
            }
            x.means()
        }
        Trunk::DeepLob(DeepLob { n_features, n_rows, .. }) => {
            let mut x = Planes::new(n_features, n_rows, window.len() / (n_features * n_rows));
            x.values.copy_from_slice(window);
            let step = |x: &Planes, i: usize| convolved(x, &convs[i], &arrays[i]).map(leaky);
            for i in 0..5 {
                x = step(&x, i);
            }
            let branches = [step(&step(&x, 5), 6), step(&step(&x, 7), 8), step(&x.pooled(), 9)];
            branches.iter().flat_map(Planes::means).collect()
        }
    }
}

fn normal(rng: &mut Rng, n: usize, deviation: f64) -> Vec<f64> {
    // Values that single precision holds too.
    (0..n).map(|_| f64::from((f64::from(rng.normal_f32()) * deviation) as f32)).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<Back, D> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(size > 1e-3, "{what} says nothing: {size}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * size, "{what}[{i}]: {a} instead of {b}");
    }
}

/// Derivatives of `f` by each value of the array that `array` picks.
fn slopes<S: Clone>(
    state: &S,
    array: impl Fn(&mut S) -> &mut Vec<f64>,
    f: impl Fn(&S) -> f64,
) -> Vec<f64> {
    const STEP: f64 = 1e-6;
    let n = array(&mut state.clone()).len();
    let moved = |i: usize, by: f64| {
        let mut state = state.clone();
        array(&mut state)[i] += by;
        f(&state)
    };
    (0..n).map(|i| (moved(i, STEP) - moved(i, -STEP)) / (2.0 * STEP)).collect()
}

fn check(trunk: Trunk, n_inputs: usize) {
    const N: usize = 2;
    let mut rng = Rng::new(17);
    let convs = trunk.convs(n_inputs);
    let arrays: Vec<Array> = convs
        .iter()
        .map(|conv| {
            let inputs = conv.from * conv.kernel[0] * conv.kernel[1];
            let deviation = 1.0 / (inputs as f64).sqrt();
            (normal(&mut rng, inputs * conv.to, deviation), normal(&mut rng, conv.to, 0.3))
        })
        .collect();
    let windows = normal(&mut rng, N * n_inputs, 1.0);

    let x = tensor(&windows, [N, n_inputs]).require_grad();
    let layers: Vec<ConvLayer<Back>> = convs
        .iter()
        .zip(&arrays)
        .map(|(conv, (weight, bias))| ConvLayer {
            conv: conv.clone(),
            weight: tensor(weight, [weight.len() / conv.to, conv.to]).require_grad(),
            bias: tensor(bias, [conv.to]).require_grad(),
        })
        .collect();
    let y = forward(&trunk, &layers, x.clone());
    let n_outputs = y.dims()[1];
    let upstream = normal(&mut rng, N * n_outputs, 1.0);
    let gradients = (y.clone() * tensor(&upstream, [N, n_outputs])).sum().backward();

    let outputs = |(arrays, windows): &(Vec<Array>, Vec<f64>)| -> Vec<f64> {
        let each = windows.chunks(n_inputs);
        each.flat_map(|window| expected(&trunk, &convs, arrays, window)).collect()
    };
    let loss = |state: &(Vec<Array>, Vec<f64>)| -> f64 {
        outputs(state).iter().zip(&upstream).map(|(y, u)| y * u).sum()
    };
    let state = (arrays, windows);
    assert_close("output", &to_vec(y), &outputs(&state), 1e-5);
    let of_x = slopes(&state, |s| &mut s.1, loss);
    assert_close("input", &to_vec(x.grad(&gradients).unwrap()), &of_x, 1e-4);
    for (i, layer) in layers.iter().enumerate() {
        let name = &layer.conv.name;
        let weight = to_vec(layer.weight.grad(&gradients).unwrap());
        assert_close(name, &weight, &slopes(&state, |s| &mut s.0[i].0, loss), 1e-4);
        let bias = to_vec(layer.bias.grad(&gradients).unwrap());
        assert_close(name, &bias, &slopes(&state, |s| &mut s.0[i].1, loss), 1e-4);
    }
}

#[test]
fn temporal_convolutions_and_their_gradients() {
    check(Trunk::Tcn(Tcn { n_channels: 2, width: 3, n_blocks: 2 }), 2 * 7);
}

#[test]
fn image_convolutions_and_their_gradients() {
    // 37 rows become 9, 2 and 1: the last row of each stage is left over.
    check(Trunk::DeepLob(DeepLob { n_features: 2, n_rows: 37, width: 2 }), 2 * 37 * 5);
}
