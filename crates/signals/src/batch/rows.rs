//! Running averages and windows of many series, one row of all of them at a time.

use crate::floor::SMALLEST;
use crate::indicator::real;

/// Exponential averages, each seeded with the plain mean of its first `period` values.
pub(super) struct Smooth {
    period: f64,
    weight: f64,
    /// Values seen by each series, minus those it is to skip.
    n_seen: Vec<f64>,
    mean: Vec<f64>,
    /// Averages below are 0.
    smallest: f64,
    is_warm: bool,
}

impl Smooth {
    /// `n` averages that leave out their first `skip` values.
    pub(super) fn new(n: usize, period: usize, weight: f64, skip: usize) -> Self {
        let n_seen = vec![-real(skip); n];
        let (period, mean) = (real(period), vec![0.0; n]);
        Self { period, weight, n_seen, mean, smallest: SMALLEST, is_warm: false }
    }

    /// The same averages, 0 below `smallest` only.
    pub(super) fn down_to(self, smallest: f64) -> Self {
        Self { smallest, ..self }
    }

    pub(super) fn push(&mut self, row: &[f64], out: &mut [f64]) {
        if self.is_warm {
            return self.push_warm(row, out);
        }
        let states = self.n_seen.iter_mut().zip(&mut self.mean);
        for ((x, (seen, mean)), out) in row.iter().zip(states).zip(out) {
            let is_there = x.is_finite();
            *seen += if is_there { 1.0 } else { 0.0 };
            let step =
                if *seen <= self.period { (x - *mean) / *seen } else { (x - *mean) * self.weight };
            let next = *mean + step;
            let next = if next.abs() < self.smallest { 0.0 } else { next };
            *mean = if is_there && *seen > 0.0 { next } else { *mean };
            *out = if is_there && *seen >= self.period { *mean } else { f64::NAN };
        }
        self.is_warm = self.n_seen.iter().all(|seen| *seen >= self.period);
    }

    fn push_warm(&mut self, row: &[f64], out: &mut [f64]) {
        for ((x, mean), out) in row.iter().zip(&mut self.mean).zip(out) {
            let is_there = x.is_finite();
            let next = *mean + (x - *mean) * self.weight;
            let next = if next.abs() < self.smallest { 0.0 } else { next };
            *mean = if is_there { next } else { *mean };
            *out = if is_there { next } else { f64::NAN };
        }
    }
}

/// The last `period` rows, a missing value replaced by the one before it, and the number of values
/// in each series' window that are really there.
struct RowRing {
    n: usize,
    rows: Vec<f64>,
    is_there: Vec<f64>,
    n_there: Vec<f64>,
    last: Vec<f64>,
    /// Row the next push replaces.
    at: usize,
}

impl RowRing {
    fn new(n: usize, period: usize) -> Self {
        Self {
            n,
            rows: vec![0.0; n * period],
            is_there: vec![0.0; n * period],
            n_there: vec![0.0; n],
            last: vec![f64::NAN; n],
            at: 0,
        }
    }

    fn period(&self) -> usize {
        self.rows.len() / self.n
    }

    /// Takes a row: calls `replace` with each series' place, the value that enters and the one that
    /// leaves. Returns whether sums should be taken again: the ring has just wrapped.
    fn push(&mut self, row: &[f64], mut replace: impl FnMut(usize, f64, f64)) -> bool {
        let place = self.at * self.n..(self.at + 1) * self.n;
        let old = self.rows[place.clone()].iter_mut().zip(&mut self.is_there[place]);
        let counts = self.n_there.iter_mut().zip(&mut self.last);
        for (s, ((x, (old, was_there)), (n_there, last))) in
            row.iter().zip(old).zip(counts).enumerate()
        {
            let is_there = if x.is_finite() { 1.0 } else { 0.0 };
            *n_there += is_there - std::mem::replace(was_there, is_there);
            let filled = if is_there > 0.0 { *x } else { *last };
            *last = filled;
            let filled = if filled.is_nan() { 0.0 } else { filled };
            replace(s, filled, std::mem::replace(old, filled));
        }
        self.at += 1;
        if self.at == self.period() {
            self.at = 0;
        }
        self.at == 0
    }

    /// NaN into every place of `out` whose series lacks a value in its window.
    fn mask(&self, out: &mut [f64]) {
        let whole = real(self.period());
        for (o, n_there) in out.iter_mut().zip(&self.n_there) {
            *o = if *n_there >= whole { *o } else { f64::NAN };
        }
    }
}

/// Sums over the last `period` values of each series.
pub(super) struct WindowSum {
    ring: RowRing,
    sum: Vec<f64>,
}

impl WindowSum {
    pub(super) fn new(n: usize, period: usize) -> Self {
        Self { ring: RowRing::new(n, period), sum: vec![0.0; n] }
    }

    pub(super) fn push(&mut self, row: &[f64], out: &mut [f64]) {
        let sum = &mut self.sum;
        if self.ring.push(row, |s, new, old| sum[s] += new - old) {
            // Once a turn: bounds the round-off.
            self.sum.fill(0.0);
            for row in self.ring.rows.chunks_exact(self.ring.n) {
                self.sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        out.copy_from_slice(&self.sum);
        self.ring.mask(out);
    }
}

/// Mean and sum of squared deviations over the last `period` values of each series, by the update
/// of [`crate::rolling::RollingMoments`].
pub(super) struct Moments {
    ring: RowRing,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub(super) fn new(n: usize, period: usize) -> Self {
        Self { ring: RowRing::new(n, period), mean: vec![0.0; n], squares: vec![0.0; n] }
    }

    pub(super) fn push(&mut self, row: &[f64], mean: &mut [f64], squares: &mut [f64]) {
        let weight = 1.0 / real(self.ring.period());
        let (means, sums) = (&mut self.mean, &mut self.squares);
        let wrapped = self.ring.push(row, |s, new, old| {
            let before = means[s];
            let after = before + (new - old) * weight;
            means[s] = after;
            let sum = sums[s] + (new - old) * ((new - after) + (old - before));
            // Not `max`, which would make a 0 of what is no number.
            sums[s] = if sum < 0.0 { 0.0 } else { sum };
        });
        // A first window is complete just when the ring wraps, so the zeros it began with are
        // forgotten before anything is shown.
        if wrapped {
            self.refresh();
        }
        mean.copy_from_slice(&self.mean);
        squares.copy_from_slice(&self.squares);
        self.ring.mask(mean);
        self.ring.mask(squares);
    }

    fn refresh(&mut self) {
        let n = self.ring.n;
        let (origin, weight) = (&self.ring.rows[..n], 1.0 / real(self.ring.period()));
        self.mean.fill(0.0);
        for row in self.ring.rows.chunks_exact(n) {
            self.mean.iter_mut().zip(row).zip(origin).for_each(|((m, x), o)| *m += x - o);
        }
        self.mean.iter_mut().zip(origin).for_each(|(m, o)| *m = o + *m * weight);
        self.squares.fill(0.0);
        for row in self.ring.rows.chunks_exact(n) {
            for ((s, x), m) in self.squares.iter_mut().zip(row).zip(&self.mean) {
                *s += (x - m) * (x - m);
            }
        }
    }
}
