//! The run of a program for viewers of traces ("Trace Event Format", JSON object form).

use std::fmt::Write;

use serde_json::json;

use super::CommandProfile;

// Writing into a `String` cannot fail, so the results of `write!` are dropped.
impl CommandProfile {
    /// The run of the program as one JSON document that `ui.perfetto.dev` and `chrome://tracing` open: the program as one event, its
    /// series (memory, CPU share, disk traffic, threads) as counters, the findings as marks at its
    /// end.
    #[must_use]
    pub fn to_chrome_json(&self) -> String {
        let (scenario, name) = (&self.scenario, json!(self.scenario.title));
        let end_us = scenario.elapsed_s * 1e6;
        let mut out = format!(
            "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n\
             {{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":1,\"args\":{{\"name\":{name}}}}},\n\
             {{\"ph\":\"X\",\"name\":{name},\"cat\":\"lob\",\"pid\":1,\"tid\":1,\"ts\":0.000,\
             \"dur\":{end_us:.3}}}"
        );
        for series in &scenario.timeline {
            let name = json!(series.metric);
            for (t_s, value) in series.t_s.iter().zip(&series.values) {
                let _ = write!(
                    out,
                    ",\n{{\"ph\":\"C\",\"name\":{name},\"pid\":1,\"tid\":1,\"ts\":{:.3},\
                     \"args\":{{\"value\":{}}}}}",
                    t_s * 1e6,
                    number(*value)
                );
            }
        }
        for finding in &scenario.findings {
            let _ = write!(
                out,
                ",\n{{\"ph\":\"i\",\"s\":\"p\",\"name\":{},\"cat\":\"lob\",\"pid\":1,\"tid\":1,\
                 \"ts\":{end_us:.3}}}",
                json!(finding.text)
            );
        }
        out.push_str("\n]}\n");
        out
    }
}

/// A JSON number; what JSON cannot say becomes a string.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format!("\"{value}\"") }
}
