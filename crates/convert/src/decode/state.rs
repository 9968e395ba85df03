//! What a stream knows of itself.

use std::path::Path;

use dbn::Metadata;
use lob_book::ReplayStats;

use super::{BookSchema, RecordStream, StreamCounts};
use crate::{
    Instrument,
    hash::{ContentHash, Fingerprint},
};

impl RecordStream {
    /// Index of the record read last, and position of its first byte in the decoded stream.
    pub(crate) fn position(&self) -> (u64, u64) {
        let bytes = self.fsm.last_record().map_or(0, |record| record.header().record_size() as u64);
        (self.counts.records.saturating_sub(1), self.counts.decoded_bytes.saturating_sub(bytes))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.input.path()
    }

    /// Bytes of the file when it was opened.
    pub(crate) fn input_bytes(&self) -> u64 {
        self.input.bytes()
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

    /// [`replay_stats`](Self::replay_stats) by publisher and instrument id.
    pub(crate) fn replay_stats_by_book(&self) -> Vec<((u16, u32), ReplayStats)> {
        self.replayer.stats_by_book()
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

    /// XXH3-128 of the records as they stand in the decompressed file, in hex, whatever compressed
    /// it; `None` before the end, and if opened without hashes.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.record_fingerprint().map(|fingerprint| fingerprint.hash)
    }

    /// The same, with what it cost.
    pub(crate) fn record_fingerprint(&self) -> Option<Fingerprint> {
        if self.is_done { self.source.fingerprint() } else { None }
    }

    /// The hash the file was opened with; nothing before the end.
    pub(crate) fn content(&self) -> ContentHash {
        if self.is_done { self.source.content() } else { ContentHash::default() }
    }

    /// The instruments of the updates that [`next_update`](Self::next_update) gave so far, in order
    /// of first appearance.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        self.instruments.seen()
    }

    /// Mappings in the file, as far as it was read, that cannot be used, in words: of the symbols
    /// that are wanted. Each costs its own symbol and no other.
    #[must_use]
    pub fn mapping_faults(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.instruments.symbols.faults.lines(is_wanted)
    }

    /// The symbol of an instrument at a time (nanoseconds since the Unix epoch), if the file maps
    /// one as far as it was read.
    #[must_use]
    pub fn symbol(&self, instrument_id: u32, ts: u64) -> Option<&str> {
        self.instruments.symbol(ts, instrument_id)
    }
}
