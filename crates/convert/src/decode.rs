//! One source of book updates for every DBN file.

mod damage;
mod foreign;
mod frames;
mod framing;
mod header;
mod open;
mod record;
mod snapshot;
mod source;
mod state;

use std::{collections::BTreeMap, io::Read};

use dbn::{
    MboMsg, Mbp10Msg, Metadata, OhlcvMsg, RecordHeader,
    decode::dbn::fsm::{DbnFsm, ProcessResult},
};
use lob_book::{Replayer, SnapshotTracker};
use lob_depth::EventCounts;
use rustc_hash::FxHashMap;

pub(crate) use frames::{FramesEnd, walk_frames};
pub use header::BookSchema;
pub(crate) use header::{Header, book_schema, read_header};
pub(crate) use record::{RecordKind, RecordLengths, bar_fault, is_companion, rtype_name};
pub(crate) use source::{Source, is_frames, read_head};

use self::{framing::Framing, snapshot::as_shown};
use crate::{
    ConvertError, Progress,
    input_file::InputFile,
    instruments::{At, Instrument, Instruments},
    progress::go_on,
};

/// Decoded bytes held at once; fits the second-level cache.
const BUFFER_BYTES: usize = 1 << 18;

/// What was read of an input so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Records of any kind.
    pub records: u64,
    /// Book updates handed out.
    pub updates: u64,
    /// Bytes of the decoded stream, header included.
    pub decoded_bytes: u64,
    /// Records that are no book records, by kind.
    pub skipped: BTreeMap<String, u64>,
}

/// Order-book updates of a DBN file, one at a time.
///
/// Reads `.dbn` and `.dbn.zst` (told by content, any number of frames), DBN versions 1 to 3, and
/// the schemas `mbp-10` and `mbo`; the latter is replayed by [`Replayer`]. A file that ends early,
/// holds a damaged record or changes while it is read is an error, never a clean end.
///
/// Updates that show a book being put together, as [`SnapshotTracker`] tells them, bear the flag
/// `SNAPSHOT`, whether or not their records do. They are no events of the market, and their event
/// times are those of orders that may be days old: what counts updates leaves them out.
///
/// ```
/// use lob_convert::RecordStream;
/// use lob_synth::{SynthConfig, write_file};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("market.mbp-10.dbn.zst");
/// write_file(&SynthConfig { records: 500, ..SynthConfig::default() }, &path)?;
/// let mut stream = RecordStream::open(&path)?;
/// let mut updates = 0;
/// while let Some(update) = stream.next()? {
///     assert!(update.levels.len() == 10);
///     updates += 1;
/// }
/// assert_eq!((updates, stream.counts().records), (500, 500));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RecordStream {
    input: InputFile,
    source: Source,
    metadata: Metadata,
    lengths: RecordLengths,
    instruments: Instruments,
    /// `None` until the first book record of a file whose header names no schema.
    schema: Option<BookSchema>,
    fsm: DbnFsm,
    framing: Framing,
    replayer: Replayer,
    /// The update the last MBO record made, or an MBP-10 record whose flags are not the file's.
    replayed: Mbp10Msg,
    /// Instruments of a file of MBP-10 whose book has been cleared and may be put together next.
    cleared: FxHashMap<(u16, u32), SnapshotTracker>,
    counts: StreamCounts,
    /// Bytes of the decoded stream handed to the state machine.
    filled_bytes: u64,
    is_done: bool,
}

impl std::fmt::Debug for RecordStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordStream")
            .field("path", &self.path())
            .field("schema", &self.schema)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

fn key_of(hd: &RecordHeader) -> (u16, u32) {
    (hd.publisher_id, hd.instrument_id)
}

/// A book update, lent until the next one, and its instrument.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Update<'a> {
    /// The update.
    pub record: &'a Mbp10Msg,
    /// Position of its instrument and number of its stretch.
    pub at: At,
    /// The instrument.
    pub instrument: &'a Instrument,
}

/// An update with what is known at its point of the stream.
pub(crate) struct Located<'a> {
    pub(crate) record: &'a Mbp10Msg,
    pub(crate) at: At,
    /// Events since the instrument's last update that caused none.
    pub(crate) quiet: Option<&'a EventCounts>,
    pub(crate) instruments: &'a Instruments,
}

