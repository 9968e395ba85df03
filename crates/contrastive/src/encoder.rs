use burn::tensor::{Tensor, TensorData, activation, backend::Backend};

use crate::{Activation, ContrastiveError, EncoderConfig, NamedTensor, Rng};

/// A multi-layer perceptron with an optional projection head, on any burn backend.
#[derive(Debug, Clone)]
pub struct Encoder<B: Backend> {
    config: EncoderConfig,
    n_inputs: usize,
    layers: Vec<Dense<B>>,
    head: Vec<Dense<B>>,
}

#[derive(Debug, Clone)]
struct Dense<B: Backend> {
    weight: Tensor<B, 2>,
    bias: Tensor<B, 1>,
    norm: Option<(Tensor<B, 1>, Tensor<B, 1>)>,
}

/// One trainable array, whatever its rank.
#[derive(Debug, Clone)]
pub(crate) enum Weight<B: Backend> {
    Matrix(Tensor<B, 2>),
    Vector(Tensor<B, 1>),
}

/// Added to the variance in LayerNorm, PyTorch's default.
const NORM_EPSILON: f32 = 1e-5;

/// What the encoder makes of a batch of windows.
#[derive(Debug, Clone)]
pub struct Encoded<B: Backend> {
    /// The features, `[n, embedding_dim]`.
    pub embedding: Tensor<B, 2>,
    /// What the loss sees: the projection, or the embedding when there is no head.
    pub projection: Tensor<B, 2>,
}

impl<B: Backend> Encoder<B> {
    /// Forward pass of `x` (`[n, n_inputs]`). Dropout acts only when `rng` is given.
    pub fn forward(&self, x: Tensor<B, 2>, mut rng: Option<&mut Rng>) -> Encoded<B> {
        let last = self.layers.len() - 1;
        let mut x = x;
        for layer in &self.layers[..last] {
            x = layer.normalised(x);
            x = match self.config.activation {
                Activation::Relu => activation::relu(x),
                Activation::Gelu => activation::gelu(x),
            };
            if let Some(rng) = rng.as_deref_mut()
                && self.config.dropout > 0.0
            {
                x = dropout(x, self.config.dropout, rng);
            }
        }
        let embedding = self.layers[last].normalised(x);
        let mut projection = embedding.clone();
        for (i, layer) in self.head.iter().enumerate() {
            if i > 0 {
                projection = activation::relu(projection);
            }
            projection = layer.normalised(projection);
        }
        Encoded { embedding, projection }
    }

    /// All arrays, in the order of [`NamedTensor`]s.
    pub(crate) fn into_weights(self) -> Vec<Weight<B>> {
        let mut out = Vec::new();
        for layer in self.layers.into_iter().chain(self.head) {
            out.push(Weight::Matrix(layer.weight));
            out.push(Weight::Vector(layer.bias));
            if let Some((gamma, beta)) = layer.norm {
                out.push(Weight::Vector(gamma));
                out.push(Weight::Vector(beta));
            }
        }
        out
    }

    /// The reverse of [`into_weights`](Self::into_weights).
    pub(crate) fn from_weights(
        config: EncoderConfig,
        n_inputs: usize,
        weights: Vec<Weight<B>>,
    ) -> Self {
        let (n_layers, n_hidden) = (config.hidden.len() + 1, config.hidden.len());
        let mut weights = weights.into_iter();
        let vector = |weights: &mut dyn Iterator<Item = Weight<B>>| match weights.next() {
            Some(Weight::Vector(v)) => v,
            _ => unreachable!("the order of the arrays follows from the configuration"),
        };
        let mut dense = |has_norm: bool| {
            let Some(Weight::Matrix(weight)) = weights.next() else {
                unreachable!("the order of the arrays follows from the configuration")
            };
            let bias = vector(&mut weights);
            let norm = has_norm.then(|| (vector(&mut weights), vector(&mut weights)));
            Dense { weight, bias, norm }
        };
        let layers = (0..n_layers).map(|i| dense(config.layer_norm && i < n_hidden)).collect();
        let head = config.projection_dims().iter().map(|_| dense(false)).collect();
        Self { config, n_inputs, layers, head }
    }

    /// Uploads plain weights.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] when an array does not fit the configuration.
    pub fn from_tensors(
        config: &EncoderConfig,
        n_inputs: usize,
        tensors: &[NamedTensor],
        device: &B::Device,
    ) -> Result<Self, ContrastiveError> {
        let expected = shapes(config, n_inputs);
        let count = |found| ContrastiveError::Shape {
            what: "the list of weights",
            expected: expected.len(),
            found,
        };
        if tensors.len() != expected.len() {
            return Err(count(tensors.len()));
        }
        let mut weights = Vec::with_capacity(tensors.len());
        for (tensor, (_, shape)) in tensors.iter().zip(&expected) {
            let size: usize = shape.iter().product();
            if tensor.shape != *shape || tensor.values.len() != size {
                let found = tensor.values.len();
                return Err(ContrastiveError::Shape { what: "a weight", expected: size, found });
            }
            weights.push(Weight::upload(tensor.values.clone(), shape, device));
        }
        Ok(Self::from_weights(config.clone(), n_inputs, weights))
    }

