//! The hidden state of the market: what a learner may find.

use crate::rng::Rng;

/// How the market behaves while it is in one state.
#[derive(Debug)]
pub(crate) struct Regime {
    /// Pace of events, in % of the normal one.
    pub(crate) pace: u64,
    /// Size that queues return to, in % of the instrument's.
    pub(crate) depth: u32,
    /// Chance that an event at a spread above one tick closes it, in 1/1,000.
    pub(crate) refill: u32,
    /// Chance that an event is a market order, in 1/1,000.
    pub(crate) market: u32,
    /// Chance that a market order sweeps whole levels, in 1/1,000.
    pub(crate) sweep: u32,
    /// Chance of leaving the state at a burst of events, in 1/10,000.
    leave: u32,
    /// Weights of the states that follow.
    next: [u32; 4],
}

/// Calm, normal, busy, stressed: a Markov chain over bursts of events.
const REGIMES: [Regime; 4] = [
    Regime {
        pace: 55,
        depth: 150,
        refill: 300,
        market: 50,
        sweep: 70,
        leave: 8,
        next: [0, 9, 1, 0],
    },
    Regime {
        pace: 100,
        depth: 100,
        refill: 240,
        market: 62,
        sweep: 110,
        leave: 10,
        next: [5, 0, 4, 1],
    },
    Regime {
        pace: 220,
        depth: 70,
        refill: 190,
        market: 72,
        sweep: 160,
        leave: 20,
        next: [1, 7, 0, 2],
    },
    Regime {
        pace: 350,
        depth: 35,
        refill: 140,
        market: 80,
        sweep: 240,
        leave: 60,
        next: [0, 3, 7, 0],
    },
];

/// Weights add up to 10 in every state.
const NEXT_TOTAL: u32 = 10;

/// The current state.
#[derive(Clone, Debug)]
pub(crate) struct RegimeChain {
    state: usize,
}

impl RegimeChain {
    pub(crate) fn new() -> Self {
        Self { state: 1 }
    }

    pub(crate) fn now(&self) -> &'static Regime {
        &REGIMES[self.state]
    }

    /// Its number.
    pub(crate) fn number(&self) -> u8 {
        u8::try_from(self.state).unwrap_or(u8::MAX)
    }

    /// One burst has passed.
    pub(crate) fn step(&mut self, rng: &mut Rng) {
        let regime = self.now();
        if rng.below(10_000) < regime.leave {
            self.state = rng.weighted(&regime.next, NEXT_TOTAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_visited_and_none_for_ever() {
        let (mut rng, mut chain) = (Rng::new(5, 5), RegimeChain::new());
        let mut bursts = [0u32; 4];
        for _ in 0..1_000_000 {
            chain.step(&mut rng);
            bursts[chain.state] += 1;
        }
        assert!(bursts.iter().all(|&n| n > 10_000), "{bursts:?}");
        assert!(REGIMES.iter().all(|r| r.next.iter().sum::<u32>() == NEXT_TOTAL));
    }
}
