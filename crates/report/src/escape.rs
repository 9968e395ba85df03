//! Escaping of strings that come from outside: file names, host facts, settings.

use lob_metrics::{is_hidden, shown};

/// Text or attribute value of HTML and XML. Control characters XML 1.0 forbids and marks of direction
/// become U+FFFD.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// One cell or line of Markdown: no markup, no line breaks, no HTML.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' | '|' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// As [`markdown`], with the parts between backticks set as code.
pub(crate) fn markdown_ticked(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return markdown(text);
    }
    let set = |(i, part): (usize, &&str)| match i % 2 {
        0 => markdown(part),
        _ if part.is_empty() => String::new(),
        _ => code(part),
    };
    parts.iter().enumerate().map(set).collect()
}

/// Text inside backticks of a Markdown table.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", line(text).replace('`', "'").replace('|', "¦"))
}

/// One line of plain text.
pub(crate) fn line(text: &str) -> String {
    shown(text.replace(['\n', '\t'], " ")).to_string()
}

/// A file name of lower-case letters, digits and underscores.
pub(crate) fn slug(title: &str) -> String {
    let words: Vec<String> = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut slug = words.join("_");
    slug.truncate(60);
    if slug.is_empty() { "image".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(html("<a href=\"x\">'&\u{0}"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\u{fffd}");
        assert_eq!(markdown("a|b\n<c>_"), "a\\|b &lt;c&gt;\\_");
        assert_eq!(code("a`b|c"), "`a'b¦c`");
        assert_eq!(markdown_ticked("use `a|b` <c>"), "use `a¦b` &lt;c&gt;");
        assert_eq!(markdown_ticked("odd ` one"), "odd \\` one");
        assert_eq!(line("a\nb"), "a b");
        assert_eq!(line("a\u{1b}[2J\u{202e}b"), r"a\u{1b}[2J\u{202e}b");
        assert_eq!(markdown("\u{9b}|"), r"\\u{9b}\|");
        assert_eq!(code("\u{7}`"), r"`\u{7}'`");
        assert_eq!(html("\u{202e}\u{85}\n"), "\u{fffd}\u{fffd}\n");
    }

    #[test]
    fn titles_become_file_names() {
        for (title, expected) in [
            ("Depth image", "depth_image"),
            ("../../etc/passwd", "etc_passwd"),
            ("Größe (α)", "gr_e"),
            ("", "image"),
            (&"x".repeat(99), &"x".repeat(60)),
        ] {
            assert_eq!(slug(title), expected);
        }
    }
}