/// Where the state machine stands after a step.
enum Stop {
    /// On an MBP-10 record.
    Mbp10,
    /// On an MBO record.
    Mbo,
    End,
}

impl RecordStream {
    /// The next update, or `None` after the last one. Calling it again after the end gives `None`.
    ///
    /// # Errors
    /// The file ends inside a record or a frame, cannot be decompressed, or holds a record that is
    /// damaged or of a kind that does not belong there. The stream cannot be used on after that.
    #[expect(
        clippy::should_implement_trait,
        reason = "the update is lent until the next call, which `Iterator` cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<&Mbp10Msg>, ConvertError> {
        self.next_unless_stopped(&())
    }

    /// [`next`](Self::next), which `progress` can stop also where no update comes for long: it is
    /// asked for each 256 kB.
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`ConvertError::Interrupted`].
    #[inline]
    pub fn next_unless_stopped(
        &mut self,
        progress: &dyn Progress,
    ) -> Result<Option<&Mbp10Msg>, ConvertError> {
        loop {
            match self.advance(progress)? {
                Stop::End => return Ok(None),
                Stop::Mbp10 => {
                    self.counts.updates += 1;
                    // The step has checked kind and length.
                    let record = self.fsm.last_record().and_then(|r| r.get::<Mbp10Msg>());
                    let Some(record) = record else { return Ok(None) };
                    return Ok(Some(as_shown(record, &mut self.cleared, &mut self.replayed)));
                }
                Stop::Mbo => {
                    if self.replay()?.is_some() {
                        self.counts.updates += 1;
                        return Ok(Some(&self.replayed));
                    }
                }
            }
        }
    }

    /// [`next`](Self::next), with the instrument that the update belongs to.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    #[inline]
    pub fn next_update(&mut self) -> Result<Option<Update<'_>>, ConvertError> {
        self.next_update_unless_stopped(&())
    }

    /// [`next_update`](Self::next_update), which `progress` can stop as
    /// [`next_unless_stopped`](Self::next_unless_stopped).
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`ConvertError::Interrupted`].
    #[inline]
    pub fn next_update_unless_stopped(
        &mut self,
        progress: &dyn Progress,
    ) -> Result<Option<Update<'_>>, ConvertError> {
        Ok(self.next_located(progress)?.map(|located| Update {
            record: located.record,
            at: located.at,
            instrument: &located.instruments.seen()[located.at.index as usize],
        }))
    }

    /// [`next`](Self::next), with what is known of instruments at that point of the stream.
    #[inline]
    pub(crate) fn next_located(
        &mut self,
        progress: &dyn Progress,
    ) -> Result<Option<Located<'_>>, ConvertError> {
        let (record, at, quiet) = loop {
            match self.advance(progress)? {
                Stop::End => return Ok(None),
                Stop::Mbp10 => {
                    // The step has checked kind and length.
                    let record = self.fsm.last_record().and_then(|r| r.get::<Mbp10Msg>());
                    let Some(record) = record else { return Ok(None) };
                    let at = self.instruments.locate(
                        key_of(&record.hd),
                        record.hd.ts_event,
                        record.ts_recv,
                        record.flags,
                    );
                    if self.instruments.take_new_meaning() {
                        self.cleared.remove(&key_of(&record.hd));
                    }
                    break (as_shown(record, &mut self.cleared, &mut self.replayed), at, None);
                }
                Stop::Mbo => {
                    if let Some(at) = self.replay()? {
                        break (&self.replayed, at, self.replayer.quiet_events());
                    }
                }
            }
        };
        self.counts.updates += 1;
        Ok(Some(Located { record, at, quiet, instruments: &self.instruments }))
    }

    /// Moves to the next book record, counting the others.
    #[inline]
    fn advance(&mut self, progress: &dyn Progress) -> Result<Stop, ConvertError> {
        loop {
            if !self.fsm.has_buffered_record() && !self.fill(progress)? {
                return Ok(Stop::End);
            }
            let Some(record) = self.fsm.next_buffered_record() else { continue };
            let (rtype, bytes) = (record.header().rtype, record.header().record_size());
            let kind = self.lengths.classify(rtype, bytes);
            let stop = match (kind, self.schema) {
                (RecordKind::Mbp10, Some(BookSchema::Mbp10)) => Stop::Mbp10,
                (RecordKind::Mbo, Some(BookSchema::Mbo)) => Stop::Mbo,
                _ => match self.uncommon(kind, rtype, bytes)? {
                    Some(stop) => stop,
                    None => {
                        self.step(bytes);
                        continue;
                    }
                },
            };
            self.step(bytes);
            return Ok(stop);
        }
    }

    fn step(&mut self, bytes: usize) {
        self.counts.records += 1;
        self.counts.decoded_bytes += bytes as u64;
    }

    /// A record other than the file's usual one: `None` to count it as skipped.
    #[cold]
    fn uncommon(
        &mut self,
        kind: RecordKind,
        rtype: u8,
        bytes: usize,
    ) -> Result<Option<Stop>, ConvertError> {
        match (kind, self.schema) {
            (RecordKind::Mbp10, None) => {
                self.schema = Some(BookSchema::Mbp10);
                return Ok(Some(Stop::Mbp10));
            }
            (RecordKind::Mbo, None) => {
                self.schema = Some(BookSchema::Mbo);
                return Ok(Some(Stop::Mbo));
            }
            // A capture without a schema may carry anything beside its books.
            (RecordKind::Other, _) => {}
            (RecordKind::Mbp10 | RecordKind::Mbo | RecordKind::Market, _)
                if self.metadata.schema.is_none() => {}
            _ => return Err(self.bad_record(rtype, bytes)),
        }
        if let Some(record) = self.fsm.last_record() {
            let bar = record.get::<OhlcvMsg>();
            if let Some(found) = bar.and_then(|b| bar_fault([b.open, b.high, b.low, b.close])) {
                return Err(self.bad_field(rtype, &found));
            }
            let index = self.counts.records;
            self.instruments.increments.note(record, self.metadata.version);
            if let Err(bad) = self.instruments.on_mapping(record.as_ref(), self.metadata.version) {
                let what = || format!("record {index}: {}", bad.what);
                self.instruments.symbols.faults.note(&bad.symbol, None, what);
            }
        }
        *self.counts.skipped.entry(format!("rtype_{}", rtype_name(rtype))).or_default() += 1;
        Ok(None)
    }

    /// Gives the current MBO record to the book of its instrument, which it returns if the record
    /// made an update.
    fn replay(&mut self) -> Result<Option<At>, ConvertError> {
        let Some(msg) = self.fsm.last_record().and_then(|record| record.get::<MboMsg>()) else {
            return Ok(None);
        };
        let at = self.instruments.locate(key_of(&msg.hd), msg.hd.ts_event, msg.ts_recv, msg.flags);
        if self.instruments.take_new_meaning() {
            self.replayer.forget(msg.hd.publisher_id, msg.hd.instrument_id);
        }
        match self.replayer.push_ref(msg) {
            Ok(Some(update)) => {
                self.replayed.clone_from(update);
                Ok(Some(at))
            }
            Ok(None) => Ok(None),
            Err(source) => {
                Err(self.or_changed(ConvertError::Book { path: self.path().to_owned(), source }))
            }
        }
    }

    /// Frames the next batch of records, reading more as needed. False at the end of the file.
    fn fill(&mut self, progress: &dyn Progress) -> Result<bool, ConvertError> {
        if self.is_done {
            return Ok(false);
        }
        loop {
            match self.fsm.process_batch() {
                ProcessResult::Record(_) => return Ok(true),
                ProcessResult::ReadMore(_) => {
                    if let Some(bad) = self.framing.bad() {
                        return Err(self.bad_record(bad.rtype, bad.bytes));
                    }
                    go_on(progress)?;
                    let space = self.fsm.space();
                    let n = match self.source.read(space) {
                        Ok(n) => n,
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(self.read_error(error)),
                    };
                    if n == 0 {
                        return self.end().map(|()| false);
                    }
                    let good = self.framing.check(&space[..n]);
                    self.fsm.fill(good);
                    self.filled_bytes += n as u64;
                }
                // Lengths were checked and the metadata was read before.
                ProcessResult::Err(_) | ProcessResult::Metadata(_) => {
                    return Err(self.bad_record(0, 0));
                }
            }
        }
    }
}
