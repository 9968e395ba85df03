//! What was found where something was to be measured.

use serde::{Deserialize, Serialize};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Read from a clock, a counter or the kernel.
    Measured,
    /// Calculated from a model with stated assumptions.
    Estimated,
    /// Not to be had here; `reason` says why.
    Unavailable,
}

/// A value and where it comes from, or why there is none: an unknown without a reason cannot be
/// built.
///
/// In a Run document it is three keys of its measurement: `provenance`, `value` (`null` where there
/// is none) and `reason`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Keys", into = "Keys")]
pub enum Reading {
    /// Read from a clock, a counter or the kernel.
    Measured {
        /// The headline value.
        value: f64,
        /// What a reader should know of it, such as samples that were left out.
        note: Option<String>,
    },
    /// Calculated from other values.
    Estimated {
        /// The headline value.
        value: f64,
        /// By which formula and assumptions.
        how: String,
    },
    /// Not to be had here.
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Reading {
    /// The value; `None` when there is none, or none that is a finite number.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Measured { value, .. } | Self::Estimated { value, .. } => {
                Some(*value).filter(|value| value.is_finite())
            }
            Self::Unavailable { .. } => None,
        }
    }

    /// Why there is no value, how it was estimated, or what to know of it.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Measured { note, .. } => note.as_deref(),
            Self::Estimated { how: reason, .. } | Self::Unavailable { reason } => Some(reason),
        }
    }

    /// Where the value comes from.
    #[must_use]
    pub const fn provenance(&self) -> Provenance {
        match self {
            Self::Measured { .. } => Provenance::Measured,
            Self::Estimated { .. } => Provenance::Estimated,
            Self::Unavailable { .. } => Provenance::Unavailable,
        }
    }
}

/// A reading as a document writes it.
#[derive(Serialize, Deserialize)]
struct Keys {
    provenance: Provenance,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Keys> for Reading {
    fn from(Keys { provenance, value, reason }: Keys) -> Self {
        let value = value.filter(|value| value.is_finite());
        match (provenance, value) {
            (Provenance::Measured, Some(value)) => Self::Measured { value, note: reason },
            (Provenance::Estimated, Some(value)) => {
                let how = reason.unwrap_or_else(|| "the document does not say how".to_owned());
                Self::Estimated { value, how }
            }
            (Provenance::Unavailable, _) | (_, None) => Self::Unavailable {
                reason: reason.unwrap_or_else(|| "the document does not say why".to_owned()),
            },
        }
    }
}

impl From<Reading> for Keys {
    fn from(reading: Reading) -> Self {
        Self {
            provenance: reading.provenance(),
            value: reading.value(),
            reason: reading.reason().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_a_value_or_a_reason_makes_an_unknown_that_says_so() {
        for (text, value, reason) in [
            (r#"{"provenance":"measured","value":2.0}"#, Some(2.0), None),
            (r#"{"provenance":"measured","value":null}"#, None, Some("does not say why")),
            (r#"{"provenance":"unavailable"}"#, None, Some("does not say why")),
            (r#"{"provenance":"unavailable","value":3,"reason":"x"}"#, None, Some("x")),
            (r#"{"provenance":"estimated","value":3,"reason":"x"}"#, Some(3.0), Some("x")),
            (r#"{"provenance":"estimated","value":3}"#, Some(3.0), Some("does not say how")),
        ] {
            let found: Reading = serde_json::from_str(text).unwrap();
            assert_eq!(found.value(), value, "{text}");
            assert_eq!(found.reason().is_some(), reason.is_some(), "{text}");
            assert!(found.reason().unwrap_or("").contains(reason.unwrap_or("")), "{text}");
            let again: Reading =
                serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
            assert_eq!(again, found);
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_no_value() {
        let odd = Reading::Measured { value: f64::NAN, note: None };
        assert_eq!(odd.value(), None);
    }
}
