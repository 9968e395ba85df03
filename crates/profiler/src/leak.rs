//! Does memory leak? A slope with its confidence decides; the two simple rules stand beside it.

use lob_metrics::Unit;
use lob_metrics::stats::{largest, mann_kendall, quantile, theil_sen};

/// Share of the series left out at its beginning, where a program takes the memory it needs.
const WARM_UP_SHARE: f64 = 0.25;
/// Blocks the rest is cut into. The median of each counts: neighbouring readings of memory are
/// far from independent, and the test assumes that they are.
const BLOCKS: usize = 48;
/// Blocks below which nothing is said.
const MIN_BLOCKS: usize = 8;
/// Two-sided 95 % of the normal distribution.
const Z_95: f64 = 1.96;

/// When growth counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakConfig {
    /// Bytes the trend must add over the judged part of the series.
    pub floor_bytes: f64,
    /// The same as a share of the median level; the larger of the two is the floor.
    pub floor_share: f64,
}

impl Default for LeakConfig {
    /// 4 MiB and 2 % of the level.
    fn default() -> Self {
        Self { floor_bytes: 4.0 * 1024.0 * 1024.0, floor_share: 0.02 }
    }
}

/// Whether a series of memory readings leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeakVerdict {
    /// It grows to its very end, surely and by more than the floor.
    Leak,
    /// It does not grow, or by less than the floor, or it stopped growing.
    NoLeak,
    /// Too few readings.
    Inconclusive,
}

/// A verdict with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct LeakReport {
    /// The verdict.
    pub verdict: LeakVerdict,
    /// Theil-Sen slope after the warm-up, in bytes per unit of `x` (a second, an epoch).
    pub slope: Option<f64>,
    /// 95 % confidence interval of the slope.
    pub slope_ci95: Option<[f64; 2]>,
    /// Slope times the length of the judged part, in bytes.
    pub growth_bytes: Option<f64>,
    /// The growth that counts, in bytes.
    pub floor_bytes: f64,
    /// Two-sided p-value of "no trend" (Mann-Kendall).
    pub p_value: Option<f64>,
}

impl LeakReport {
    /// The verdict in one line, with its numbers; `per` is the unit of `x`, such as `second`.
    #[must_use]
    pub fn text(&self, per: &str) -> String {
        let bytes = |value: f64| Unit::Bytes.format(value);
        let (Some(slope), Some([low, high]), Some(growth)) =
            (self.slope, self.slope_ci95, self.growth_bytes)
        else {
            return "too few memory readings to tell growth from noise".to_owned();
        };
        let verdict = match self.verdict {
            LeakVerdict::Leak => "memory grows to the end",
            _ => "no steady growth of memory",
        };
        format!(
            "{verdict}: {} per {per} (95 % CI {} to {}), {} after the warm-up, floor {}",
            bytes(slope),
            bytes(low),
            bytes(high),
            bytes(growth),
            bytes(self.floor_bytes),
        )
    }
}

/// Judges memory readings `bytes` taken at `x` (seconds, epochs; ascending).
///
/// The first quarter is left out as warm-up and the rest condensed to block medians. A leak needs
/// all of: the Theil-Sen slope's 95 % confidence interval above zero (Sen, Journal of the American
/// Statistical Association 63, 1968, section 3, with the tie-free variance of Kendall's S), growth
/// above the floor, and growth of at least a quarter of the floor in the last half alone, so that
/// a program that has merely filled its buffers is not accused.
///
/// ```
/// use lob_profiler::{LeakConfig, LeakVerdict, leak_report};
/// let x: Vec<f64> = (0..100).map(f64::from).collect();
/// let leaking: Vec<f64> = x.iter().map(|x| 1e8 + 1e6 * x).collect();
/// assert_eq!(leak_report(&x, &leaking, LeakConfig::default()).verdict, LeakVerdict::Leak);
/// assert_eq!(leak_report(&x, &[1e8; 100], LeakConfig::default()).verdict, LeakVerdict::NoLeak);
/// ```
#[must_use]
pub fn leak_report(x: &[f64], bytes: &[f64], config: LeakConfig) -> LeakReport {
    let finite: Vec<(f64, f64)> = x
        .iter()
        .copied()
        .zip(bytes.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let (x, y) = blocks(after_warm_up(&finite));
    let level = quantile(&y, 0.5).unwrap_or(0.0);
    let floor_bytes = config.floor_bytes.max(config.floor_share * level);
    let mut report = LeakReport {
        verdict: LeakVerdict::Inconclusive,
        slope: None,
        slope_ci95: None,
        growth_bytes: None,
        floor_bytes,
        p_value: mann_kendall(&y).map(|trend| trend.p_value),
    };
    if x.len() < MIN_BLOCKS {
        return report;
    }
    let (Some(line), Some(interval)) = (theil_sen(&x, &y), slope_interval(&x, &y)) else {
        return report;
    };
    let growth = line.slope * (x[x.len() - 1] - x[0]);
    let half = x.len() / 2;
    let late = theil_sen(&x[half..], &y[half..])
        .map_or(0.0, |line| line.slope * (x[x.len() - 1] - x[half]));
    let leaks = interval[0] > 0.0 && growth > floor_bytes && late > floor_bytes / 4.0;
    report.verdict = if leaks { LeakVerdict::Leak } else { LeakVerdict::NoLeak };
    report.slope = Some(line.slope);
    report.slope_ci95 = Some(interval);
    report.growth_bytes = Some(growth);
    report
}

fn after_warm_up(points: &[(f64, f64)]) -> &[(f64, f64)] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return points };
    let from = first.0 + WARM_UP_SHARE * (last.0 - first.0);
    &points[points.partition_point(|point| point.0 < from)..]
}

