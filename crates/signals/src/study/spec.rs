use std::fmt;
use std::str::FromStr;

use super::Study;
use crate::SignalError;

/// Every name [`Study`] parses, in the order of its variants.
const NAMES: &str = "one of `rsi`, `momentum`, `rate_of_change`, `volatility`, `ewma_volatility`, \
                     `sma`, `ema`, `macd`, `bollinger`, `atr`, `vwap`, `kyle_lambda`, `spread`, \
                     `microprice`, `queue_imbalance`, `book_imbalance`, `order_flow_imbalance`, \
                     with settings after colons as in `rsi:14`";

impl Study {
    /// Every indicator with its usual settings.
    #[must_use]
    pub fn all() -> [Self; 17] {
        [
            Self::Rsi(14),
            Self::Momentum(10),
            Self::RateOfChange(10),
            Self::Volatility(20),
            Self::EwmaVolatility(0.94),
            Self::Sma(20),
            Self::Ema(20),
            Self::Macd(12, 26, 9),
            Self::Bollinger(20, 2.0),
            Self::Atr(14),
            Self::Vwap(20),
            Self::KyleLambda(50),
            Self::Spread,
            Self::Microprice,
            Self::QueueImbalance,
            Self::BookImbalance,
            Self::OrderFlowImbalance,
        ]
    }

    /// The name without settings.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rsi(_) => "rsi",
            Self::Momentum(_) => "momentum",
            Self::RateOfChange(_) => "rate_of_change",
            Self::Volatility(_) => "volatility",
            Self::EwmaVolatility(_) => "ewma_volatility",
            Self::Sma(_) => "sma",
            Self::Ema(_) => "ema",
            Self::Macd(..) => "macd",
            Self::Bollinger(..) => "bollinger",
            Self::Atr(_) => "atr",
            Self::Vwap(_) => "vwap",
            Self::KyleLambda(_) => "kyle_lambda",
            Self::Spread => "spread",
            Self::Microprice => "microprice",
            Self::QueueImbalance => "queue_imbalance",
            Self::BookImbalance => "book_imbalance",
            Self::OrderFlowImbalance => "order_flow_imbalance",
        }
    }

    /// Names of the columns it fills: `rsi_14`, or three such as `macd_12_26_9_line`.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let whole = self.to_string().replace(':', "_");
        let parts: &[&str] = match self {
            Self::Macd(..) => &["line", "signal", "histogram"],
            Self::Bollinger(..) => &["lower", "middle", "upper"],
            _ => return vec![whole],
        };
        parts.iter().map(|part| format!("{whole}_{part}")).collect()
    }
}

impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Rsi(p)
            | Self::Momentum(p)
            | Self::RateOfChange(p)
            | Self::Volatility(p)
            | Self::Sma(p)
            | Self::Ema(p)
            | Self::Atr(p)
            | Self::Vwap(p)
            | Self::KyleLambda(p) => write!(f, ":{p}"),
            Self::EwmaVolatility(lambda) => write!(f, ":{lambda}"),
            Self::Macd(fast, slow, signal) => write!(f, ":{fast}:{slow}:{signal}"),
            Self::Bollinger(period, k) => write!(f, ":{period}:{k}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Study {
    type Err = SignalError;

    /// Parses `name`, or `name:setting` with as many settings as the indicator has; a setting left
    /// out keeps its usual value. The ranges are checked too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut study = Self::all()
            .into_iter()
            .find(|study| study.name() == name)
            .ok_or_else(|| SignalError::parameter("indicator", NAMES, text))?;
        let refuse = |expected| SignalError::parameter("indicator setting", expected, text);
        let mut period = |slot: &mut usize| match parts.next().map(str::parse) {
            None => Ok(()),
            Some(Ok(value)) => {
                *slot = value;
                Ok(())
            }
            Some(Err(_)) => Err(refuse("a whole number")),
        };
        match &mut study {
            Self::Rsi(p)
            | Self::Momentum(p)
            | Self::RateOfChange(p)
            | Self::Volatility(p)
            | Self::Sma(p)
            | Self::Ema(p)
            | Self::Atr(p)
            | Self::Vwap(p)
            | Self::KyleLambda(p) => period(p)?,
            Self::Macd(fast, slow, signal) => {
                [fast, slow, signal].into_iter().try_for_each(period)?;
            }
            Self::Bollinger(p, _) => period(p)?,
            _ => {}
        }
        if let Self::EwmaVolatility(x) | Self::Bollinger(_, x) = &mut study
            && let Some(part) = parts.next()
        {
            *x = part.parse().map_err(|_| refuse("a number"))?;
        }
        if parts.next().is_some() {
            return Err(refuse("fewer settings"));
        }
        study.stream()?;
        Ok(study)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_defaults_fill_in() {
        for study in Study::all() {
            assert_eq!(study.to_string().parse::<Study>().unwrap(), study);
            assert_eq!(study.name().parse::<Study>().unwrap(), study);
            assert!(NAMES.contains(&format!("`{}`", study.name())), "{study}");
        }
        for (text, expected) in [
            ("rsi:9", Study::Rsi(9)),
            ("macd:5", Study::Macd(5, 26, 9)),
            ("bollinger:10:1.5", Study::Bollinger(10, 1.5)),
            ("ewma_volatility:0.9", Study::EwmaVolatility(0.9)),
        ] {
            assert_eq!(text.parse::<Study>().unwrap(), expected);
        }
        assert_eq!(Study::Rsi(14).columns(), ["rsi_14"]);
        assert_eq!(Study::Macd(12, 26, 9).columns()[2], "macd_12_26_9_histogram");
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, part) in [
            ("rsj", "`indicator` is rsj, expected one of `rsi`"),
            ("rsi:x", "whole number"),
            ("rsi:14:3", "fewer"),
            ("spread:1", "fewer"),
            ("rsi:0", "at least 1"),
            ("macd:26:12", "above the fast period"),
            ("bollinger:20:-1", "from 0"),
            ("ewma_volatility:1.5", "0..1"),
        ] {
            let message = text.parse::<Study>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
