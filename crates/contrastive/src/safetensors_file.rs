//! Named arrays of `f32` in a safetensors file, with a checksum over what it says.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::Serialize;
use twox_hash::XxHash3_128;

use crate::{ContrastiveError, NamedTensor};

/// Key of the checksum in the file's metadata: `xxh3-128:` and 32 hexadecimal digits.
const CHECKSUM: &str = "loblab.checksum";

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tensors: Vec<NamedTensor>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Whether it has a checksum; if so, it is right.
    pub(crate) has_checksum: bool,
}

/// What a header says of a name.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Array { dtype: &'static str, shape: &'a [usize], data_offsets: [usize; 2] },
}

/// Writes a file, whole or not at all. The same arrays and metadata give the same bytes: the
/// library's own writer puts the metadata in the order of a hash map, which differs by the process.
pub(crate) fn write(
    path: &Path,
    tensors: &[NamedTensor],
    mut metadata: BTreeMap<String, String>,
) -> Result<(), ContrastiveError> {
    let failed = |source| ContrastiveError::Io { action: "write", path: path.to_owned(), source };
    metadata.insert(CHECKSUM.to_owned(), checksum(tensors, &metadata));
    let mut sorted: Vec<&NamedTensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut header = BTreeMap::from([("__metadata__", Entry::Metadata(&metadata))]);
    let mut end = 0;
    for NamedTensor { name, shape, values } in &sorted {
        if shape.iter().product::<usize>() != values.len() {
            let reason = format!("`{name}` has shape {shape:?} and {} values", values.len());
            return Err(failed(io::Error::other(reason)));
        }
        let start = end;
        end += size_of_val(values.as_slice());
        header.insert(name, Entry::Array { dtype: "F32", shape, data_offsets: [start, end] });
    }
    let mut header = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
    // Spaces, so that the values are aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    sorted.iter().for_each(|t| bytes.extend(t.values.iter().flat_map(|x| x.to_le_bytes())));
    lob_store::write_file(path, &bytes).map_err(failed)
}

/// Reads a file whose arrays are all `f32`, and holds it against its checksum.
pub(crate) fn read(path: &Path) -> Result<Contents, ContrastiveError> {
    let bytes = std::fs::read(path).map_err(|source| ContrastiveError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let bad = |reason: String| ContrastiveError::BadModel { path: path.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let metadata: BTreeMap<_, _> = metadata.into_iter().collect();
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(bad(format!("`{name}` is `{:?}`, expected `F32`", view.dtype())));
        }
        let (values, _) = view.data().as_chunks::<4>();
        tensors.push(NamedTensor {
            name: name.to_owned(),
            shape: view.shape().to_vec(),
            values: values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        });
    }
    if let Some(expected) = metadata.get(CHECKSUM) {
        let found = checksum(&tensors, &metadata);
        if found != *expected {
            let path = path.to_owned();
            return Err(ContrastiveError::Damaged { path, expected: expected.clone(), found });
        }
    }
    let has_checksum = metadata.contains_key(CHECKSUM);
    Ok(Contents { tensors, metadata, has_checksum })
}

/// XXH3-128 of all metadata entries but the checksum, by key, and of all arrays, by name. Every
/// piece is preceded by its length, so that nothing can move from one to the next unseen.
fn checksum(tensors: &[NamedTensor], metadata: &BTreeMap<String, String>) -> String {
    let mut hash = Box::new(XxHash3_128::new());
    let length = |n: usize| (n as u64).to_le_bytes();
    let entries: Vec<_> = metadata.iter().filter(|(key, _)| *key != CHECKSUM).collect();
    hash.write(&length(entries.len()));
    for text in entries.into_iter().flat_map(|(key, value)| [key, value]) {
        hash.write(&length(text.len()));
        hash.write(text.as_bytes());
    }
    let mut tensors: Vec<&NamedTensor> = tensors.iter().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in tensors {
        hash.write(&length(tensor.name.len()));
        hash.write(tensor.name.as_bytes());
        hash.write(&length(tensor.shape.len()));
        tensor.shape.iter().for_each(|&size| hash.write(&length(size)));
        hash.write(&length(tensor.values.len()));
        // The bytes of the file, whatever the byte order of this machine.
        let mut block = [0; 4096];
        for values in tensor.values.chunks(block.len() / 4) {
            let bytes = &mut block[..4 * values.len()];
            for (bytes, x) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *bytes = x.to_le_bytes();
            }
            hash.write(bytes);
        }
    }
    format!("xxh3-128:{:032x}", hash.finish_128())
}

