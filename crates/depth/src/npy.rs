//! The `.npy` file format, version 1.0: encoding only, to bytes.

use crate::{Bf16, DepthError, F16};

/// A number that an `.npy` file can hold.
pub trait NpyElement: Copy {
    /// NumPy's name of the type, such as `<f4`.
    const DESCR: &'static str;

    /// Appends the little-endian bytes.
    fn write(self, bytes: &mut Vec<u8>);
}

macro_rules! npy_element {
    ($($element:ty, $descr:literal, |$value:ident| $le_bytes:expr;)*) => {$(
        impl NpyElement for $element {
            const DESCR: &'static str = $descr;

            #[inline]
            fn write(self, bytes: &mut Vec<u8>) {
                let $value = self;
                bytes.extend_from_slice(&$le_bytes);
            }
        }
    )*};
}

npy_element! {
    f64, "<f8", |x| x.to_le_bytes();
    f32, "<f4", |x| x.to_le_bytes();
    F16, "<f2", |x| x.0.to_le_bytes();
    // NumPy has no bfloat16; the bits are stored and `view` makes a number of them.
    Bf16, "<u2", |x| x.0.to_le_bytes();
    u8, "|u1", |x| [x];
    i32, "<i4", |x| x.to_le_bytes();
    i64, "<i8", |x| x.to_le_bytes();
}

/// Bytes before the header text: magic, version and the header's length.
const PREAMBLE_BYTES: usize = 10;

/// The bytes of an `.npy` file with this array, C order.
///
/// # Errors
/// [`DepthError::Length`] if the shape does not have as many elements as `data`, and
/// [`DepthError::InvalidSpec`] if it has too many dimensions for the header.
pub fn encode_npy<T: NpyElement>(shape: &[usize], data: &[T]) -> Result<Vec<u8>, DepthError> {
    let expected = shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side));
    if expected != Some(data.len()) {
        return Err(DepthError::Length {
            what: "the array",
            expected: expected.unwrap_or(usize::MAX),
            found: data.len(),
        });
    }
    let mut bytes = npy_header::<T>(shape)?;
    bytes.reserve_exact(std::mem::size_of_val(data));
    for &element in data {
        element.write(&mut bytes);
    }
    Ok(bytes)
}

/// The bytes before the values of an `.npy` file with an array of this shape: for one that is
/// written in pieces.
///
/// # Errors
/// [`DepthError::InvalidSpec`] if it has too many dimensions for the header.
pub fn npy_header<T: NpyElement>(shape: &[usize]) -> Result<Vec<u8>, DepthError> {
    // NumPy's own spelling: `(402, 500)`, and `(402,)` for a single side.
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let sides = sides.join(", ") + if shape.len() == 1 { "," } else { "" };
    let mut header =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", T::DESCR, sides);
    // The format wants the data to start at a multiple of 64, and a new line before it.
    let padding = 64 - (PREAMBLE_BYTES + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding % 64));
    header.push('\n');
    let header_len = u16::try_from(header.len()).map_err(|_| DepthError::InvalidSpec {
        reason: format!("an array of `{}` dimensions does not fit an npy header", shape.len()),
    })?;
    let mut bytes = Vec::with_capacity(PREAMBLE_BYTES + header.len());
    bytes.extend_from_slice(b"\x93NUMPY\x01\x00");
    bytes.extend_from_slice(&header_len.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

/// [`encode_npy`] for an image in single precision.
///
/// # Errors
/// As [`encode_npy`].
pub fn encode_npy_f32(shape: &[usize], data: &[f32]) -> Result<Vec<u8>, DepthError> {
    encode_npy(shape, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: NpyElement>(shape: &[usize], data: &[T], dict: &str, payload: &[u8]) {
        let bytes = encode_npy(shape, data).expect("valid");
        let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((PREAMBLE_BYTES + header_len) % 64, 0);
        let header = std::str::from_utf8(&bytes[10..10 + header_len]).expect("text");
        assert_eq!(header.trim_end(), dict);
        assert!(header.ends_with('\n'));
        assert_eq!(&bytes[10 + header_len..], payload);
    }

    #[test]
    fn layouts() {
        check(
            &[2],
            &[1.0_f32, -2.0],
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
            &[0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0],
        );
        check(
            &[1, 2],
            &[Bf16(0x3F80), Bf16(1)],
            "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2), }",
            &[0x80, 0x3F, 1, 0],
        );
        check(&[0], &[] as &[u8], "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", &[]);
        check(
            &[3, 402, 500],
            &vec![F16(0x3C00); 603_000],
            "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 402, 500), }",
            &[0, 0x3C].repeat(603_000),
        );
    }

    #[test]
    fn every_header_length_is_aligned() {
        for n in 0..80 {
            let shape = vec![1; n];
            let bytes = encode_npy_f32(&shape, &[0.5]).expect("valid");
            assert_eq!(bytes.len() % 64, 4);
        }
    }

    #[test]
    fn wrong_shapes() {
        assert!(encode_npy_f32(&[2, 2], &[0.0; 3]).is_err());
        assert!(encode_npy_f32(&[usize::MAX, 2], &[0.0; 3]).is_err());
    }
}
