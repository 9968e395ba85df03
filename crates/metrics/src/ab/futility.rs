//! Whether more pairs can still bring a verdict.

use super::{AbConfig, AbResult};
use crate::stats::{normal_quantile, normal_upper_tail};

/// The chance that an open metric settles by [`AbConfig::max_pairs`], going by what it shows after
/// `pairs`: predictive power (Spiegelhalter, Freedman and Blackburn, "Monitoring clinical trials:
/// conditional or predictive power?", 1986) with every effect equally likely beforehand. The interval
/// shrinks with the root of the pairs; the effect found by then is normal around the one found now.
pub(super) fn chance_to_settle(result: &AbResult, config: &AbConfig, pairs: usize) -> f64 {
    let share = pairs as f64 / config.max_pairs.max(pairs).max(1) as f64;
    let [low, high] = result.interval;
    let half = (high - low) / 2.0;
    let error = half / normal_quantile((1.0 + config.paired.confidence) / 2.0);
    let half_at_end = half * share.sqrt();
    // Of an exact metric the tolerance, which `min_effect` never falls below.
    let equal_within = result.metric.exact.unwrap_or(config.paired.min_effect);
    let blamed_from = equal_within.max(3.0 * result.noise_floor * share.sqrt()).max(half_at_end);
    let spread = error * (1.0 - share).sqrt();
    // P(X > x) for the effect at the end.
    let above = |x: f64| {
        if spread > 0.0 {
            normal_upper_tail((x - result.effect) / spread)
        } else if result.effect > x {
            1.0
        } else {
            0.0
        }
    };
    let room = (equal_within - half_at_end).max(0.0);
    let equal = (above(-room) - above(room)).max(0.0);
    equal + above(blamed_from) + (1.0 - above(-blamed_from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::PairedVerdict;
    use crate::{AbMetric, Direction, Unit};

    fn open(effect: f64, half: f64) -> AbResult {
        let metric = AbMetric {
            name: "x".to_owned(),
            unit: Unit::Seconds,
            direction: Direction::LowerIsBetter,
            exact: None,
            on_wall_clock: false,
        };
        AbResult {
            metric,
            baseline: 1.0,
            candidate: 1.0 + effect,
            effect,
            interval: [effect - half, effect + half],
            min_effect: 0.03,
            noise_floor: half / 2.33,
            p_value: Some(0.5),
            q_value: Some(0.5),
            verdict: PairedVerdict::Inconclusive,
            not_judged: false,
        }
    }

    #[test]
    fn wide_intervals_around_nothing_are_hopeless_and_narrow_ones_are_not() {
        let config = AbConfig::default();
        let chance = |effect, half, pairs| chance_to_settle(&open(effect, half), &config, pairs);
        assert!(chance(0.0, 0.30, 40) < 0.1, "{}", chance(0.0, 0.30, 40));
        assert!(chance(0.0, 0.03, 20) > 0.8, "the interval will lie within 3 %");
        assert!(chance(0.07, 0.06, 40) > 0.5, "a difference that is about to show");
        // Between the two: neither equal nor different with the pairs there are.
        assert!(chance(0.025, 0.02, 80) < 0.2);
        assert!(chance(0.0, 0.3, 100) < 1e-9, "there are no pairs left");
    }

    #[test]
    fn more_noise_never_helps_a_difference_of_nothing() {
        let config = AbConfig::default();
        let mut last = f64::INFINITY;
        for half in [0.02, 0.04, 0.06] {
            let chance = chance_to_settle(&open(0.0, half), &config, 20);
            assert!(chance <= last + 1e-9, "{half}: {chance} after {last}");
            last = chance;
        }
    }
}
