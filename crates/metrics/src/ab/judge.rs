//! Verdicts on several metrics of one sitting.

use crate::stats::{
    PairedConfig, PairedResult, PairedVerdict, benjamini_hochberg, paired_test, quantile,
};
use crate::{AbMetric, AbResult, AbSamples, Direction};

/// Judges every metric of a sitting. Timings go through [`paired_test`] with the sitting's own A/A
/// noise; a verdict on them stands only if it survives Benjamini and Hochberg's adjustment over all
/// of them at the level of the interval. Exact metrics are held against each other directly.
///
/// A metric without enough values has no entry.
#[must_use]
pub fn judge_metrics(samples: &[AbSamples], config: &PairedConfig) -> Vec<AbResult> {
    let mut results: Vec<AbResult> = samples
        .iter()
        .filter_map(|s| match s.metric.exact {
            Some(tolerance) => exact(s, tolerance),
            None => resampled(s, config),
        })
        .collect();
    let tested: Vec<f64> = results.iter().filter_map(|r| r.p_value).collect();
    let mut q_values = benjamini_hochberg(&tested).into_iter();
    for result in results.iter_mut().filter(|r| r.p_value.is_some()) {
        result.q_value = q_values.next();
        let is_clear = result.q_value.is_some_and(|q| q <= 1.0 - config.confidence);
        let is_blame = result.verdict != PairedVerdict::Equivalent;
        if is_blame && !is_clear {
            result.verdict = PairedVerdict::Inconclusive;
        }
    }
    results
}

fn resampled(samples: &AbSamples, config: &PairedConfig) -> Option<AbResult> {
    let rising = samples.metric.direction == Direction::HigherIsBetter;
    // The test judges costs: of a rate, the cost is the time one unit takes.
    let cost = |pair: &(f64, f64)| if rising { (1.0 / pair.0, 1.0 / pair.1) } else { *pair };
    let blocks: Vec<Vec<(f64, f64)>> =
        samples.blocks.iter().map(|block| block.iter().map(cost).collect()).collect();
    let noise_floor = noise_floor(&samples.again);
    let PairedResult { effect, interval: [low, high], p_value, min_effect, verdict } =
        paired_test(&blocks, &PairedConfig { noise_floor, ..*config })?;
    let back = |cost: f64| 1.0 / (1.0 + cost) - 1.0;
    let (effect, interval) =
        if rising { (back(effect), [back(high), back(low)]) } else { (effect, [low, high]) };
    Some(AbResult {
        effect,
        interval,
        min_effect,
        noise_floor,
        p_value: Some(p_value),
        verdict,
        ..medians(samples)?
    })
}

