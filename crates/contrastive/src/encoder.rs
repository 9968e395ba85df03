mod layer;
mod shape;
mod trunk;

use burn_tensor::{Tensor, TensorData, backend::Backend};

use crate::fused::Dropout;
use crate::{Activation, ContrastiveError, EncoderConfig, NamedTensor, Precision, Rng};
use layer::Dense;
pub(crate) use shape::{initial_tensors, shapes};
use trunk::ConvLayer;

/// An encoder with an optional projection head, on any burn backend.
///
/// On the CPU each layer is one operation with its own backward pass.
#[derive(Debug, Clone)]
pub struct Encoder<B: Backend> {
    config: EncoderConfig,
    n_inputs: usize,
    precision: Precision,
    trunk: Vec<ConvLayer<B>>,
    layers: Vec<Dense<B>>,
    head: Vec<Dense<B>>,
}

/// One trainable array, whatever its rank.
#[derive(Debug, Clone)]
pub(crate) enum Weight<B: Backend> {
    Matrix(Tensor<B, 2>),
    Vector(Tensor<B, 1>),
}

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
    pub fn forward(&self, x: Tensor<B, 2>, rng: Option<&mut Rng>) -> Encoded<B> {
        self.forward_rows(x, 0, rng)
    }

    /// The same for rows of a larger batch in which they begin at `first_row`: dropout is what it
    /// would be in the whole batch.
    pub(crate) fn forward_rows(
        &self,
        x: Tensor<B, 2>,
        first_row: usize,
        mut rng: Option<&mut Rng>,
    ) -> Encoded<B> {
        let config = &self.config;
        let [rows, n_inputs] = x.dims();
        // A profiler switches scopes on; without one nothing is counted.
        if lob_scope::is_enabled() {
            lob_scope::scope_shape(&[rows, n_inputs]);
            lob_scope::count_flops(rows as u64 * config.forward_flops(n_inputs));
        }
        let (last, hidden) = self.layers.split_last().expect("every encoder has a last layer");
        let mut x = trunk::forward(&config.trunk, &self.trunk, x);
        for layer in hidden {
            let dropout = match rng.as_deref_mut() {
                Some(rng) if config.dropout > 0.0 => {
                    let first = first_row * layer.weight.dims()[1];
                    Some(Dropout { p: config.dropout, key: rng.next_u64(), first })
                }
                _ => None,
            };
            x = layer.forward(x, Some(config.activation), dropout, self.precision);
        }
        let embedding = last.forward(x, None, None, self.precision);
        let mut projection = embedding.clone();
        for (i, layer) in self.head.iter().enumerate() {
            let activation = (i + 1 < self.head.len()).then_some(Activation::Relu);
            projection = layer.forward(projection, activation, None, self.precision);
        }
        Encoded { embedding, projection }
    }

    /// The same encoder whose matrix products run in another precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// All arrays, in the order of [`NamedTensor`]s.
    pub(crate) fn into_weights(self) -> Vec<Weight<B>> {
        let mut out = Vec::new();
        for conv in self.trunk {
            out.push(Weight::Matrix(conv.weight));
            out.push(Weight::Vector(conv.bias));
        }
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
        let mut matrix_and_bias = |has_norm: bool| {
            let weight = match weights.next() {
                Some(Weight::Matrix(t)) => t,
                _ => unreachable!("the caller has checked the shapes"),
            };
            let mut vector = || match weights.next() {
                Some(Weight::Vector(t)) => t,
                _ => unreachable!("the caller has checked the shapes"),
            };
            let bias = vector();
            let norm = has_norm.then(|| (vector(), vector()));
            (weight, bias, norm)
        };
        let trunk = config.trunk.convs(n_inputs).into_iter().map(|conv| {
            let (weight, bias, _) = matrix_and_bias(false);
            ConvLayer { conv, weight, bias }
        });
        let trunk = trunk.collect();
        let mut dense = |has_norm: bool| {
            let (weight, bias, norm) = matrix_and_bias(has_norm);
            Dense { weight, bias, norm }
        };
        let layers = (0..n_layers).map(|i| dense(config.layer_norm && i < n_hidden)).collect();
        let head = config.projection_dims().iter().map(|_| dense(false)).collect();
        Self { config, n_inputs, precision: Precision::F32, trunk, layers, head }
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

    /// Dimensions.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Weight::Matrix(t) => t.dims().to_vec(),
            Weight::Vector(t) => t.dims().to_vec(),
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
