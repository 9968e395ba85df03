//! What becomes of each instrument of an input.

use lob_depth::DepthError;

use super::track::{RowLayout, Track};
use crate::{ConvertConfig, increments::Increments, instruments::Instruments};

/// What becomes of an instrument.
pub(super) enum Lane<L: RowLayout> {
    /// None of its updates was seen.
    Unseen,
    /// The filters leave it out.
    Filtered,
    Open(Box<Track<L>>),
}

impl<L: RowLayout> Lane<L> {
    pub(super) fn into_track(self) -> Option<Box<Track<L>>> {
        match self {
            Self::Open(track) => Some(track),
            Self::Unseen | Self::Filtered => None,
        }
    }

    pub(super) fn track_mut(&mut self) -> Option<&mut Track<L>> {
        match self {
            Self::Open(track) => Some(track),
            Self::Unseen | Self::Filtered => None,
        }
    }
}

/// Decides what becomes of an instrument at its first update, at `ts`.
#[cold]
pub(super) fn open_lane<L: RowLayout>(
    lanes: &mut Vec<Lane<L>>,
    index: usize,
    ts: u64,
    config: &ConvertConfig,
    instruments: &Instruments,
    more: &Increments,
) -> Result<(), DepthError> {
    while lanes.len() <= index {
        lanes.push(Lane::Unseen);
    }
    let instrument = &instruments.seen()[index];
    lanes[index] = if config.wants(instrument) {
        let (publisher_id, id) = (instrument.publisher_id, instrument.instrument_id);
        let own = instruments.increments.get(publisher_id, id, ts);
        let increment = own.or_else(|| more.get(publisher_id, id, ts));
        let given = config.given_step(instrument.symbol.as_deref(), id);
        Lane::Open(Box::new(Track::new(instrument.clone(), config, given, increment)?))
    } else {
        Lane::Filtered
    };
    Ok(())
}
