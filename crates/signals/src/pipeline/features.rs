use crate::{
    Bollinger, EwmaVolatility, Indicator, Macd, Momentum, OrderFlow, Quote, RateOfChange, Rsi,
    SignalError, Volatility, imbalance, microprice, spread,
};

/// Features in a row.
pub const N_FEATURES: usize = 10;

/// Names of the features, in the order of a row. All are free of the price's unit:
/// RSI over 100; momentum over `volatility · mid · sqrt(period)`; rate of change, both
/// volatilities and the MACD histogram in basis points of the mid; Bollinger's %b; the
/// micro-price's distance to the mid over the spread; the best level's imbalance; order-flow
/// imbalance over the displayed size.
pub const FEATURE_NAMES: [&str; N_FEATURES] = [
    "rsi",
    "momentum",
    "rate_of_change",
    "volatility",
    "ewma_volatility",
    "macd_histogram",
    "bollinger_percent_b",
    "microprice_offset",
    "imbalance",
    "order_flow_imbalance",
];

/// Periods of the indicators, in quotes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureConfig {
    /// RSI.
    pub rsi_period: usize,
    /// Momentum and rate of change.
    pub momentum_period: usize,
    /// Realised volatility, at least 2.
    pub volatility_period: usize,
    /// Decay of the EWMA volatility, `0..1`.
    pub ewma_lambda: f64,
    /// Fast, slow and signal period of MACD.
    pub macd_periods: (usize, usize, usize),
    /// Bollinger bands.
    pub bollinger_period: usize,
    /// Half-width of the bands in standard deviations.
    pub bollinger_k: f64,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self {
            rsi_period: 14,
            momentum_period: 10,
            volatility_period: 20,
            ewma_lambda: 0.94,
            macd_periods: (12, 26, 9),
            bollinger_period: 20,
            bollinger_k: 2.0,
        }
    }
}

/// Rows of [`N_FEATURES`] values; NaN is null.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureMatrix {
    values: Vec<f32>,
}

impl FeatureMatrix {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / N_FEATURES
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(N_FEATURES)
    }

    /// Appends a row.
    pub fn push(&mut self, row: &[f32; N_FEATURES]) {
        self.values.extend_from_slice(row);
    }

    /// Drops all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

/// All indicators of a row, fed one quote at a time.
#[derive(Debug, Clone)]
pub struct FeatureExtractor {
    config: FeatureConfig,
    state: State,
}

#[derive(Debug, Clone)]
struct State {
    rsi: Rsi,
    momentum: Momentum,
    rate_of_change: RateOfChange,
    volatility: Volatility,
    ewma_volatility: EwmaVolatility,
    macd: Macd,
    bollinger: Bollinger,
    order_flow: OrderFlow,
}

impl State {
    fn new(c: &FeatureConfig) -> Result<Self, SignalError> {
        let (fast, slow, signal) = c.macd_periods;
        Ok(Self {
            rsi: Rsi::new(c.rsi_period)?,
            momentum: Momentum::new(c.momentum_period)?,
            rate_of_change: RateOfChange::new(c.momentum_period)?,
            volatility: Volatility::new(c.volatility_period)?,
            ewma_volatility: EwmaVolatility::new(c.ewma_lambda)?,
            macd: Macd::new(fast, slow, signal)?,
            bollinger: Bollinger::new(c.bollinger_period, c.bollinger_k)?,
            order_flow: OrderFlow::new(),
        })
    }
}

impl FeatureExtractor {
    /// No quote seen yet.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range.
    pub fn new(config: FeatureConfig) -> Result<Self, SignalError> {
        Ok(Self { state: State::new(&config)?, config })
    }

    /// Forgets all quotes.
    pub fn reset(&mut self) {
        self.state = State::new(&self.config).expect("the same settings were accepted by `new`");
    }

    /// Features at the next quote, from it and earlier ones only.
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn update(&mut self, quote: Quote) -> [f32; N_FEATURES] {
        const BASIS_POINTS: f64 = 1e4;
        let mid = quote.mid();
        let s = &mut self.state;
        let volatility = s.volatility.update(mid);
        let scale = volatility * mid * (self.config.momentum_period as f64).sqrt();
        let row = [
            s.rsi.update(mid) / 100.0,
            ratio_or_zero(s.momentum.update(mid), scale),
            s.rate_of_change.update(mid) * BASIS_POINTS,
            volatility * BASIS_POINTS,
            s.ewma_volatility.update(mid) * BASIS_POINTS,
            s.macd.update(mid).histogram / mid * BASIS_POINTS,
            s.bollinger.update(mid).percent_b(mid),
            ratio_or_zero(microprice(quote) - mid, spread(quote)),
            imbalance(quote.bid_sz, quote.ask_sz),
            s.order_flow.update(quote) / (quote.bid_sz + quote.ask_sz),
        ];
        row.map(|x| x as f32)
    }
}

/// `a / b`, and 0 where `b` is 0: no movement in units of no movement, or a locked book.
fn ratio_or_zero(a: f64, b: f64) -> f64 {
    if b == 0.0 && a.is_finite() { 0.0 } else { a / b }
}
