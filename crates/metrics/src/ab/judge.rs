//! Verdicts on several metrics of one sitting.

use crate::stats::{
    PairedConfig, PairedResult, PairedVerdict, benjamini_hochberg, paired_test, quantile,
};
use crate::{AbMetric, AbResult, AbSamples, Direction};

/// Judges every metric of a sitting. Timings go through [`paired_test`] with the sitting's own A/A
/// noise; a verdict on them stands only if it survives Benjamini and Hochberg's adjustment over all
/// of them at the level of the interval. Exact metrics are held against each other directly where
/// they repeat, and tested by themselves where they vary.
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
    let noise_floor = noise_floor(samples);
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

/// Figures that repeat. Where each side always says the same, the two are held against each other
/// directly, and the interval is the difference itself. Where a side varies, its launches are tested
/// as timings are, with the tolerance as the smallest effect, so that interval and verdict agree.
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
    let varies = |side: (f64, f64)| side.1 > side.0;
    if (varies(baseline) || varies(candidate)) && baseline.0.min(candidate.0) > 0.0 {
        return varying(samples, tolerance).or(Some(found));
    }
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
    Some(AbResult { effect, interval: [effect; 2], min_effect: tolerance, verdict, ..found })
}

/// Figures that nearly repeat, all above zero.
fn varying(samples: &AbSamples, tolerance: f64) -> Option<AbResult> {
    let config = PairedConfig { min_effect: tolerance, ..PairedConfig::default() };
    let found = resampled(samples, &config)?;
    let [low, high] = found.interval;
    // Both bounds count: a difference of exactly nothing is within a tolerance of nothing.
    let is_within = low >= -tolerance && high <= tolerance;
    let verdict = if is_within { PairedVerdict::Equivalent } else { found.verdict };
    // The test has settled it alone: these are not adjusted for being many.
    Some(AbResult { verdict, p_value: None, ..found })
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
        not_judged: false,
    })
}

/// Median of |Z| of a standard normal Z.
const MEDIAN_DEVIATION: f64 = 0.674_49;
/// Standard error of the median of n normal values times the root of n (Kenney and Keeping,
/// "Mathematics of Statistics", 1962, 13.13): the root of half of pi.
const MEDIAN_ERROR: f64 = 1.253_314;

/// How far chance alone moves the median of this many pairs, as a share: its standard error, by the
/// spread of one side against itself. The spread is a median of sizes, without their signs: those
/// cancel, and their median is near zero by symmetry whatever the noise.
fn noise_floor(samples: &AbSamples) -> f64 {
    let sizes: Vec<f64> =
        samples.again.iter().map(|(first, second)| (second / first).ln().abs()).collect();
    let pairs = samples.blocks.iter().map(Vec::len).sum::<usize>().max(1);
    let spread = quantile(&sizes, 0.5).unwrap_or(0.0) / MEDIAN_DEVIATION;
    (MEDIAN_ERROR * spread / (pairs as f64).sqrt()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    fn samples(direction: Direction, exact: Option<f64>, pairs: &[(f64, f64)]) -> AbSamples {
        AbSamples {
            metric: AbMetric {
                name: "x".to_owned(),
                unit: Unit::Count,
                direction,
                exact,
                on_wall_clock: false,
            },
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
    }

    /// What is printed beside a verdict must not contradict it.
    #[test]
    fn figures_that_nearly_repeat_have_an_interval_that_agrees_with_the_verdict() {
        use PairedVerdict::{Equivalent, Inconclusive, Regression};
        let judged = |tolerance: f64, pairs: &[(f64, f64)]| {
            let samples = samples(Direction::LowerIsBetter, Some(tolerance), pairs);
            judge_metrics(&[samples], &PairedConfig::default()).remove(0)
        };
        // The ranges touch in all of them.
        let wide: Vec<(f64, f64)> =
            (0..20).map(|i| (100.0 + f64::from(i % 5), 101.0 + f64::from(i % 4))).collect();
        let apart: Vec<(f64, f64)> =
            (0..20).map(|i| (100.0 + f64::from(i % 5), 110.0 - f64::from(i % 7))).collect();
        let once: Vec<(f64, f64)> =
            (0..20).map(|i| (100.0, if i == 7 { 101.0 } else { 100.0 })).collect();
        let torn: Vec<(f64, f64)> =
            (0..20).map(|i| (100.0, if i % 2 == 0 { 80.0 } else { 130.0 })).collect();
        for (name, tolerance, pairs, expected) in [
            ("wide", 0.05, &wide, Equivalent),
            ("apart", 0.03, &apart, Regression),
            ("once in twenty", 0.0, &once, Equivalent),
            ("torn", 0.05, &torn, Inconclusive),
        ] {
            let found = judged(tolerance, pairs);
            assert_eq!(found.verdict, expected, "{name}: {found:?}");
            let [low, high] = found.interval;
            let within = low >= -tolerance && high <= tolerance;
            assert_eq!(within, expected == Equivalent, "{name}: {found:?}");
            assert!(expected != Regression || low > 0.0, "{name}: {found:?}");
        }
        let constant = judged(0.05, &[(100.0, 104.0); 8]);
        assert!(
            (constant.interval[0] - 0.04).abs() < 1e-12
                && constant.interval[0].to_bits() == constant.interval[1].to_bits()
        );
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
