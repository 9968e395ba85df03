//! The other half of every sensor: why there is no value.

/// A sensor has no value here, and this is why. Never stands for zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unavailable: {reason}")]
pub struct Unavailable {
    /// The cause, in one line: which file, call or library was missing.
    pub reason: String,
}

impl Unavailable {
    /// A missing value with its cause.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
