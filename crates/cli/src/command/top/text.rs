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
        None if metric.ends_with("_hertz") => format!("{:.2} GHz", value * 1e-9),
        None => plain(value),
    }
}

/// The unit of a counter's growth per second, for counters that are shown by it.
pub(super) fn rate_unit(metric: &str) -> Option<Unit> {
    match metric {
        _ if metric.ends_with("_bytes_total") => Some(Unit::BytesPerSecond),
        _ if metric.ends_with("_cpu_seconds_total") => Some(Unit::Dimensionless),
        "lob_context_switches_total" => Some(Unit::Count),
        _ => None,
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

/// Columns a text takes; escape sequences take none.
pub(super) fn width(text: &str) -> usize {
    let mut in_escape = false;
    let is_seen = |c: &char| {
        let seen = !in_escape && *c != '\x1b';
        in_escape = !seen && *c != 'm';
        seen
    };
    text.chars().filter(is_seen).count()
}

/// A text without escape sequences, cut to `columns`, with a mark where something is missing.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    if columns == 0 { kept } else { kept + "…" }
}

/// Words and lists broken into lines of at most `columns`, further lines indented.
pub(super) fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.trim().is_empty());
        if gap > 0 && line.chars().count() + gap + word.chars().count() > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else if gap > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.iter().map(|line| shortened(line, columns)).collect()
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
        assert_eq!((width("\x1b[1;31mäb\x1b[0m"), width("")), (2, 0));
    }

    #[test]
    fn what_does_not_fit_is_marked_or_wrapped() {
        assert_eq!(
            (&*shortened("abc", 3), &*shortened("abcd", 3), &*shortened("ab", 0)),
            ("abc", "ab…", "")
        );
        assert_eq!(wrapped("a, b, c, d", 6, 2), ["a, b,", "  c, d"]);
        assert_eq!(wrapped("abcdefgh", 4, 1), ["abc…"]);
        assert_eq!(wrapped("", 4, 1), [""]);
    }
}
