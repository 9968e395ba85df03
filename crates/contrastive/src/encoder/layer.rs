use burn_tensor::{FloatDType, Tensor, TensorData, activation, backend::Backend};

use crate::fused::{Dropout, Layer, NORM_EPSILON, dense};
use crate::{Activation, Precision};

/// One linear layer and what follows it.
#[derive(Debug, Clone)]
pub(super) struct Dense<B: Backend> {
    pub(super) weight: Tensor<B, 2>,
    pub(super) bias: Tensor<B, 1>,
    pub(super) norm: Option<(Tensor<B, 1>, Tensor<B, 1>)>,
}

impl<B: Backend> Dense<B> {
    /// `dropout(act(norm(x W + b)))`: in one piece on the CPU, in single operations elsewhere.
    pub(super) fn forward(
        &self,
        x: Tensor<B, 2>,
        activation: Option<Activation>,
        dropout: Option<Dropout>,
        precision: Precision,
    ) -> Tensor<B, 2> {
        let x = if precision == Precision::F32 {
            let (gamma, beta) = match &self.norm {
                Some((gamma, beta)) => (gamma, beta),
                None => (&self.bias, &self.bias),
            };
            let layer = Layer { has_norm: self.norm.is_some(), activation, dropout };
            match dense(x, &self.weight, [&self.bias, gamma, beta], layer) {
                Ok(y) => return y,
                Err(x) => x,
            }
        } else {
            x
        };
        self.plain(x, activation, dropout, precision)
    }

