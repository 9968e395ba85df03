//! A market with what real feeds have: snapshots, ids that change their meaning, bad times, copies.

mod extras;
mod feed;
mod out;

use std::{
    fs,
    io::{BufWriter, Write},
    num::NonZeroU64,
    ops::Range,
    path::{Path, PathBuf},
};

use dbn::{
    MappingInterval, Metadata, SType, SymbolMapping,
    encode::{DbnEncoder, EncodeRecord, EncodeRecordRef},
};

use self::{feed::Feed, out::Out};
use crate::{
    SynthConfig, SynthError, SynthSummary, calendar,
    error::bad_date,
    writer::{BUFFER_BYTES, DATASET, io_error, whole_file},
};

/// Where a messy file says what its ids mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SymbolsIn {
    /// The header maps ids to symbols day by day, as in daily files of a batch download.
    #[default]
    Header,
    /// The header names neither schema nor symbols; `SymbolMappingMsg` records with undefined
    /// times (2^64 - 1) stand in the stream, as in a live capture.
    Stream,
}

/// The faults of a messy market. What is written beside the market of [`SynthConfig`]:
///
/// - a quiet instrument `ZTM4` of the odd tick 1/256: [`QUIET_QUOTES`] one-sided quotes a session;
/// - a snapshot of each book at the start of a session and one in mid session (when half of its
///   records are written): for MBO a clear and an add for each resting order, for MBP-10 a clear and
///   one record of the whole book. All carry the flags `SNAPSHOT` and `BAD_TS_RECV`, the last one
///   `LAST`; `ts_event` is that of the order (days old at the start), `ts_recv` the present;
/// - ids dealt anew: from session to session each id passes to the next instrument;
/// - events with bad times, see [`InsertionKind`];
/// - companion records: status, statistics, heartbeats, and at the start of each session the
///   definition of the first instrument;
/// - in folders a copy of the first file, see [`write_messy_sessions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mess {
    /// Where symbols come from.
    pub symbols_in: SymbolsIn,
    /// Whether ids are dealt anew in mid session too, just before the snapshot there. Only
    /// [`SymbolsIn::Stream`] can say so: a header maps whole days.
    pub deals_at_noon: bool,
    /// Events with bad times, in 1/1,000 of all.
    pub bad_times: u32,
    /// Companion records, in 1/1,000 of the market's events.
    pub companions: u32,
    /// Whether events lose both of their times too: nobody can tell when they happened.
    pub has_untimed: bool,
}

impl Mess {
    /// Daily files of a batch download.
    #[must_use]
    pub fn daily() -> Self {
        Self {
            symbols_in: SymbolsIn::Header,
            deals_at_noon: false,
            bad_times: 10,
            companions: 5,
            has_untimed: true,
        }
    }

    /// A live capture whose ids are dealt anew at noon as well.
    #[must_use]
    pub fn live() -> Self {
        Self { symbols_in: SymbolsIn::Stream, deals_at_noon: true, ..Self::daily() }
    }

    fn check(&self) -> Result<(), SynthError> {
        let bad = |field, value: u32, rule| {
            Err(SynthError::BadConfig { field, value: value.into(), rule })
        };
        if self.deals_at_noon && self.symbols_in == SymbolsIn::Header {
            return bad(
                "deals_at_noon",
                1,
                "a header maps whole days; put the symbols into the stream",
            );
        }
        for (field, value) in [("bad_times", self.bad_times), ("companions", self.companions)] {
            if value > 1_000 {
                return bad(field, value, "give 0 to 1000 in 1,000");
            }
        }
        Ok(())
    }
}

/// Quotes of the quiet instrument in a session.
pub const QUIET_QUOTES: u64 = 5;

/// What was inserted or spoilt, and where: the truth that tests compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// Index of the record among all records of its file.
    pub record: u64,
    /// What it is.
    pub kind: InsertionKind,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertionKind {
    /// The first record of a snapshot.
    Snapshot {
        /// Number of its records.
        records: u64,
        /// Whether it is a recovery in mid session.
        mid_session: bool,
    },
    /// From here on this id means this symbol. In files with [`SymbolsIn::Stream`] it is a mapping
    /// record; otherwise the next record of the file, which the header maps so.
    Means {
        /// The id.
        instrument_id: u32,
        /// The symbol.
        symbol: String,
    },
    /// A record of a quote of the quiet instrument.
    Quiet,
    /// A status, statistics, system or definition record.
    Companion,
    /// Flagged `BAD_TS_RECV`: `ts_recv` is up to 2 s or 3 days off; `ts_event` is right.
    BadTsRecv,
    /// `ts_recv` is 2^64 - 1, 0, or another time no feed has; `ts_event` is right.
    UndefinedTsRecv,
    /// `ts_event` is undefined, 0 or ten years on; `ts_recv` is right.
    OddTsEvent,
    /// Both times are undefined.
    Untimed,
}

/// A file of a messy market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessyFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it: all records, and all instruments with the ids they had first.
    pub summary: SynthSummary,
    /// What was inserted or spoilt, in order.
    pub insertions: Vec<Insertion>,
    /// The file whose records it repeats.
    pub copy_of: Option<PathBuf>,
}