/// Medians of [`BLOCKS`] equal stretches of the series, or the series itself if it is short.
fn blocks(points: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let size = points.len().div_ceil(BLOCKS).max(1);
    let median = |values: Vec<f64>| quantile(&values, 0.5);
    points
        .chunks(size)
        .filter_map(|block| {
            let (x, y): (Vec<f64>, Vec<f64>) = block.iter().copied().unzip();
            median(x).zip(median(y))
        })
        .unzip()
}

/// Sen's confidence interval: the pairwise slopes at ranks `(N -+ z sqrt(Var S)) / 2`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are clamped to the list"
)]
fn slope_interval(x: &[f64], y: &[f64]) -> Option<[f64; 2]> {
    let mut slopes: Vec<f64> = (0..x.len())
        .flat_map(|i| (i + 1..x.len()).map(move |j| (i, j)))
        .map(|(i, j)| (y[j] - y[i]) / (x[j] - x[i]))
        .filter(|slope| slope.is_finite())
        .collect();
    slopes.sort_by(f64::total_cmp);
    let last = slopes.len().checked_sub(1)?;
    let n = x.len() as f64;
    let reach = Z_95 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let rank = |at: f64| slopes[(at.max(0.0) as usize).min(last)];
    Some([rank(((pairs - reach) / 2.0).floor() - 1.0), rank(((pairs + reach) / 2.0).ceil())])
}

/// Outcome of a simple rule, reported beside the slope and never instead of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimpleRule {
    /// Whether the limit was exceeded.
    pub exceeded: bool,
    /// What was compared: bytes, or a ratio.
    pub worst: f64,
    /// With what.
    pub limit: f64,
}

/// Growth by more than 100 MB over any ten consecutive epochs, given the memory at the end of each
/// epoch. `None` with fewer than ten, or where the memory of one is unknown.
#[must_use]
pub fn epoch_growth_rule(epoch_bytes: &[f64]) -> Option<SimpleRule> {
    const EPOCHS: usize = 10;
    const LIMIT_BYTES: f64 = 100e6;
    let growth = epoch_bytes.windows(EPOCHS).map(|ten| ten[EPOCHS - 1] - ten[0]);
    let worst = largest(growth).filter(|worst| worst.is_finite())?;
    Some(SimpleRule { exceeded: worst > LIMIT_BYTES, worst, limit: LIMIT_BYTES })
}

/// Any later run that took more than 1.5 times the memory of the first. `None` when there is no
/// later run, one is unknown or the first took nothing, since a ratio to nothing says nothing.
#[must_use]
pub fn first_run_rule(run_bytes: &[f64]) -> Option<SimpleRule> {
    const LIMIT: f64 = 1.5;
    let (first, later) = run_bytes.split_first()?;
    let most = largest(later.iter().copied()).filter(|most| most.is_finite())?;
    (*first > 0.0).then(|| {
        let worst = most / first;
        SimpleRule { exceeded: worst > LIMIT, worst, limit: LIMIT }
    })
}

