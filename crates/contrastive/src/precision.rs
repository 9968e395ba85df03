use std::fmt;
use std::str::FromStr;

use burn_tensor::FloatDType;
use serde::{Deserialize, Serialize};

use crate::ContrastiveError;

/// Number format of the matrix products; weights, losses and the optimiser stay in `f32`.
///
/// Half precision is for GPUs. The CPU backend has no fast half-precision product: it widens the
/// values again, so a training step takes longer than in `f32` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of `f32` and 8 bits of mantissa.
    Bf16,
    /// 16 bits with 11 bits of mantissa and a largest value of 65504. The loss is scaled so that
    /// gradients do not vanish, and a step whose gradients overflow is skipped.
    F16,
}

impl Precision {
    /// The format as the tensor library names it; `None` for `f32`, where nothing is converted.
    pub(crate) fn dtype(self) -> Option<FloatDType> {
        match self {
            Precision::F32 => None,
            Precision::Bf16 => Some(FloatDType::BF16),
            Precision::F16 => Some(FloatDType::F16),
        }
    }

    /// The loss scale that training in this precision needs.
    pub(crate) fn loss_scale(self) -> Option<LossScale> {
        (self == Precision::F16).then(LossScale::default)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = ContrastiveError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "f32" => Ok(Precision::F32),
            "bf16" => Ok(Precision::Bf16),
            "f16" => Ok(Precision::F16),
            _ => Err(ContrastiveError::config(
                "precision",
                "`f32`, `bf16` or `f16`",
                format_args!("`{s}`"),
            )),
        }
    }
}

/// Dynamic loss scaling (Micikevicius et al., 2018): halved when gradients overflow, doubled after
/// a long run of steps that did not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    factor: f32,
    good_steps: u32,
    skipped: u64,
}

impl LossScale {
    /// Steps without an overflow after which a larger factor is tried.
    const PATIENCE: u32 = 2000;
    const LARGEST: f32 = 16_777_216.0;

    /// What the loss is multiplied by before the backward pass.
    pub(crate) fn factor(self) -> f32 {
        self.factor
    }

    /// Steps that were skipped.
    pub(crate) fn skipped(self) -> u64 {
        self.skipped
    }

    /// Takes note of a step whose gradients were finite or not; `false` when it is to be skipped.
    pub(crate) fn accept(&mut self, finite: bool) -> bool {
        if finite {
            self.good_steps += 1;
            if self.good_steps == Self::PATIENCE {
                self.good_steps = 0;
                self.factor = (self.factor * 2.0).min(Self::LARGEST);
            }
        } else {
            self.good_steps = 0;
            self.skipped += 1;
            self.factor = (self.factor * 0.5).max(1.0);
        }
        finite
    }
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: 65_536.0, good_steps: 0, skipped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
        let message = "f8".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(message, "`precision` is `f8`, expected `f32`, `bf16` or `f16`");
    }

    #[test]
    fn the_scale_halves_on_overflow_and_recovers() {
        let mut scale = LossScale::default();
        assert!(!scale.accept(false));
        assert_eq!((scale.factor(), scale.skipped()), (32_768.0, 1));
        for _ in 1..LossScale::PATIENCE {
            assert!(scale.accept(true));
        }
        assert_eq!(scale.factor(), 32_768.0);
        assert!(scale.accept(true));
        assert_eq!(scale.factor(), 65_536.0);
        for _ in 0..40 {
            scale.accept(false);
        }
        assert_eq!(scale.factor(), 1.0);
    }
}
