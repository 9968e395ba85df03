//! The movements of an input, without its files: what class edges are fitted on.

use std::path::Path;

use super::{Lane, Shared, bins::Bins, read_input, remove_spool, track::Track};
use crate::{ConvertError, inputs::Input};

/// The movements of an input's instruments at the ends of their bins.
pub(crate) struct Moved {
    pub(crate) dataset: String,
    /// XXH3-128 of the records, in hex.
    pub(crate) fingerprint: String,
    pub(crate) parts: Vec<MovedPart>,
    pub(crate) warnings: Vec<String>,
}

/// Those of one instrument on one day.
pub(crate) struct MovedPart {
    pub(crate) publisher_id: u16,
    pub(crate) symbol: String,
    /// `YYYY-MM-DD`.
    pub(crate) day: String,
    pub(crate) movements: Vec<f64>,
}

/// Bins one input as [`convert_input`] does, and gives the movements that it would label.
pub(crate) fn movements_of(
    input: &Input,
    folder: &Path,
    shared: &Shared<'_>,
) -> Result<Moved, ConvertError> {
    let mut pipeline = read_input(input, folder, shared, |_| Ok(Bins::default()))?;
    let mut parts = Vec::new();
    for track in std::mem::take(&mut pipeline.lanes).into_iter().filter_map(Lane::into_track) {
        let Track { instrument, parts: of_track, .. } = *track;
        for part in of_track {
            let mut movements = part.rows.movements;
            movements.retain(|movement| movement.is_finite());
            parts.push(MovedPart {
                publisher_id: instrument.publisher_id,
                symbol: instrument.name(),
                day: part.day.to_string(),
                movements,
            });
        }
    }
    remove_spool(pipeline.spool.path(), shared)?;
    Ok(Moved {
        dataset: pipeline.stream.metadata().dataset.clone(),
        fingerprint: pipeline.stream.fingerprint().unwrap_or_default(),
        parts,
        warnings: pipeline.notes.warnings,
    })
}
