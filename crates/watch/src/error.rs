//! What can go wrong beyond a missing sensor.

use lob_metrics::shown;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A log of JSON lines could not be opened or written.
    #[error(
        "cannot write the log `{path}`",
        path = shown(.path.display())
    )]
    Log {
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A report or a file of baselines could not be written.
    #[error("cannot write `{path}`", path = shown(.path.display()))]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of baselines that cannot be used.
    #[error(
        "baselines `{path}`: {reason}; expected {{\"operation\": {{\"wall_time_s\": 1.2}}}}",
        path = shown(.path.display())
    )]
    Baselines {
        /// The file.
        path: std::path::PathBuf,
        /// What was found.
        reason: String,
    },
    /// A server could not listen.
    #[error("cannot listen on `{address}`: choose another port, or 0 for any free one")]
    Listen {
        /// The address as given.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A metrics endpoint did not answer as it should.
    #[error(
        "cannot read `http://{address}{path}`: {reason}",
        address = shown(.address), path = shown(.path), reason = shown(.reason)
    )]
    Scrape {
        /// The address as given.
        address: String,
        /// The path asked for.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A text that is no Prometheus exposition.
    #[error(
        "line {line} is no Prometheus text: {reason}",
        reason = shown(.reason)
    )]
    Exposition {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A process that shall be watched and is not there.
    #[error("no process {pid} to watch: {reason}", reason = shown(.reason))]
    NoProcess {
        /// The number given.
        pid: u32,
        /// What the kernel says.
        reason: String,
    },
    /// A configuration that cannot be used.
    #[error("profiler configuration: {reason}")]
    Config {
        /// The option, what was found and what was expected.
        reason: String,
    },
}
