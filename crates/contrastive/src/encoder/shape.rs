//! Sizes: arrays, parameters and operations of an encoder, known before there is one.

use crate::{ContrastiveError, DeepLob, EncoderConfig, NamedTensor, Rng, Tcn, Trunk, flops};

/// Rows that each of the first two convolutions over rows merges into one.
const ROW_POOL: usize = 4;

/// One convolution; pairs are (rows, steps).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conv {
    pub(super) name: String,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Positions of its output.
    positions: usize,
}

impl Conv {
    /// A convolution over time that keeps the number of steps.
    fn time(
        name: String,
        widths: (usize, usize),
        kernel: usize,
        dilation: usize,
        at: usize,
    ) -> Self {
        Self {
            name,
            from: widths.0,
            to: widths.1,
            kernel: [1, kernel],
            stride: [1, 1],
            padding: [0, dilation * (kernel - 1) / 2],
            dilation: [1, dilation],
            positions: at,
        }
    }

    /// A convolution that merges `rows` rows into one.
    fn rows(name: &str, widths: (usize, usize), rows: usize, at: usize) -> Self {
        Self {
            kernel: [rows, 1],
            stride: [rows, 1],
            padding: [0, 0],
            ..Self::time(name.to_owned(), widths, 1, 1, at)
        }
    }

    /// Operations for one window, without the bias.
    fn flops(&self) -> u64 {
        flops::convolution(1, [self.from, self.to], self.kernel, self.positions, false)
    }
}

impl Tcn {
    fn convs(&self, n_inputs: usize) -> Vec<Conv> {
        let steps = n_inputs / self.n_channels.max(1);
        let w = self.width;
        let input = Conv::time("trunk.input".to_owned(), (self.n_channels, w), 3, 1, steps);
        let blocks = (0..self.n_blocks).flat_map(|i| {
            ["a", "b"]
                .map(|half| Conv::time(format!("trunk.block{i}.{half}"), (w, w), 3, 1 << i, steps))
        });
        std::iter::once(input).chain(blocks).collect()
    }
}

impl DeepLob {
    fn convs(&self, n_inputs: usize) -> Vec<Conv> {
        let steps = n_inputs / (self.n_features * self.n_rows).max(1);
        let (f, w) = (self.n_features, self.width);
        let (first, second) = (self.n_rows / ROW_POOL, self.n_rows / ROW_POOL / ROW_POOL);
        let time = |name: &str, kernel: usize, rows: usize| {
            Conv::time(format!("trunk.{name}"), (w, w), kernel, 1, rows * steps)
        };
        vec![
            Conv::rows("trunk.rows1", (f, w), ROW_POOL, first * steps),
            time("time1", 3, first),
            Conv::rows("trunk.rows2", (w, w), ROW_POOL, second * steps),
            time("time2", 3, second),
            Conv::rows("trunk.rows3", (w, w), second, steps),
            time("inception3.point", 1, 1),
            time("inception3.time", 3, 1),
            time("inception5.point", 1, 1),
            time("inception5.time", 5, 1),
            time("pooled.point", 1, 1),
        ]
    }
}

impl Trunk {
    pub(super) fn convs(&self, n_inputs: usize) -> Vec<Conv> {
        match self {
            Trunk::Mlp => Vec::new(),
            Trunk::Tcn(tcn) => tcn.convs(n_inputs),
            Trunk::DeepLob(lob) => lob.convs(n_inputs),
        }
    }

    /// Values that the perceptron sees.
    fn n_outputs(&self, n_inputs: usize) -> usize {
        match self {
            Trunk::Mlp => n_inputs,
            Trunk::Tcn(tcn) => tcn.width,
            Trunk::DeepLob(lob) => 3 * lob.width,
        }
    }

