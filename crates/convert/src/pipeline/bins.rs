//! The layout of bins: updates become bins once the price step is known.

mod ahead;
mod binning;
mod encoded;
mod stepping;
mod write;

use lob_depth::{Bin, DepthError, MidPath, NextRows};
use lob_store::TruthKey;

use self::{
    encoded::Encoded,
    stepping::{LeftOut, Stepping},
    write::{Stepped, write_part},
};
use super::{
    edges::Edges,
    notes::count,
    output::Output,
    spool::Spool,
    track::{Part, Placed, RowLayout, Track, Unrelieved},
};
use crate::{ConvertConfig, ConvertError, Instrument, PriceStepSource};

/// Updates of all instruments together that may wait for a price step: 32 MiB of records.
const HELD_UPDATES_MAX: usize = 90_000;
/// Encoded bins held in memory by one input before they go to the spool.
const HELD_BYTES_MAX: usize = 32 << 20;

/// What the instruments of an input share.
#[derive(Debug, Default)]
pub(super) struct Bins {
    /// Bytes of the bins in memory.
    held_bytes: usize,
    /// Updates that wait for a price step.
    held_updates: usize,
}

/// The bins of one instrument on one day.
#[derive(Debug, Default)]
pub(super) struct BinRows {
    encoded: Encoded,
    /// Movement at the last update of each bin, not a number where it has none.
    pub(super) movements: Vec<f64>,
    /// Kept where labels look forward: the mid of each bin, and what came after it.
    mids: MidPath,
    next: NextRows,
    /// What the last update of each bin is found by in the truth file, where there is one.
    truth_keys: Vec<TruthKey>,
    next_segment: u32,
}

impl Bins {
    fn push_bin(&mut self, rows: &mut BinRows, bin: &Bin, segment: u32) {
        self.held_bytes += rows.encoded.push(bin, segment);
    }

    /// Hands out the bins of a part in order, with their segments.
    fn drain(
        &mut self,
        encoded: Encoded,
        spool: &mut Spool,
        each: impl FnMut(Bin, u32) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        self.held_bytes -= encoded.drain(spool, each)?;
        Ok(())
    }
}

impl RowLayout for Bins {
    type Maker = Stepping;
    type Rows = BinRows;

    fn maker(
        config: &ConvertConfig,
        given: Option<i64>,
        defined: Option<i64>,
    ) -> Result<Stepping, DepthError> {
        Stepping::new(config, given, defined)
    }

    #[inline]
    fn push(
        &mut self,
        maker: &mut Stepping,
        update: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
    ) -> Result<(), DepthError> {
        maker.push(update, config, parts, self)
    }

    fn end_segment(&mut self, maker: &mut Stepping, parts: &mut [Part<BinRows>]) {
        maker.end_segment(parts, self);
    }

    fn settle(
        &mut self,
        maker: &mut Stepping,
        config: &ConvertConfig,
        parts: &mut Vec<Part<BinRows>>,
    ) -> Result<(), DepthError> {
        maker.start(config, parts, self)
    }

    fn relieve(
        &mut self,
        tracks: &mut [&mut Track<Self>],
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), Unrelieved> {
        if self.held_updates > HELD_UPDATES_MAX {
            for track in &mut *tracks {
                self.settle(&mut track.maker, config, &mut track.parts).map_err(|source| {
                    Unrelieved::Depth(Box::new(track.instrument.clone()), source)
                })?;
            }
        }
        if self.held_bytes >= HELD_BYTES_MAX {
            for part in tracks.iter_mut().flat_map(|track| &mut track.parts) {
                self.held_bytes -= part.rows.encoded.flush(spool)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        instrument: &Instrument,
        maker: Stepping,
        parts: Vec<Part<BinRows>>,
        out: &mut Output<'_, '_>,
    ) -> Result<(), ConvertError> {
        if let Some(LeftOut { reason, updates }) = maker.left_out() {
            let symbol = instrument.name();
            out.notes.warnings.push(format!(
                "{instrument} is left out, with {updates} updates: {reason}; give its price \
                 step, such as --price-step {symbol}=0.25",
            ));
            count(&mut out.notes.skipped, [("no_price_step", *updates)]);
            return Ok(());
        }
        count(&mut out.notes.oddities, maker.oddities());
        let movements = parts.iter().flat_map(|part| part.rows.movements.iter().copied());
        let movements: Vec<f64> = movements.filter(|movement| movement.is_finite()).collect();
        let edges = Edges::fit(&movements, 1, out.config, (&out.meta.dataset, instrument))
            .map_err(out.depth_error(instrument))?;
        drop(movements);
        let Some((step, off_step)) = maker.step().filter(|_| !parts.is_empty()) else {
            return Ok(());
        };
        out.warn_of_edges(&edges, instrument);
        let stepped = Stepped { instrument, step, step_from: maker.step_from };
        for part in parts {
            write_part(self, stepped, part, &edges, out)?;
        }
        warn_of_step(stepped, off_step, out);
        Ok(())
    }
}

fn warn_of_step(stepped: Stepped<'_>, off_step: u64, out: &mut Output<'_, '_>) {
    let Stepped { instrument, step, step_from } = stepped;
    if step_from == PriceStepSource::Guessed {
        out.notes.warnings.push(format!(
            "{instrument} shows too few prices to be sure of its price step; `{step}` \
             was taken; give it with --price-step SYMBOL=X"
        ));
    }
    if off_step > 0 {
        out.notes.warnings.push(format!(
            "{instrument}: {off_step} best prices are no multiple of the price step \
             `{step}` and were rounded; give a finer one with --price-step SYMBOL=X"
        ));
    }
}
