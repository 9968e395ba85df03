use burn_tensor::{Tensor, backend::Backend};

use super::weights::{SMALLEST_SHARE, average};
use super::{TickTensors, single};
use crate::indicator::real;
use crate::{SignalError, Study};

type Matrix<B> = Tensor<B, 2>;

pub(super) fn run<B: Backend>(
    ticks: &TickTensors<B>,
    study: &Study,
) -> Result<Vec<Matrix<B>>, SignalError> {
    let price = || ticks.need("the price column", &ticks.price);
    let one = |values| Ok(vec![values]);
    match *study {
        Study::Rsi(period) => one(rsi(price()?, period)),
        Study::Momentum(period) => {
            let x = price()?;
            one(lag(x, period, |now, old| now - old))
        }
        Study::RateOfChange(period) => {
            let level = ticks.base.clone();
            one(lag(price()?, period, |now, old| (now - old.clone()) / (old + level)))
        }
        Study::Volatility(period) => {
            let (_, squares) = moments(&returns(ticks)?, period);
            one(delay((squares / single(real(period - 1))).sqrt(), 1))
        }
        Study::EwmaVolatility(lambda) => {
            let squares = returns(ticks)?.powi_scalar(2);
            one(delay(smooth(&squares, (0, 1), 1.0 - lambda).sqrt(), 1))
        }
        Study::Sma(period) => {
            one(window_sum(price()?, period) / single(real(period)) + base(ticks))
        }
        Study::Ema(period) => one(smooth(price()?, (0, period), weight(period)) + base(ticks)),
        Study::Macd(fast, slow, signal) => Ok(macd(price()?, fast, slow, signal)),
        Study::Bollinger(period, k) => {
            let (mean, squares) = moments(price()?, period);
            let reach = (squares / single(real(period))).sqrt() * single(k);
            let middle = mean + base(ticks);
            Ok(vec![middle.clone() - reach.clone(), middle.clone(), middle + reach])
        }
        Study::Atr(period) => atr(ticks, period).and_then(one),
        Study::Vwap(period) => vwap(ticks, period).and_then(one),
        Study::KyleLambda(period) => kyle_lambda(ticks, period).and_then(one),
        Study::OrderFlowImbalance => order_flow(ticks).and_then(one),
        Study::Spread => {
            let quote = Quote::of(ticks)?;
            one(quote.ask_px - quote.bid_px)
        }
        Study::Microprice => {
            let Quote { bid_px, ask_px, bid_sz, ask_sz } = Quote::of(ticks)?;
            let total = bid_sz.clone() + ask_sz.clone();
            one((bid_px * ask_sz + ask_px * bid_sz) / total + base(ticks))
        }
        Study::QueueImbalance => {
            let Quote { bid_sz, ask_sz, .. } = Quote::of(ticks)?;
            one((bid_sz.clone() - ask_sz.clone()) / (bid_sz + ask_sz))
        }
        Study::BookImbalance => {
            let bid = ticks.need("the bid depth column", &ticks.bid_depth_sz)?.clone();
            let ask = ticks.need("the ask depth column", &ticks.ask_depth_sz)?.clone();
            one((bid.clone() - ask.clone()) / (bid + ask))
        }
    }
}

/// Weight of the newest value in an EMA.
fn weight(period: usize) -> f64 {
    2.0 / real(period.saturating_add(1))
}

fn base<B: Backend>(ticks: &TickTensors<B>) -> Matrix<B> {
    ticks.base.clone()
}

/// Columns `from..to`.
fn cut<B: Backend>(x: &Matrix<B>, from: usize, to: usize) -> Matrix<B> {
    let [n, _] = x.dims();
    x.clone().slice([0..n, from..to])
}

fn nulls<B: Backend>(like: &Matrix<B>, n_steps: usize) -> Matrix<B> {
    Tensor::full([like.dims()[0], n_steps], f32::NAN, &like.device())
}

/// `x` with `n_steps` nulls before it.
fn delay<B: Backend>(x: Matrix<B>, n_steps: usize) -> Matrix<B> {
    let missing = nulls(&x, n_steps);
    Tensor::cat(vec![missing, x], 1)
}

/// `values` (possibly shorter than `x`) as the end of rows as long as those of `x`. What reads a
/// null anywhere is null everywhere: comparisons and clamps may have swallowed it.
fn complete<B: Backend>(x: &Matrix<B>, values: Option<Matrix<B>>) -> Matrix<B> {
    let [_, n_steps] = x.dims();
    let Some(values) = values else { return nulls(x, n_steps) };
    let [_, n_values] = values.dims();
    let values = values + x.clone().sum_dim(1).mul_scalar(0.0);
    if n_values == n_steps { values } else { delay(values, n_steps - n_values) }
}

