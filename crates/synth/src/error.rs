use std::{io, path::PathBuf};

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
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The DBN encoder failed, as a rule because its writer did.
    #[error("could not encode DBN")]
    Encode(#[from] dbn::Error),
}
