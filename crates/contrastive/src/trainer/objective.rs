use burn_tensor::{Bool, Tensor, TensorData, backend::Backend};

use crate::encoder::{Weight, to_vec};
use crate::loss::{self, MASKED, Scale, normalise};
use crate::queue_state::QueueKey;
use crate::{Objective, PairKey, Place, Temperature, TrainConfig};

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

/// What the loss knows of a batch besides its projections.
pub(super) struct Marks<B: Backend> {
    /// Pairs of views that are no negatives, in the shape the loss takes.
    ignore: Option<Tensor<B, 2, Bool>>,
    /// Class of each pair.
    labels: Vec<i64>,
    /// Earlier positives, normalised.
    queue: Option<Tensor<B, 2>>,
}

/// Rows of a queue with the origin of each.
type Queued<'a, B> = (Tensor<B, 2>, &'a [QueueKey]);

impl<B: Backend> Marks<B> {
    pub(super) fn new(
        config: &TrainConfig,
        keys: &[PairKey],
        queue: Option<Queued<'_, B>>,
        device: &B::Device,
    ) -> Self {
        let (queue, queued) = queue.map_or((None, &[][..]), |(rows, keys)| (Some(rows), keys));
        let ignore = ignore_matrix(config, keys, queued)
            .map(|(mask, shape)| Tensor::from_bool(TensorData::new(mask, shape), device));
        Self { ignore, labels: keys.iter().map(|key| key.label).collect(), queue }
    }
}

/// A loss of shape `[1]`.
pub(super) struct LossValue<B: Backend> {
    pub(super) loss: Tensor<B, 1>,
    /// Anchors without a positive, which a supervised loss leaves out.
    pub(super) n_lone_anchors: usize,
}

/// The loss of a batch whose projections are `z` (`[2 B, D]`, anchors first).
pub(super) fn objective_loss<B: Backend>(
    config: &TrainConfig,
    z: Tensor<B, 2>,
    weights: &LossWeights<B>,
    marks: Marks<B>,
) -> LossValue<B> {
    let n = config.batch_size;
    let (za, zp) = (z.clone().narrow(0, 0, n), z.clone().narrow(0, n, n));
    let (scale, ignore) = (weights.scale(), marks.ignore);
    let loss = match config.objective {
        Objective::InfoNce => match marks.queue {
            Some(queue) => info_nce_with_queue(za, zp, queue, &scale, ignore),
            None => loss::info_nce(za, zp, &scale, ignore),
        }
        .mean(),
        Objective::Symmetric => loss::symmetric_info_nce(za, zp, &scale, ignore).mean(),
        Objective::NtXent => loss::nt_xent(za, zp, &scale, ignore).mean(),
        Objective::SupCon => {
            let labels = [marks.labels.as_slice(), &marks.labels].concat();
            let found = loss::sup_con(z, &labels, &scale);
            return LossValue { loss: found.loss, n_lone_anchors: found.n_skipped };
        }
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
    };
    LossValue { loss, n_lone_anchors: 0 }
}

/// InfoNCE whose columns are the batch's positives and then a queue of normalised rows, one value
/// per anchor; `ignore` is `[B, B + M]`.
fn info_nce_with_queue<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    queue: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let (u, v) = (normalise(za), normalise(zp));
    let u = scale.apply(u);
    let positive = (u.clone() * v.clone()).sum_dim(1);
    let s = u.matmul(Tensor::cat(vec![v, queue], 0).transpose());
    let s = match ignore {
        Some(ignore) => s.mask_fill(ignore, MASKED),
        None => s,
    };
    let largest = s.clone().max_dim(1).detach();
    let log_sum = (s - largest.clone()).exp().sum_dim(1).log() + largest;
    (log_sum - positive).squeeze_dim(1)
}

/// The loss when all similarities are equal, with this many rows in the queue.
#[expect(clippy::cast_precision_loss, reason = "batch sizes are far below 2^52")]
pub(super) fn chance_loss(config: &TrainConfig, queued: usize) -> Option<f64> {
    let n = config.batch_size as f64;
    match config.objective {
        Objective::InfoNce => Some((n + queued as f64).ln()),
        Objective::Symmetric => Some(n.ln()),
        // Every label has the same probability whatever the positives are.
        Objective::NtXent | Objective::SupCon => Some((2.0 * n - 1.0).ln()),
        Objective::Decoupled => Some((2.0 * n - 2.0).ln()),
        Objective::SigLip => None,
    }
}

