//! Many series at once: every indicator over columns that hold the series side by side.

mod rows;

use rows::{Moments, Smooth, WindowSum};

use crate::error::{check_length, check_period};
use crate::floor::{HELD, SMALLEST_PART};
use crate::flow::between;
use crate::indicator::real;
use crate::{SignalError, Study, Ticks, momentum, rate_of_change};

impl Study {
    /// The indicator over many series at once (instruments, windows, or both): one vector for each
    /// of [`columns`](Self::columns).
    ///
    /// Columns and results are **time-major**: row `t` holds the values of all `n_series` series at
    /// step `t`, series `s` at `t * n_series + s`. The inner loops run across the series, where no
    /// value depends on its neighbour, so the compiler makes vector code of them. Each series gets
    /// what [`series`](Self::series) gives it, within round-off.
    ///
    /// # Errors
    /// As [`series`](Self::series), and [`SignalError::Parameter`] unless `n_series` is at least 1
    /// and divides the number of values.
    pub fn batch(&self, ticks: &Ticks<'_>, n_series: usize) -> Result<Vec<Vec<f64>>, SignalError> {
        if n_series == 0 || !ticks.len().is_multiple_of(n_series) {
            let expected = "a divisor of the number of values";
            return Err(SignalError::parameter("n_series", expected, n_series));
        }
        self.stream()?; // the settings are in range
        self.check_columns(ticks)?;
        let n = n_series;
        let one = |values| Ok(vec![values]);
        match *self {
            // A lag of `period` steps is one of `period * n` values.
            Self::Momentum(period) => one(momentum(ticks.price, period.saturating_mul(n))?),
            Self::RateOfChange(period) => {
                one(rate_of_change(ticks.price, period.saturating_mul(n))?)
            }
            // Nothing here looks back.
            Self::Spread | Self::Microprice | Self::QueueImbalance | Self::BookImbalance => {
                self.series(ticks)
            }
            Self::Rsi(period) => one(rsi(ticks.price, n, period)),
            Self::Sma(period) => one(sma(ticks.price, n, period)),
            Self::Ema(period) => {
                let mut mean = Smooth::new(n, period, 2.0 / real(period.saturating_add(1)), 0);
                one(by_row(ticks.price, n, |x, out| mean.push(x, out)))
            }
            Self::Volatility(period) => one(volatility(ticks.price, n, period)),
            Self::EwmaVolatility(lambda) => one(ewma_volatility(ticks.price, n, lambda)),
            Self::Macd(fast, slow, signal) => Ok(macd(ticks.price, n, (fast, slow, signal))),
            Self::Bollinger(period, k) => Ok(bollinger(ticks.price, n, period, k)),
            Self::Atr(period) => one(atr(ticks, n, period)),
            Self::Vwap(period) => one(vwap(ticks, n, period)),
            Self::KyleLambda(period) => one(kyle_lambda(ticks, n, period)?),
            Self::OrderFlowImbalance => one(order_flow(ticks, n)?),
        }
    }
}

/// Series side by side from series one after another: `series.len() × n_steps` values, each series
/// as long as the first, become time-major.
///
/// # Errors
/// [`SignalError::Length`] for a series of another length.
pub fn time_major(series: &[&[f64]]) -> Result<Vec<f64>, SignalError> {
    let n_steps = series.first().map_or(0, |first| first.len());
    series.iter().try_for_each(|one| check_length("a series of the batch", n_steps, one.len()))?;
    Ok((0..n_steps).flat_map(|t| series.iter().map(move |one| one[t])).collect())
}

/// Calls `row` with each row of `values` and the row of the result to fill.
fn by_row(values: &[f64], n: usize, mut row: impl FnMut(&[f64], &mut [f64])) -> Vec<f64> {
    let mut out = vec![f64::NAN; values.len()];
    values.chunks_exact(n).zip(out.chunks_exact_mut(n)).for_each(|(x, o)| row(x, o));
    out
}

fn sma(price: &[f64], n: usize, period: usize) -> Vec<f64> {
    let mut sum = WindowSum::new(n, period);
    let weight = 1.0 / real(period);
    by_row(price, n, |x, out| {
        sum.push(x, out);
        out.iter_mut().for_each(|o| *o *= weight);
    })
}

