//! Which sample comes at which position: pure functions of seed, epoch, rank and position.
//!
//! Nothing is stored, so an order over billions of samples costs no memory and starts at once,
//! and any position can be asked for: workers and resumed epochs need no shared state.

use std::{collections::BTreeMap, sync::Arc};

use lob_metrics::stats::SplitMix64;

use crate::{Dataset, LoaderConfig, LoaderError, Sampler, ShardTail, Shuffle};

/// The samples of an epoch as a sampler picks them.
#[derive(Debug, Clone)]
pub(crate) enum Pick {
    All(u64),
    Subset(Arc<[u64]>),
    /// Sums of the weights up to and with each sample.
    Weighted(Arc<[f64]>),
    /// The samples of each class, none empty, and the size of the largest.
    Balanced(Arc<[Vec<u64>]>, u64),
}

impl Pick {
    pub(crate) fn new(sampler: &Sampler, dataset: &Dataset) -> Result<Self, LoaderError> {
        let refuse = |option, found: String, expected: &str| {
            Err(LoaderError::Config { option, found, expected: expected.to_owned() })
        };
        match sampler {
            Sampler::All => Ok(Self::All(dataset.len())),
            Sampler::Subset(indices) => match indices.iter().max() {
                None => refuse("sampler", "an empty subset".to_owned(), "at least one sample"),
                Some(&index) if index >= dataset.len() => {
                    Err(LoaderError::OutOfRange { index, len: dataset.len() })
                }
                Some(_) => Ok(Self::Subset(Arc::clone(indices))),
            },
            Sampler::Weighted(weights) => {
                if weights.len() as u64 != dataset.len() {
                    let expected = format!("`{}`, one for each sample", dataset.len());
                    return refuse("sampler", format!("{} weights", weights.len()), &expected);
                }
                if let Some(bad) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
                    return refuse("sampler", format!("weight {bad}"), "a number not below 0");
                }
                let mut sum = 0.0;
                let sums: Arc<[f64]> = weights
                    .iter()
                    .map(|weight| {
                        sum += weight;
                        sum
                    })
                    .collect();
                if !(sum > 0.0 && sum.is_finite()) {
                    return refuse("sampler", format!("weights of sum {sum}"), "a sum above 0");
                }
                Ok(Self::Weighted(sums))
            }
            Sampler::Balanced => {
                let mut classes: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
                for index in 0..dataset.len() {
                    if let Some(label) = dataset.label(index)? {
                        classes.entry(label).or_default().push(index);
                    }
                }
                let largest = classes.values().map(Vec::len).max().unwrap_or(0);
                if largest == 0 {
                    let expected = "a store with labels; convert with a label rule that fits";
                    return refuse("sampler", "balanced without a label".to_owned(), expected);
                }
                Ok(Self::Balanced(classes.into_values().collect(), largest as u64))
            }
        }
    }

    /// Samples of an epoch.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::All(n) => *n,
            Self::Subset(indices) => indices.len() as u64,
            Self::Weighted(sums) => sums.len() as u64,
            Self::Balanced(classes, largest) => classes.len() as u64 * largest,
        }
    }

    /// The data set's index of pick `at`, which is below `len`, in the epoch of this key.
    fn index(&self, at: u64, key: u64) -> u64 {
        // Positions in slices: below their lengths, which are a usize.
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Self::All(_) => at,
            Self::Subset(indices) => indices[place(at)],
            Self::Weighted(sums) => {
                // 52 random bits: a share below 1 even after rounding.
                #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
                let share = (mix(key ^ mix(at ^ 0xd1ce)) >> 12) as f64 / (1_u64 << 52) as f64;
                let wanted = share * sums[sums.len() - 1];
                sums.partition_point(|&sum| sum <= wanted) as u64
            }
            Self::Balanced(classes, _) => {
                let n = classes.len() as u64;
                let (class, turn) = (at % n, at / n);
                let samples = &classes[place(class)];
                let len = samples.len() as u64;
                // Another order of the class in each of its rounds.
                let key = mix(key ^ mix(class ^ (turn / len) << 32));
                samples[place(Permutation::new(len, key).get(turn % len))]
            }
        }
    }
}

/// The order of one epoch as one rank sees it.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pick: Pick,
    /// Samples of the epoch.
    total: u64,
    /// Samples of them in use, at least 1.
    used: u64,
    shuffle: Shuffle,
    seed: u64,
    epoch: u64,
    rank: u64,
    world_size: u64,
    /// Samples of this rank.
    len: u64,
}