    fn validate(&self, n_inputs: usize) -> Result<(), ContrastiveError> {
        let whole = |name, unit: usize| {
            if unit > 0 && n_inputs > 0 && n_inputs.is_multiple_of(unit) {
                return Ok(());
            }
            let found = format_args!("{unit} for a window of {n_inputs} values");
            Err(ContrastiveError::config(name, "a divisor of the window's values", found))
        };
        match *self {
            Trunk::Mlp => whole("n_inputs", 1),
            Trunk::Tcn(Tcn { n_channels, width, n_blocks }) => {
                if width == 0 || !(1..=16).contains(&n_blocks) {
                    let found = format_args!("width {width} and {n_blocks} blocks");
                    let expected = "a width above 0 and 1 to 16 blocks";
                    return Err(ContrastiveError::config("encoder", expected, found));
                }
                whole("n_channels", n_channels)
            }
            Trunk::DeepLob(DeepLob { n_features, n_rows, width }) => {
                if width == 0 || n_rows < ROW_POOL * ROW_POOL {
                    let found = format_args!("width {width} and {n_rows} rows");
                    let expected = "a width above 0 and at least 16 price rows";
                    return Err(ContrastiveError::config("encoder", expected, found));
                }
                whole("n_features x n_rows", n_features * n_rows)
            }
        }
    }
}

impl EncoderConfig {
    /// `(inputs, outputs)` of each linear layer of the encoder, trunk and projection head excluded.
    #[must_use]
    pub fn layer_dims(&self, n_inputs: usize) -> Vec<(usize, usize)> {
        let outputs = self.hidden.iter().copied().chain([self.embedding_dim]);
        let mut from = self.trunk.n_outputs(n_inputs);
        outputs.map(|to| (std::mem::replace(&mut from, to), to)).collect()
    }

    /// `(inputs, outputs)` of each linear layer of the projection head.
    #[must_use]
    pub fn projection_dims(&self) -> Vec<(usize, usize)> {
        let e = self.embedding_dim;
        self.projection_dim.map_or_else(Vec::new, |p| vec![(e, e), (e, p)])
    }

    /// Trainable values, trunk and projection head included.
    #[must_use]
    pub fn n_params(&self, n_inputs: usize) -> usize {
        shapes(self, n_inputs).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Floating-point operations of the matrix products and convolutions for one window in one
    /// forward pass, projection head included: a multiply and an add for each weight at each
    /// position. Biases, normalisation and activations (below 1 % of a perceptron) are left out.
    #[must_use]
    pub fn forward_flops(&self, n_inputs: usize) -> u64 {
        let dims = [self.layer_dims(n_inputs), self.projection_dims()].concat();
        let linear: u64 = dims.iter().map(|(i, o)| flops::dense(1, *i, *o, false)).sum();
        let convs: u64 = self.trunk.convs(n_inputs).iter().map(Conv::flops).sum();
        linear + convs
    }

    /// Floating-point operations of a training step over `batch_size` pairs of windows: both forward,
    /// and twice that backward. The loss and the optimiser are left out.
    #[must_use]
    pub fn step_flops(&self, batch_size: usize, n_inputs: usize) -> u64 {
        flops::train_step(2 * batch_size as u64 * self.forward_flops(n_inputs))
    }

    /// Values that all convolutions of the trunk give for one window.
    pub(crate) fn trunk_outputs(&self, n_inputs: usize) -> usize {
        self.trunk.convs(n_inputs).iter().map(|conv| conv.to * conv.positions).sum()
    }

    /// Refuses a window that the trunk cannot take.
    pub(crate) fn validate_for(&self, n_inputs: usize) -> Result<(), ContrastiveError> {
        self.validate()?;
        self.trunk.validate(n_inputs)
    }
}

/// Name and shape of every array of an encoder, in order.
pub(crate) fn shapes(config: &EncoderConfig, n_inputs: usize) -> Vec<(String, Vec<usize>)> {
    let mut out = Vec::new();
    for conv in config.trunk.convs(n_inputs) {
        let inputs = conv.from * conv.kernel[0] * conv.kernel[1];
        out.push((format!("{}.weight", conv.name), vec![inputs, conv.to]));
        out.push((format!("{}.bias", conv.name), vec![conv.to]));
    }
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

/// Fresh weights: uniform in `±1/sqrt(inputs)` for weights and biases, as PyTorch's linear and
/// convolutional layers start; 1 and 0 for the norms.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perceptrons_match_a_hand_count() {
        let simple = EncoderConfig::simple();
        assert_eq!(simple.layer_dims(1024), [(1024, 256), (256, 128)]);
        // 1024·256 + 256 + 256·128 + 128
        assert_eq!(simple.n_params(1024), 295_296);
        assert_eq!(simple.forward_flops(1024), 2 * (262_144 + 32_768));
        assert_eq!(simple.step_flops(32, 1024), 6 * 32 * 2 * (262_144 + 32_768));

        let medium = EncoderConfig::medium();
        assert_eq!(medium.layer_dims(1024).len(), 4);
        // 524800 + 262656 + 131328 + 32896
        assert_eq!(medium.n_params(1024), 951_680);

        let complex = EncoderConfig::complex();
        assert_eq!(complex.layer_dims(1024).len(), 6);
        // 1049600 + 524800 + 262656 + 131328 + 65792 + 32896, and 2·(1024+512+512+256+256)
        assert_eq!(complex.n_params(1024), 2_067_072 + 5_120);

        // head: 128·128 + 128 + 128·64 + 64
        assert_eq!(simple.clone().with_projection(64).n_params(1024), 295_296 + 24_768);
        let linear = EncoderConfig { hidden: vec![], ..simple };
        assert_eq!(linear.n_params(10), 1_408);
    }

