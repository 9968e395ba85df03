//! Reading the text format back, strictly.

use std::collections::{BTreeMap, BTreeSet};

use crate::WatchError;

/// A metric family: samples of one name with their type.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusFamily {
    /// Name without a summary's or histogram's suffix.
    pub name: String,
    /// `counter`, `gauge`, `summary`, `histogram` or `untyped`.
    pub kind: String,
    /// Help text, if any.
    pub help: Option<String>,
    /// Its samples in the order of the text.
    pub samples: Vec<PrometheusSample>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusSample {
    /// Name with its suffix, such as `lob_request_seconds_count`.
    pub name: String,
    /// Labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// Value; may be infinite or not a number.
    pub value: f64,
    /// Milliseconds since 1970, where given.
    pub timestamp_ms: Option<i64>,
}

/// Reads a page of the Prometheus text format 0.0.4 and holds it to the rules that scrapers rely
/// on: families in one piece, one TYPE line before the samples, no sample twice, legal names,
/// known escapes, a line feed at the end.
///
/// ```
/// let text = "# TYPE up gauge\nup{job=\"a\"} 1\n";
/// let families = lob_watch::parse_prometheus_text(text)?;
/// assert_eq!(families[0].samples[0].value, 1.0);
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
///
/// # Errors
/// [`WatchError::Exposition`] with the line and what is wrong with it.
pub fn parse_prometheus_text(text: &str) -> Result<Vec<PrometheusFamily>, WatchError> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        let failed = |reason| WatchError::Exposition { line: at + 1, reason };
        reader.line(line).map_err(failed)?;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let reason = "the last line has no line feed".to_owned();
        return Err(WatchError::Exposition { line: text.lines().count(), reason });
    }
    Ok(reader.families)
}

#[derive(Default)]
struct Reader {
    families: Vec<PrometheusFamily>,
    names: BTreeSet<String>,
    seen: BTreeSet<(String, Vec<(String, String)>)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() {
            return Ok(());
        }
        let Some(comment) = line.strip_prefix('#') else { return self.sample(line) };
        let mut words = comment.trim_start().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("TYPE"), name, kind) => self.type_line(name, kind),
            (Some("HELP"), Some(name), help) => {
                legal(name, true)?;
                let help = unescaped(help.unwrap_or(""), false)?;
                let family = self.family(name)?;
                if family.help.replace(help).is_some() {
                    return Err(format!("a second HELP for `{name}`"));
                }
                Ok(())
            }
            (Some("HELP"), ..) => Err("HELP without a name".to_owned()),
            _ => Ok(()),
        }
    }

    fn type_line(&mut self, name: Option<&str>, kind: Option<&str>) -> Result<(), String> {
        let (Some(name), Some(kind)) = (name, kind) else {
            return Err("TYPE without a name or a type".to_owned());
        };
        legal(name, true)?;
        if !["counter", "gauge", "summary", "histogram", "untyped"].contains(&kind) {
            return Err(format!("`{kind}` is no type"));
        }
        let family = self.family(name)?;
        if family.kind != "untyped" || !family.samples.is_empty() {
            return Err(format!("TYPE of `{name}` a second time or after its samples"));
        }
        kind.clone_into(&mut family.kind);
        Ok(())
    }

    /// The family the last lines were about, or a new one.
    fn family(&mut self, name: &str) -> Result<&mut PrometheusFamily, String> {
        if self.families.last().is_none_or(|family| family.name != name) {
            if !self.names.insert(name.to_owned()) {
                return Err(format!("`{name}` is not in one piece"));
            }
            let (name, kind) = (name.to_owned(), "untyped".to_owned());
            self.families.push(PrometheusFamily { name, kind, help: None, samples: Vec::new() });
        }
        self.families.last_mut().ok_or_else(|| "no family".to_owned())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(['{', ' ', '\t']).ok_or("a sample without a value")?;
        let name = &line[..end];
        legal(name, true)?;
        let rest = line[end..].trim_start_matches([' ', '\t']);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inside) => labels(inside)?,
            None => (BTreeMap::new(), rest),
        };
        let mut words = rest.split_ascii_whitespace();
        let value = number(words.next().ok_or("a sample without a value")?)?;
        let timestamp_ms = match words.next() {
            Some(word) => Some(word.parse().map_err(|_| format!("`{word}` is no timestamp"))?),
            None => None,
        };
        if let Some(word) = words.next() {
            return Err(format!("`{word}` after the sample"));
        }
        let key = (name.to_owned(), labels.clone().into_iter().collect());
        if !self.seen.insert(key) {
            return Err(format!("`{name}` with the same labels a second time"));
        }
        let base = self.base_of(name);
        if self.names.contains(&base) && labels.contains_key("quantile") {
            number(&labels["quantile"])?;
        }
        let name = name.to_owned();
        let family = self.family(&base)?;
        family.samples.push(PrometheusSample { name, labels, value, timestamp_ms });
        Ok(())
    }

    /// The family a sample belongs to: of a summary or histogram the name without its suffix.
    fn base_of(&self, name: &str) -> String {
        let Some(family) = self.families.last() else { return name.to_owned() };
        let suffixes: &[&str] = match family.kind.as_str() {
            "summary" => &["_sum", "_count"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => &[],
        };
        let of_family = suffixes.iter().any(|s| name.strip_suffix(s) == Some(&family.name));
        if of_family { family.name.clone() } else { name.to_owned() }
    }
}