impl Order {
    pub(crate) fn new(total: u64, config: &LoaderConfig, epoch: u64) -> Self {
        Self::of(Pick::All(total), config, epoch)
    }

    pub(crate) fn of(pick: Pick, config: &LoaderConfig, epoch: u64) -> Self {
        let total = pick.len();
        let used = used(total, config.sample_fraction);
        let len = match config.shard_tail {
            ShardTail::Pad => used.div_ceil(config.world_size),
            ShardTail::Drop => used / config.world_size,
        };
        Self {
            pick,
            total,
            used,
            shuffle: config.shuffle,
            seed: config.seed,
            epoch,
            rank: config.rank,
            world_size: config.world_size,
            len,
        }
    }

    /// The same in another epoch, which has as many samples.
    pub(crate) fn in_epoch(&self, epoch: u64) -> Self {
        Self { epoch, ..self.clone() }
    }

    /// Samples of this rank.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The data set's index of the sample at `position` of this rank, which is below `len`.
    pub(crate) fn index(&self, position: u64) -> u64 {
        // Padding repeats the start of the epoch's order.
        let at = (position * self.world_size + self.rank) % self.used;
        let key = mix(self.seed ^ mix(self.epoch.wrapping_add(1)));
        let at = match self.shuffle {
            Shuffle::Sequential => at,
            Shuffle::Full => Permutation::new(self.used, key).get(at),
            Shuffle::Blocks(rows) => blocks(self.used, rows.max(1), key, at),
        };
        self.pick.index(self.spread(at), key)
    }

    /// How well batches are mixed: the mean distance in the data set between two samples of a
    /// batch, over that of two samples drawn at random from all. Of at most 256 batches.
    pub(crate) fn quality(&self, batch_size: u64) -> f64 {
        let n_batches = self.len.div_ceil(batch_size.max(1));
        let step = n_batches.div_ceil(256).max(1);
        let (mut of_batches, mut n_pairs, mut all) = (0.0, 0.0, Vec::new());
        for batch in (0..n_batches).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let start = batch * batch_size;
            let positions = start..self.len.min(start.saturating_add(batch_size));
            let mut indices: Vec<u64> = positions.map(|position| self.index(position)).collect();
            let (distances, pairs) = pair_distances(&mut indices);
            of_batches += distances;
            n_pairs += pairs;
            all.extend(indices);
        }
        let (distances, pairs) = match self.pick {
            // Known, where the sum over a few batches would only be an estimate.
            #[expect(clippy::cast_precision_loss, reason = "a ratio")]
            Pick::All(n) => ((n + 1) as f64 / 3.0, 1.0),
            _ => pair_distances(&mut all),
        };
        if n_pairs > 0.0 && distances > 0.0 {
            of_batches / n_pairs / (distances / pairs)
        } else {
            1.0
        }
    }

    /// The data set's index of sample `at` of those in use: one of each of `used` equal parts.
    fn spread(&self, at: u64) -> u64 {
        let edge = |at: u64| {
            let edge = u128::from(at) * u128::from(self.total) / u128::from(self.used);
            u64::try_from(edge).unwrap_or(self.total)
        };
        let (start, end) = (edge(at), edge(at + 1));
        start + mix(self.seed ^ mix(at ^ 0x5eed)) % (end - start).max(1)
    }
}

/// The sum of the distances of all pairs, and their number. Sorts.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn pair_distances(indices: &mut [u64]) -> (f64, f64) {
    indices.sort_unstable();
    let n = indices.len() as f64;
    // The one at place i of n is above i others and below n - 1 - i.
    let signed = indices.iter().enumerate().map(|(i, &at)| at as f64 * (2.0 * i as f64 + 1.0 - n));
    (signed.sum(), n * (n - 1.0).max(0.0) / 2.0)
}

/// The samples in use: the nearest whole number, but at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of at most 1 of a count, rounded"
)]
fn used(total: u64, fraction: f64) -> u64 {
    if fraction >= 1.0 {
        return total;
    }
    ((total as f64 * fraction).round() as u64).clamp(1, total.max(1))
}

