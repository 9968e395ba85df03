//! Which sample comes at which position: pure functions of seed, epoch, rank and position.
//!
//! Nothing is stored, so an order over billions of samples costs no memory and starts at once,
//! and any position can be asked for: workers and resumed epochs need no shared state.

use crate::{LoaderConfig, ShardTail, Shuffle};

/// The order of one epoch as one rank sees it.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Samples in the data set.
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
        let used = used(total, config.sample_fraction);
        let len = match config.shard_tail {
            ShardTail::Pad => used.div_ceil(config.world_size),
            ShardTail::Drop => used / config.world_size,
        };
        Self {
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
        self.spread(at)
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

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
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
