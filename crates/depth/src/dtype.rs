//! Number formats of image cells.

use std::{fmt, str::FromStr};

use crate::DepthError;

/// The number format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dtype {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Eight bits: 128 is zero, 1 is -1 and 255 is +1.
    U8,
}

impl Dtype {
    /// Bytes of one cell.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::U8 => "u8",
        })
    }
}

impl FromStr for Dtype {
    type Err = DepthError;

    fn from_str(name: &str) -> Result<Self, DepthError> {
        match name {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            "u8" => Ok(Self::U8),
            _ => Err(DepthError::UnknownName {
                what: "dtype",
                found: name.to_owned(),
                expected: "f32, f16, bf16, u8",
            }),
        }
    }
}

/// A half-precision number as its bits.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct F16(pub u16);

/// A bfloat16 number as its bits.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bf16(pub u16);

/// A cell type an image can be rendered to.
///
/// The narrow formats are conversions of the `f32` cell, so an image of any of them equals the
/// `f32` image converted afterwards.
pub trait Cell: Copy + private::Sealed {
    /// Whether only values in -1..=1 can be told apart.
    const BOUNDED: bool = false;

    /// The cell of a normalised value.
    fn from_f32(value: f32) -> Self;

    /// The cell of a normalised value, rounded to `f32` first.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is meant")]
    fn from_value(value: f64) -> Self {
        Self::from_f32(value as f32)
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for super::F16 {}
    impl Sealed for super::Bf16 {}
    impl Sealed for u8 {}
}

impl Cell for f32 {
    #[inline]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Cell for F16 {
    #[inline]
    fn from_f32(value: f32) -> Self {
        Self(f16_bits(value))
    }
}

impl Cell for Bf16 {
    #[inline]
    fn from_f32(value: f32) -> Self {
        Self(bf16_bits(value))
    }
}

impl Cell for u8 {
    const BOUNDED: bool = true;

    #[inline]
    fn from_f32(value: f32) -> Self {
        quantise(value)
    }
}

/// The bits of the half-precision number nearest to `value`, ties to even; too large a value
/// becomes infinite, as IEEE 754 asks.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the bits kept are below 2^16")]
pub fn f16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7FFF_FFFF;
    let rounded = match magnitude {
        // Not a number stays so, infinity stays infinite.
        0x7F80_0001.. => 0x7E00,
        // From 65520, half a unit past the largest finite number, the nearest is infinity.
        0x477F_F000.. => 0x7C00,
        // Normal from 2^-14: rebias the exponent by 112 and round 13 bits off the mantissa. A
        // carry runs into the exponent, which is the right result.
        0x3880_0000.. => round_off(magnitude - (112 << 23), 13),
        // Subnormal: a multiple of 2^-24.
        0x3300_0000.. => {
            let mantissa = (magnitude & 0x007F_FFFF) | 0x0080_0000;
            round_off(mantissa, 126 - (magnitude >> 23))
        }
        _ => 0,
    };
    sign | rounded as u16
}

/// The bits of the bfloat16 number nearest to `value`, ties to even.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are left after the shift")]
pub fn bf16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // Rounding could carry a NaN's mantissa away; keep sign and make it quiet.
        return (bits >> 16) as u16 | 0x0040;
    }
    round_off(bits, 16) as u16
}

/// `bits / 2^shift`, to nearest, ties to even; `shift` is in 1..=31.
fn round_off(bits: u32, shift: u32) -> u32 {
    let half = 1_u32 << (shift - 1);
    let odd = (bits >> shift) & 1;
    // `bits` is below 2^32 - 2^16 here, so the sum cannot wrap.
    (bits + (half - 1) + odd) >> shift
}

/// Eight-bit quantisation of a value in -1..=1: 128 + 127 x, rounded; values outside saturate.
/// The inverse is `(q - 128) / 127`.
#[must_use]
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1..=255 before the cast"
)]
pub fn quantise(value: f32) -> u8 {
    (128.0 + 127.0 * value).round_ties_even().clamp(1.0, 255.0) as u8
}
