//! The terminal while the dashboard has it.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use super::key::{Key, Scroll};
use super::layout::{Sort, Style};
#[cfg(unix)]
use super::terminal;
use super::text;

/// The terminal; leaving restores it, also after a panic.
pub(super) struct Screen {
    #[cfg(unix)]
    keys: Option<terminal::Keys>,
    colours: bool,
    blocks: bool,
    /// Columns and rows as they were drawn on.
    size: (usize, usize),
    first_line: usize,
    n_lines: usize,
}

impl Screen {
    pub(super) fn enter() -> Result<Self> {
        let screen = Self {
            #[cfg(unix)]
            keys: terminal::Keys::take()?,
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            blocks: speaks_utf8(|name| std::env::var(name).ok()),
            size: size(),
            first_line: 0,
            n_lines: 0,
        };
        // The alternate screen, without a cursor.
        write_out(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    /// What lines are drawn with, at the size of now.
    pub(super) fn style(&mut self) -> Style {
        self.size = size();
        Style { columns: self.size.0, colours: self.colours, blocks: self.blocks }
    }

    /// Whether the terminal has another size than it was drawn at.
    pub(super) fn was_resized(&self) -> bool {
        size() != self.size
    }

    /// Lines between the first and the last, which are ours.
    fn room(&self) -> usize {
        self.size.1.saturating_sub(2).max(1)
    }

    pub(super) fn scroll(&mut self, scroll: Scroll) {
        let page = self.room();
        self.first_line = scrolled(self.first_line, self.n_lines, page, scroll);
    }

    /// Draws from the top left corner, and no line longer or later than the screen is.
    pub(super) fn draw(&mut self, heading: &str, lines: &[String], sort: Sort) -> Result<()> {
        let (columns, rows) = self.size;
        self.n_lines = lines.len();
        let room = self.room();
        // Lines may have gone since the last look.
        self.first_line = scrolled(self.first_line, self.n_lines, room, Scroll::Lines(0));
        let mut frame = String::from("\x1b[H");
        let mut add = |line: &str| {
            frame.push_str(&text::clipped(line, columns));
            frame.push_str("\x1b[0m\x1b[K\r\n");
        };
        if rows > 2 {
            add(&text::shortened(heading, columns));
        }
        let shown = lines.iter().skip(self.first_line).take(room);
        shown.for_each(|line| add(line));
        let last = footer(columns, sort, self.first_line, room, self.n_lines);
        frame.push_str(&format!("\x1b[2m{last}\x1b[0m\x1b[K\x1b[J"));
        write_out(frame.as_bytes())
    }

    /// Waits for keys for at most `time`.
    pub(super) fn keys_within(&mut self, time: Duration) -> Result<Vec<Key>> {
        #[cfg(unix)]
        if let Some(keys) = &mut self.keys {
            return keys.within(time);
        }
        std::thread::sleep(time);
        Ok(Vec::new())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be said about a terminal that is gone.
        let _ = write_out(b"\x1b[?25h\x1b[?1049l");
    }
}

/// The keys and where we are, as much as fits.
fn footer(columns: usize, sort: Sort, first: usize, room: usize, n_lines: usize) -> String {
    let to = (first + room).min(n_lines);
    let at =
        if room < n_lines { format!("  {}-{to} of {n_lines}", first + 1) } else { String::new() };
    let long =
        format!("q quits (Esc, Ctrl-C)  arrows PgUp PgDn scroll  s sorts: {}{at}", sort.word());
    let short = format!("q quits  arrows scroll  s sorts{at}");
    let fits = |text: &String| text.chars().count() <= columns;
    let shortest = format!("q quits{at}");
    let all = [long, short, shortest];
    let found = all.into_iter().find(fits);
    found.unwrap_or_else(|| text::shortened("q quits", columns))
}

/// The first line after a scroll; the last page stays full.
fn scrolled(first: usize, n_lines: usize, page: usize, scroll: Scroll) -> usize {
    let last = n_lines.saturating_sub(page);
    let by = |lines: isize| first.saturating_add_signed(lines).min(last);
    match scroll {
        Scroll::Lines(lines) => by(lines),
        Scroll::Pages(pages) => by(pages.saturating_mul(page.cast_signed())),
        Scroll::Home => 0,
        Scroll::End => last,
    }
}

/// Whether the locale's characters are those of UTF-8 (setlocale(3): the first that is set counts).
fn speaks_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let set = names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    set.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

fn write_out(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Columns and rows; 80 by 24 where the terminal does not tell.
fn size() -> (usize, usize) {
    #[cfg(unix)]
    if let Some(size) = terminal::size() {
        return size;
    }
    (80, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolling_stays_within_the_lines() {
        for (first, scroll, expected) in [
            (0, Scroll::Lines(-1), 0),
            (0, Scroll::Lines(1), 1),
            (28, Scroll::Lines(5), 28),
            (0, Scroll::Pages(1), 12),
            (28, Scroll::Pages(-1), 16),
            (5, Scroll::Home, 0),
            (5, Scroll::End, 28),
            // Lines that have gone take the screen along.
            (99, Scroll::Lines(0), 28),
        ] {
            assert_eq!(scrolled(first, 40, 12, scroll), expected, "{first} {scroll:?}");
        }
        assert_eq!(scrolled(0, 3, 12, Scroll::End), 0, "all of it is seen");
        assert_eq!(scrolled(0, 3, 12, Scroll::Pages(isize::MAX)), 0);
    }

    #[test]
    fn the_footer_names_the_way_out_at_any_width() {
        for columns in [200, 80, 60, 40, 20, 10] {
            let footer = footer(columns, Sort::Listed, 3, 10, 40);
            assert!(footer.chars().count() <= columns, "{columns}: {footer}");
            assert!(footer.starts_with("q quits"), "{columns}: {footer}");
        }
        assert!(footer(80, Sort::Value, 3, 10, 40).ends_with("by value  4-13 of 40"));
        assert!(!footer(80, Sort::Value, 0, 40, 40).contains("of 40"), "nothing to scroll");
    }

    #[test]
    fn blocks_need_a_locale_that_has_them() {
        let locale = |pairs: &'static [(&str, &str)]| {
            speaks_utf8(move |name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
            })
        };
        assert!(locale(&[("LANG", "en_GB.UTF-8")]) && locale(&[("LC_ALL", "C.utf8")]));
        assert!(!locale(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]));
        assert!(!locale(&[]) && locale(&[("LC_ALL", ""), ("LANG", "de.UTF-8")]));
    }
}
