use std::{io, path::PathBuf};

use lob_metrics::shown;

/// Why a market was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// A field of the configuration breaks its rule.
    #[error("`{field}` is `{value}`: {rule}")]
    BadConfig {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The file system refused.
    #[error("could not {verb} `{}`", shown(path.display()))]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The caller asked for an end.
    #[error("stopped before the market was written")]
    Stopped,
    /// The stream given by the caller refused.
    #[error("could not write the compressed stream")]
    Stream(#[source] io::Error),
    /// The sink of the truth refused.
    #[error("could not write the truth")]
    Truth(#[source] io::Error),
    /// The DBN encoder failed, as a rule because its writer did.
    #[error("could not encode DBN")]
    Encode(#[from] dbn::Error),
    /// The replay refused a simulated order: a bug of the simulator.
    #[error("the simulator made a record that its own replay refuses")]
    Replay(#[from] lob_book::BookError),
}

/// A time that is no date cannot come out of the calendar's 1,000 sessions.
pub(crate) fn bad_date(ts: u64) -> SynthError {
    SynthError::BadConfig { field: "sessions", value: ts, rule: "its date cannot be written" }
}
