//! Conversions to narrow number formats, against exhaustive and exact arithmetic.

use lob_depth::{Dtype, bf16_bits, f16_bits, quantise};

/// The value of half-precision bits.
fn f16_value(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    match exponent {
        0 => sign * mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1024.0 + mantissa) * 2_f64.powi(exponent - 25),
    }
}

#[test]
fn every_f16_survives() {
    for bits in 0..=u16::MAX {
        let value = f16_value(bits);
        if !value.is_nan() {
            assert_eq!(f16_bits(value as f32), bits, "{value}");
        }
    }
    assert_eq!(f16_bits(f32::NAN) & 0x7FFF, 0x7E00);
}

#[test]
fn f16_rounds_to_nearest_even() {
    // Between any two neighbours: the middle goes to the even one, a hair beside it to the nearer.
    for low in 0..0x7BFF_u16 {
        let (below, above) = (f16_value(low), f16_value(low + 1));
        let middle = f64::midpoint(below, above) as f32;
        let even = if low % 2 == 0 { low } else { low + 1 };
        assert_eq!(f16_bits(middle), even, "{middle}");
        assert_eq!(f16_bits(middle.next_down()), low, "{middle}");
        assert_eq!(f16_bits(middle.next_up()), low + 1, "{middle}");
        assert_eq!(f16_bits(-middle), even | 0x8000);
    }
    for (value, bits) in [
        (65_504.0, 0x7BFF),
        (65_519.996, 0x7BFF),
        (65_520.0, 0x7C00),
        (f32::MAX, 0x7C00),
        (f32::NEG_INFINITY, 0xFC00),
        (f32::MIN_POSITIVE, 0),
        (-0.0, 0x8000),
    ] {
        assert_eq!(f16_bits(value), bits, "{value}");
    }
}

#[test]
fn bf16_rounds_to_nearest_even() {
    for low in (0..0x7F7F_u16).chain(0x8000..0xFF7F) {
        let at = |fraction: u32| f32::from_bits((u32::from(low) << 16) + fraction);
        assert_eq!(bf16_bits(at(0)), low);
        assert_eq!(bf16_bits(at(0x7FFF)), low);
        assert_eq!(bf16_bits(at(0x8000)), low + low % 2);
        assert_eq!(bf16_bits(at(0x8001)), low + 1);
    }
    assert_eq!(bf16_bits(f32::MAX), 0x7F80);
    assert_eq!(bf16_bits(f32::INFINITY), 0x7F80);
    let nan = bf16_bits(f32::from_bits(0x7F80_0001));
    assert!(nan & 0x7F80 == 0x7F80 && nan & 0x7F != 0);
}

#[test]
fn eight_bits() {
    for (value, q) in [
        (-1.0, 1),
        (0.0, 128),
        (1.0, 255),
        (0.5 / 127.0, 128),
        (0.6 / 127.0, 129),
        (9.0, 255),
        (-9.0, 1),
    ] {
        assert_eq!(quantise(value), q, "{value}");
    }
    for q in 1..=255_u8 {
        assert_eq!(quantise((f32::from(q) - 128.0) / 127.0), q);
    }
}

#[test]
fn names() {
    for (dtype, bytes) in [(Dtype::F32, 4), (Dtype::F16, 2), (Dtype::Bf16, 2), (Dtype::U8, 1)] {
        assert_eq!(dtype.to_string().parse(), Ok(dtype));
        assert_eq!(dtype.size_bytes(), bytes);
    }
    assert!("f8".parse::<Dtype>().is_err());
}