/// A value that is not finite, by place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{name}` holds `{value}` at index {index}")]
pub(crate) struct NoNumber {
    name: String,
    index: usize,
    value: f32,
}

/// Checks that every value is a finite number.
pub(crate) fn check_finite(tensors: &[NamedTensor]) -> Result<(), NoNumber> {
    for NamedTensor { name, values, .. } in tensors {
        if let Some(index) = values.iter().position(|x| !x.is_finite()) {
            return Err(NoNumber { name: name.clone(), index, value: values[index] });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn written(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("a.safetensors");
        let tensor = |name: &str, values: &[f32]| NamedTensor {
            name: name.to_owned(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        let tensors = [tensor("w.1", &[1.5, -0.0, 3e-40]), tensor("w.0", &[2.0]), tensor("e", &[])];
        let text = r#"{"activation":"relu","note":"ä"}"#.to_owned();
        write(&path, &tensors, BTreeMap::from([("said".to_owned(), text)])).unwrap();
        path
    }

    /// Two runs that do the same write the same file. Entries of a hash map came in either order.
    #[test]
    fn the_bytes_are_those_of_the_format_and_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let tensor = |name: &str, shape: &[usize], values: &[f32]| NamedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let path = folder.path().join("a.safetensors");
        let tensors = [tensor("b", &[1, 2], &[1.0, 2.0]), tensor("a", &[], &[0.5])];
        let metadata = BTreeMap::from([("x", "1"), ("y", "2")].map(|(k, v)| (k.into(), v.into())));
        write(&path, &tensors, metadata.clone()).unwrap();
        let sum = checksum(&tensors, &metadata);
        let header = format!(r#"{{"__metadata__":{{"loblab.checksum":"{sum}","x":"1","y":"2"}},"#)
            + r#""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
            + r#""b":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#;
        let mut expected = header.into_bytes();
        expected.resize(expected.len().next_multiple_of(8), b' ');
        expected.splice(0..0, (expected.len() as u64).to_le_bytes());
        expected.extend([0.5_f32, 1.0, 2.0].iter().flat_map(|x| x.to_le_bytes()));
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        let odd = write(&path, &[tensor("c", &[3], &[1.0])], BTreeMap::new()).unwrap_err();
        assert!(odd.to_string().contains("`c` has shape [3] and 1 values"), "{odd}");
    }

    /// Every bit of a file counts: nothing that one flipped bit makes of it is read.
    #[test]
    fn no_flipped_bit_goes_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let sound = std::fs::read(&path).unwrap();
        let first = read(&path).unwrap();
        assert!(first.has_checksum && first.tensors.len() == 3);
        let mut n_without = 0;
        for bit in 0..8 * sound.len() {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Err(error) => assert!(error.to_string().contains("a.safetensors"), "{error}"),
                // The key of the checksum itself: who reads the file asks for it by its version.
                Ok(found) => {
                    assert!(!found.has_checksum, "bit {bit}");
                    n_without += 1;
                }
            }
        }
        assert!(n_without <= 8 * CHECKSUM.len(), "{n_without}");
    }

    #[test]
    fn the_value_that_is_no_number_is_named() {
        let mut tensor = NamedTensor { name: "w".into(), shape: vec![3], values: vec![0.0; 3] };
        assert_eq!(check_finite(std::slice::from_ref(&tensor)), Ok(()));
        for (value, shown) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
            tensor.values[2] = value;
            let found = check_finite(std::slice::from_ref(&tensor)).unwrap_err().to_string();
            assert_eq!(found, format!("`w` holds `{shown}` at index 2"));
        }
    }
}
