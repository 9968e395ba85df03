//! The indicators as tensor operations, for a device that wants many windows at once.
//!
//! Prices travel as their distance to the first price of the window, with that price beside them:
//! single precision then holds differences of ticks exactly, whatever the level of the price.
//! Window indicators are sums of shifted slices; recursive ones (EMA, RSI, MACD, ATR, EWMA) are
//! linear in their inputs, and so one product with a triangular matrix of weights.

mod device;
mod studies;
mod weights;

pub use device::{DeviceWindows, TensorDevice};

use burn_tensor::{Tensor, TensorData, backend::Backend};

use crate::{SignalError, Study, Ticks};

/// Columns of [`Ticks`] as tensors `[windows, steps]`, prices relative to the window's first.
#[derive(Debug, Clone)]
pub struct TickTensors<B: Backend> {
    /// First price of each window, `[windows, 1]`.
    base: Tensor<B, 2>,
    price: Option<Tensor<B, 2>>,
    high: Option<Tensor<B, 2>>,
    low: Option<Tensor<B, 2>>,
    volume: Option<Tensor<B, 2>>,
    signed_volume: Option<Tensor<B, 2>>,
    bid_px: Option<Tensor<B, 2>>,
    ask_px: Option<Tensor<B, 2>>,
    bid_sz: Option<Tensor<B, 2>>,
    ask_sz: Option<Tensor<B, 2>>,
    bid_depth_sz: Option<Tensor<B, 2>>,
    ask_depth_sz: Option<Tensor<B, 2>>,
}

impl<B: Backend> TickTensors<B> {
    /// Uploads windows of `n_steps` ticks, one window after another in each column.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] unless `n_steps` is at least 1 and divides the number of ticks.
    pub fn upload(
        ticks: &Ticks<'_>,
        n_steps: usize,
        device: &B::Device,
    ) -> Result<Self, SignalError> {
        if n_steps == 0 || !ticks.len().is_multiple_of(n_steps) {
            let expected = "a divisor of the number of ticks";
            return Err(SignalError::parameter("n_steps", expected, n_steps));
        }
        let n_windows = ticks.len() / n_steps;
        // Without a price column the bid is the level to measure from.
        let level = if ticks.price.is_empty() { ticks.bid_px } else { ticks.price };
        let base: Vec<f64> = if level.is_empty() {
            vec![0.0; n_windows]
        } else {
            level.iter().step_by(n_steps).copied().collect()
        };
        let upload = |column: &[f64], is_price: bool| {
            (column.len() == ticks.len() && !column.is_empty()).then(|| {
                let windows = column.chunks_exact(n_steps).zip(&base);
                let values = windows.flat_map(|(window, base)| {
                    let base = if is_price { *base } else { 0.0 };
                    window.iter().map(move |x| single(x - base))
                });
                let data = TensorData::new(values.collect(), [n_windows, n_steps]);
                Tensor::from_data(data, device)
            })
        };
        let base_data =
            TensorData::new(base.iter().map(|x| single(*x)).collect::<Vec<f32>>(), [n_windows, 1]);
        Ok(Self {
            base: Tensor::from_data(base_data, device),
            price: upload(ticks.price, true),
            high: upload(ticks.high, true),
            low: upload(ticks.low, true),
            volume: upload(ticks.volume, false),
            signed_volume: upload(ticks.signed_volume, false),
            bid_px: upload(ticks.bid_px, true),
            ask_px: upload(ticks.ask_px, true),
            bid_sz: upload(ticks.bid_sz, false),
            ask_sz: upload(ticks.ask_sz, false),
            bid_depth_sz: upload(ticks.bid_depth_sz, false),
            ask_depth_sz: upload(ticks.ask_depth_sz, false),
        })
    }

    /// The indicator of every window: one `[windows, steps]` tensor for each of
    /// [`Study::columns`], null (NaN) where [`Study::series`] over the window alone is null.
    ///
    /// A window that holds a null anywhere in a column the indicator reads is null throughout.
    /// Values are single precision: within `1e-5` of the slice functions, relative to the largest
    /// value of the window.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range, [`SignalError::Length`] for a column
    /// that was not uploaded.
    pub fn study(&self, study: &Study) -> Result<Vec<Tensor<B, 2>>, SignalError> {
        study.stream()?; // the settings are in range
        studies::run(self, study)
    }

    fn need<'a>(
        &self,
        what: &'static str,
        column: &'a Option<Tensor<B, 2>>,
    ) -> Result<&'a Tensor<B, 2>, SignalError> {
        let missing = || SignalError::Length { what, expected: self.base.dims()[0], found: 0 };
        column.as_ref().ok_or_else(missing)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "tensors are single precision")]
fn single(x: f64) -> f32 {
    x as f32
}
