//! Does memory leak? Growth to the very end decides; the two simple rules stand beside it.

mod shape;

use lob_metrics::Unit;
use lob_metrics::stats::{largest, mann_kendall, quantile, theil_sen};

use shape::Envelopes;

/// Share of the series left out at its beginning, where a program takes the memory it needs.
const WARM_UP_SHARE: f64 = 0.25;
/// Blocks the rest is cut into. The median of each counts: neighbouring readings of memory are
/// far from independent, and the test assumes that they are.
const BLOCKS: usize = 48;
/// Blocks for the shape, which a saw-tooth must not hide in.
const SHAPE_BLOCKS: usize = 75;
/// Blocks below which nothing is said.
const MIN_BLOCKS: usize = 8;
/// Growth of the address space, as a share of that of memory in use, from which it grows along.
const RESERVED_SHARE: f64 = 0.5;
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
    /// It grows to its very end, surely, by more than the floor and without slowing.
    Leak,
    /// It grew by more than the floor, and levels off or does so by large steps: a cache that
    /// fills, buffers that are made. No reason to accuse anybody.
    LevelsOff,
    /// It grows to the end, but within memory the program had reserved before: one large block, or
    /// an allocator's pool. See [`LeakReport::with_reserved`].
    Reserved,
    /// It does not grow, or by less than the floor.
    NoLeak,
    /// Too few readings.
    Inconclusive,
}

