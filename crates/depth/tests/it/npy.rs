//! A reader for the `.npy` files of the golden data.

use std::path::Path;

/// An array of little-endian numbers with its shape.
pub(crate) struct Npy {
    pub(crate) shape: Vec<usize>,
    descr: String,
    payload: Vec<u8>,
}

pub(crate) fn read(path: &Path) -> Npy {
    let bytes = std::fs::read(path).expect("golden file");
    assert_eq!(&bytes[..7], b"\x93NUMPY\x01", "{}", path.display());
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).expect("text");
    let after = |key: &str| &header[header.find(key).expect("key") + key.len()..];
    let descr = after("'descr': '").split('\'').next().expect("type").to_owned();
    assert!(after("'fortran_order': ").starts_with("False"));
    let sides = after("'shape': (").split(')').next().expect("shape");
    let shape = sides.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    Npy { shape, descr, payload: bytes[end..].to_vec() }
}

impl Npy {
    pub(crate) fn f32(&self) -> Vec<f32> {
        assert_eq!(self.descr, "<f4");
        self.payload.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    pub(crate) fn f64(&self) -> Vec<f64> {
        assert_eq!(self.descr, "<f8");
        self.payload.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()
    }

    pub(crate) fn i32(&self) -> Vec<i32> {
        assert_eq!(self.descr, "<i4");
        self.payload.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)).collect()
    }
}
