//! The same page for clients that ask for OpenMetrics 1.0 ("The OpenMetrics project: creating a
//! standard for exposing metric data").

/// Media type of what [`openmetrics_text`] writes.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes a page of the Prometheus text format as OpenMetrics: families of counters and of
/// information go by their names without `_total` and `_info`, and the page ends with `# EOF`.
///
/// The page must be one of [`crate::MetricsPage`]: families in one piece, HELP before TYPE.
///
/// ```
/// let page = "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n";
/// let text = lob_watch::openmetrics_text(page);
/// assert_eq!(text, "# HELP a Things.\n# TYPE a counter\na_total 1\n# EOF\n");
/// ```
#[must_use]
pub fn openmetrics_text(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 6);
    let mut help: Option<(&str, &str)> = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (family, kind) = family(name, kind);
            if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                let text = text.replace('"', "\\\"");
                out.push_str(&format!("# HELP {family} {text}\n"));
            }
            out.push_str(&format!("# TYPE {family} {kind}\n"));
        } else if !line.is_empty() && !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.push_str("# EOF\n");
    out
}

/// Name and type of a family.
fn family<'a>(name: &'a str, kind: &'a str) -> (&'a str, &'a str) {
    match kind {
        "counter" => match name.strip_suffix("_total") {
            Some(family) => (family, "counter"),
            // A counter of another name is none there.
            None => (name, "unknown"),
        },
        "gauge" => name.strip_suffix("_info").map_or((name, "gauge"), |family| (family, "info")),
        "untyped" => (name, "unknown"),
        other => (name, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types_are_those_of_openmetrics() {
        let page = "# HELP a_info A \"b\" \\\\ c.\n# TYPE a_info gauge\na_info{v=\"1\"} 1\n\
                    # TYPE b counter\nb 2\n# HELP s Of it.\n# TYPE s summary\n\
                    s{quantile=\"0.5\"} NaN\ns_sum 1\ns_count 2\n# TYPE u untyped\nu 3\n";
        let expected = "# HELP a A \\\"b\\\" \\\\ c.\n# TYPE a info\na_info{v=\"1\"} 1\n\
                        # TYPE b unknown\nb 2\n# HELP s Of it.\n# TYPE s summary\n\
                        s{quantile=\"0.5\"} NaN\ns_sum 1\ns_count 2\n# TYPE u unknown\nu 3\n# EOF\n";
        assert_eq!(openmetrics_text(page), expected);
        assert_eq!(openmetrics_text(""), "# EOF\n");
    }
}