/// Blocks of neighbours in a permuted order, each permuted inside. The blocks start at another
/// sample in every epoch; the short one comes last.
fn blocks(n: u64, rows: u64, key: u64, at: u64) -> u64 {
    let n_full = n / rows;
    let block = at / rows;
    let (block, len) = if block < n_full {
        (Permutation::new(n_full, key).get(block), rows)
    } else {
        (n_full, n % rows)
    };
    let inside = Permutation::new(len, mix(key ^ block)).get(at % rows);
    let shift = mix(key ^ 0xb10c) % n;
    let sum = u128::from(block * rows + inside) + u128::from(shift);
    u64::try_from(sum % u128::from(n)).unwrap_or(0)
}

/// A keyed permutation of `0..n` computed number by number: a Feistel network over the next even
/// power of two, walked until it lands inside (Black and Rogaway 2002, cycle walking).
#[derive(Debug, Clone, Copy)]
struct Permutation {
    n: u64,
    key: u64,
    half_bits: u32,
}

/// Rounds of the network; four suffice in theory (Luby and Rackoff 1988).
const ROUNDS: u64 = 6;

impl Permutation {
    fn new(n: u64, key: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        Self { n, key, half_bits: bits.div_ceil(2).max(1) }
    }

    fn get(self, at: u64) -> u64 {
        let mut at = at;
        loop {
            at = self.network(at);
            if at < self.n {
                return at;
            }
        }
    }

    fn network(self, at: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (at >> self.half_bits, at & mask);
        for round in 0..ROUNDS {
            let next = left ^ mix(self.key ^ mix(right ^ round << 56)) & mask;
            (left, right) = (right, next);
        }
        left << self.half_bits | right
    }
}

