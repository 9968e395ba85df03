//! What rows have of the labels that look forward.

use lob_depth::{Bin, ForwardVolatility, PathWalk};
use lob_store::LabelCell;

use super::BinRows;
use crate::{ConvertConfig, ForwardClasses, Horizon};

/// The labels of one row after the other, in the order of [`ConvertConfig::forward_labels`].
#[derive(Debug)]
pub(super) struct RowLabels<'r> {
    config: &'r ConvertConfig,
    rows: &'r BinRows,
    walk: PathWalk<'r>,
    volatilities: Vec<ForwardVolatility>,
    /// The next row.
    row: usize,
}

impl<'r> RowLabels<'r> {
    /// Before the first row.
    pub(super) fn new(rows: &'r BinRows, config: &'r ConvertConfig) -> Self {
        let volatilities = config.volatilities().map(ForwardVolatility::new).collect();
        Self { config, rows, walk: rows.mids.walk(), volatilities, row: 0 }
    }

    /// Those of the next row, which is this bin.
    pub(super) fn next(&mut self, bin: &Bin) -> Vec<LabelCell> {
        let horizons = self.config.horizons();
        if horizons.is_empty() {
            return Vec::new();
        }
        self.walk.advance();
        let mut cells = Vec::with_capacity(horizons.len() + self.volatilities.len() + 4);
        let mut nth = 0;
        for horizon in horizons {
            let value = if let Horizon::Bins(n) = horizon {
                self.walk.forward(*n)
            } else {
                nth += 1;
                let later = self.rows.next.later(self.row, nth - 1);
                later.zip(self.walk.twice_mid()).map(|(later, now)| later - now)
            };
            cells.push(self.forward(value, *horizon, bin));
        }
        let (next, walk) = (&self.rows.next, &self.walk);
        cells.extend(self.volatilities.iter_mut().map(|of| {
            let value = of.of(walk);
            LabelCell { value, class: None }
        }));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 within a day")]
        let value = next.change_ns(self.row).map(|ns| ns as f64);
        cells.push(LabelCell { value, class: next.is_up(self.row).map(i32::from) });
        let side = next.is_buy(self.row).map(i32::from);
        cells.push(LabelCell { value: side.map(f64::from), class: side });
        self.row += 1;
        cells
    }

    /// A difference of mids in half steps, and its class.
    fn forward(&self, value: Option<i64>, horizon: Horizon, bin: &Bin) -> LabelCell {
        #[expect(clippy::cast_precision_loss, reason = "steps are of 32 bits")]
        let value = value.map(|value| value as f64);
        let threshold = match self.config.forward_classes {
            ForwardClasses::None => None,
            ForwardClasses::Fixed(steps) => Some(2.0 * steps),
            ForwardClasses::Spread => {
                let spread = i64::from(bin.last_ask) - i64::from(bin.last_bid);
                #[expect(clippy::cast_precision_loss, reason = "steps are of 32 bits")]
                bin.has_mid().then_some((2 * spread.max(0)) as f64)
            }
            ForwardClasses::Volatility(k) => {
                let n = match horizon {
                    Horizon::Bins(n) | Horizon::Updates(n) | Horizon::Seconds(n) => f64::from(n),
                };
                self.walk.past_volatility().map(|volatility| 2.0 * k * volatility * n.sqrt())
            }
        };
        let class = |(value, threshold): (f64, f64)| {
            1 + i32::from(value > threshold) - i32::from(value < -threshold)
        };
        LabelCell { value, class: value.zip(threshold).map(class) }
    }
}
