//! One source of book updates for every DBN file.

mod ahead;
mod frames;
mod framing;
mod header;
mod open;
mod record;
mod source;

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use dbn::{
    MboMsg, Mbp10Msg, Metadata,
    decode::dbn::fsm::{DbnFsm, ProcessResult},
};
use lob_book::{ReplayStats, Replayer, SnapshotTracker};
use rustc_hash::FxHashMap;

pub(crate) use frames::{FramesEnd, ZSTD_MAGIC, walk_frames};
pub use header::BookSchema;
pub(crate) use header::{Header, book_schema, read_header, symbol_map};
pub(crate) use record::{RecordKind, classify_header, expected_bytes, rtype_name};
pub(crate) use source::{Source, read_full};

use self::framing::Framing;
use crate::{ConvertError, hash::ContentHash, instruments::Instruments, levels::is_clear};

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
/// the schemas `mbp-10` and `mbo`; the latter is replayed by [`Replayer`]. A file that ends early
/// or holds a damaged record is an error, never a clean end.
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
    path: PathBuf,
    source: Source,
    metadata: Metadata,
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
            .field("path", &self.path)
            .field("schema", &self.schema)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// Where the state machine stands after a step.
enum At {
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
        Ok(self.next_with_instruments()?.map(|(update, _)| update))
    }

    /// [`next`](Self::next), with what is known of instruments at that point of the stream.
    #[inline]
    pub(crate) fn next_with_instruments(
        &mut self,
    ) -> Result<Option<(&Mbp10Msg, &Instruments)>, ConvertError> {
        let update = loop {
            match self.advance()? {
                At::End => return Ok(None),
                // The step has checked kind and length.
                At::Mbp10 => {
                    let record = self.fsm.last_record().and_then(|r| r.get::<Mbp10Msg>());
                    if let Some(record) = record
                        && (is_clear(record) || !self.cleared.is_empty())
                        && is_unflagged_snapshot(&mut self.cleared, record)
                    {
                        self.replayed.clone_from(record);
                        self.replayed.flags.set_snapshot();
                        break Some(&self.replayed);
                    }
                    break record;
                }
                At::Mbo if self.replay()? => break Some(&self.replayed),
                At::Mbo => {}
            }
        };
        self.counts.updates += 1;
        Ok(update.map(|update| (update, &self.instruments)))
    }

    /// Moves to the next book record, counting the others.
    #[inline]
    fn advance(&mut self) -> Result<At, ConvertError> {
        loop {
            if !self.fsm.has_buffered_record() && !self.fill()? {
                return Ok(At::End);
            }
            let Some(record) = self.fsm.next_buffered_record() else { continue };
            let (rtype, bytes) = (record.header().rtype, record.header().record_size());
            let kind = classify_header(rtype, bytes, self.metadata.ts_out);
            let at = match (kind, self.schema) {
                (RecordKind::Mbp10, Some(BookSchema::Mbp10)) => At::Mbp10,
                (RecordKind::Mbo, Some(BookSchema::Mbo)) => At::Mbo,
                _ => match self.uncommon(kind, rtype, bytes)? {
                    Some(at) => at,
                    None => {
                        self.step(bytes);
                        continue;
                    }
                },
            };
            self.step(bytes);
            return Ok(at);
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
    ) -> Result<Option<At>, ConvertError> {
        match (kind, self.schema) {
            (RecordKind::Mbp10, None) => {
                self.schema = Some(BookSchema::Mbp10);
                return Ok(Some(At::Mbp10));
            }
            (RecordKind::Mbo, None) => {
                self.schema = Some(BookSchema::Mbo);
                return Ok(Some(At::Mbo));
            }
            // A capture without a schema may carry anything beside its books.
            (RecordKind::Other, _) => {}
            (RecordKind::Mbp10 | RecordKind::Mbo | RecordKind::Market, _)
                if self.metadata.schema.is_none() => {}
            _ => return Err(self.bad_record(rtype, bytes)),
        }
        if let Some(record) = self.fsm.last_record() {
            // A mapping that cannot be read leaves the header's symbols as they are.
            drop(self.instruments.symbols.on_record(record));
            self.instruments.increments.note(record, self.metadata.version);
        }
        *self.counts.skipped.entry(format!("rtype_{}", rtype_name(rtype))).or_default() += 1;
        Ok(None)
    }

    /// Gives the current MBO record to the book; whether it made an update.
    fn replay(&mut self) -> Result<bool, ConvertError> {
        let Some(msg) = self.fsm.last_record().and_then(|record| record.get::<MboMsg>()) else {
            return Ok(false);
        };
        match self.replayer.push_ref(msg) {
            Ok(Some(update)) => {
                self.replayed.clone_from(update);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(source) => Err(ConvertError::Book { path: self.path.clone(), source }),
        }
    }

    /// Frames the next batch of records, reading more as needed. False at the end of the file.
    fn fill(&mut self) -> Result<bool, ConvertError> {
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
                    let space = self.fsm.space();
                    let n = match self.source.read(space) {
                        Ok(n) => n,
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(self.read_error(error)),
                    };
                    if n == 0 {
                        self.is_done = true;
                        return self.check_end().map(|()| false);
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

    /// No bytes may be left over when the file ends.
    fn check_end(&self) -> Result<(), ConvertError> {
        if self.filled_bytes == self.counts.decoded_bytes {
            return Ok(());
        }
        Err(ConvertError::Truncated {
            path: self.path.clone(),
            what: format!(
                "the file ends {} bytes into the record",
                self.filled_bytes - self.counts.decoded_bytes
            ),
            byte_offset: self.counts.decoded_bytes,
            records: Some(self.counts.records),
        })
    }

    #[cold]
    fn bad_record(&self, rtype: u8, bytes: usize) -> ConvertError {
        let (path, byte_offset) = (self.path.clone(), self.counts.decoded_bytes);
        let record_index = self.counts.records;
        // The four bytes `DBN` and a version read as length 272, rtype 66.
        if rtype == b'B' && bytes == usize::from(b'D') * 4 {
            return ConvertError::Concatenated { path, byte_offset, records: record_index };
        }
        ConvertError::BadRecord {
            path,
            record_index,
            byte_offset,
            found: format!("rtype `{rtype:#04x}` with {bytes} bytes"),
            expected: expected_bytes(rtype, self.schema, self.metadata.ts_out),
        }
    }

    #[cold]
    fn read_error(&self, source: std::io::Error) -> ConvertError {
        let (path, records) = (self.path.clone(), self.counts.records);
        let byte_offset = self.source.file_bytes();
        if !self.source.is_compressed() {
            return ConvertError::Io { path, action: "read", source };
        }
        if source.kind() == std::io::ErrorKind::UnexpectedEof {
            let what = "the file ends inside a Zstandard frame".to_owned();
            return ConvertError::Truncated { path, what, byte_offset, records: Some(records) };
        }
        ConvertError::Decompress { path, byte_offset, records, source }
    }

    /// Index of the record read last, and position of its first byte in the decoded stream.
    pub(crate) fn position(&self) -> (u64, u64) {
        let bytes = self.fsm.last_record().map_or(0, |record| record.header().record_size() as u64);
        (self.counts.records.saturating_sub(1), self.counts.decoded_bytes.saturating_sub(bytes))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's metadata.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Which records the file carries; `None` for a capture that has not shown a book record yet.
    #[must_use]
    pub const fn schema(&self) -> Option<BookSchema> {
        self.schema
    }

    /// What was read so far.
    #[must_use]
    pub const fn counts(&self) -> &StreamCounts {
        &self.counts
    }

    /// What the replay of market-by-order records met; all zero for MBP-10.
    #[must_use]
    pub fn replay_stats(&self) -> ReplayStats {
        self.replayer.stats()
    }

    /// Bytes of the file itself read so far: the position for a progress bar.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.source.file_bytes()
    }

    /// SHA-256 of the file in hex; `None` before the end, and if opened without the hash.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        self.content().sha256
    }

    /// The hash the file was opened with; nothing before the end.
    pub(crate) fn content(&self) -> ContentHash {
        if self.is_done { self.source.content() } else { ContentHash::default() }
    }

    /// The symbol of an instrument at a time (nanoseconds since the Unix epoch), if the file maps
    /// one.
    #[must_use]
    pub fn symbol(&self, instrument_id: u32, ts: u64) -> Option<&str> {
        self.instruments.symbol(ts, instrument_id)
    }
}

/// Whether the record shows a book being put together although its flags do not say so.
#[cold]
fn is_unflagged_snapshot(
    cleared: &mut FxHashMap<(u16, u32), SnapshotTracker>,
    record: &Mbp10Msg,
) -> bool {
    let key = (record.hd.publisher_id, record.hd.instrument_id);
    let mut tracker = cleared.get(&key).copied().unwrap_or_default();
    let (action, flags) = (record.action.cast_unsigned(), record.flags);
    let is_part = tracker.is_part(action, flags, record.hd.ts_event, record.ts_recv);
    if tracker.is_idle() {
        cleared.remove(&key);
    } else {
        cleared.insert(key, tracker);
    }
    is_part && !flags.is_snapshot()
}
