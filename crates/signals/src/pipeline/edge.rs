use std::collections::VecDeque;

use crate::{Quote, spread};

/// Rows of a block of time, in horizons: trades of different blocks hardly share a future.
const BLOCK_HORIZONS: u64 = 10;

/// Blocks with trades below which no interval is given.
const MIN_BLOCKS: usize = 10;

/// What trades brought before costs, in price steps.
///
/// The gross edge of a trade is the sign of the change of position times the change of the mid from
/// the trade to the horizon. Who takes liquidity pays half a spread on top, and fees.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Edge {
    /// Changes of position.
    pub n_trades: u64,
    /// Those with a mid at the horizon, in the same stretch of the market: what the means are of.
    pub n_scored: u64,
    /// Mean gross edge; NaN without a scored trade.
    pub gross_ticks: f64,
    /// Its 95 % interval by blocks of time, where there are enough of them.
    pub ci95: Option<[f64; 2]>,
    /// Mean half-spread at the trades; NaN without a scored trade.
    pub half_spread_ticks: f64,
}

/// A trade that waits for its future.
#[derive(Debug, Clone, Copy)]
struct Pending {
    due: u64,
    sign: f64,
    mid: f64,
    half_spread: f64,
}

/// Sums over the scored trades of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    n: f64,
    edge: f64,
    half_spread: f64,
}

/// Follows the trades of one instrument, one row at a time, in a memory of a horizon and of one
/// block for every ten of them.
#[derive(Debug, Clone)]
pub struct EdgeMeter {
    horizon: u64,
    row: u64,
    pending: VecDeque<Pending>,
    blocks: Vec<Block>,
    n_trades: u64,
}

impl EdgeMeter {
    /// Looks `horizon` rows ahead of each trade, at least one.
    #[must_use]
    pub fn new(horizon: usize) -> Self {
        let horizon = (horizon as u64).max(1);
        Self { horizon, row: 0, pending: VecDeque::new(), blocks: Vec::new(), n_trades: 0 }
    }

    /// The next row and the units traded at it.
    pub fn push(&mut self, quote: Quote, trade: i32) {
        let mid = quote.mid();
        while let Some(old) = self.pending.front().filter(|old| old.due <= self.row) {
            let edge = old.sign * (mid - old.mid);
            if edge.is_finite() && old.half_spread.is_finite() {
                let at = (old.due - self.horizon) / (BLOCK_HORIZONS * self.horizon);
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                if self.blocks.len() <= at {
                    self.blocks.resize(at + 1, Block::default());
                }
                let block = &mut self.blocks[at];
                block.n += 1.0;
                block.edge += edge;
                block.half_spread += old.half_spread;
            }
            self.pending.pop_front();
        }
        if trade != 0 {
            self.n_trades += 1;
            let half_spread = spread(quote) / 2.0;
            let (due, sign) = (self.row + self.horizon, f64::from(trade.signum()));
            self.pending.push_back(Pending { due, sign, mid, half_spread });
        }
        self.row += 1;
    }

    /// A break in the market: trades before it have no future.
    pub fn break_off(&mut self) {
        self.pending.clear();
    }

    /// The edge over several instruments, each with its price step in the unit of its quotes; trades
    /// of one without a price step are not scored.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub fn edge<'a>(meters: impl IntoIterator<Item = (&'a Self, f64)>) -> Edge {
        let mut blocks = Vec::new();
        let mut n_trades = 0;
        for (meter, step) in meters {
            n_trades += meter.n_trades;
            if !(step.is_finite() && step > 0.0) {
                continue;
            }
            blocks.extend(meter.blocks.iter().filter(|block| block.n > 0.0).map(|block| Block {
                n: block.n,
                edge: block.edge / step,
                half_spread: block.half_spread / step,
            }));
        }
        let sum = |of: fn(&Block) -> f64| blocks.iter().map(of).sum::<f64>();
        let n = sum(|block| block.n);
        let gross_ticks = sum(|block| block.edge) / n;
        Edge {
            n_trades,
            n_scored: n as u64,
            gross_ticks,
            ci95: interval(&blocks, gross_ticks, n),
            half_spread_ticks: sum(|block| block.half_spread) / n,
        }
    }
}

/// The mean is a ratio of sums over blocks; its variance is that of the blocks' deviations from it
/// (Cochran, Sampling Techniques, 1977, 6.4).
#[expect(clippy::cast_precision_loss, reason = "a count of blocks")]
fn interval(blocks: &[Block], mean: f64, n: f64) -> Option<[f64; 2]> {
    if blocks.len() < MIN_BLOCKS {
        return None;
    }
    let count = blocks.len() as f64;
    let squares: f64 = blocks.iter().map(|b| (b.edge - mean * b.n).powi(2)).sum();
    let error = (count / (count - 1.0) * squares).sqrt() / n;
    Some([mean - 1.96 * error, mean + 1.96 * error])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(mid: f64) -> Quote {
        Quote { bid_px: mid - 0.25, ask_px: mid + 0.25, bid_sz: 1.0, ask_sz: 1.0 }
    }

    #[test]
    fn an_edge_is_the_move_to_the_horizon_in_the_direction_of_the_trade() {
        let mut meter = EdgeMeter::new(2);
        // Buys at 100, sells at 101, and buys where no future comes.
        for (mid, trade) in [(100.0, 1), (101.0, -1), (102.0, 0), (100.5, 0), (100.0, 1)] {
            meter.push(quote(mid), trade);
        }
        meter.break_off();
        (0..5).for_each(|_| meter.push(quote(50.0), 0));
        let edge = EdgeMeter::edge([(&meter, 0.25)]);
        // +2 and +0.5, in steps of 0.25: 8 and 2.
        assert_eq!((edge.n_trades, edge.n_scored, edge.gross_ticks), (3, 2, 5.0));
        assert_eq!((edge.half_spread_ticks, edge.ci95), (1.0, None));
        let none = EdgeMeter::edge([(&EdgeMeter::new(3), 1.0)]);
        assert_eq!((none.n_trades, none.n_scored), (0, 0));
        assert!(none.gross_ticks.is_nan() && none.half_spread_ticks.is_nan());
    }

    /// Trades without skill on a walk: the interval holds 0.
    #[test]
    fn no_skill_is_no_edge() {
        let mut state = 9_u64;
        let mut coin = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33 & 1 == 1
        };
        let mut meter = EdgeMeter::new(10);
        let mut mid = 100.0;
        for row in 0..20_000 {
            mid += if coin() { 0.5 } else { -0.5 };
            let trade = if row % 7 != 0 {
                0
            } else if coin() {
                1
            } else {
                -1
            };
            meter.push(quote(mid), trade);
        }
        let edge = EdgeMeter::edge([(&meter, 0.5)]);
        let [low, high] = edge.ci95.unwrap();
        assert!(low < 0.0 && high > 0.0 && high - low < 0.6, "{edge:?}");
        assert!(edge.n_scored > 2_800, "{edge:?}");
    }

    #[test]
    fn a_quote_with_one_side_scores_nothing() {
        let mut meter = EdgeMeter::new(1);
        meter.push(quote(1.0), 1);
        meter.push(Quote { ask_px: f64::NAN, ..quote(1.0) }, 1);
        meter.push(quote(2.0), 0);
        let edge = EdgeMeter::edge([(&meter, 1.0)]);
        assert_eq!((edge.n_trades, edge.n_scored), (2, 0));
    }
}