/// Figures that repeat: a difference counts when the two ranges do not even touch and the medians
/// are further apart than the tolerance.
fn exact(samples: &AbSamples, tolerance: f64) -> Option<AbResult> {
    let found = medians(samples)?;
    let is_known = |pair: &(f64, f64)| pair.0.is_finite() && pair.1.is_finite();
    if !samples.blocks.iter().flatten().all(is_known) {
        // Figures that repeat do not go missing: nothing is called equal by leaving them out.
        return Some(found);
    }
    let side = |pick: fn(&(f64, f64)) -> f64| -> (f64, f64) {
        let values = samples.blocks.iter().flatten().map(pick);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let (baseline, candidate) = (side(|p| p.0), side(|p| p.1));
    let apart = candidate.0 > baseline.1 || candidate.1 < baseline.0;
    let rises = found.candidate > found.baseline;
    let is_worse = rises == (samples.metric.direction != Direction::HigherIsBetter);
    // From nothing to nothing is no change; from nothing to something is beyond every tolerance.
    let ratio = |a: f64, b: f64| if a.total_cmp(&b).is_eq() { 0.0 } else { b / a - 1.0 };
    let effect = ratio(found.baseline, found.candidate);
    let verdict = match apart && effect.abs() > tolerance {
        false => PairedVerdict::Equivalent,
        true if is_worse => PairedVerdict::Regression,
        true => PairedVerdict::Improvement,
    };
    Some(AbResult {
        effect,
        interval: [ratio(baseline.1, candidate.0), ratio(baseline.0, candidate.1)],
        min_effect: tolerance,
        noise_floor: ratio(baseline.0, baseline.1),
        verdict,
        ..found
    })
}

/// A result with the medians of both sides and nothing decided.
fn medians(samples: &AbSamples) -> Option<AbResult> {
    let side = |pick: fn(&(f64, f64)) -> f64| {
        quantile(&samples.blocks.iter().flatten().map(pick).collect::<Vec<f64>>(), 0.5)
    };
    let metric: AbMetric = samples.metric.clone();
    Some(AbResult {
        metric,
        baseline: side(|p| p.0)?,
        candidate: side(|p| p.1)?,
        effect: 0.0,
        interval: [0.0, 0.0],
        min_effect: 0.0,
        noise_floor: 0.0,
        p_value: None,
        q_value: None,
        verdict: PairedVerdict::Inconclusive,
    })
}

/// How far the baseline differs from itself: the median ratio of the second to the first of two
/// baseline runs, as a share.
fn noise_floor(again: &[(f64, f64)]) -> f64 {
    let ratios: Vec<f64> = again.iter().map(|(first, second)| (second / first).ln()).collect();
    quantile(&ratios, 0.5).map_or(0.0, |median| median.exp_m1().abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    fn samples(direction: Direction, exact: Option<f64>, pairs: &[(f64, f64)]) -> AbSamples {
        AbSamples {
            metric: AbMetric { name: "x".to_owned(), unit: Unit::Count, direction, exact },
            blocks: pairs.chunks(4).map(<[(f64, f64)]>::to_vec).collect(),
            again: vec![(1.0, 1.0); 4],
        }
    }

    fn verdict(samples: AbSamples) -> (PairedVerdict, f64) {
        let found = judge_metrics(&[samples], &PairedConfig::default());
        (found[0].verdict, found[0].effect)
    }

    /// Leaving out what is no number would call the rest equal.
    #[test]
    fn figures_that_go_missing_are_not_called_equal() {
        let same = [(1000.0, 1000.0); 4];
        for odd in [(1000.0, f64::NAN), (f64::NAN, 1000.0), (1000.0, f64::INFINITY)] {
            let mut pairs = same;
            pairs[2] = odd;
            let found = verdict(samples(Direction::LowerIsBetter, Some(0.0), &pairs));
            assert_eq!(found.0, PairedVerdict::Inconclusive, "{odd:?}");
        }
    }

    #[test]
    fn exact_figures_are_held_against_each_other_directly() {
        use Direction::{HigherIsBetter as Higher, LowerIsBetter as Lower};
        use PairedVerdict::{Equivalent, Improvement, Regression};
        for (direction, tolerance, pair, expected) in [
            (Lower, 0.0, (1000.0, 1000.0), Equivalent),
            (Lower, 0.0, (1000.0, 1001.0), Regression),
            (Lower, 0.0, (1000.0, 999.0), Improvement),
            (Lower, 0.05, (1000.0, 1049.0), Equivalent),
            (Lower, 0.05, (1000.0, 1051.0), Regression),
            (Higher, 0.0, (1000.0, 1001.0), Improvement),
            (Lower, 0.0, (0.0, 0.0), Equivalent),
            (Lower, 0.0, (0.0, 1.0), Regression),
        ] {
            let found = verdict(samples(direction, Some(tolerance), &[pair; 8])).0;
            assert_eq!(found, expected, "{direction:?} {pair:?}");
        }
        let touching = [(100.0, 109.0), (110.0, 120.0), (100.0, 130.0), (110.0, 140.0)];
        assert_eq!(verdict(samples(Lower, Some(0.0), &touching)).0, Equivalent);
    }

    #[test]
    fn a_rate_that_falls_is_a_regression_with_its_own_sign() {
        let falling: Vec<(f64, f64)> = (0..20).map(|i| (100.0, 80.0 + f64::from(i % 3))).collect();
        let (found, effect) = verdict(samples(Direction::HigherIsBetter, None, &falling));
        assert_eq!(found, PairedVerdict::Regression);
        assert!((effect + 0.19).abs() < 0.02, "{effect}");
        let (found, _) = verdict(samples(Direction::LowerIsBetter, None, &falling));
        assert_eq!(found, PairedVerdict::Improvement);
    }

    #[test]
    fn many_metrics_must_each_be_clearer() {
        // Barely beyond the level of a single test.
        let weak: Vec<(f64, f64)> = (0..20)
            .map(|i| (100.0, if i % 4 == 0 { 96.0 } else { 105.0 + f64::from(i) }))
            .collect();
        let weak = samples(Direction::LowerIsBetter, None, &weak);
        let config = PairedConfig { resamples: 300, ..PairedConfig::default() };
        let alone = judge_metrics(std::slice::from_ref(&weak), &config);
        let p_value = alone[0].p_value.unwrap();
        let flat: Vec<(f64, f64)> = (0..20).map(|i| (100.0, 99.0 + f64::from(i % 3))).collect();
        let flat = samples(Direction::LowerIsBetter, None, &flat);
        let mut crowd = vec![weak];
        crowd.extend(std::iter::repeat_n(flat, 40));
        let among = judge_metrics(&crowd, &config);
        assert!(among[0].q_value.unwrap() > p_value);
        assert_eq!(alone[0].verdict, PairedVerdict::Regression);
        assert_eq!(among[0].verdict, PairedVerdict::Inconclusive);
    }
}
