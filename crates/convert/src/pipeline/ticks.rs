//! The layout of ticks: rows go into encoded row groups, which wait for their labels in the spool.

mod encoding;
mod rows;
mod ticking;
mod write;

use std::path::Path;

use lob_depth::DepthError;
use lob_store::TickEncoder;

use self::{
    encoding::{Encoding, Ticket},
    rows::Rows,
    ticking::{FIT_ALL_MAX, Ticking},
    write::write_part,
};
use super::{
    notes::count,
    output::Output,
    spool::{Block, Spool},
    track::{Part, Placed, RowLayout, Track, Unrelieved},
};
use crate::{ConvertConfig, ConvertError, Instrument};

/// Rows of an instrument and day that make a row group: about 8 MiB before encoding.
const GROUP_ROWS: usize = 1 << 17;
/// Rows that make one where memory is short. What a footer says about a row group takes memory
/// until the end, and smaller ones would take more of it than their rows.
const GROUP_ROWS_MIN: usize = GROUP_ROWS / 8;
/// Bytes of the rows of all instruments together that may wait to be encoded.
const HELD_BYTES_MAX: usize = 48 << 20;
/// What the instruments of an input share.
#[derive(Debug)]
pub(super) struct Ticks {
    encoding: Encoding,
}

impl Ticks {
    /// Encodes rows of the input at `path` on a thread of its own, if it is helped.
    pub(super) fn new(
        path: &Path,
        config: &ConvertConfig,
        is_helped: bool,
    ) -> Result<Self, ConvertError> {
        let encoder = TickEncoder::new(path, config.tick_writer)?;
        let encoding = Encoding::new(encoder, is_helped)
            .map_err(ConvertError::io(path, "start a thread that encodes"))?;
        Ok(Self { encoding })
    }

    /// Encodes rows where there are enough of them, or too many.
    fn flush(
        &mut self,
        tracks: &mut [&mut Track<Self>],
        spool: &mut Spool,
    ) -> Result<(), ConvertError> {
        let parts = tracks.iter().flat_map(|track| &track.parts);
        let held = parts.map(|part| part.rows.held_bytes());
        let (all, n_parts) =
            held.filter(|n| *n > 0).fold((0, 0), |(sum, parts), n| (sum + n, parts + 1));
        for track in tracks {
            for part in &mut track.parts {
                if part.rows.is_due(all, n_parts) {
                    let symbol = || track.instrument.name();
                    part.rows.flush(&mut self.encoding, symbol, spool, false)?;
                }
            }
        }
        Ok(())
    }
}

impl RowLayout for Ticks {
    type Maker = Ticking;
    type Rows = TickRows;

    fn maker(
        config: &ConvertConfig,
        _given: Option<i64>,
        _defined: Option<i64>,
    ) -> Result<Ticking, DepthError> {
        Ticking::new(config)
    }

    #[inline]
    fn push(
        &mut self,
        maker: &mut Ticking,
        update: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<TickRows>>,
    ) -> Result<(), DepthError> {
        maker.push(update, config, parts)
    }

    fn end_segment(&mut self, maker: &mut Ticking, parts: &mut [Part<TickRows>]) {
        maker.end_segment(parts);
    }

    fn settle(
        &mut self,
        _maker: &mut Ticking,
        _config: &ConvertConfig,
        _parts: &mut Vec<Part<TickRows>>,
    ) -> Result<(), DepthError> {
        Ok(())
    }

    fn relieve(
        &mut self,
        tracks: &mut [&mut Track<Self>],
        _config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), Unrelieved> {
        self.flush(tracks, spool)?;
        thin_fits(tracks);
        Ok(())
    }

    fn write(
        &mut self,
        instrument: &Instrument,
        maker: Ticking,
        parts: Vec<Part<TickRows>>,
        out: &mut Output<'_, '_>,
    ) -> Result<(), ConvertError> {
        count(&mut out.notes.oddities, maker.oddities());
        let edges = maker
            .edges(out.config, (&out.meta.dataset, instrument))
            .map_err(out.depth_error(instrument))?;
        if !parts.is_empty() {
            out.warn_of_edges(&edges, instrument);
        }
        for mut part in parts {
            // One part after the other: what waits for its file takes memory.
            part.rows.flush(&mut self.encoding, || instrument.name(), out.spool, true)?;
            write_part(instrument, part, &edges, &mut self.encoding, out)?;
        }
        Ok(())
    }
}

/// Keeps the movements that classes are fitted on within their limit.
fn thin_fits(tracks: &mut [&mut Track<Ticks>]) {
    let mut n_all: usize = tracks.iter().map(|track| track.maker.n_fit()).sum();
    while n_all > FIT_ALL_MAX {
        let Some(largest) = tracks.iter_mut().max_by_key(|track| track.maker.n_fit()) else {
            return;
        };
        let before = largest.maker.n_fit();
        largest.maker.thin_fit();
        n_all -= before - largest.maker.n_fit();
    }
}

/// The rows of one instrument on one day.
#[derive(Debug, Default)]
pub(super) struct TickRows {
    rows: Rows,
    groups: Vec<Ticket>,
    /// Movement of each row, in order, not a number where it has none; the ones in the spool
    /// first.
    spooled: Vec<Block>,
    movements: Vec<f64>,
    symbol: String,
    ts_event_range: Option<(u64, u64)>,
}

impl TickRows {
    /// Bytes of the rows in memory.
    fn held_bytes(&self) -> usize {
        self.rows.held_bytes()
    }

    /// Whether something should be done about the rows, where those of `n_parts` parts take `all`
    /// bytes of memory together.
    fn is_due(&self, all: usize, n_parts: usize) -> bool {
        let held = self.held_bytes();
        // Beyond the limit the larger half goes, so that row groups stay as large as they can.
        self.rows.n() >= GROUP_ROWS || (all > HELD_BYTES_MAX && held * n_parts >= all && held > 0)
    }

    /// Relieves memory of the rows held: a row group of them is encoded, or if they are too few for
    /// one, they go to the spool as they are. With `all`, what is left is a row group whatever its
    /// size.
    fn flush(
        &mut self,
        encoding: &mut Encoding,
        symbol: impl FnOnce() -> String,
        spool: &mut Spool,
        all: bool,
    ) -> Result<(), ConvertError> {
        if self.symbol.is_empty() {
            self.symbol = symbol();
        }
        if self.rows.n() >= if all { 1 } else { GROUP_ROWS_MIN } {
            let rows = self.rows.take(spool, &mut encoding.logs)?;
            self.groups.push(encoding.give(rows, &self.symbol, spool)?);
        } else if self.held_bytes() > 0 {
            self.rows.spill(spool)?;
        }
        let movements = std::mem::take(&mut self.movements);
        if !movements.is_empty() {
            let bytes: Vec<u8> = movements.into_iter().flat_map(f64::to_le_bytes).collect();
            self.spooled.push(spool.put(&bytes)?);
        }
        Ok(())
    }
}