/// A view as the false-negative rules see it.
#[derive(Clone, Copy)]
struct View {
    instrument: u64,
    group: u64,
    place: Place,
}

impl View {
    fn anchor(key: &PairKey) -> Self {
        Self { instrument: key.instrument, group: key.group, place: key.anchor }
    }

    fn positive(key: &PairKey) -> Self {
        Self { instrument: key.instrument, group: key.group, place: key.positive }
    }

    fn queued(key: &QueueKey) -> Self {
        Self { instrument: key.instrument, group: key.group, place: key.place }
    }

    /// Whether the two may be alike: of one instrument, close in time, or close in rows, as far
    /// as each rule is on.
    fn is_like(self, other: Self, config: &TrainConfig) -> bool {
        let is_close_in_time = || match (self.place.ts_event, other.place.ts_event) {
            (Some(a), Some(b)) => a.abs_diff(b) < config.ignore_within_ns,
            _ => false,
        };
        (config.ignore_same_instrument && self.instrument == other.instrument)
            || is_close_in_time()
            || (self.group == other.group
                && self.place.row.abs_diff(other.place.row) < config.ignore_radius)
    }
}

/// Which pairs of views are no negatives, as a matrix in the shape the loss takes; `None` when
/// nothing is to be ignored. The two views of a pair are never masked.
fn ignore_matrix(
    config: &TrainConfig,
    keys: &[PairKey],
    queued: &[QueueKey],
) -> Option<(Vec<bool>, [usize; 2])> {
    let is_on =
        config.ignore_radius > 0 || config.ignore_same_instrument || config.ignore_within_ns > 0;
    if !is_on {
        return None;
    }
    let n = keys.len();
    let anchors: Vec<View> = keys.iter().map(View::anchor).collect();
    let positives: Vec<View> = keys.iter().map(View::positive).collect();
    let like = |a: View, b: View| a.is_like(b, config);
    let matrix = |rows: usize, columns: usize, f: &dyn Fn(usize, usize) -> bool| {
        let mask = (0..rows * columns).map(|at| f(at / columns, at % columns)).collect();
        Some((mask, [rows, columns]))
    };
    match config.objective {
        Objective::InfoNce => matrix(n, n + queued.len(), &|i, j| match j.checked_sub(n) {
            None => i != j && like(anchors[i], positives[j]),
            Some(j) => like(anchors[i], View::queued(&queued[j])),
        }),
        Objective::Symmetric | Objective::SigLip => {
            matrix(n, n, &|i, j| i != j && like(anchors[i], positives[j]))
        }
        Objective::Decoupled => matrix(n, n, &|i, j| {
            i != j
                && (like(anchors[i], positives[j])
                    || like(positives[i], anchors[j])
                    || like(anchors[i], anchors[j])
                    || like(positives[i], positives[j]))
        }),
        // Windows near in time have a class each: that decides.
        Objective::SupCon => None,
        Objective::NtXent => {
            let views = [anchors, positives].concat();
            matrix(2 * n, 2 * n, &|i, j| i % n != j % n && like(views[i], views[j]))
        }
    }
}

