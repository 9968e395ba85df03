use super::{Study, Tick};
use crate::{
    Atr, Bollinger, Ema, EwmaVolatility, Indicator, KyleLambda, Macd, Momentum, OrderFlow,
    RateOfChange, Rsi, SignalError, Sma, Volatility, Vwap, imbalance, microprice, queue_imbalance,
    spread,
};

/// Streaming twin of [`Study::series`].
#[derive(Debug, Clone)]
pub struct StudyStream(State);

#[derive(Debug, Clone)]
enum State {
    Rsi(Rsi),
    Momentum(Momentum),
    RateOfChange(RateOfChange),
    Volatility(Volatility),
    EwmaVolatility(EwmaVolatility),
    Sma(Sma),
    Ema(Ema),
    Macd(Macd),
    Bollinger(Bollinger),
    Atr(Atr),
    Vwap(Vwap),
    KyleLambda(Momentum, KyleLambda),
    Spread,
    Microprice,
    QueueImbalance,
    BookImbalance,
    OrderFlowImbalance(OrderFlow),
}

impl Study {
    /// The indicator fed one tick at a time.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range.
    pub fn stream(&self) -> Result<StudyStream, SignalError> {
        Ok(StudyStream(match *self {
            Self::Rsi(period) => State::Rsi(Rsi::new(period)?),
            Self::Momentum(period) => State::Momentum(Momentum::new(period)?),
            Self::RateOfChange(period) => State::RateOfChange(RateOfChange::new(period)?),
            Self::Volatility(period) => State::Volatility(Volatility::new(period)?),
            Self::EwmaVolatility(lambda) => State::EwmaVolatility(EwmaVolatility::new(lambda)?),
            Self::Sma(period) => State::Sma(Sma::new(period)?),
            Self::Ema(period) => State::Ema(Ema::new(period)?),
            Self::Macd(fast, slow, signal) => State::Macd(Macd::new(fast, slow, signal)?),
            Self::Bollinger(period, k) => State::Bollinger(Bollinger::new(period, k)?),
            Self::Atr(period) => State::Atr(Atr::new(period)?),
            Self::Vwap(period) => State::Vwap(Vwap::new(period)?),
            Self::KyleLambda(period) => {
                State::KyleLambda(Momentum::new(1)?, KyleLambda::new(period)?)
            }
            Self::Spread => State::Spread,
            Self::Microprice => State::Microprice,
            Self::QueueImbalance => State::QueueImbalance,
            Self::BookImbalance => State::BookImbalance,
            Self::OrderFlowImbalance => State::OrderFlowImbalance(OrderFlow::new()),
        }))
    }
}

impl StudyStream {
    /// Takes the next tick and appends one value for each column of the study to `out`.
    pub fn update(&mut self, tick: &Tick, out: &mut Vec<f64>) {
        let value = match &mut self.0 {
            State::Macd(twin) => {
                let v = twin.update(tick.price);
                out.extend([v.line, v.signal, v.histogram]);
                return;
            }
            State::Bollinger(twin) => {
                let v = twin.update(tick.price);
                out.extend([v.lower, v.middle, v.upper]);
                return;
            }
            State::Rsi(twin) => twin.update(tick.price),
            State::Momentum(twin) => twin.update(tick.price),
            State::RateOfChange(twin) => twin.update(tick.price),
            State::Volatility(twin) => twin.update(tick.price),
            State::EwmaVolatility(twin) => twin.update(tick.price),
            State::Sma(twin) => twin.update(tick.price),
            State::Ema(twin) => twin.update(tick.price),
            State::Atr(twin) => twin.update(tick.high, tick.low, tick.price),
            State::Vwap(twin) => twin.update(tick.price, tick.volume),
            State::KyleLambda(change, twin) => {
                twin.update(change.update(tick.price), tick.signed_volume)
            }
            State::Spread => spread(tick.quote),
            State::Microprice => microprice(tick.quote),
            State::QueueImbalance => queue_imbalance(tick.quote),
            State::BookImbalance => imbalance(tick.bid_depth_sz, tick.ask_depth_sz),
            State::OrderFlowImbalance(twin) => twin.update(tick.quote),
        };
        out.push(value);
    }
}
