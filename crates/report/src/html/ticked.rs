//! Sentences with parts set as code.

use crate::escape::html as e;

/// Escaped text whose parts between backticks are set as code.
pub(super) fn ticked(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let balanced = parts.len() % 2 == 1;
    if !balanced {
        return e(text);
    }
    let marked = parts.iter().enumerate().map(|(i, part)| match i % 2 {
        0 => e(part),
        _ => format!("<code>{}</code>", e(part)),
    });
    marked.collect()
}

/// With a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
