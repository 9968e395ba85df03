//! Sections as lines of any width.

use lob_metrics::shown;

use super::history::History;
use super::text::{shortened, styled, width, wrapped};
use super::view::{Row, Section};

/// Columns of a figure with its name, value and bar: two of them fit 80 columns.
const CELL: usize = 39;
/// Columns between two cells.
const GAP: usize = 2;
/// Columns of a name, where there is room.
const NAME: usize = 18;
const VALUE: usize = 9;
/// Columns of a bar, and the most a line over time takes.
const BAR: usize = 8;
const MOST_LOOKS: usize = 30;
/// Looks without which there is no line over time.
const FEWEST_LOOKS: usize = 3;

/// How rows are ordered within their section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Listed,
    Name,
    Value,
}

impl Sort {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Listed => Self::Name,
            Self::Name => Self::Value,
            Self::Value => Self::Listed,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Listed => "as listed",
            Self::Name => "by name",
            Self::Value => "by value",
        }
    }

    pub(super) fn apply(self, sections: &mut [Section]) {
        for section in sections {
            match self {
                Self::Listed => {}
                Self::Name => section.rows.sort_by(|a, b| a.name.cmp(&b.name)),
                Self::Value => section.rows.sort_by(|a, b| {
                    let of = |row: &Row| row.number.unwrap_or(f64::NEG_INFINITY);
                    of(b).total_cmp(&of(a))
                }),
            }
        }
    }
}

/// What lines are drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) columns: usize,
    pub(super) colours: bool,
    /// Whether characters beyond ASCII may be used for bars.
    pub(super) blocks: bool,
}

/// The lines of all sections; no line is longer than the columns, and none ends in a blank.
pub(super) fn lines(
    sections: &[Section],
    unavailable: &[(String, String)],
    history: &History,
    style: Style,
) -> Vec<String> {
    let mut lines = Vec::new();
    for section in sections {
        lines.push(String::new());
        let title = shown(&section.title).to_string();
        lines.push(styled(&shortened(&title, style.columns), "1", style.colours));
        lines.extend(rows(section, history, style));
    }
    if !unavailable.is_empty() {
        let names: Vec<String> =
            unavailable.iter().map(|(name, _)| shown(name).to_string()).collect();
        let text = format!("unavailable: {}", names.join(", "));
        lines.push(String::new());
        let dim = |line: &String| styled(line, "2", style.colours);
        lines.extend(wrapped(&text, style.columns, 2).iter().map(dim));
    }
    lines
}

/// The rows of a section, side by side where they are short and there is room.
fn rows(section: &Section, history: &History, style: Style) -> Vec<String> {
    let across = ((style.columns + GAP) / (CELL + GAP)).max(1);
    let wide = ((style.columns + GAP) / across).saturating_sub(GAP);
    let mut lines: Vec<String> = Vec::new();
    let mut cells: Vec<String> = Vec::new();
    for row in &section.rows {
        if needs(row) > wide {
            lines.extend(joined(&mut cells, wide));
            lines.extend(long(row, style));
            continue;
        }
        cells.push(cell(section, row, history, wide, style));
        if cells.len() == across {
            lines.extend(joined(&mut cells, wide));
        }
    }
    lines.extend(joined(&mut cells, wide));
    lines
}

/// Columns of a row with all of its name and value.
fn needs(row: &Row) -> usize {
    let (name, value) = (shown(&row.name).to_string(), shown(&row.value).to_string());
    3 + name.chars().count() + value.chars().count()
}

/// The cells as a line, each but the last filled up.
fn joined(cells: &mut Vec<String>, wide: usize) -> Option<String> {
    let last = cells.pop()?;
    let mut line = String::new();
    for cell in cells.drain(..) {
        let fill = (wide + GAP).saturating_sub(width(&cell));
        line.push_str(&cell);
        line.push_str(&" ".repeat(fill));
    }
    Some(line + &last)
}

