//! Figures as text for a terminal.

use lob_metrics::{Unit, shown};
use lob_watch::PrometheusSample;

/// The name of a series with its labels.
pub(super) fn series(sample: &PrometheusSample) -> String {
    let labels: Vec<String> =
        sample.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    if labels.is_empty() {
        sample.name.clone()
    } else {
        format!("{}{{{}}}", sample.name, labels.join(","))
    }
}

/// A value in the unit its name says.
pub(super) fn in_unit(metric: &str, value: f64) -> String {
    let units = [
        ("_ratio", Unit::Fraction),
        ("_bytes_per_second", Unit::BytesPerSecond),
        ("_bytes", Unit::Bytes),
        ("_celsius", Unit::Celsius),
        ("_watts", Unit::Watts),
        ("_joules_total", Unit::Joules),
        ("_seconds", Unit::Seconds),
    ];
    match units.iter().find(|(suffix, _)| metric.ends_with(suffix)) {
        Some((_, unit)) => unit.format(value),
        None if metric.ends_with("_hz") => format!("{:.2} GHz", value * 1e-9),
        None => plain(value),
    }
}

/// A value somebody else wrote, which may be none.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() {
        return plain(value);
    }
    let word = if value.is_nan() { "NaN" } else { "Infinity" };
    format!("{}{word}", if value < 0.0 { "-" } else { "" })
}

pub(super) fn plain(value: f64) -> String {
    Unit::Count.format(value)
}

pub(super) fn ago(seconds: f64) -> String {
    format!("{} ago", Unit::Seconds.format(seconds))
}

pub(super) fn styled(text: &str, code: &str, colours: bool) -> String {
    let text = shown(text);
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

/// A line cut to `columns`; escape sequences take no room and stay whole.
pub(super) fn clipped(line: &str, columns: usize) -> String {
    let (mut out, mut used, mut in_escape) = (String::new(), 0, false);
    for c in line.chars() {
        if in_escape || c == '\x1b' {
            in_escape = c != 'm';
            out.push(c);
        } else if used < columns {
            used += 1;
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen() {
        assert_eq!(clipped("\x1b[1mabcdef\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
        assert_eq!(clipped("äöü", 2), "äö");
    }
}
