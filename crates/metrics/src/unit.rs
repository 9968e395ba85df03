//! Units, stored in their SI base and formatted only at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The unit of a stored value. Times are stored in seconds, sizes in bytes, shares as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// A plain number of things.
    #[serde(rename = "count")]
    Count,
    /// A fraction; 1.0 is the whole.
    #[serde(rename = "fraction")]
    Fraction,
    /// A number without a dimension (a loss, a ratio above one).
    #[serde(rename = "1")]
    Dimensionless,
    /// Samples (windows, pairs) per second.
    #[serde(rename = "samples/s")]
    SamplesPerSecond,
    /// Decoded records per second.
    #[serde(rename = "records/s")]
    RecordsPerSecond,
    /// Calculated values per second.
    #[serde(rename = "values/s")]
    ValuesPerSecond,
    /// Bytes per second.
    #[serde(rename = "B/s")]
    BytesPerSecond,
    /// Floating-point operations per second.
    #[serde(rename = "FLOP/s")]
    FlopPerSecond,
    /// Degrees Celsius.
    #[serde(rename = "degC")]
    Celsius,
    /// Watts.
    #[serde(rename = "W")]
    Watts,
    /// Joules.
    #[serde(rename = "J")]
    Joules,
}

/// What a value that is not a number is printed as: a report never shows `NaN`.
const NOT_A_VALUE: &str = "not measured";

