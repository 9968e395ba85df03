//! Names of class edges, to tell whether files have the same.

use twox_hash::XxHash3_128;

/// A short name of inner class edges; `None` without any.
pub(crate) fn edges_id(edges: &[f64]) -> Option<String> {
    let bytes: Vec<u8> = edges.iter().flat_map(|edge| edge.to_le_bytes()).collect();
    (!edges.is_empty()).then(|| format!("{:032x}", XxHash3_128::oneshot(&bytes))[..16].to_owned())
}