/// Spreads a number over all bits.
fn mix(z: u64) -> u64 {
    SplitMix64::new(z).next_u64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn all(total: u64, config: &LoaderConfig, epoch: u64) -> Vec<u64> {
        let order = Order::new(total, config, epoch);
        (0..order.len()).map(|position| order.index(position)).collect()
    }

    proptest! {
        #[test]
        fn every_order_is_a_permutation(
            total in 1_u64..600,
            rows in 1_u64..50,
            seed: u64,
            epoch: u64,
        ) {
            for shuffle in [Shuffle::Sequential, Shuffle::Full, Shuffle::Blocks(rows)] {
                let config = LoaderConfig { shuffle, seed, ..LoaderConfig::default() };
                let mut order = all(total, &config, epoch);
                order.sort_unstable();
                prop_assert_eq!(order, (0..total).collect::<Vec<_>>());
            }
        }

        #[test]
        fn shards_are_disjoint_complete_and_equally_long(
            total in 1_u64..300,
            world_size in 1_u64..9,
            fraction in 0.01_f64..=1.0,
            seed: u64,
        ) {
            let used = used(total, fraction);
            for shard_tail in [ShardTail::Pad, ShardTail::Drop] {
                let shard = |rank| {
                    let config = LoaderConfig {
                        shard_tail, rank, world_size, seed, sample_fraction: fraction,
                        ..LoaderConfig::default()
                    };
                    all(total, &config, 3)
                };
                let shards: Vec<_> = (0..world_size).map(shard).collect();
                prop_assert!(shards.iter().all(|shard| shard.len() == shards[0].len()));
                let n: usize = shards.iter().map(Vec::len).sum();
                let distinct: BTreeSet<_> = shards.iter().flatten().collect();
                let n_distinct = distinct.len() as u64;
                match shard_tail {
                    ShardTail::Pad => {
                        prop_assert_eq!(n_distinct, used);
                        prop_assert!((n as u64 - used) < world_size);
                    }
                    ShardTail::Drop => {
                        prop_assert_eq!(n_distinct, n as u64);
                        prop_assert!(used - n_distinct < world_size);
                    }
                }
            }
        }
    }

    #[test]
    fn a_fraction_is_spread_evenly_and_never_empty() {
        let check = |total, fraction, expected: usize| {
            let config = LoaderConfig { sample_fraction: fraction, ..LoaderConfig::default() };
            let mut first = all(total, &config, 0);
            let mut second = all(total, &config, 1);
            assert_eq!(first.len(), expected, "{fraction} of {total}");
            first.sort_unstable();
            second.sort_unstable();
            assert_eq!(first, second, "the same samples in every epoch");
            let parts = first.iter().map(|&at| at * expected as u64 / total);
            assert!(parts.eq(0..expected as u64), "one in each part: {first:?}");
        };
        check(1_000, 0.1, 100);
        check(1_000, 0.05, 50);
        check(1_000, 1e-9, 1);
        check(3, 0.05, 1);
        check(7, 1.0, 7);
    }

    #[test]
    fn a_shuffle_leaves_neighbours_apart_and_has_no_drift() {
        let n = 10_000_u64;
        let order = all(n, &LoaderConfig::default(), 0);
        // A uniform permutation of n keeps a mean distance of n / 3 between neighbours and has
        // about one fixed point; six standard deviations are allowed.
        let gaps: u64 = order.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
        let mean = gaps as f64 / (n - 1) as f64;
        assert!((mean / (n as f64 / 3.0) - 1.0).abs() < 0.045, "{mean}");
        let n_fixed = (0..).zip(&order).filter(|(at, index)| at == *index).count();
        assert!(n_fixed < 8, "{n_fixed}");
        let first_half: u64 = order[..5_000].iter().sum();
        assert!((first_half as f64 / (5_000.0 * 4_999.5) - 1.0).abs() < 0.04, "{first_half}");
        let same = all(n, &LoaderConfig::default(), 1);
        let n_same = order.iter().zip(&same).filter(|(a, b)| a == b).count();
        assert!(n_same < 8, "{n_same} samples at the same place in the next epoch");
    }

    #[test]
    fn quality_tells_shuffles_apart() {
        let quality = |shuffle| {
            let config = LoaderConfig { shuffle, ..LoaderConfig::default() };
            Order::new(100_000, &config, 1).quality(32)
        };
        // Neighbours: pairs of a batch of 32 are 11 apart on average, of 100,000 a third of that.
        assert!((quality(Shuffle::Sequential) - 33.0 / 100_001.0).abs() < 1e-9);
        assert!((quality(Shuffle::Full) - 1.0).abs() < 0.05, "{}", quality(Shuffle::Full));
        let (short, long) = (quality(Shuffle::Blocks(4)), quality(Shuffle::Blocks(64)));
        assert!(long < 0.6 && short > 0.8 && short < 1.0, "{long} {short}");
    }

    #[test]
    fn weights_set_the_shares_of_draws() {
        let sums: Arc<[f64]> = [1.0, 1.0, 4.0, 4.0].into();
        let draws = |epoch| {
            let config = LoaderConfig::default();
            let pick = Pick::Weighted(Arc::clone(&sums));
            (0..4_000_u64).map(move |at| pick.index(at, mix(config.seed ^ epoch)))
        };
        let count = |index| draws(1).filter(|at| *at == index).count();
        assert_eq!((count(1), count(3)), (0, 0), "weights of zero");
        // 1,000 expected, with a standard deviation of 27.
        assert!(count(0).abs_diff(1_000) < 160, "{}", count(0));
        assert_eq!(count(0) + count(2), 4_000);
        assert!(!draws(1).eq(draws(2)), "drawn anew");
    }

    #[test]
    fn balanced_classes_come_equally_often() {
        let classes: Arc<[Vec<u64>]> = [vec![0, 1, 2, 3, 4, 5, 6], vec![10, 11], vec![20]].into();
        let pick = Pick::Balanced(classes, 7);
        for shuffle in [Shuffle::Sequential, Shuffle::Full] {
            let config = LoaderConfig { shuffle, ..LoaderConfig::default() };
            let order = Order::of(pick.clone(), &config, 2);
            let mut counts = BTreeMap::new();
            for position in 0..order.len() {
                *counts.entry(order.index(position)).or_insert(0) += 1;
            }
            assert_eq!(order.len(), 21);
            assert!((0..7).all(|index| counts[&index] == 1), "{counts:?}");
            assert_eq!((counts[&10] + counts[&11], counts[&20]), (7, 7));
            assert!(counts[&10] == 3 || counts[&10] == 4);
        }
    }

    #[test]
    fn a_batch_of_a_block_shuffle_touches_few_blocks() {
        let config = LoaderConfig { shuffle: Shuffle::Blocks(64), ..LoaderConfig::default() };
        let order = all(1_000, &config, 2);
        for batch in order.chunks(32) {
            // Neighbours lie within a block of 64 from an unknown start: two blocks at most.
            let spans: BTreeSet<_> = batch.iter().map(|index| index / 64).collect();
            assert!(spans.len() <= 4, "{spans:?}");
        }
    }
}
