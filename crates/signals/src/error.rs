/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// A setting lies outside its range.
    #[error("`{name}` is {found}, expected {expected}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What would be accepted.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// Two columns that belong together differ in length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Which column.
        what: &'static str,
        /// Length of the column it belongs to.
        expected: usize,
        /// Its own length.
        found: usize,
    },
    /// The model failed, or answered with something that is no probability.
    #[error("the model failed: {0}")]
    Model(Box<dyn std::error::Error + Send + Sync>),
}

impl SignalError {
    pub(crate) fn parameter(
        name: &'static str,
        expected: &'static str,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Parameter { name, expected, found: found.to_string() }
    }
}

/// Refuses a period below `min`.
pub(crate) fn check_period(
    name: &'static str,
    period: usize,
    min: usize,
) -> Result<(), SignalError> {
    if period >= min {
        return Ok(());
    }
    let expected = if min == 1 { "at least 1" } else { "at least 2" };
    Err(SignalError::parameter(name, expected, period))
}

pub(crate) fn check_length(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), SignalError> {
    if expected == found { Ok(()) } else { Err(SignalError::Length { what, expected, found }) }
}