    /// The same as single tensor operations.
    pub(super) fn plain(
        &self,
        x: Tensor<B, 2>,
        activation: Option<Activation>,
        dropout: Option<Dropout>,
        precision: Precision,
    ) -> Tensor<B, 2> {
        let x = match precision.dtype() {
            None => burn_tensor::module::linear(x, self.weight.clone(), Some(self.bias.clone())),
            Some(dtype) => {
                // The weights stay in single precision; only the product is made in half.
                let product = x.cast(dtype).matmul(self.weight.clone().cast(dtype));
                product.cast(FloatDType::F32) + self.bias.clone().unsqueeze::<2>()
            }
        };
        let x = match &self.norm {
            None => x,
            Some((gamma, beta)) => {
                let centred = x.clone() - x.mean_dim(1);
                let variance = centred.clone().powi_scalar(2).mean_dim(1);
                let normed = centred / variance.add_scalar(NORM_EPSILON).sqrt();
                normed * gamma.clone().unsqueeze::<2>() + beta.clone().unsqueeze::<2>()
            }
        };
        let x = match activation {
            None => x,
            Some(Activation::Relu) => activation::relu(x),
            Some(Activation::Gelu) => activation::gelu(x),
        };
        match dropout {
            None => x,
            Some(dropout) => {
                let [rows, columns] = x.dims();
                let mut mask = vec![1.0; rows * columns];
                dropout.apply(0, &mut mask);
                let data = TensorData::new(mask, [rows, columns]);
                let mask = Tensor::from_data(data, &x.device());
                x * mask
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;

    use super::*;
    use crate::Rng;
    use crate::encoder::to_vec;

    type Back = Autodiff<Flex>;

    fn normal<const D: usize>(rng: &mut Rng, shape: [usize; D]) -> Tensor<Back, D> {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|_| rng.normal_f32()).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default()).require_grad()
    }

    /// Output and the gradients of input, weight, bias, gamma and beta.
    fn run(
        [rows, inputs, outputs]: [usize; 3],
        has_norm: bool,
        activation: Option<Activation>,
        dropout: Option<Dropout>,
        plain: bool,
    ) -> Vec<Vec<f32>> {
        let mut rng = Rng::new(5);
        let x = normal(&mut rng, [rows, inputs]);
        let weight = normal(&mut rng, [inputs, outputs]);
        let bias = normal(&mut rng, [outputs]);
        let norm = (normal(&mut rng, [outputs]), normal(&mut rng, [outputs]));
        // Any upstream gradient: the output is weighed by it and summed.
        let upstream = normal(&mut rng, [rows, outputs]).detach();
        let norm = has_norm.then_some(norm);
        let layer = Dense { weight: weight.clone(), bias: bias.clone(), norm: norm.clone() };
        let y = if plain {
            layer.plain(x.clone(), activation, dropout, Precision::F32)
        } else {
            layer.forward(x.clone(), activation, dropout, Precision::F32)
        };
        let gradients = (y.clone() * upstream).sum().backward();
        let mut out = vec![
            to_vec(y),
            to_vec(x.grad(&gradients).unwrap()),
            to_vec(weight.grad(&gradients).unwrap()),
            to_vec(bias.grad(&gradients).unwrap()),
        ];
        if let Some((gamma, beta)) = norm {
            out.push(to_vec(gamma.grad(&gradients).unwrap()));
            out.push(to_vec(beta.grad(&gradients).unwrap()));
        }
        out
    }

    #[test]
    fn one_operation_equals_many() {
        let dropout = Some(Dropout { p: 0.3, key: 11, first: 0 });
        for shape in [[1, 3, 1], [5, 7, 3], [70, 20, 18], [33, 16, 64]] {
            for has_norm in [false, true] {
                for activation in [None, Some(Activation::Relu), Some(Activation::Gelu)] {
                    for dropout in [None, dropout] {
                        let fused = run(shape, has_norm, activation, dropout, false);
                        let plain = run(shape, has_norm, activation, dropout, true);
                        for (i, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
                            let size = plain.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
                            for (a, b) in fused.iter().zip(plain) {
                                assert!(
                                    (a - b).abs() <= 2e-5 * size,
                                    "{shape:?} norm {has_norm} {activation:?} {dropout:?}, \
                                     array {i}: {a} instead of {b}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn dropout_keeps_the_mean_and_its_places() {
        let dropout = Dropout { p: 0.25, key: 3, first: 0 };
        let mut all = vec![1.0; 40_001];
        dropout.apply(0, &mut all);
        let dropped = all.iter().filter(|x| **x == 0.0).count();
        assert!((9_700..10_300).contains(&dropped), "{dropped}");
        assert!(all.iter().all(|&x| x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        // A part of the array gets the same mask as the whole.
        for range in [8..24, 3..10, 40_000..40_001] {
            let mut part = vec![1.0; range.len()];
            dropout.apply(range.start, &mut part);
            assert_eq!(part, all[range.clone()]);
            let mut later = vec![1.0; range.len()];
            Dropout { first: range.start, ..dropout }.apply(0, &mut later);
            assert_eq!(later, part);
        }
        let mut other = vec![1.0; 40_001];
        Dropout { key: 4, ..dropout }.apply(0, &mut other);
        assert_ne!(other, all);
    }

    #[test]
    fn half_precision_stays_close_to_single() {
        let mut rng = Rng::new(8);
        let x = normal(&mut rng, [16, 64]);
        let weight = normal(&mut rng, [64, 32]).mul_scalar(0.125).detach().require_grad();
        let layer = Dense { weight: weight.clone(), bias: normal(&mut rng, [32]), norm: None };
        let gradient = |precision| {
            let y = layer.forward(x.clone(), Some(Activation::Relu), None, precision);
            let gradients = y.clone().powi_scalar(2).mean().backward();
            (to_vec(y), to_vec(weight.grad(&gradients).unwrap()))
        };
        let (y, g) = gradient(Precision::F32);
        for (precision, tolerance) in [(Precision::Bf16, 0.02), (Precision::F16, 0.003)] {
            let (half_y, half_g) = gradient(precision);
            for (full, half) in [(&y, &half_y), (&g, &half_g)] {
                // The folds below would pass over what is no number.
                assert!(half.iter().chain(full).all(|x| x.is_finite()), "{precision}");
                let size = full.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                let worst = full.iter().zip(half).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst > 0.0, "{precision} is not {}", Precision::F32);
                assert!(worst < tolerance * size, "{precision}: {worst} of {size}");
            }
        }
    }
}