/// A verdict with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct LeakReport {
    /// The verdict.
    pub verdict: LeakVerdict,
    /// Theil-Sen slope of the judged part, in bytes per unit of `x` (a second, an epoch). Judged is
    /// what comes after the warm-up or, of a leak that begins later, what it takes.
    pub slope: Option<f64>,
    /// The judged part, in units of `x`.
    pub judged: Option<[f64; 2]>,
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
    /// Takes back an accusation where address space does not grow with the memory used: `reserved`
    /// bytes at `x`, such as private mappings that can be written to. One large block that is
    /// filled slowly looks like a leak in every other way.
    #[must_use]
    pub fn with_reserved(mut self, x: &[f64], reserved: &[f64]) -> Self {
        let (Some([from, to]), Some(growth)) = (self.judged, self.growth_bytes) else {
            return self;
        };
        let end = |at: fn(f64) -> bool| {
            let share = |x: f64| (x - from) / (to - from);
            let part = x.iter().zip(reserved).filter(|(x, _)| at(share(**x)));
            quantile(&part.map(|(_, bytes)| *bytes).collect::<Vec<_>>(), 0.5)
        };
        let ends = (end(|share| (0.0..0.1).contains(&share)), end(|share| share >= 0.9));
        if let (LeakVerdict::Leak, (Some(before), Some(after))) = (self.verdict, ends)
            && after - before < RESERVED_SHARE * growth
        {
            self.verdict = LeakVerdict::Reserved;
        }
        self
    }

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
            LeakVerdict::LevelsOff => "memory grew, levelling off",
            LeakVerdict::Reserved => "memory grows to the end, in a block it reserved before",
            _ => "no steady growth of memory",
        };
        format!(
            "{verdict}: {} per {per} (95 % CI {} to {}), {} in the judged part, floor {}",
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
/// The first quarter is left out as warm-up. A leak needs all of:
/// - from some point between 30 and 60 % on to the end, steady growth: in each of eight windows of
///   that part both what memory never falls below again and what it has never been above rise, by
///   at least half of their mean, and the last windows by at least 0.8 of the first. A tooth of a
///   garbage collector lifts only one of them; a cache slows; a plateau ends flat;
/// - growth above the floor there;
/// - the Theil-Sen slope's 95 % confidence interval above zero there, of the medians of 48 blocks
///   (Sen, Journal of the American Statistical Association 63, 1968, section 3, with the tie-free
///   variance of Kendall's S).
///
/// Fewer than 60 readings after the warm-up have to be steadier. Growth by fewer than some ten
/// steps is none to the end: the next step is not known.
///
/// ```
/// use lob_profiler::{LeakConfig, LeakVerdict, leak_report};
/// let verdict = |bytes: &dyn Fn(f64) -> f64| {
///     let x: Vec<f64> = (0..100).map(f64::from).collect();
///     let bytes: Vec<f64> = x.iter().map(|x| bytes(*x)).collect();
///     leak_report(&x, &bytes, LeakConfig::default()).verdict
/// };
/// assert_eq!(verdict(&|x| 1e8 + 1e6 * x), LeakVerdict::Leak);
/// assert_eq!(verdict(&|x| 1e8 + 1e6 * x.min(80.0)), LeakVerdict::LevelsOff);
/// assert_eq!(verdict(&|_| 1e8), LeakVerdict::NoLeak);
/// ```
#[must_use]
pub fn leak_report(x: &[f64], bytes: &[f64], config: LeakConfig) -> LeakReport {
    let finite: Vec<(f64, f64)> = x
        .iter()
        .copied()
        .zip(bytes.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let points = after_warm_up(&finite);
    let (x, y) = blocks(points, BLOCKS);
    let level = quantile(&y, 0.5).unwrap_or(0.0);
    let floor_bytes = config.floor_bytes.max(config.floor_share * level);
    let mut report = LeakReport {
        verdict: LeakVerdict::Inconclusive,
        judged: None,
        slope: None,
        slope_ci95: None,
        growth_bytes: None,
        floor_bytes,
        p_value: mann_kendall(&y).map(|trend| trend.p_value),
    };
    let (Some(first), Some(last)) = (finite.first(), finite.last()) else { return report };
    if x.len() < MIN_BLOCKS {
        return report;
    }
    let leak = growth_to_the_end(points, [first.0, last.0], floor_bytes);
    let Some(trend) = leak.or_else(|| Trend::of(points)) else { return report };
    report.verdict = match leak {
        Some(_) => LeakVerdict::Leak,
        None if shape::has_grown(&y, floor_bytes) => LeakVerdict::LevelsOff,
        None => LeakVerdict::NoLeak,
    };
    report.judged = Some([trend.from, last.0]);
    report.slope = Some(trend.slope);
    report.slope_ci95 = Some(trend.ci95);
    report.growth_bytes = Some(trend.growth());
    report
}

/// A leak's trend, seen in the medians of blocks, which noise hardly moves, or in the readings
/// themselves, which show a saw-tooth for what it is.
fn growth_to_the_end(points: &[(f64, f64)], whole: [f64; 2], floor: f64) -> Option<Trend> {
    let medians = blocks(points, SHAPE_BLOCKS);
    let readings = (points.len() > medians.0.len()).then(|| points.iter().copied().unzip());
    [Some(medians), readings].into_iter().flatten().find_map(|(x, y): (Vec<f64>, Vec<f64>)| {
        let from = Envelopes::of(&x, &y).grows_from(whole, floor)?;
        let trend = Trend::of(&points[points.partition_point(|point| point.0 < from)..])?;
        (trend.ci95[0] > 0.0 && trend.growth() > floor).then_some(trend)
    })
}

/// The slope of a stretch of readings.
#[derive(Debug, Clone, Copy)]
struct Trend {
    from: f64,
    to: f64,
    slope: f64,
    ci95: [f64; 2],
}

impl Trend {
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let (x, y) = blocks(points, BLOCKS);
        let (from, to) = (*x.first()?, *x.last()?);
        let slope = theil_sen(&x, &y)?.slope;
        Some(Self { from, to, slope, ci95: slope_interval(&x, &y)? })
    }

    fn growth(&self) -> f64 {
        self.slope * (self.to - self.from)
    }
}

fn after_warm_up(points: &[(f64, f64)]) -> &[(f64, f64)] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return points };
    let from = first.0 + WARM_UP_SHARE * (last.0 - first.0);
    &points[points.partition_point(|point| point.0 < from)..]
}

/// Medians of `most` equal stretches of the series, or the series itself if it is short.
fn blocks(points: &[(f64, f64)], most: usize) -> (Vec<f64>, Vec<f64>) {
    let size = points.len().div_ceil(most).max(1);
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
mod simulation;

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
            ("plateau", verdict(|x| 1e8 + x.min(65.0) * MIB, 100), LeakVerdict::LevelsOff),
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
