//! What can go wrong beyond a missing sensor.

use lob_metrics::shown;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilerError {
    /// A program to be profiled could not be started.
    #[error(
        "cannot start `{program}`: check its name and that it may be run",
        program = shown(.program)
    )]
    Start {
        /// The program as given.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A program was started but its end could not be awaited.
    #[error(
        "cannot wait for `{program}`: its figures are lost, run it again",
        program = shown(.program)
    )]
    Wait {
        /// The program as given.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// There is no process of this number.
    #[error("there is no process {pid}: it may have ended, or its name was meant")]
    NoProcess {
        /// The number as given.
        pid: u32,
    },
    /// No format of a trace is called so.
    #[error("`{}` is no format of a trace, expected `perfetto` or `otlp`", shown(.found))]
    TraceFormat {
        /// The name given.
        found: String,
    },
}