/// A row that fills a line: its value on lines of its own where both do not fit.
fn long(row: &Row, style: Style) -> Vec<String> {
    let (name, value) = (shown(&row.name).to_string(), shown(&row.value).to_string());
    let (name_len, len) = (name.chars().count(), value.chars().count());
    let mut lines = if 3 + name_len + len <= style.columns {
        let filled = NAME.min(style.columns - 3 - len).max(name_len);
        vec![format!("  {name:<filled$} {value}").trim_end().to_owned()]
    } else {
        let mut lines = vec![format!("  {}", shortened(&name, style.columns.saturating_sub(2)))];
        let room = style.columns.saturating_sub(4);
        lines.extend(wrapped(&value, room, 0).into_iter().map(|line| format!("    {line}")));
        lines
    };
    if row.alarming {
        lines = lines.iter().map(|line| styled(line, "1;31", style.colours)).collect();
    }
    lines
}

/// Name, value, and what room is left for: a bar, or the values before. The value is never left out.
fn cell(section: &Section, row: &Row, history: &History, wide: usize, style: Style) -> String {
    let (name, value) = (shown(&row.name).to_string(), shown(&row.value).to_string());
    let len = value.chars().count();
    let name_columns = NAME.min(wide.saturating_sub(3 + len)).max(name.chars().count());
    let value_columns = VALUE.min(wide.saturating_sub(3 + name_columns)).max(len);
    let mut text = format!("  {name:<name_columns$} {value:>value_columns$}");
    let left = wide.saturating_sub(text.chars().count() + 1);
    let past = history.last(&section.title, &row.name, left.min(MOST_LOOKS));
    if past.len() >= FEWEST_LOOKS && left >= FEWEST_LOOKS {
        text.push_str(&format!(" {}", over_time(&past, row.is_share, style.blocks)));
    } else if let Some(share) = row.number.filter(|_| row.is_share && left >= BAR) {
        let filled = (0..BAR).take_while(|n| share * BAR as f64 > *n as f64 + 0.5).count();
        text.push_str(&format!(" {}{}", "#".repeat(filled), ".".repeat(BAR - filled)));
    }
    if row.alarming { styled(&text, "1;31", style.colours) } else { text }
}