/// Prefixes of a decimal quantity of one or more, and of one below one.
const SI_LARGE: [(f64, &str); 5] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
const SI_SMALL: [(f64, &str); 4] = [(1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")];
const TIME: [(f64, &str); 5] =
    [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps")];
const SIZE: [(f64, &str); 5] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];

/// One scale for a whole axis: `value / divisor` is printed with `suffix`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// What to divide a stored value by.
    pub divisor: f64,
    /// The unit to print after it, such as `ms`.
    pub suffix: String,
}

impl Unit {
    /// The value for people: scaled, three significant digits, unit last. Whole counts are exact.
    ///
    /// A duration other than zero is never printed as 0; a value that is not finite reads
    /// `not measured`.
    ///
    /// ```
    /// use lob_metrics::Unit;
    /// assert_eq!(Unit::Seconds.format(0.000_012_34), "12.3 µs");
    /// assert_eq!(Unit::Bytes.format(1_572_864.0), "1.50 MiB");
    /// assert_eq!(Unit::SamplesPerSecond.format(1_480.0), "1.48 k samples/s");
    /// assert_eq!(Unit::Fraction.format(0.123), "12.3 %");
    /// ```
    #[must_use]
    pub fn format(self, value: f64) -> String {
        if !value.is_finite() {
            return NOT_A_VALUE.to_owned();
        }
        match self {
            Self::Seconds if value.abs() >= 119.95 => minutes(value),
            Self::Count if is_whole(value) => grouped(value),
            Self::Bytes if value.abs() < 1024.0 && is_whole(value) => format!("{value} B"),
            Self::Count if value.abs() < 1e6 => significant(value),
            Self::Dimensionless => plain(value),
            _ => {
                let Scale { divisor, suffix } = self.scale(value);
                join(&significant(value / divisor), &suffix)
            }
        }
    }

    /// The scale an axis reaching up to `largest` (in absolute value) reads best in.
    #[must_use]
    pub fn scale(self, largest: f64) -> Scale {
        let size = largest.abs();
        let pick = |table: &[(f64, &'static str)]| -> (f64, &'static str) {
            let fits = table.iter().find(|(step, _)| round_significant(size / step) >= 1.0);
            // Zero has no size of its own: it is said in the base unit, not in the smallest.
            let base = table.iter().find(|(step, _)| *step <= 1.0 && size == 0.0);
            *base.or(fits).unwrap_or(&table[table.len() - 1])
        };
        let rate = |noun: &str| {
            let (divisor, prefix) = pick(&SI_LARGE);
            Scale { divisor, suffix: join(prefix, noun) }
        };
        let glued = |table: &[(f64, &'static str)], noun: &str| {
            let (divisor, prefix) = pick(table);
            Scale { divisor, suffix: format!("{prefix}{noun}") }
        };
        match self {
            Self::Seconds => glued(&TIME, ""),
            Self::Bytes => glued(&SIZE, ""),
            Self::Count => glued(&SI_LARGE, ""),
            Self::Fraction => Scale { divisor: 0.01, suffix: "%".to_owned() },
            Self::Dimensionless => Scale { divisor: 1.0, suffix: String::new() },
            Self::Celsius => Scale { divisor: 1.0, suffix: "°C".to_owned() },
            Self::SamplesPerSecond | Self::RecordsPerSecond | Self::ValuesPerSecond => {
                rate(self.symbol())
            }
            Self::BytesPerSecond | Self::FlopPerSecond => glued(&SI_LARGE, self.symbol()),
            Self::Watts | Self::Joules if size < 1.0 => glued(&SI_SMALL, self.symbol()),
            Self::Watts | Self::Joules => glued(&SI_LARGE, self.symbol()),
        }
    }

    /// The symbol of the stored base unit, as it stands in the JSON.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "B",
            Self::Count => "count",
            Self::Fraction => "fraction",
            Self::Dimensionless => "1",
            Self::SamplesPerSecond => "samples/s",
            Self::RecordsPerSecond => "records/s",
            Self::ValuesPerSecond => "values/s",
            Self::BytesPerSecond => "B/s",
            Self::FlopPerSecond => "FLOP/s",
            Self::Celsius => "degC",
            Self::Watts => "W",
            Self::Joules => "J",
        }
    }
}

impl Unit {
    /// Whether a value of this unit is a time, or a rate by one.
    #[must_use]
    pub const fn is_of_time(self) -> bool {
        matches!(
            self,
            Self::Seconds
                | Self::SamplesPerSecond
                | Self::RecordsPerSecond
                | Self::ValuesPerSecond
                | Self::BytesPerSecond
                | Self::FlopPerSecond
        )
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

fn join(number: &str, suffix: &str) -> String {
    match (number, suffix) {
        (number, "") => number.to_owned(),
        ("", suffix) => suffix.to_owned(),
        (number, suffix) => format!("{number} {suffix}"),
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() < 1e15
}

/// Three significant digits, so that 999.6 is known to be 1000 before its prefix is chosen.
fn round_significant(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Three significant digits without an exponent where that stays readable.
fn significant(value: f64) -> String {
    let rounded = round_significant(value);
    let size = rounded.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if (100.0..1e7).contains(&size) => format!("{rounded:.0}"),
        _ if (10.0..100.0).contains(&size) => format!("{rounded:.1}"),
        _ if (1.0..10.0).contains(&size) => format!("{rounded:.2}"),
        _ if (0.1..1.0).contains(&size) => format!("{rounded:.3}"),
        _ if (0.001..0.1).contains(&size) => format!("{rounded:.4}"),
        _ => format!("{rounded:.2e}"),
    }
}

/// A number without a dimension: four significant digits, whole numbers as they are.
fn plain(value: f64) -> String {
    let size = value.abs();
    if is_whole(value) && size < 1e6 {
        return format!("{value}");
    }
    match size {
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ if size >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// A whole number with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// Two minutes or more, in the two largest units of time.
fn minutes(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs().round();
    if whole < 3600.0 {
        format!("{sign}{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0)
    } else {
        let in_minutes = (whole / 60.0).round();
        format!("{sign}{:.0} h {:02.0} min", (in_minutes / 60.0).floor(), in_minutes % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scaled_to_three_digits() {
        for (unit, value, expected) in [
            (Unit::Seconds, 0.0, "0 s"),
            (Unit::Seconds, 3.1e-10, "310 ps"),
            (Unit::Seconds, 2.4e-8, "24.0 ns"),
            (Unit::Seconds, 9.996e-7, "1.00 µs"),
            (Unit::Seconds, 0.0121, "12.1 ms"),
            (Unit::Seconds, 0.9996, "1.00 s"),
            (Unit::Seconds, -0.5, "-500 ms"),
            (Unit::Seconds, 1e-15, "0.0010 ps"),
            (Unit::Seconds, 119.9, "120 s"),
            (Unit::Seconds, 125.0, "2 min 05 s"),
            (Unit::Seconds, 3599.9, "1 h 00 min"),
            (Unit::Seconds, 7500.0, "2 h 05 min"),
            (Unit::Bytes, 0.0, "0 B"),
            (Unit::Bytes, 1023.0, "1023 B"),
            (Unit::Bytes, 1024.0, "1.00 KiB"),
            (Unit::Bytes, 4_294_967_296.0, "4.00 GiB"),
            (Unit::Count, 68_792.0, "68,792"),
            (Unit::Count, -1_234.0, "-1,234"),
            (Unit::Count, 0.5, "0.500"),
            (Unit::Fraction, 0.9734, "97.3 %"),
            (Unit::Fraction, 0.0, "0 %"),
            (Unit::Fraction, 0.000_12, "0.0120 %"),
            (Unit::Dimensionless, 1.234_56, "1.235"),
            (Unit::Dimensionless, 1e-7, "1.000e-7"),
            (Unit::Dimensionless, 13.0, "13"),
            (Unit::SamplesPerSecond, 512.0, "512 samples/s"),
            (Unit::RecordsPerSecond, 2_345_678.0, "2.35 M records/s"),
            (Unit::BytesPerSecond, 17.2e9, "17.2 GB/s"),
            (Unit::FlopPerSecond, 999.9e9, "1.00 TFLOP/s"),
            (Unit::Celsius, 45.25, "45.2 °C"),
            (Unit::Joules, 0.0042, "4.20 mJ"),
            (Unit::Watts, 65.0, "65.0 W"),
            (Unit::Seconds, f64::NAN, "not measured"),
            (Unit::Bytes, f64::INFINITY, "not measured"),
        ] {
            assert_eq!(unit.format(value), expected, "{unit} {value:e}");
        }
    }

    #[test]
    fn no_duration_above_zero_reads_as_zero() {
        for exponent in -18..0 {
            let text = Unit::Seconds.format(1.5 * 10f64.powi(exponent));
            assert!(text.contains(|c: char| ('1'..='9').contains(&c)), "{text}");
        }
    }
}