    #[test]
    fn convolutions_match_a_hand_count() {
        // 8 channels, 64 steps. Input 3·8·32 + 32 = 800; ten convolutions of 3·32·32 + 32 = 3104;
        // linear 32·128 + 128 = 4224.
        let tcn = EncoderConfig::tcn(8);
        assert_eq!(tcn.n_params(8 * 64), 800 + 31_040 + 4_224);
        // (3·8·32 + 10·3·32·32)·64 positions + 32·128, times two
        assert_eq!(tcn.forward_flops(8 * 64), 2 * ((768 + 30_720) * 64 + 4_096));

        // 1 plane of 67 rows, 16 bins, 16 channels: rows 67 -> 16 -> 4 -> 1.
        let lob = EncoderConfig::deep_lob(1, 67);
        // rows1 4·16+16, time1 3·256+16, rows2 4·256+16, time2 784, rows3 4·256+16,
        // points 3·(256+16), time3 784, time5 5·256+16, linear 48·128+128
        let params = 80 + 784 + 1_040 + 784 + 1_040 + 816 + 784 + 1_296 + 6_272;
        assert_eq!(lob.n_params(67 * 16), params);
        let products = 64 * (16 * 16) // rows1 at 16 rows of 16 bins
            + 768 * (16 * 16)
            + 1_024 * (4 * 16)
            + 768 * (4 * 16)
            + 1_024 * 16
            + (3 * 256 + 768 + 1_280) * 16
            + 48 * 128;
        assert_eq!(lob.forward_flops(67 * 16), 2 * products);
    }

    #[test]
    fn names_give_the_presets() {
        assert_eq!(EncoderConfig::by_name("medium").unwrap(), EncoderConfig::medium());
        let message = EncoderConfig::by_name("huge").unwrap_err().to_string();
        assert_eq!(message, "`encoder` is `huge`, expected `simple`, `medium` or `complex`");
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        let check = |config: EncoderConfig, n_inputs: usize, name: &str| {
            let message = config.validate_for(n_inputs).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{name}` is ")), "{message}");
        };
        check(EncoderConfig::tcn(8), 63, "n_channels");
        check(EncoderConfig::tcn(0), 64, "n_channels");
        check(EncoderConfig::deep_lob(2, 40), 40, "n_features x n_rows");
        check(EncoderConfig::deep_lob(1, 15), 150, "encoder");
        check(EncoderConfig::simple(), 0, "n_inputs");
        assert!(EncoderConfig::tcn(8).validate_for(64).is_ok());
        assert!(EncoderConfig::deep_lob(3, 402).validate_for(3 * 402 * 500).is_ok());
    }
}
