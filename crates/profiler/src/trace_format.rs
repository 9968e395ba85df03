//! How a trace is written.

use std::str::FromStr;

use lob_scope::Trace;
use serde::{Deserialize, Serialize};

use crate::ProfilerError;

/// Format of a trace document; both are JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceFormat {
    /// The trace event format, which ui.perfetto.dev and chrome://tracing open.
    #[default]
    Perfetto,
    /// Spans for an OpenTelemetry collector (OTLP/JSON).
    Otlp,
}

impl FromStr for TraceFormat {
    type Err = ProfilerError;

    fn from_str(text: &str) -> Result<Self, ProfilerError> {
        match text {
            "perfetto" => Ok(Self::Perfetto),
            "otlp" => Ok(Self::Otlp),
            _ => Err(ProfilerError::TraceFormat { found: text.to_owned() }),
        }
    }
}

impl std::fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Perfetto => "perfetto",
            Self::Otlp => "otlp",
        })
    }
}

impl TraceFormat {
    /// A trace of this process as one document; `process` is its name for people.
    #[must_use]
    pub fn document(self, trace: &Trace, process: &str) -> String {
        match self {
            Self::Perfetto => trace.to_chrome_json(),
            Self::Otlp => crate::otlp_json(trace, process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names() {
        for format in [TraceFormat::Perfetto, TraceFormat::Otlp] {
            assert_eq!(format.to_string().parse::<TraceFormat>().unwrap(), format);
        }
        assert!("chrome".parse::<TraceFormat>().unwrap_err().to_string().contains("`otlp`"));
    }
}