fn rsi(price: &[f64], n: usize, period: usize) -> Vec<f64> {
    let mut previous = vec![f64::NAN; n];
    let weight = 1.0 / real(period);
    let smooth = || Smooth::new(n, period, weight, 0).down_to(SMALLEST_PART);
    let (mut gains, mut losses) = (smooth(), smooth());
    let [mut up, mut down, mut loss] = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
    // The last index and what it is the ratio of; a price that stops moving leaves both.
    let (mut last, mut sums) = (vec![50.0; n], vec![f64::INFINITY; n]);
    let held_below = if period > 1 { HELD } else { 0.0 };
    by_row(price, n, |x, out| {
        let row = x.iter().zip(&mut previous).zip(&mut up).zip(&mut down).zip(&sums);
        for ((((x, p), up), down), sum) in row {
            let is_there = x.is_finite();
            let change = if is_there { x - *p } else { f64::NAN };
            let change = if *sum < held_below && change == 0.0 { f64::NAN } else { change };
            // The comparisons are false for NaN, which so stays NaN.
            *up = if change < 0.0 { 0.0 } else { change };
            *down = if change > 0.0 { 0.0 } else { -change };
            *p = if is_there { *x } else { *p };
        }
        gains.push(&up, out);
        losses.push(&down, &mut loss);
        let row = out.iter_mut().zip(&loss).zip(x).zip(&mut last).zip(&mut sums);
        for ((((o, loss), x), last), sum) in row {
            let now = *o + loss;
            let index = if now == 0.0 { 50.0 } else { 100.0 * (*o / now) };
            // Held: the averages were given nothing although there is a price.
            *o = if x.is_finite() && *sum < held_below && now.is_nan() { *last } else { index };
            (*last, *sum) = if now.is_nan() { (*last, *sum) } else { (index, now) };
        }
    })
}

/// Log returns into `out`; `previous` holds the logarithms of the row before.
fn log_returns(x: &[f64], previous: &mut [f64], out: &mut [f64]) {
    for ((x, p), o) in x.iter().zip(previous).zip(out) {
        let ln = if *x > 0.0 && x.is_finite() { x.ln() } else { f64::NAN };
        *o = ln - std::mem::replace(p, ln);
    }
}

fn volatility(price: &[f64], n: usize, period: usize) -> Vec<f64> {
    let mut moments = Moments::new(n, period);
    let [mut previous, mut returns] = [vec![f64::NAN; n], vec![0.0; n]];
    let mut mean = vec![0.0; n];
    let weight = 1.0 / real(period - 1);
    by_row(price, n, |x, out| {
        log_returns(x, &mut previous, &mut returns);
        moments.push(&returns, &mut mean, out);
        out.iter_mut().for_each(|o| *o = (*o * weight).sqrt());
    })
}

fn ewma_volatility(price: &[f64], n: usize, lambda: f64) -> Vec<f64> {
    let mut variance = Smooth::new(n, 1, 1.0 - lambda, 0);
    let [mut previous, mut squares] = [vec![f64::NAN; n], vec![0.0; n]];
    by_row(price, n, |x, out| {
        log_returns(x, &mut previous, &mut squares);
        squares.iter_mut().for_each(|r| *r *= *r);
        variance.push(&squares, out);
        out.iter_mut().for_each(|o| *o = o.sqrt());
    })
}

fn macd(price: &[f64], n: usize, (fast, slow, signal): (usize, usize, usize)) -> Vec<Vec<f64>> {
    let weight = |period: usize| 2.0 / real(period.saturating_add(1));
    let mut fast = Smooth::new(n, fast, weight(fast), slow - fast);
    let mut slow = Smooth::new(n, slow, weight(slow), 0);
    let mut mean = Smooth::new(n, signal, weight(signal), 0);
    let mut slow_row = vec![0.0; n];
    let mut signals = vec![f64::NAN; price.len()];
    let mut signal_rows = signals.chunks_exact_mut(n);
    let line = by_row(price, n, |x, out| {
        fast.push(x, out);
        slow.push(x, &mut slow_row);
        out.iter_mut().zip(&slow_row).for_each(|(o, s)| *o -= s);
        if let Some(row) = signal_rows.next() {
            mean.push(out, row);
        }
    });
    let histogram = line.iter().zip(&signals).map(|(line, signal)| line - signal).collect();
    vec![line, signals, histogram]
}