/// [`crate::write_file_until`] for a messy market. It holds at least `config.records` records.
///
/// # Errors
/// As [`crate::write_file_until`]; a `mess` out of its ranges.
pub fn write_messy_file(
    config: &SynthConfig,
    mess: &Mess,
    path: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<MessyFile, SynthError> {
    let mut feed = feed(config, mess)?;
    let all = 0..config.sessions;
    whole_file(path, |writer| encode(&mut feed, config, all, writer, is_stopped))
        .map(|(summary, insertions)| file(path, summary, insertions))
}

/// [`crate::write_sessions_until`] for a messy market, with an uncompressed copy of the first file: the
/// same name, but ending in `.dbn`.
///
/// # Errors
/// As [`write_messy_file`]; the files before the failing one stay.
pub fn write_messy_sessions(
    config: &SynthConfig,
    mess: &Mess,
    dir: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Vec<MessyFile>, SynthError> {
    let mut feed = feed(config, mess)?;
    fs::create_dir_all(dir).map_err(io_error("create the folder", dir))?;
    let mut files = Vec::new();
    for session in 0..config.sessions {
        let day = calendar::compact_date(calendar::midnight(session))?;
        let path = dir.join(format!("glbx-mdp3-{day}.{}.dbn.zst", config.schema.to_dbn()));
        let (summary, insertions) = whole_file(&path, |writer| {
            encode(&mut feed, config, session..session + 1, writer, is_stopped)
        })?;
        files.push(file(&path, summary, insertions));
    }
    if let Some(first) = files.first().cloned() {
        // A feed begun anew gives the same session again.
        let mut again = self::feed(config, mess)?;
        let path = first.path.with_extension("");
        whole_file(&path, |writer| encode(&mut again, config, 0..1, writer, is_stopped))?;
        files.push(MessyFile { copy_of: Some(first.path.clone()), path, ..first });
    }
    Ok(files)
}

fn feed(config: &SynthConfig, mess: &Mess) -> Result<Feed, SynthError> {
    config.check()?;
    mess.check()?;
    Ok(Feed::new(config, *mess))
}

fn file(path: &Path, summary: SynthSummary, insertions: Vec<Insertion>) -> MessyFile {
    MessyFile { path: path.to_owned(), summary, insertions, copy_of: None }
}

fn encode(
    feed: &mut Feed,
    config: &SynthConfig,
    sessions: Range<u32>,
    writer: &mut dyn Write,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(SynthSummary, Vec<Insertion>), SynthError> {
    let metadata = match feed.symbols_in() {
        SymbolsIn::Header => mapped(feed, config, sessions.clone())?,
        SymbolsIn::Stream => Metadata::builder()
            .version(dbn::DBN_VERSION)
            .dataset(DATASET)
            .schema(None)
            .start(calendar::midnight(sessions.start))
            .stype_in(None)
            .stype_out(SType::InstrumentId)
            .build(),
    };
    let buffered = BufWriter::with_capacity(BUFFER_BYTES, writer);
    let mut encoder = DbnEncoder::new(buffered, &metadata)?;
    let mut put = |record: dbn::RecordRef<'_>| -> Result<(), SynthError> {
        if is_stopped() {
            return Err(SynthError::Stopped);
        }
        Ok(encoder.encode_record_ref(record)?)
    };
    let mut out = Out::new(feed.instruments(sessions.start), &mut put);
    for session in sessions {
        feed.session(session, &mut out)?;
    }
    let written = out.finish();
    encoder.flush()?;
    Ok(written)
}

/// A header that maps every day of the sessions.
fn mapped(feed: &Feed, config: &SynthConfig, sessions: Range<u32>) -> Result<Metadata, SynthError> {
    let start = calendar::midnight(sessions.start);
    let end = calendar::midnight(sessions.end.saturating_sub(1)) + calendar::DAY_NS;
    let date = |ts| dbn::record::ts_to_dt(ts).map(|dt| dt.date()).ok_or_else(|| bad_date(ts));
    let mut mappings: Vec<SymbolMapping> = Vec::new();
    for session in sessions {
        let midnight = calendar::midnight(session);
        let (start_date, end_date) = (date(midnight)?, date(midnight + calendar::DAY_NS)?);
        for (id, raw_symbol) in feed.instruments(session) {
            let interval = MappingInterval { start_date, end_date, symbol: id.to_string() };
            match mappings.iter_mut().find(|mapping| mapping.raw_symbol == raw_symbol) {
                Some(mapping) => mapping.intervals.push(interval),
                None => mappings.push(SymbolMapping { raw_symbol, intervals: vec![interval] }),
            }
        }
    }
    Ok(Metadata::builder()
        .version(dbn::DBN_VERSION)
        .dataset(DATASET)
        .schema(Some(config.schema.to_dbn()))
        .start(start)
        .end(NonZeroU64::new(end))
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(mappings.iter().map(|mapping| mapping.raw_symbol.clone()).collect())
        .mappings(mappings)
        .build())
}
