use burn::tensor::{Bool, Tensor, backend::Backend};

use crate::encoder::{Weight, to_vec};
use crate::loss::{self, Scale};
use crate::{Objective, PairKey, Temperature, TrainConfig};

/// Largest `ln(1 / tau)` of a learned temperature (Radford et al., 2021).
const MAX_LOG_SCALE: f32 = 4.605_170_3;

/// Starting bias of the sigmoid loss (Zhai et al., 2023); its scale starts at 1 / tau.
const SIG_LIP_BIAS: f32 = -10.0;

/// The trainable values of the loss itself.
pub(super) struct LossWeights<B: Backend> {
    log_scale: Option<Tensor<B, 1>>,
    bias: Option<Tensor<B, 1>>,
    tau: f32,
}

fn learns_scale(config: &TrainConfig) -> bool {
    config.objective == Objective::SigLip || matches!(config.temperature, Temperature::Learned(_))
}

impl<B: Backend> LossWeights<B> {
    /// The arrays before the first step, in the order [`new`](Self::new) takes them.
    pub(super) fn initial(config: &TrainConfig, device: &B::Device) -> Vec<Weight<B>> {
        let mut out = Vec::new();
        if learns_scale(config) {
            let start = -config.temperature.initial().ln();
            out.push(Weight::upload(vec![start], &[1], device));
        }
        if config.objective == Objective::SigLip {
            out.push(Weight::upload(vec![SIG_LIP_BIAS], &[1], device));
        }
        out
    }

    pub(super) fn new(config: &TrainConfig, weights: &[Weight<B>]) -> Self {
        let vector = |i: usize| match weights.get(i) {
            Some(Weight::Vector(t)) => Some(t.clone()),
            _ => None,
        };
        Self { log_scale: vector(0), bias: vector(1), tau: config.temperature.initial() }
    }

    /// Keeps a learned scale between 1 and 100.
    pub(super) fn clamp(config: &TrainConfig, weights: &mut [Weight<B>]) {
        if let (true, [Weight::Vector(s), ..]) = (learns_scale(config), weights) {
            *s = s.clone().clamp(0.0, MAX_LOG_SCALE);
        }
    }

    /// The learned `ln(1 / tau)`.
    pub(super) fn log_scale(self) -> Option<f32> {
        self.log_scale.map(|s| to_vec(s)[0])
    }

    fn scale(&self) -> Scale<B> {
        self.log_scale.clone().map_or(Scale::Fixed(self.tau), Scale::Learned)
    }
}

/// The loss of a batch whose projections are `z` (`[2 B, D]`, anchors first), shape `[1]`.
pub(super) fn objective_loss<B: Backend>(
    config: &TrainConfig,
    z: Tensor<B, 2>,
    weights: &LossWeights<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let n = config.batch_size;
    let (za, zp) = (z.clone().narrow(0, 0, n), z.narrow(0, n, n));
    let scale = weights.scale();
    match config.objective {
        Objective::InfoNce => loss::info_nce(za, zp, &scale, ignore).mean(),
        Objective::Symmetric => loss::symmetric_info_nce(za, zp, &scale, ignore).mean(),
        Objective::NtXent => loss::nt_xent(za, zp, &scale, ignore).mean(),
        Objective::Decoupled => loss::decoupled(za, zp, &scale, ignore).mean(),
        Objective::SigLip => {
            let device = za.device();
            let t = match scale {
                Scale::Learned(s) => s.exp(),
                Scale::Fixed(tau) => Tensor::full([1], 1.0 / tau, &device),
            };
            let bias = weights.bias.clone().unwrap_or_else(|| Tensor::zeros([1], &device));
            loss::sig_lip(za, zp, t, bias, ignore)
        }
    }
}

/// The loss when all similarities are equal.
#[expect(clippy::cast_precision_loss, reason = "batch sizes are far below 2^52")]
pub(super) fn chance_loss(config: &TrainConfig) -> Option<f64> {
    let n = config.batch_size as f64;
    match config.objective {
        Objective::InfoNce | Objective::Symmetric => Some(n.ln()),
        Objective::NtXent => Some((2.0 * n - 1.0).ln()),
        Objective::Decoupled => Some((2.0 * n - 2.0).ln()),
        Objective::SigLip => None,
    }
}

/// Which pairs of views are no negatives, as a square matrix in the shape the loss takes, with its
/// side; `None` when nothing is to be ignored.
pub(super) fn ignore_matrix(config: &TrainConfig, keys: &[PairKey]) -> Option<(Vec<bool>, usize)> {
    let radius = config.ignore_radius;
    if radius == 0 {
        return None;
    }
    let n = keys.len();
    let near = |a: i64, b: i64| a.abs_diff(b) < radius;
    let cell = |i: usize, j: usize, test: &dyn Fn(&PairKey, &PairKey) -> bool| {
        i != j && keys[i].group == keys[j].group && test(&keys[i], &keys[j])
    };
    let square = |side: usize, f: &dyn Fn(usize, usize) -> bool| {
        let mask = (0..side * side).map(|at| f(at / side, at % side)).collect();
        Some((mask, side))
    };
    match config.objective {
        Objective::InfoNce | Objective::Symmetric | Objective::SigLip => {
            square(n, &|i, j| cell(i, j, &|a, b| near(a.anchor, b.positive)))
        }
        Objective::Decoupled => square(n, &|i, j| {
            cell(i, j, &|a, b| {
                near(a.anchor, b.positive)
                    || near(a.positive, b.anchor)
                    || near(a.anchor, b.anchor)
                    || near(a.positive, b.positive)
            })
        }),
        Objective::NtXent => {
            let at = |view: usize| {
                let key = keys[view % n];
                if view < n { key.anchor } else { key.positive }
            };
            square(2 * n, &|i, j| {
                i % n != j % n && keys[i % n].group == keys[j % n].group && near(at(i), at(j))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_windows_of_one_group_are_ignored() {
        let key = |group, anchor, positive| PairKey { group, anchor, positive };
        let keys = [key(0, 0, 10), key(0, 12, 2), key(1, 0, 10)];
        let with = |objective| TrainConfig { objective, ignore_radius: 3, ..Default::default() };
        let (mask, side) = ignore_matrix(&with(Objective::InfoNce), &keys).unwrap();
        assert_eq!(side, 3);
        // anchor 0 (at 0) and positive 1 (at 2); anchor 1 (at 12) and positive 0 (at 10)
        let f = false;
        assert_eq!(mask, [f, true, f, true, f, f, f, f, f]);
        let (mask, side) = ignore_matrix(&with(Objective::NtXent), &keys).unwrap();
        assert_eq!(side, 6);
        let set: Vec<usize> = (0..36).filter(|&at| mask[at]).collect();
        // views at 0, 12, 0', 10, 2, 10': near are (0, 2) and (12, 10), both ways
        assert_eq!(set, [4, 9, 19, 24]);
        assert!(ignore_matrix(&TrainConfig::default(), &keys).is_none());
    }
}