/// A function of each value and the one `period` steps before.
fn lag<B: Backend>(
    x: &Matrix<B>,
    period: usize,
    f: impl FnOnce(Matrix<B>, Matrix<B>) -> Matrix<B>,
) -> Matrix<B> {
    let [_, n] = x.dims();
    complete(x, (n > period).then(|| f(cut(x, period, n), cut(x, 0, n - period))))
}

/// An exponential average, see [`average`].
fn smooth<B: Backend>(x: &Matrix<B>, seed: (usize, usize), weight: f64) -> Matrix<B> {
    let weights = average(x.dims()[1], seed, weight, &x.device());
    complete(x, weights.map(|weights| x.clone().matmul(weights)))
}

/// Sum of a function of the last `period` values over the place of each.
fn window<B: Backend>(
    x: &Matrix<B>,
    period: usize,
    f: impl Fn(Matrix<B>) -> Matrix<B>,
) -> Option<Matrix<B>> {
    let [_, n] = x.dims();
    let n_values = n.checked_sub(period - 1).filter(|n| *n > 0)?;
    (0..period).map(|k| f(cut(x, k, k + n_values))).reduce(|sum, term| sum + term)
}

fn window_sum<B: Backend>(x: &Matrix<B>, period: usize) -> Matrix<B> {
    complete(x, window(x, period, |x| x))
}

/// Mean and sum of squared deviations of the last `period` values, in two passes.
fn moments<B: Backend>(x: &Matrix<B>, period: usize) -> (Matrix<B>, Matrix<B>) {
    let mean = window(x, period, |x| x).map(|sum| sum / single(real(period)));
    let squares =
        mean.as_ref().and_then(|mean| window(x, period, |x| (x - mean.clone()).powi_scalar(2)));
    (complete(x, mean), complete(x, squares))
}

/// Log returns, one fewer than prices.
fn returns<B: Backend>(ticks: &TickTensors<B>) -> Result<Matrix<B>, SignalError> {
    let x = ticks.need("the price column", &ticks.price)?;
    let [_, n] = x.dims();
    let (now, old) = (cut(x, 1.min(n), n), cut(x, 0, n.saturating_sub(1)));
    // ln(now / old), without the cancellation of two logarithms.
    Ok(((now - old.clone()) / (old + base(ticks))).log1p())
}

fn rsi<B: Backend>(x: &Matrix<B>, period: usize) -> Matrix<B> {
    let [_, n] = x.dims();
    let weight = 1.0 / real(period);
    let weights = average::<B>(n.saturating_sub(1), (0, period), weight, &x.device());
    let values = weights.map(|weights| {
        let changes = cut(x, 1, n) - cut(x, 0, n - 1);
        let gain = changes.clone().clamp_min(0.0).matmul(weights.clone());
        let sum = changes.clone().abs().matmul(weights);
        let nothing = sum.clone().equal_elem(0.0);
        let values = (gain / sum).mul_scalar(100.0).mask_fill(nothing, 50.0);
        // Where a change may be out of sight, a price that does not move keeps its index.
        let share_left = (1.0 - weight).powf(real(n));
        if period > 1 && share_left < SMALLEST_SHARE.sqrt() {
            hold(values, &cut(&changes, period - 1, n - 1))
        } else {
            values
        }
    });
    complete(x, values)
}

/// Each value, or where `changes` is 0 the last one before it where it is not; the first one stays.
fn hold<B: Backend>(mut values: Matrix<B>, changes: &Matrix<B>) -> Matrix<B> {
    let [n_windows, n] = values.dims();
    // 1 where the value is to be replaced, in twice as many steps at each turn.
    let open = changes.clone().equal_elem(0.0).float();
    let mut open =
        open.slice_assign([0..n_windows, 0..1], changes.zeros_like().slice([0..n_windows, 0..1]));
    let mut n_steps = 1;
    while n_steps < n {
        let late = |x: &Matrix<B>| Tensor::cat(vec![cut(x, 0, n_steps), cut(x, 0, n - n_steps)], 1);
        let (from, still) = (late(&values), late(&open));
        values = values.mask_where(open.clone().greater_elem(0.5), from);
        open = open * still;
        n_steps *= 2;
    }
    values
}

fn macd<B: Backend>(x: &Matrix<B>, fast: usize, slow: usize, signal: usize) -> Vec<Matrix<B>> {
    let [_, n] = x.dims();
    let line = smooth(x, (slow - fast, fast), weight(fast)) - smooth(x, (0, slow), weight(slow));
    let ready = slow - 1;
    let mean = if n > ready {
        delay(smooth(&cut(&line, ready, n), (0, signal), weight(signal)), ready)
    } else {
        nulls(x, n)
    };
    vec![line.clone(), mean.clone(), line - mean]
}