/// Values as a row of characters: shares on a scale from nothing to all, others from their least to
/// their most.
fn over_time(values: &[f64], is_share: bool, blocks: bool) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: [char; 8] = ['_', '.', ',', '-', '=', '+', '*', '#'];
    let characters = if blocks { BLOCKS } else { ASCII };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (least, most) = if is_share { (0.0, 1.0) } else { (least, most) };
    let level = |value: &f64| {
        let share = if most > least { (value - least) / (most - least) } else { 0.0 };
        // The characters for everything up to one eighth, two eighths and so on.
        (1..BLOCKS.len()).take_while(|n| share > *n as f64 / BLOCKS.len() as f64).count()
    };
    values.iter().map(|value| characters[level(value)]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::view::View;
    use super::*;

    const PAGE: &str = "# TYPE lob_cpu_busy_ratio gauge\nlob_cpu_busy_ratio 0.5\n\
        # TYPE lob_memory_used_bytes gauge\nlob_memory_used_bytes 1.5e9\n\
        # TYPE lob_load1 gauge\nlob_load1 9.25\n\
        # TYPE lob_pressure_memory_ratio gauge\nlob_pressure_memory_ratio 0.031\n\
        # TYPE lob_alert_active gauge\nlob_alert_active{alert=\"cpu\"} 1\n\
        # TYPE lob_request_seconds summary\n\
        lob_request_seconds{label=\"pre\u{1b}dict\",quantile=\"0.5\"} 0.01\n\
        lob_request_seconds_count{label=\"pre\u{1b}dict\"} 10\n\
        # TYPE lob_watch gauge\nlob_watch{file=\"a-run-with-a-long-name/metrics.jsonl\",field=\"loss\"} 2.5\n\
        # TYPE lob_watched_up gauge\nlob_watched_up{pid=\"7\"} 1\n\
        # TYPE lob_watched_resident_memory_bytes gauge\nlob_watched_resident_memory_bytes{pid=\"7\"} 5e8\n\
        # TYPE lob_watched_threads gauge\nlob_watched_threads{pid=\"7\"} 12\n\
        # TYPE other gauge\nother{a=\"b\"} 4\n\
        lob_sensor_unavailable_info{sensor=\"energy\",reason=\"none here\"} 1\n\
        lob_sensor_unavailable_info{sensor=\"cpu.temperature\",reason=\"none here\"} 1\n";

    fn drawn(columns: usize, looks: usize, colours: bool) -> Vec<String> {
        let view = View::parse(PAGE).unwrap();
        let mut sections = view.sections(None);
        let mut history = History::default();
        for look in 0..looks {
            history.take_in(look as f64, &sections);
        }
        history.add_trends(&mut sections);
        lines(&sections, &view.unavailable, &history, Style { columns, colours, blocks: true })
    }

    /// At any width every label stands with its value, and no line is cut by the terminal.
    #[test]
    fn labels_never_stand_without_their_values() {
        for columns in [200, 120, 80, 79, 60, 41, 40, 39, 30, 20] {
            for looks in [0, 20] {
                let lines = drawn(columns, looks, false);
                for line in &lines {
                    assert!(line.chars().count() <= columns, "{columns}: {line:?}");
                    assert!(!line.ends_with(' '), "{columns}: {line:?}");
                    assert!(!line.contains(char::is_control), "{line:?}");
                }
                let text = lines.join("\n");
                for (label, value) in [
                    ("cpu busy", "50.0 %"),
                    ("memory", "1.40 GiB"),
                    ("load 1 min", "9.25"),
                    ("threads", "12"),
                    ("loss", "2.50"),
                ] {
                    let found = lines.iter().position(|line| line.contains(label));
                    let found = found.unwrap_or_else(|| panic!("{columns}: {label} in {text}"));
                    // On the same line, or below it where the line is too short for both.
                    let near = &lines[found..(found + 3).min(lines.len())];
                    let has = text.contains(value) && near.iter().any(|l| l.contains(value));
                    assert!(has || label == "memory", "{columns}: {label} without {value}: {text}");
                }
                assert!(text.contains("1.40 GiB") && text.contains("ON now"), "{text}");
                assert!(text.contains("cpu.temperature") && text.contains("energy"), "{text}");
            }
        }
        let two_across = drawn(80, 0, false);
        assert!(two_across.iter().any(|l| l.contains("cpu busy") && l.contains("load 1 min")
            || l.contains("waiting for memory")));
        assert!(drawn(200, 0, false).len() < two_across.len());
        assert!(drawn(60, 0, true).join("").contains("\x1b[1;31m"), "alerts are red");
    }

    #[test]
    fn history_is_drawn_and_a_bar_where_there_is_none() {
        assert!(drawn(80, 0, false).iter().any(|l| l.contains("50.0 % ####....")));
        assert!(
            drawn(80, 9, false)
                .iter()
                .any(|l| l.contains("50.0 % ▅▅▅▅") || l.contains("50.0 % ▄▄▄▄"))
        );
        assert_eq!(over_time(&[0.0, 0.5, 1.0], true, true), "▁▄█");
        assert_eq!(over_time(&[3.0, 4.0, 5.0], false, true), "▁▄█");
        assert_eq!(over_time(&[3.0, 3.0], false, true), "▁▁");
        assert_eq!(over_time(&[0.0, 1.0], true, false), "_#");
    }

    #[test]
    fn rows_are_sorted_within_their_section() {
        let row = |name: &str, number| Row { number, ..Row::new(name, String::new()) };
        let rows = vec![row("b", Some(1.0)), row("a", None), row("c", Some(2.0))];
        let mut sections = vec![Section { title: String::new(), rows }];
        let names = |sections: &[Section]| {
            sections[0].rows.iter().map(|r| r.name.clone()).collect::<String>()
        };
        for (sort, expected) in [(Sort::Listed, "bac"), (Sort::Name, "abc"), (Sort::Value, "cba")] {
            sort.apply(&mut sections);
            assert_eq!(names(&sections), expected, "{sort:?}");
        }
        assert_eq!(Sort::Listed.next().next().next(), Sort::Listed);
    }
}
