//! JSON as programs of numbers write it: with `NaN`, `Infinity` and numbers that are too large.

use serde_json::Value;

/// Parses a line. What JSON has no word for becomes a text that [`not_finite`] reads.
pub(super) fn parse(line: &str) -> Option<Value> {
    serde_json::from_str(line).or_else(|_| serde_json::from_str(&quoted(line))).ok()
}

/// The number that a text or null stands for, if it is none that JSON can write.
pub(super) fn not_finite(value: &Value) -> Option<f64> {
    match value {
        // What serde and JavaScript write in the place of NaN.
        Value::Null => Some(f64::NAN),
        Value::String(text) => number(text).filter(|number| !number.is_finite()),
        _ => None,
    }
}

/// `NaN`, `Infinity`, `-inf`, `1e999`.
fn number(text: &str) -> Option<f64> {
    // Nothing longer is one, and a line is read many times.
    (text.len() <= 64).then(|| text.parse().ok()).flatten()
}

/// The line with every bare word that is such a number put in quotes.
fn quoted(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c == '"' || is_part(c)) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let n = if from.starts_with('"') { text_len(from) } else { word_len(from) };
        let (word, after) = from.split_at(n);
        match number(word).filter(|number| !number.is_finite()) {
            Some(_) => out.extend(["\"", word, "\""]),
            None => out.push_str(word),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')
}

fn word_len(text: &str) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Bytes of a text with its quotes.
fn text_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_word_in_json_are_texts() {
        for (line, expected) in [
            ("{\"a\": NaN, \"b\":1}", "{\"a\": \"NaN\", \"b\":1}"),
            ("{\"a\":-Infinity,\"b\":[inf,nan]}", "{\"a\":\"-Infinity\",\"b\":[\"inf\",\"nan\"]}"),
            ("{\"a\":1e999}", "{\"a\":\"1e999\"}"),
            // Within a text they are text, and other words stay wrong.
            ("{\"NaN \\\" NaN\": NaN}", "{\"NaN \\\" NaN\": \"NaN\"}"),
            ("{\"a\": nonsense}", "{\"a\": nonsense}"),
            ("{\"a\": 1.5, \"ä\": \"ü", "{\"a\": 1.5, \"ä\": \"ü"),
        ] {
            assert_eq!(quoted(line), expected);
        }
        assert!(parse("{\"a\": nonsense}").is_none() && parse("{\"a\": \"NaN").is_none());
    }
}
