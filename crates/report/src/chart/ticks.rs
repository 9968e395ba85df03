//! Round numbers for axes.

use lob_metrics::Unit;

/// A linear or logarithmic axis from data to pixels.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
    log: bool,
    pub(crate) ticks: Vec<(f64, String)>,
    /// The unit of the tick labels.
    pub(crate) suffix: String,
    pub(crate) divisor: f64,
    /// The unit of `value / divisor`, for a value read off the axis.
    pub(crate) read_in: String,
}

/// Above this ratio of largest to smallest positive value an axis is logarithmic.
const LOG_RATIO: f64 = 100.0;

impl Axis {
    /// An axis over all finite `values`; `from_zero` keeps zero on a linear one.
    pub(crate) fn over(
        values: &[f64],
        unit: Unit,
        px: (f64, f64),
        from_zero: bool,
        may_log: bool,
    ) -> Self {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let log = may_log && low > 0.0 && high / low > LOG_RATIO;
        if log {
            return Self::logarithmic(low, high, unit, px);
        }
        let (low, high) = if from_zero { (low.min(0.0), high.max(0.0)) } else { (low, high) };
        let (low, high) = if high - low > 0.0 {
            (low, high)
        } else {
            let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low - margin, high + margin)
        };
        Self::linear(low, high, unit, px)
    }

    fn linear(low: f64, high: f64, unit: Unit, px: (f64, f64)) -> Self {
        let scale = unit.scale(low.abs().max(high.abs()));
        let step = nice_step((high - low) / scale.divisor / 5.0);
        let first = (low / scale.divisor / step + 1e-9).floor();
        let decimals = decimals_of(step);
        let mut ticks = Vec::new();
        let mut k = first;
        loop {
            let shown = k * step;
            let text = format!("{shown:.decimals$}");
            let text = if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
                "0".to_owned()
            } else {
                text
            };
            ticks.push((shown * scale.divisor, text));
            if shown * scale.divisor >= high * (1.0 - 1e-12) - f64::MIN_POSITIVE || ticks.len() > 20
            {
                break;
            }
            k += 1.0;
        }
        let (low, high) = (ticks[0].0, ticks[ticks.len() - 1].0.max(high));
        Self {
            low,
            high,
            from_px: px.0,
            to_px: px.1,
            log: false,
            ticks,
            read_in: scale.suffix.clone(),
            suffix: scale.suffix,
            divisor: scale.divisor,
        }
    }

    /// A logarithmic axis over a range of positive values: powers of ten, of two for sizes.
    pub(crate) fn logarithmic(low: f64, high: f64, unit: Unit, px: (f64, f64)) -> Self {
        let base: f64 = if unit == Unit::Bytes { 2.0 } else { 10.0 };
        let first = low.log(base).floor();
        let last = high.log(base).ceil().max(first + 1.0);
        let every = ((last - first) / 6.0).ceil().max(1.0);
        let mut ticks = Vec::new();
        let mut exponent = first;
        while exponent <= last {
            let value = base.powf(exponent);
            ticks.push((value, tick_label(unit, value)));
            exponent += every;
        }
        let (low, high) = (base.powf(first), base.powf(last));
        Self { low, high, log: true, ..Self::at(ticks, unit, px) }
    }

    /// A logarithmic axis with a tick at each of a few sizes.
    pub(crate) fn at_sizes(sizes: &[f64], px: (f64, f64)) -> Self {
        let low = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let high = sizes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let margin = (high / low).powf(0.06).max(1.02);
        let ticks = sizes.iter().map(|n| (*n, n.to_string())).collect();
        let axis = Self::at(ticks, Unit::Dimensionless, px);
        Self { low: low / margin, high: high * margin, log: true, suffix: String::new(), ..axis }
    }

    fn at(ticks: Vec<(f64, String)>, unit: Unit, px: (f64, f64)) -> Self {
        let symbol = match unit {
            Unit::Count | Unit::Dimensionless | Unit::Fraction => "",
            unit => unit.symbol(),
        };
        let suffix = match unit {
            // Their tick labels carry the unit.
            Unit::Seconds => "time, logarithmic".to_owned(),
            Unit::Bytes => "size, logarithmic".to_owned(),
            _ if symbol.is_empty() => "logarithmic".to_owned(),
            _ => format!("{symbol}, logarithmic"),
        };
        let read_in = symbol.to_owned();
        let (low, high) = (f64::NAN, f64::NAN);
        Self {
            low,
            high,
            from_px: px.0,
            to_px: px.1,
            log: true,
            ticks,
            suffix,
            divisor: 1.0,
            read_in,
        }
    }

    pub(crate) const fn is_log(&self) -> bool {
        self.log
    }

    pub(crate) fn px(&self, value: f64) -> f64 {
        let share = if self.log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from_px + share * (self.to_px - self.from_px)
    }

    pub(crate) fn domain(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

/// A power of a base with its prefix; the unit stands at the axis where ticks would be too wide.
fn tick_label(unit: Unit, value: f64) -> String {
    let scale = unit.scale(value);
    let number: f64 = format!("{:.3e}", value / scale.divisor).parse().unwrap_or(value);
    let suffix = match unit {
        Unit::Seconds | Unit::Bytes | Unit::Fraction => scale.suffix.as_str(),
        _ => scale.suffix.strip_suffix(unit.symbol()).unwrap_or(&scale.suffix).trim(),
    };
    if suffix.is_empty() { number.to_string() } else { format!("{number} {suffix}") }
}

/// 1, 2 or 5 times a power of ten, at least `raw`.
fn nice_step(raw: f64) -> f64 {
    if !(raw.is_finite() && raw > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    let factor =
        [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// Digits after the point that tell ticks `step` apart.
fn decimals_of(step: f64) -> usize {
    (0..12).find(|d| step * 10f64.powi(*d) >= 0.999).map_or(12, |d| usize::try_from(d).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], unit: Unit) -> (Vec<String>, String) {
        let axis = Axis::over(values, unit, (0.0, 100.0), true, true);
        (axis.ticks.into_iter().map(|t| t.1).collect(), axis.suffix)
    }

    #[test]
    fn ticks_are_round_numbers_in_one_unit() {
        let (ticks, suffix) = labels(&[0.012, 0.047], Unit::Seconds);
        assert_eq!((ticks.join(" "), suffix.as_str()), ("0 10 20 30 40 50".to_owned(), "ms"));
        let (ticks, suffix) = labels(&[0.2, 0.9], Unit::Dimensionless);
        assert_eq!((ticks.join(" "), suffix.as_str()), ("0 0.2 0.4 0.6 0.8 1.0".to_owned(), ""));
        let (ticks, _) = labels(&[1e-6, 2.0], Unit::Seconds);
        assert_eq!(ticks.first().map(String::as_str), Some("1 µs"));
        let (ticks, suffix) = labels(&[150.0, 2e6], Unit::SamplesPerSecond);
        assert_eq!(ticks.join(" "), "100 1 k 10 k 100 k 1 M 10 M");
        assert_eq!(suffix, "samples/s, logarithmic");
        let (ticks, _) = labels(&[1e5, 5e8], Unit::Bytes);
        assert_eq!(ticks.first().map(String::as_str), Some("64 KiB"));
    }

    #[test]
    fn no_values_and_equal_values_still_make_an_axis() {
        for values in [&[][..], &[0.0], &[5.0, 5.0], &[-3.0], &[f64::NAN, 1e300]] {
            let axis = Axis::over(values, Unit::Count, (0.0, 100.0), false, true);
            let (low, high) = axis.domain();
            assert!(low < high && axis.ticks.len() >= 2, "{values:?} {axis:?}");
        }
    }
}