fn atr<B: Backend>(ticks: &TickTensors<B>, period: usize) -> Result<Matrix<B>, SignalError> {
    let (high, low) =
        (ticks.need("the high column", &ticks.high)?, ticks.need("the low column", &ticks.low)?);
    let close = ticks.need("the price column", &ticks.price)?;
    let [_, n] = close.dims();
    let weights =
        average::<B>(n.saturating_sub(1), (0, period), 1.0 / real(period), &close.device());
    let values = weights.map(|weights| {
        let (high, low, old) = (cut(high, 1, n), cut(low, 1, n), cut(close, 0, n - 1));
        let range = (high.clone() - low.clone())
            .max_pair((high - old.clone()).abs())
            .max_pair((low - old).abs());
        range.matmul(weights)
    });
    Ok(complete(&(high.clone() + low.clone() + close.clone()), values))
}

fn vwap<B: Backend>(ticks: &TickTensors<B>, period: usize) -> Result<Matrix<B>, SignalError> {
    let price = ticks.need("the price column", &ticks.price)?.clone();
    let volume = ticks.need("the volume column", &ticks.volume)?;
    let value = window_sum(&(price * volume.clone()), period);
    // 0 / 0 is null already.
    Ok(value / window_sum(volume, period) + base(ticks))
}

fn kyle_lambda<B: Backend>(
    ticks: &TickTensors<B>,
    period: usize,
) -> Result<Matrix<B>, SignalError> {
    let price = ticks.need("the price column", &ticks.price)?;
    let volume = ticks.need("the signed volume column", &ticks.signed_volume)?;
    let [_, n] = price.dims();
    let whole = price.clone() + volume.clone();
    if n < 2 {
        return Ok(nulls(&whole, n));
    }
    let changes = cut(price, 1, n) - cut(price, 0, n - 1);
    let volumes = cut(volume, 1, n);
    let mean = |x: &Matrix<B>| window(x, period, |x| x).map(|sum| sum / single(real(period)));
    let slope = mean(&changes).zip(mean(&volumes)).map(|(mean_change, mean_volume)| {
        let n_values = mean_change.dims()[1];
        let (mut products, mut squares) = (mean_change.zeros_like(), mean_change.zeros_like());
        for k in 0..period {
            let change = cut(&changes, k, k + n_values) - mean_change.clone();
            let volume = cut(&volumes, k, k + n_values) - mean_volume.clone();
            products = products + change * volume.clone();
            squares = squares + volume.powi_scalar(2);
        }
        let still = squares.clone().equal_elem(0.0);
        (products / squares).mask_fill(still, f32::NAN)
    });
    Ok(complete(&whole, slope))
}

fn order_flow<B: Backend>(ticks: &TickTensors<B>) -> Result<Matrix<B>, SignalError> {
    let Quote { bid_px, ask_px, bid_sz, ask_sz } = Quote::of(ticks)?;
    let [_, n] = bid_px.dims();
    let whole = bid_px.clone() + ask_px.clone() + bid_sz.clone() + ask_sz.clone();
    let split = |x: &Matrix<B>| (cut(x, 1, n), cut(x, 0, n - 1));
    let flow = (n > 1).then(|| {
        let ((bid, old_bid), (ask, old_ask)) = (split(&bid_px), split(&ask_px));
        let ((bid_sz, old_bid_sz), (ask_sz, old_ask_sz)) = (split(&bid_sz), split(&ask_sz));
        bid_sz * bid.clone().greater_equal(old_bid.clone()).float()
            - old_bid_sz * bid.lower_equal(old_bid).float()
            - ask_sz * ask.clone().lower_equal(old_ask.clone()).float()
            + old_ask_sz * ask.greater_equal(old_ask).float()
    });
    Ok(complete(&whole, flow))
}

struct Quote<B: Backend> {
    bid_px: Matrix<B>,
    ask_px: Matrix<B>,
    bid_sz: Matrix<B>,
    ask_sz: Matrix<B>,
}

impl<B: Backend> Quote<B> {
    fn of(ticks: &TickTensors<B>) -> Result<Self, SignalError> {
        Ok(Self {
            bid_px: ticks.need("the bid price column", &ticks.bid_px)?.clone(),
            ask_px: ticks.need("the ask price column", &ticks.ask_px)?.clone(),
            bid_sz: ticks.need("the bid size column", &ticks.bid_sz)?.clone(),
            ask_sz: ticks.need("the ask size column", &ticks.ask_sz)?.clone(),
        })
    }
}
