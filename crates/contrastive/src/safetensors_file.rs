//! Named arrays of `f32` in a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::{ContrastiveError, NamedTensor};

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tensors: Vec<NamedTensor>,
    pub(crate) metadata: HashMap<String, String>,
}

/// Writes a file, whole or not at all.
pub(crate) fn write(
    path: &Path,
    tensors: &[NamedTensor],
    metadata: HashMap<String, String>,
) -> Result<(), ContrastiveError> {
    let failed = |source| ContrastiveError::Io { action: "write", path: path.to_owned(), source };
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        views.push((tensor.name.as_str(), view.map_err(|e| failed(std::io::Error::other(e)))?));
    }
    let bytes = serialize(views, Some(metadata)).map_err(|e| failed(std::io::Error::other(e)))?;
    lob_store::write_file(path, &bytes).map_err(failed)
}

/// Reads a file whose arrays are all `f32`.
pub(crate) fn read(path: &Path) -> Result<Contents, ContrastiveError> {
    let bytes = std::fs::read(path).map_err(|source| ContrastiveError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let bad = |reason: String| ContrastiveError::BadModel { path: path.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
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
    Ok(Contents { tensors, metadata })
}
