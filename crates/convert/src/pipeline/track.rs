//! One instrument on its way into files, and what a layout is.

use dbn::Mbp10Msg;
use lob_depth::{DepthError, EventCounts};

use super::{output::Output, spool::Spool};
use crate::{ConvertConfig, ConvertError, Instrument, day::Day};

/// What a row is: how updates become rows, where rows wait, and what files they end in. The value is
/// what all instruments of an input share.
pub(super) trait RowLayout: Sized {
    /// An instrument between its updates and its rows.
    type Maker;
    /// The rows of one instrument and day that wait for their labels.
    type Rows: Default;

    /// Begins with an instrument; `given` is a price step for it alone, `defined` the price increment
    /// in its definition record.
    fn maker(
        config: &ConvertConfig,
        given: Option<i64>,
        defined: Option<i64>,
    ) -> Result<Self::Maker, DepthError>;

    /// Takes in an update at `ts`, and the events before it that caused none.
    fn push(
        &mut self,
        maker: &mut Self::Maker,
        update: Placed<'_>,
        config: &ConvertConfig,
        parts: &mut Vec<Part<Self::Rows>>,
    ) -> Result<(), DepthError>;

    /// Ends the open segment: the next update has nothing to do with those before it.
    fn end_segment(&mut self, maker: &mut Self::Maker, parts: &mut [Part<Self::Rows>]);

    /// Decides what an instrument has left open, since no update follows.
    fn settle(
        &mut self,
        maker: &mut Self::Maker,
        config: &ConvertConfig,
        parts: &mut Vec<Part<Self::Rows>>,
    ) -> Result<(), DepthError>;

    /// Keeps what waits in memory within its limits.
    fn relieve(
        &mut self,
        tracks: &mut [&mut Track<Self>],
        config: &ConvertConfig,
        spool: &mut Spool,
    ) -> Result<(), Unrelieved>;

    /// Labels the rows of an instrument, all of whose segments have ended, and writes a file of each
    /// part; parts come in the order of their days.
    fn write(
        &mut self,
        instrument: &Instrument,
        maker: Self::Maker,
        parts: Vec<Part<Self::Rows>>,
        out: &mut Output<'_, '_>,
    ) -> Result<(), ConvertError>;
}

/// An update where it belongs in time.
#[derive(Clone, Copy)]
pub(super) struct Placed<'u> {
    pub(super) record: &'u Mbp10Msg,
    pub(super) quiet: Option<&'u EventCounts>,
    pub(super) ts: u64,
    /// The instrument's stretch it belongs to.
    pub(super) stretch: u32,
}

/// Why memory could not be relieved.
pub(super) enum Unrelieved {
    /// Updates of the instrument make no rows.
    Depth(Box<Instrument>, DepthError),
    Other(ConvertError),
}

impl From<ConvertError> for Unrelieved {
    fn from(error: ConvertError) -> Self {
        Self::Other(error)
    }
}

/// The rows of one instrument on one day.
#[derive(Debug)]
pub(super) struct Part<R> {
    pub(super) day: Day,
    pub(super) updates: u64,
    pub(super) rows: R,
}

/// Position of a day's part, which is made if it is the first of the day.
pub(super) fn part_of<R: Default>(day: Day, parts: &mut Vec<Part<R>>) -> usize {
    let at = parts.iter().position(|part| part.day == day).unwrap_or(parts.len());
    if at == parts.len() {
        parts.push(Part { day, updates: 0, rows: R::default() });
    }
    at
}

/// An instrument's state.
#[derive(Debug)]
pub(super) struct Track<L: RowLayout> {
    pub(super) instrument: Instrument,
    /// Stretch of the last update.
    stretch: u32,
    pub(super) maker: L::Maker,
    pub(super) parts: Vec<Part<L::Rows>>,
}

impl<L: RowLayout> Track<L> {
    /// An instrument that has shown no update yet, see [`RowLayout::maker`].
    pub(super) fn new(
        instrument: Instrument,
        config: &ConvertConfig,
        given: Option<i64>,
        defined: Option<i64>,
    ) -> Result<Self, DepthError> {
        let maker = L::maker(config, given, defined)?;
        Ok(Self { instrument, stretch: 0, maker, parts: Vec::new() })
    }

    /// Takes in an update.
    #[inline]
    pub(super) fn push(
        &mut self,
        update: Placed<'_>,
        config: &ConvertConfig,
        layout: &mut L,
    ) -> Result<(), DepthError> {
        if self.stretch != update.stretch {
            self.begin_stretch(update.stretch, layout);
        }
        layout.push(&mut self.maker, update, config, &mut self.parts)
    }

    /// The id of the instrument meant another one meanwhile: its updates do not go on.
    #[cold]
    fn begin_stretch(&mut self, stretch: u32, layout: &mut L) {
        layout.end_segment(&mut self.maker, &mut self.parts);
        self.stretch = stretch;
    }

    /// Decides what is open, and ends the open segment.
    pub(super) fn finish(
        &mut self,
        config: &ConvertConfig,
        layout: &mut L,
    ) -> Result<(), DepthError> {
        layout.settle(&mut self.maker, config, &mut self.parts)?;
        layout.end_segment(&mut self.maker, &mut self.parts);
        Ok(())
    }
}