#[cfg(test)]
mod tests {
    use lob_metrics::stats::SplitMix64;
    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "x counts up from 0"
    )]
    fn index(x: f64) -> usize {
        (x as usize).min(299)
    }

    const MIB: f64 = 1024.0 * 1024.0;

    fn verdict(bytes: impl Fn(f64) -> f64, n: u32) -> LeakVerdict {
        let x: Vec<f64> = (0..n).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| bytes(*x)).collect();
        leak_report(&x, &y, LeakConfig::default()).verdict
    }

    #[test]
    fn shapes_of_memory_are_told_apart() {
        let saw = |x: f64| 100.0 * MIB + (x % 20.0) * MIB;
        let cases: [(&str, LeakVerdict, LeakVerdict); 7] = [
            ("flat", verdict(|_| 1e8, 100), LeakVerdict::NoLeak),
            ("line", verdict(|x| 1e8 + x * MIB, 100), LeakVerdict::Leak),
            ("stairs", verdict(|x| 1e8 + (x / 10.0).floor() * 5.0 * MIB, 200), LeakVerdict::Leak),
            ("start-up", verdict(|x| 1e8 * (x / 20.0).min(1.0), 100), LeakVerdict::NoLeak),
            ("plateau", verdict(|x| 1e8 + x.min(55.0) * MIB, 100), LeakVerdict::NoLeak),
            ("saw", verdict(saw, 200), LeakVerdict::NoLeak),
            ("shrinking", verdict(|x| 1e9 - x * MIB, 100), LeakVerdict::NoLeak),
        ];
        for (name, got, expected) in cases {
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn growth_below_the_floor_is_no_leak_and_few_points_say_nothing() {
        assert_eq!(verdict(|x| 1e8 + x * 1000.0, 100), LeakVerdict::NoLeak);
        assert_eq!(verdict(|x| 1e8 + x * MIB, 7), LeakVerdict::Inconclusive);
        assert_eq!(leak_report(&[], &[], LeakConfig::default()).slope, None);
    }

    #[test]
    fn the_interval_holds_the_slope() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let y = [0.0, 1.2, 1.9, 3.1, 4.0, 5.2, 5.8, 7.1, 8.0, 9.1];
        let [low, high] = slope_interval(&x, &y).unwrap();
        assert!(low < 1.0 && 1.0 < high && low > 0.9 && high < 1.1, "{low} {high}");
    }

    #[test]
    fn the_simple_rules_keep_their_limits() {
        let epochs = |step: f64| (0..12).map(|n| f64::from(n) * step).collect::<Vec<_>>();
        assert!(!epoch_growth_rule(&epochs(11.0e6)).unwrap().exceeded);
        assert!(epoch_growth_rule(&epochs(11.2e6)).unwrap().exceeded);
        assert_eq!(epoch_growth_rule(&[0.0; 9]), None);
        assert!(first_run_rule(&[10.0, 11.0, 15.1]).unwrap().exceeded);
        assert!(!first_run_rule(&[10.0, 15.0, 9.0]).unwrap().exceeded);
        assert_eq!(first_run_rule(&[0.0, 5.0]), None);
        assert_eq!(first_run_rule(&[-1.0, 5.0]), None);
        assert_eq!(first_run_rule(&[5.0]), None);
        // What is unknown does not count as small.
        let mut unknown = epochs(11.0e6);
        unknown[10] = f64::NAN;
        assert_eq!(epoch_growth_rule(&unknown), None);
        assert_eq!(first_run_rule(&[10.0, f64::NAN, 11.0]), None);
        assert_eq!(first_run_rule(&[f64::NAN, 11.0]), None);
    }

    proptest! {
        #[test]
        fn noise_is_not_a_leak_and_a_leak_shows_through_noise(seed in any::<u64>()) {
            let mut random = SplitMix64::new(seed);
            let noise: Vec<f64> =
                (0..300).map(|_| (random.next_u64() >> 40) as f64 / (1u64 << 24) as f64).collect();
            let at = |x: f64| noise[index(x)] * 3.0 * MIB;
            prop_assert_eq!(verdict(|x| 2e8 + at(x), 300), LeakVerdict::NoLeak);
            prop_assert_eq!(verdict(|x| 2e8 + at(x) + x * MIB / 4.0, 300), LeakVerdict::Leak);
        }
    }
}
