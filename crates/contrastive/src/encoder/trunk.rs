use burn_tensor::ops::{ConvOptions, PaddedConvOptions};
use burn_tensor::{Tensor, activation, backend::Backend, module};

use super::shape::Conv;
use crate::{DeepLob, Tcn, Trunk};

/// Slope of the leaky ReLU for negative values (Zhang et al., 2019).
const LEAK: f64 = 0.01;

/// A convolution with its weights (`[from · kernel, to]`, as all weights are) and bias.
#[derive(Debug, Clone)]
pub(super) struct ConvLayer<B: Backend> {
    pub(super) conv: Conv,
    pub(super) weight: Tensor<B, 2>,
    pub(super) bias: Tensor<B, 1>,
}

impl<B: Backend> ConvLayer<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let Conv { from, to, kernel, stride, padding, dilation, .. } = self.conv;
        let weight = self.weight.clone().transpose().reshape([to, from, kernel[0], kernel[1]]);
        let options = ConvOptions::new(stride, padding, dilation, 1);
        let options = PaddedConvOptions::from(options);
        module::conv2d(x, weight, Some(self.bias.clone()), options)
    }
}

/// What the perceptron sees of windows `x` (`[n, n_inputs]`).
pub(super) fn forward<B: Backend>(
    trunk: &Trunk,
    convs: &[ConvLayer<B>],
    x: Tensor<B, 2>,
) -> Tensor<B, 2> {
    let [n, n_inputs] = x.dims();
    match *trunk {
        Trunk::Mlp => x,
        Trunk::Tcn(Tcn { n_channels, .. }) => {
            let steps = n_inputs / n_channels;
            let series = x.reshape([n, steps, n_channels]).swap_dims(1, 2);
            mean_over_time(tcn(convs, series.reshape([n, n_channels, 1, steps])))
        }
        Trunk::DeepLob(DeepLob { n_features, n_rows, .. }) => {
            let steps = n_inputs / (n_features * n_rows);
            mean_over_time(deep_lob(convs, x.reshape([n, n_features, n_rows, steps])))
        }
    }
}

/// `[n, channels, 1, steps]` to `[n, channels]`.
fn mean_over_time<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, channels, ..] = x.dims();
    x.mean_dim(3).reshape([n, channels])
}

fn tcn<B: Backend>(convs: &[ConvLayer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    let mut x = activation::relu(convs[0].forward(x));
    for block in convs[1..].chunks_exact(2) {
        let inner = activation::relu(block[0].forward(x.clone()));
        x = activation::relu(x + block[1].forward(inner));
    }
    x
}

fn deep_lob<B: Backend>(convs: &[ConvLayer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    let leaky = |x| activation::leaky_relu(x, LEAK);
    let (rows, inception) = convs.split_at(5);
    let x = rows.iter().fold(x, |x, conv| leaky(conv.forward(x)));
    let branch = |point: usize, time: usize| {
        leaky(inception[time].forward(leaky(inception[point].forward(x.clone()))))
    };
    let pooled = module::max_pool2d(x.clone(), [1, 3], [1, 1], [0, 1], [1, 1], false);
    let pooled = leaky(inception[4].forward(pooled));
    Tensor::cat(vec![branch(0, 1), branch(2, 3), pooled], 1)
}

#[cfg(test)]
mod tests;
