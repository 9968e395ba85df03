//! The shape of a growing series: to its very end, or levelling off.
//!
//! Two envelopes see through noise and through the saw-tooth of a garbage collector: what the
//! series never falls below again, and what it has never been above. A tooth that is on its way up
//! lifts one of them only; growth that stays lifts both.

/// Where growth to the end may begin, as shares of the series: a leak that begins later is too
/// short to tell from one more cache.
const STARTS: [f64; 4] = [0.3, 0.4, 0.5, 0.6];
/// Equal windows between there and the end, in each of which both envelopes have to rise.
const WINDOWS: usize = 8;
/// Points below which growth has to be more even than it needs to be with many, of which the last
/// one alone decides nothing.
const FEW: usize = 60;
/// Growth before a late start, as a share of that after it. Above, it did not begin there.
const BEFORE_SHARE: f64 = 0.5;

/// How even growth has to be, in shares of the mean of all windows.
struct Evenness {
    /// The least of a window.
    least: f64,
    /// The most.
    most: f64,
    /// The last two windows against the mean of the first half: below, growth is slowing.
    late: f64,
    /// The last half window, unless a quarter of all half windows are as flat (steps).
    tail: f64,
}

const EVEN: Evenness = Evenness { least: 0.5, most: f64::INFINITY, late: 0.8, tail: 0.3 };
const EVEN_IF_FEW: Evenness = Evenness { least: 0.7, most: 2.5, late: 0.8, tail: 0.5 };

/// A series with its envelopes.
pub(super) struct Envelopes<'a> {
    x: &'a [f64],
    /// The least value from here on.
    low: Vec<f64>,
    /// The largest value up to here.
    high: Vec<f64>,
}

impl<'a> Envelopes<'a> {
    /// Of `y` at ascending `x`.
    pub(super) fn of(x: &'a [f64], y: &[f64]) -> Self {
        let mut low = y.to_vec();
        for at in (1..low.len()).rev() {
            low[at - 1] = low[at - 1].min(low[at]);
        }
        if let [.., before, last] = low.as_mut_slice()
            && y.len() >= FEW
        {
            *last = *before;
        }
        let mut high = y.to_vec();
        for at in 1..high.len() {
            high[at] = high[at].max(high[at - 1]);
        }
        Self { x, low, high }
    }

    /// Where steady growth to the end by more than `floor` begins, if it does. `whole` is the
    /// extent of the series with its warm-up.
    pub(super) fn grows_from(&self, whole: [f64; 2], floor: f64) -> Option<f64> {
        let start = |share: f64| whole[0] + share * (whole[1] - whole[0]);
        STARTS
            .into_iter()
            .map(start)
            .enumerate()
            .filter(|(n, from)| *n == 0 || self.begins_at(*from))
            .map(|(_, from)| from)
            .find(|from| self.grows_steadily(*from, floor))
    }

    /// Whether there was little growth before.
    fn begins_at(&self, from: f64) -> bool {
        let (Some(first), Some(last)) = (self.x.first(), self.x.last()) else { return false };
        let rate = |from: f64, to: f64| {
            let [low, high] = self.rise(from, to);
            (low + high) / (to - from)
        };
        from > *first && from < *last && rate(*first, from) < BEFORE_SHARE * rate(from, *last)
    }

    fn grows_steadily(&self, from: f64, floor: f64) -> bool {
        let Some(end) = self.x.last().copied() else { return false };
        let points = self.x.len() - self.x.partition_point(|x| *x < from);
        if points + 1 < WINDOWS {
            return false;
        }
        let windows = self.rises(from, end, WINDOWS);
        let surely = |part: &[[f64; 2]]| {
            let sum = |n: usize| part.iter().map(|rise| rise[n]).sum::<f64>();
            sum(0).min(sum(1))
        };
        let growth = surely(&windows);
        let mean = growth / WINDOWS as f64;
        let even = if self.x.len() < FEW { &EVEN_IF_FEW } else { &EVEN };
        let least = |[low, high]: &[f64; 2]| low.min(*high);
        let is_even = |rise: &[f64; 2]| {
            least(rise) >= even.least * mean && rise[0].max(rise[1]) <= even.most * mean
        };
        if growth <= floor || !windows.iter().all(is_even) {
            return false;
        }
        let half = WINDOWS / 2;
        let early = windows[..half].iter().flatten().sum::<f64>() / 2.0 / half as f64;
        let late = surely(&windows[WINDOWS - 2..]) / 2.0;
        let halves = self.rises(from, end, 2 * WINDOWS);
        let is_flat = |rise: &&[f64; 2]| least(rise) < even.tail * mean / 2.0;
        let ends_flat = halves.last().is_some_and(|rise| is_flat(&rise));
        late >= even.late * early && (!ends_flat || halves.iter().filter(is_flat).count() >= half)
    }

    /// Rises of both envelopes in `n` equal windows.
    fn rises(&self, from: f64, to: f64, n: usize) -> Vec<[f64; 2]> {
        let edge = |k: usize| from + (to - from) * k as f64 / n as f64;
        (0..n).map(|k| self.rise(edge(k), edge(k + 1))).collect()
    }

    fn rise(&self, from: f64, to: f64) -> [f64; 2] {
        [&self.low, &self.high].map(|series| self.value(series, to) - self.value(series, from))
    }

    /// Between two points on the line that joins them.
    fn value(&self, series: &[f64], x: f64) -> f64 {
        let after = self.x.partition_point(|known| *known < x).clamp(1, self.x.len() - 1);
        let (x0, x1) = (self.x[after - 1], self.x[after]);
        let share = if x1 > x0 { ((x - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { 1.0 };
        series[after - 1] + share * (series[after] - series[after - 1])
    }
}

/// Whether the last third of `y` lies above the first by more than `floor` everywhere.
pub(super) fn has_grown(y: &[f64], floor: f64) -> bool {
    let third = y.len() / 3;
    let before = y[..third].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let after = y[y.len() - third..].iter().copied().fold(f64::INFINITY, f64::min);
    third > 0 && after - before > floor
}