    /// Downloads the weights.
    #[must_use]
    pub fn into_tensors(self) -> Vec<NamedTensor> {
        let shapes = shapes(&self.config, self.n_inputs);
        self.into_weights()
            .into_iter()
            .zip(shapes)
            .map(|(weight, (name, shape))| NamedTensor { name, shape, values: weight.download() })
            .collect()
    }
}

impl<B: Backend> Dense<B> {
    /// `x W + b`, then LayerNorm where the layer has one.
    fn normalised(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let x = burn::tensor::module::linear(x, self.weight.clone(), Some(self.bias.clone()));
        let Some((gamma, beta)) = &self.norm else { return x };
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let normed = centred / variance.add_scalar(NORM_EPSILON).sqrt();
        normed * gamma.clone().unsqueeze::<2>() + beta.clone().unsqueeze::<2>()
    }
}

impl<B: Backend> Weight<B> {
    pub(crate) fn upload(values: Vec<f32>, shape: &[usize], device: &B::Device) -> Self {
        match *shape {
            [rows, columns] => {
                let data = TensorData::new(values, [rows, columns]);
                Weight::Matrix(Tensor::from_data(data, device))
            }
            _ => {
                let n = values.len();
                Weight::Vector(Tensor::from_data(TensorData::new(values, [n]), device))
            }
        }
    }

    pub(crate) fn download(self) -> Vec<f32> {
        match self {
            Weight::Matrix(t) => to_vec(t),
            Weight::Vector(t) => to_vec(t),
        }
    }
}

/// The values of a tensor, without a copy where the backend gives its buffer away.
pub(crate) fn to_vec<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .into_vec()
        .expect("the data has just been converted to `f32`")
}

/// Name and shape of every array of an encoder, in order.
pub(crate) fn shapes(config: &EncoderConfig, n_inputs: usize) -> Vec<(String, Vec<usize>)> {
    let mut out = Vec::new();
    for (i, (from, to)) in config.layer_dims(n_inputs).into_iter().enumerate() {
        out.push((format!("layers.{i}.weight"), vec![from, to]));
        out.push((format!("layers.{i}.bias"), vec![to]));
        if config.layer_norm && i < config.hidden.len() {
            out.push((format!("layers.{i}.norm.gamma"), vec![to]));
            out.push((format!("layers.{i}.norm.beta"), vec![to]));
        }
    }
    for (i, (from, to)) in config.projection_dims().into_iter().enumerate() {
        out.push((format!("head.{i}.weight"), vec![from, to]));
        out.push((format!("head.{i}.bias"), vec![to]));
    }
    out
}

/// Fresh weights: uniform in `±1/sqrt(inputs)` for weights and biases, as PyTorch's linear layer
/// starts; 1 and 0 for the norms.
#[expect(clippy::cast_precision_loss, reason = "layer widths are far below 2^24")]
pub(crate) fn initial_tensors(
    config: &EncoderConfig,
    n_inputs: usize,
    rng: &mut Rng,
) -> Vec<NamedTensor> {
    let mut bound = 0.0;
    shapes(config, n_inputs)
        .into_iter()
        .map(|(name, shape)| {
            if let [inputs, _] = shape[..] {
                bound = 1.0 / (inputs as f32).sqrt();
            }
            let n: usize = shape.iter().product();
            let values = if name.ends_with("gamma") {
                vec![1.0; n]
            } else if name.ends_with("beta") {
                vec![0.0; n]
            } else {
                (0..n).map(|_| bound * (2.0 * rng.unit_f32() - 1.0)).collect()
            };
            NamedTensor { name, shape, values }
        })
        .collect()
}

/// Zeroes values with probability `p` and scales the rest by `1 / (1 - p)` (Srivastava et al.,
/// 2014). The mask comes from our own generator: the backend's is shared by the whole process.
#[expect(clippy::cast_possible_truncation, reason = "16 bits of a draw at a time")]
#[expect(clippy::cast_sign_loss, reason = "`p` is in 0..1")]
fn dropout<B: Backend>(x: Tensor<B, 2>, p: f32, rng: &mut Rng) -> Tensor<B, 2> {
    let [rows, columns] = x.dims();
    let n = rows * columns;
    let threshold = (p * 65_536.0) as u32;
    let keep = 1.0 / (1.0 - p);
    let mut mask = Vec::with_capacity(n + 3);
    while mask.len() < n {
        let bits = rng.next_u64();
        mask.extend(
            [0, 16, 32, 48].map(|shift| {
                if u32::from((bits >> shift) as u16) < threshold { 0.0 } else { keep }
            }),
        );
    }
    mask.truncate(n);
    let mask = Tensor::from_data(TensorData::new(mask, [rows, columns]), &x.device());
    x * mask
}
