//! The other half of every sensor: why there is no value.

/// A sensor has no value here, and this is why. Never stands for zero.
#[derive(Debug, Clone, PartialEq, Eq)]
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

// By hand: `thiserror` would bring six crates into the tree of every library that has a scope.
impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unavailable: {}", self.reason)
    }
}

impl std::error::Error for Unavailable {}