/// Labels up to the closing bracket, and what stands behind it.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok((labels, behind));
        }
        let (name, after) = rest.split_once('=').ok_or("a label without `=`")?;
        let name = name.trim();
        legal(name, false)?;
        let quoted = after.trim_start().strip_prefix('"').ok_or("a label value without quotes")?;
        let end = closing_quote(quoted).ok_or("a label value without an end")?;
        if labels.insert(name.to_owned(), unescaped(&quoted[..end], true)?).is_some() {
            return Err(format!("the label `{name}` twice"));
        }
        rest = quoted[end + 1..].trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err("neither `,` nor `}` after a label".to_owned()),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(text: &str, quotes: bool) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            other => return Err(format!("unknown escape `\\{}`", other.unwrap_or(' '))),
        }
    }
    Ok(out)
}

fn legal(name: &str, metric: bool) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':');
    let begins = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if begins && name.chars().all(allowed) { Ok(()) } else { Err(format!("`{name}` is no name")) }
}

fn number(word: &str) -> Result<f64, String> {
    match word {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ => word
            .parse::<f64>()
            .ok()
            .filter(|_| !word.contains(|c: char| c.is_alphabetic() && c != 'e' && c != 'E'))
            .ok_or_else(|| format!("`{word}` is no number")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::Page;
    use super::*;

    #[test]
    fn what_breaks_the_rules_is_named_with_its_line() {
        for (text, line, part) in [
            ("a 1", 1, "line feed"),
            ("a 1\nb 1\na{x=\"1\"} 1\n", 3, "one piece"),
            ("a 1\na 2\n", 2, "second time"),
            ("# TYPE a gauge\n# TYPE a gauge\n", 2, "second time"),
            ("a 1\n# TYPE a gauge\n", 2, "after its samples"),
            ("# TYPE a thing\n", 1, "no type"),
            ("# HELP a x\n# HELP a x\n", 2, "second HELP"),
            ("1a 1\n", 1, "no name"),
            ("a{b:c=\"1\"} 1\n", 1, "no name"),
            ("a{b=\"1} 1\n", 1, "without an end"),
            ("a{b=\"\\x\"} 1\n", 1, "escape"),
            ("a{b=\"1\" c=\"2\"} 1\n", 1, "neither"),
            ("a{b=\"1\",b=\"2\"} 1\n", 1, "twice"),
            ("a\n", 1, "without a value"),
            ("a infinity\n", 1, "no number"),
            ("a 1 2 3\n", 1, "after the sample"),
            ("a 1 x\n", 1, "no timestamp"),
        ] {
            let error = parse_prometheus_text(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(&format!("line {line} ")), "{error}");
        }
    }

    #[test]
    fn all_of_the_format_is_understood() {
        let text = "# a comment\n\n# HELP s Of \\\\ it.\n# TYPE s summary\n\
                    s{ q=\"a\\\"b\\\\\\n\" , quantile=\"0.5\" } +Inf 17\ns_sum 1e3\ns_count 2\nplain -2\n";
        let families = parse_prometheus_text(text).unwrap();
        assert_eq!(families.len(), 2);
        assert_eq!(
            (families[0].samples.len(), families[0].help.as_deref()),
            (3, Some("Of \\ it."))
        );
        let first = &families[0].samples[0];
        assert_eq!(first.labels["q"], "a\"b\\\n");
        assert_eq!((first.value, first.timestamp_ms), (f64::INFINITY, Some(17)));
    }

    proptest! {
        #[test]
        fn every_page_is_read_back(
            rows in proptest::collection::btree_map("[ -~\n]{0,12}", -1e9f64..1e9, 1..20),
            help in "[ -~\n]{0,20}",
        ) {
            let mut page = Page::default();
            rows.iter().for_each(|(l, v)| page.add("x_total", "counter", &help, &[("l", l)], *v));
            let families = parse_prometheus_text(&page.finish()).unwrap();
            prop_assert_eq!(families[0].samples.len(), rows.len());
            for sample in &families[0].samples {
                prop_assert_eq!(rows[&sample.labels["l"]].to_bits(), sample.value.to_bits());
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "[a-z{}\"=,\\\\# \n0-9]{0,60}") {
            let _ = parse_prometheus_text(&text);
        }
    }
}
