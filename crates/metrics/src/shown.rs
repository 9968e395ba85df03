//! Text from elsewhere made safe to print.

use std::fmt::{self, Display, Write};

/// Text that came from a file, a name or another program, for a terminal, a log or a report:
/// control characters are written as escapes that can be seen, `\n` or `\u{1b}`.
///
/// A symbol or a file name may hold an escape sequence that repaints the terminal, a line end that
/// forges a line of output, or marks that turn the direction of text around it.
///
/// ```
/// use lob_metrics::shown;
/// assert_eq!(shown("ES\u{1b}[2J\nsound x").to_string(), r"ES\u{1b}[2J\nsound x");
/// assert_eq!(shown("größer 📈").to_string(), "größer 📈");
/// ```
pub fn shown<T: Display>(text: T) -> Shown<T> {
    Shown(text)
}

/// What [`shown`] returns; prints the text.
#[derive(Debug, Clone, Copy)]
pub struct Shown<T>(T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaped(f), "{}", self.0)
    }
}

struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_hidden) {
            let mut rest = part.chars();
            match rest.next_back() {
                Some(last) if is_hidden(last) => {
                    self.0.write_str(rest.as_str())?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// Whether a character is not seen itself but changes what is seen around it: controls of C0 and
/// C1, ends of lines and paragraphs, and what sets the direction of text.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_and_mark_of_direction_is_seen() {
        let hidden: Vec<char> = (0..0x20)
            .chain(0x7F..0xA0)
            .chain([0x61C, 0x200E, 0x200F, 0x2028, 0x2029])
            .chain(0x202A..0x202F)
            .chain(0x2066..0x206A)
            .filter_map(char::from_u32)
            .collect();
        assert_eq!(hidden.len(), 32 + 33 + 5 + 5 + 4);
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            let found = shown(&text).to_string();
            if hidden.contains(&c) {
                assert_eq!(found, format!("a{}b", c.escape_default()));
                assert!(found.is_ascii() && !found.chars().any(is_hidden));
            } else {
                assert_eq!(found, text);
            }
        }
    }

    #[test]
    fn runs_and_ends_are_kept() {
        for (text, expected) in [
            ("", ""),
            ("\u{1b}", r"\u{1b}"),
            ("\r\n", r"\r\n"),
            ("a\u{7}\u{7}b\t", r"a\u{7}\u{7}b\t"),
            ("\u{9b}31m", r"\u{9b}31m"),
        ] {
            assert_eq!(shown(text).to_string(), expected);
        }
    }
}