fn bollinger(price: &[f64], n: usize, period: usize, k: f64) -> Vec<Vec<f64>> {
    let mut moments = Moments::new(n, period);
    let period = real(period);
    let mut reach = vec![f64::NAN; price.len()];
    let mut reach_rows = reach.chunks_exact_mut(n);
    let middle = by_row(price, n, |x, out| {
        if let Some(row) = reach_rows.next() {
            moments.push(x, out, row);
            row.iter_mut().for_each(|r| *r = k * (*r / period).sqrt());
        }
    });
    let lower = middle.iter().zip(&reach).map(|(m, r)| m - r).collect();
    let upper = middle.iter().zip(&reach).map(|(m, r)| m + r).collect();
    vec![lower, middle, upper]
}

fn atr(ticks: &Ticks<'_>, n: usize, period: usize) -> Vec<f64> {
    let mut mean = Smooth::new(n, period, 1.0 / real(period), 0);
    let [mut previous, mut range] = [vec![f64::NAN; n], vec![0.0; n]];
    let mut bars = ticks.high.chunks_exact(n).zip(ticks.low.chunks_exact(n));
    by_row(ticks.price, n, |close, out| {
        let Some((high, low)) = bars.next() else { return };
        let row = close.iter().zip(high).zip(low).zip(&mut previous).zip(&mut range);
        for ((((c, h), l), p), r) in row {
            let is_there = (c + h + l).is_finite();
            let widest = (h - l).max((h - *p).abs()).max((l - *p).abs());
            *r = if is_there && !p.is_nan() { widest } else { f64::NAN };
            *p = if is_there { *c } else { *p };
        }
        mean.push(&range, out);
    })
}

fn vwap(ticks: &Ticks<'_>, n: usize, period: usize) -> Vec<f64> {
    let (mut values, mut volumes) = (WindowSum::new(n, period), WindowSum::new(n, period));
    let [mut value, mut traded] = [vec![0.0; n], vec![0.0; n]];
    let mut volume_rows = ticks.volume.chunks_exact(n);
    by_row(ticks.price, n, |price, out| {
        let Some(volume) = volume_rows.next() else { return };
        value.iter_mut().zip(price).zip(volume).for_each(|((o, p), v)| *o = p * v);
        values.push(&value, out);
        volumes.push(volume, &mut traded);
        for (o, v) in out.iter_mut().zip(&traded) {
            *o = if *v > 0.0 { *o / v } else { f64::NAN };
        }
    })
}

fn kyle_lambda(ticks: &Ticks<'_>, n: usize, period: usize) -> Result<Vec<f64>, SignalError> {
    check_period("kyle lambda period", period, 2)?;
    let changes = momentum(ticks.price, n)?;
    let moments = || Moments::new(n, period);
    let (mut sums, mut differences, mut flows) = (moments(), moments(), moments());
    let [mut a, mut mean, mut sum, mut difference] = [(); 4].map(|()| vec![0.0; n]);
    let mut volume_rows = ticks.signed_volume.chunks_exact(n);
    // Equal volumes in a row: the running squares may keep a residue of earlier ones.
    let (mut last, mut n_equal) = (vec![f64::NAN; n], vec![0.0; n]);
    Ok(by_row(&changes, n, |change, out| {
        let Some(volume) = volume_rows.next() else { return };
        a.iter_mut().zip(change).zip(volume).for_each(|((a, c), v)| *a = c + v);
        sums.push(&a, &mut mean, &mut sum);
        a.iter_mut().zip(change).zip(volume).for_each(|((a, c), v)| *a = c - v);
        differences.push(&a, &mut mean, &mut difference);
        flows.push(volume, &mut mean, out);
        let row = out.iter_mut().zip(&sum).zip(&difference);
        let states = last.iter_mut().zip(&mut n_equal).zip(volume);
        for (((o, sum), difference), ((last, n_equal), v)) in row.zip(states) {
            *n_equal = if *last - *v == 0.0 { *n_equal + 1.0 } else { 1.0 };
            *last = *v;
            let varies = *o > 0.0 && *n_equal < real(period);
            *o = if varies { 0.25 * (sum - difference) / *o } else { f64::NAN };
        }
    }))
}

fn order_flow(ticks: &Ticks<'_>, n: usize) -> Result<Vec<f64>, SignalError> {
    let quotes = ticks.quotes()?;
    let mut out = vec![f64::NAN; quotes.len()];
    let pairs = quotes.iter().zip(quotes.iter().skip(n));
    for (o, (old, new)) in out.iter_mut().skip(n).zip(pairs) {
        *o = between(old, new);
    }
    Ok(out)
}
