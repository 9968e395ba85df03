//! What image to render.

use std::{fmt, str::FromStr};

use crate::{DepthError, Feature, Geometry, ROWS};

/// How the depth differences of a plane become cell values. Each plane stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Normalise {
    /// Divided by the largest absolute value of the plane: -1..=1. A plane of zeros stays so.
    #[default]
    Max,
    /// As it is, in the feature's unit.
    None,
    /// sign(x) ln(1 + |x|), then divided by the largest absolute value: -1..=1. Brings out thin
    /// levels beside walls.
    SignedLog,
    /// Divided by this positive number; may exceed -1..=1.
    Constant(f64),
}

impl Normalise {
    /// Whether every cell is sure to lie in -1..=1.
    #[must_use]
    pub const fn is_bounded(self) -> bool {
        matches!(self, Self::Max | Self::SignedLog)
    }
}

impl fmt::Display for Normalise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.pad("max"),
            Self::None => f.pad("none"),
            Self::SignedLog => f.pad("signed-log"),
            Self::Constant(divisor) => write!(f, "constant={divisor}"),
        }
    }
}

impl FromStr for Normalise {
    type Err = DepthError;

    fn from_str(text: &str) -> Result<Self, DepthError> {
        match text.split_once('=') {
            None if text == "max" => return Ok(Self::Max),
            None if text == "none" => return Ok(Self::None),
            None if text == "signed-log" => return Ok(Self::SignedLog),
            Some(("constant", divisor)) => {
                if let Some(divisor) = divisor.parse().ok().filter(|d| is_divisor(*d)) {
                    return Ok(Self::Constant(divisor));
                }
            }
            _ => {}
        }
        Err(DepthError::UnknownName {
            what: "normalisation",
            found: text.to_owned(),
            expected: "max, none, signed-log, constant=X with X above 0",
        })
    }
}

/// Whether a constant can divide an image.
fn is_divisor(divisor: f64) -> bool {
    divisor.is_finite() && divisor > 0.0
}

/// One image: which planes, how laid out, how scaled and how many bins wide.
///
/// ```
/// use lob_depth::{Feature, RenderSpec};
/// let spec = RenderSpec { features: vec![Feature::TradeCounts, Feature::Volume], ..RenderSpec::default() };
/// assert_eq!(spec.shape(), [2, 402, 500]);
/// assert_eq!(spec.planes().collect::<Vec<_>>(), [Feature::Volume, Feature::TradeCounts]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RenderSpec {
    /// The planes wanted, distinct, in any order; they are rendered in the order of [`Feature`].
    pub features: Vec<Feature>,
    /// The layout of prices.
    pub geometry: Geometry,
    /// The scaling of each plane.
    pub normalise: Normalise,
    /// Columns of the image.
    pub n_bins: usize,
}

impl Default for RenderSpec {
    /// One volume plane of 500 bins, contiguous, divided by its largest absolute value.
    fn default() -> Self {
        Self {
            features: vec![Feature::Volume],
            geometry: Geometry::default(),
            normalise: Normalise::default(),
            n_bins: 500,
        }
    }
}

impl RenderSpec {
    /// The shape of the image: features, rows, bins; C order.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.features.len(), ROWS, self.n_bins]
    }

    /// Cells of one plane.
    #[must_use]
    pub const fn plane_len(&self) -> usize {
        ROWS.saturating_mul(self.n_bins)
    }

    /// Cells of the image.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.features.len().saturating_mul(self.plane_len())
    }

    /// Whether the image has no cell, which [`RenderSpec::validate`] refuses.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The features in the order of their planes.
    pub fn planes(&self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(|feature| self.features.contains(feature))
    }

    /// Checks that every cell is sure to lie in -1..=1, as 8-bit cells need it.
    ///
    /// # Errors
    /// [`DepthError::InvalidSpec`] if the normalisation does not keep to that.
    pub fn check_bounded(&self) -> Result<(), DepthError> {
        if self.normalise.is_bounded() {
            return Ok(());
        }
        Err(DepthError::InvalidSpec {
            reason: format!(
                "8-bit cells need values in -1..=1, which normalisation `{}` does not give; use \
                 `max` or `signed-log`",
                self.normalise
            ),
        })
    }

    /// Checks that the image can be drawn.
    ///
    /// # Errors
    /// [`DepthError::InvalidSpec`] without a feature, with one twice, without a bin, or with a
    /// constant that is not a positive number.
    pub fn validate(&self) -> Result<(), DepthError> {
        let invalid = |reason: String| Err(DepthError::InvalidSpec { reason });
        if self.features.is_empty() {
            return invalid("an image needs at least one feature".to_owned());
        }
        if self.planes().count() != self.features.len() {
            return invalid("a feature may be asked for once".to_owned());
        }
        if self.n_bins == 0 || u32::try_from(self.len()).is_err() {
            return invalid(format!(
                "an image of `{}` bins cannot be drawn; use at least 1 and fewer than 2^32 cells",
                self.n_bins
            ));
        }
        match self.normalise {
            Normalise::Constant(divisor) if !is_divisor(divisor) => {
                invalid(format!("the constant `{divisor}` cannot divide; use a number above 0"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_drawn() {
        let spec = RenderSpec::default();
        assert_eq!(spec.validate(), Ok(()));
        let volume = Feature::Volume;
        for bad in [
            RenderSpec { features: vec![], ..spec.clone() },
            RenderSpec { features: vec![volume, volume], ..spec.clone() },
            RenderSpec { n_bins: 0, ..spec.clone() },
            RenderSpec { n_bins: usize::MAX, ..spec.clone() },
            RenderSpec { normalise: Normalise::Constant(0.0), ..spec.clone() },
            RenderSpec { normalise: Normalise::Constant(f64::NAN), ..spec.clone() },
        ] {
            assert!(matches!(bad.validate(), Err(DepthError::InvalidSpec { .. })), "{bad:?}");
        }
    }

    #[test]
    fn names() {
        for normalise in
            [Normalise::Max, Normalise::None, Normalise::SignedLog, Normalise::Constant(1000.0)]
        {
            assert_eq!(normalise.to_string().parse(), Ok(normalise));
        }
        for text in ["", "constant", "constant=0", "constant=-1", "constant=inf", "max=1"] {
            assert!(text.parse::<Normalise>().is_err(), "{text}");
        }
    }
}