/// Whether any anchor of a batch has a negative: without one a loss is 0 whatever the model.
pub(super) fn has_negatives(config: &TrainConfig, keys: &[PairKey]) -> bool {
    let n = keys.len();
    match ignore_matrix(config, keys, &[]) {
        None => n > 1,
        Some((mask, [_, columns])) => {
            let is_own = |at: usize| (at / columns) % n == (at % columns) % n;
            mask.iter().enumerate().any(|(at, is_ignored)| !is_ignored && !is_own(at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_windows_of_one_group_are_ignored() {
        let at = |row| Place { row, ts_event: None };
        let key = |group, anchor, positive| PairKey {
            group,
            anchor: at(anchor),
            positive: at(positive),
            ..PairKey::default()
        };
        let keys = [key(0, 0, 10), key(0, 12, 2), key(1, 0, 10)];
        let with = |objective| TrainConfig { objective, ignore_radius: 3, ..Default::default() };
        let (mask, shape) = ignore_matrix(&with(Objective::Symmetric), &keys, &[]).unwrap();
        assert_eq!(shape, [3, 3]);
        // anchor 0 (at 0) and positive 1 (at 2); anchor 1 (at 12) and positive 0 (at 10)
        let f = false;
        assert_eq!(mask, [f, true, f, true, f, f, f, f, f]);
        let (mask, shape) = ignore_matrix(&with(Objective::NtXent), &keys, &[]).unwrap();
        assert_eq!(shape, [6, 6]);
        let set: Vec<usize> = (0..36).filter(|&at| mask[at]).collect();
        // views at 0, 12, 0', 10, 2, 10': near are (0, 2) and (12, 10), both ways
        assert_eq!(set, [4, 9, 19, 24]);
        assert!(ignore_matrix(&TrainConfig::default(), &keys, &[]).is_none());
        assert!(ignore_matrix(&with(Objective::SupCon), &keys, &[]).is_none());

        // The queue's rows stand in further columns: group 0 at 1 and at 50, group 1 at 1.
        let queued = [(0, 1), (0, 50), (1, 1)].map(|(group, row)| QueueKey {
            instrument: 0,
            group,
            place: at(row),
        });
        let (mask, shape) = ignore_matrix(&with(Objective::InfoNce), &keys, &queued).unwrap();
        assert_eq!(shape, [3, 6]);
        let set: Vec<usize> = (0..18).filter(|&at| mask[at]).collect();
        assert_eq!(set, [1, 3, 6, 17]);
    }

    /// The rules of instrument and time on three pairs: two of instrument 7, one of instrument 8
    /// that is close in time to the first.
    #[test]
    fn same_instrument_or_close_in_time_are_ignored() {
        let at = |ts| Place { row: 0, ts_event: ts };
        let key = |instrument, group, anchor, positive| PairKey {
            instrument,
            group,
            anchor: at(Some(anchor)),
            positive: at(positive),
            label: 0,
        };
        let keys = [
            key(7, 0, 100, Some(105)),
            key(7, 1, 900, Some(905)),
            // The positive's time is unknown: near to nothing.
            key(8, 2, 103, None),
        ];
        let set = |config: &TrainConfig, keys: &[PairKey], queued: &[QueueKey]| -> Vec<usize> {
            let (mask, [rows, columns]) = ignore_matrix(config, keys, queued).unwrap();
            assert_eq!(mask.len(), rows * columns);
            (0..mask.len()).filter(|&at| mask[at]).collect()
        };
        let base = TrainConfig { objective: Objective::Symmetric, ..Default::default() };
        let same = TrainConfig { ignore_same_instrument: true, ..base.clone() };
        let near = TrainConfig { ignore_within_ns: 3, ..base.clone() };
        let either =
            TrainConfig { ignore_same_instrument: true, ignore_within_ns: 3, ..base.clone() };
        // rows are anchors, columns positives: (0, 1) and (1, 0) share an instrument
        assert_eq!(set(&same, &keys, &[]), [1, 3]);
        // |103 - 105| < 3, over the instruments; the pairs themselves stay
        assert_eq!(set(&near, &keys, &[]), [6]);
        assert_eq!(set(&either, &keys, &[]), [1, 3, 6]);
        // A radius of 2 is not reached by a distance of 2.
        assert_eq!(set(&TrainConfig { ignore_within_ns: 2, ..base }, &keys, &[]), [0; 0]);

        let objective = Objective::InfoNce;
        let queued = [(7, Some(500)), (8, Some(101)), (9, None)].map(|(instrument, ts)| QueueKey {
            instrument,
            group: 5,
            place: at(ts),
        });
        let found = set(&TrainConfig { objective, ..either.clone() }, &keys, &queued);
        // six columns: the queue's first row is of instrument 7, its second of 8 and near 100
        assert_eq!(found, [1, 3, 4, 6, 9, 12, 16]);

        let objective = Objective::Decoupled;
        // all four pairings of views: the anchors at 100 and 103 are 3 apart, which is not near
        assert_eq!(set(&TrainConfig { objective, ..near }, &keys, &[]), [2, 6]);
    }
}
