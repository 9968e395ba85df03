//! Trading indicators and the feature, model, signal pipeline.
//!
//! Each indicator comes twice: a function over a slice ([`rsi`], [`macd`], …) and a streaming twin
//! ([`Rsi`], [`Macd`], …) fed one value at a time. The slice function drives the twin, so both give
//! the same bits. [`SignalPipeline`] joins ten of them into features, asks a [`Model`] for the
//! probability of a rise, and turns it into positions.
//!
//! **A null is a NaN.** Warm-up values, and values that depend on a missing or non-finite input,
//! are NaN, never 0. A window indicator is null while a null is in its window; a recursive one
//! (EMA, RSI, EWMA) gives null for a null input and goes on from its last state.
//!
//! **A quiet market costs no more and changes nothing.** An average that has decayed below the
//! smallest normal `f32`, 1.2e-38, is 0; the two averages of an RSI stay as they are once their sum
//! is below 1e-270 and no change comes. No state becomes a subnormal number.
//!
//! ```
//! let prices = [1.0_f64, 2.0, 3.0, 4.0, 5.0, 4.0];
//! let rsi = lob_signals::rsi(&prices, 2)?;
//! assert!(rsi[1].is_nan() && rsi[4] == 100.0);
//! assert_eq!(rsi[5], 50.0); // average gain 0.5, average loss 0.5
//! # Ok::<(), lob_signals::SignalError>(())
//! ```

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact results"))]

mod batch;
mod bollinger;
mod book;
mod error;
mod floor;
mod flow;
mod indicator;
mod lanes;
mod macd;
mod momentum;
mod moving_average;
mod pipeline;
mod real;
mod rolling;
mod rsi;
mod study;
#[cfg(feature = "burn")]
mod tensor;
mod trade;
mod volatility;

#[cfg(feature = "burn")]
pub use crate::tensor::{DeviceWindows, TensorDevice, TickTensors};
pub use crate::{
    batch::time_major,
    bollinger::{Bands, Bollinger, bollinger},
    book::{
        Quote, Quotes, book_imbalances, imbalance, microprice, microprices, queue_imbalance,
        queue_imbalances, spread, spreads,
    },
    error::SignalError,
    flow::{OrderFlow, order_flow_imbalance},
    indicator::Indicator,
    macd::{Macd, MacdValue, macd},
    momentum::{Momentum, RateOfChange, momentum, rate_of_change},
    moving_average::{Ema, Sma, ema, sma},
    pipeline::{
        BoxError, Edge, EdgeMeter, EmbeddingModel, Encode, FEATURE_NAMES, FeatureConfig,
        FeatureExtractor, FeatureMatrix, FeatureScale, GateConfig, HEAD_RIDGE, LinearHead,
        LogisticModel, Model, N_FEATURES, Signal, SignalGate, SignalPipeline, StageTimes, Stance,
        base_rate, moves, windows_ending_at,
    },
    real::Real,
    rsi::{Rsi, rsi},
    study::{Study, StudyStream, Tick, Ticks},
    trade::{Atr, KyleLambda, Vwap, atr, kyle_lambda, vwap},
    volatility::{EwmaVolatility, Volatility, ewma_volatility, volatility},
};
