//! Markets as DBN streams and files.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    num::NonZeroU64,
    ops::Range,
    path::{Path, PathBuf},
};

use dbn::{
    MappingInterval, Metadata, SType, SymbolMapping,
    encode::{DbnEncoder, EncodeRecord},
};

use crate::{
    Schema, SynthConfig, SynthError, SynthSummary, Truth, calendar,
    error::bad_date,
    stream::{Record, Stream},
};

/// Bytes gathered before they go to the compressor or the file.
pub(crate) const BUFFER_BYTES: usize = 1 << 17;
/// Level of Zstandard compression: that of the vendor's files.
const ZSTD_LEVEL: i32 = 3;
pub(crate) const DATASET: &str = "GLBX.MDP3";

/// Takes the truth of one record.
type TruthSink<'a> = &'a mut dyn FnMut(&Truth<'_>) -> io::Result<()>;

/// Where the truth goes that nobody asks for.
fn untold(_: &Truth<'_>) -> io::Result<()> {
    Ok(())
}

/// One file of [`write_sessions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub summary: SynthSummary,
}

/// Writes the market as DBN version 3, compressed with Zstandard (one frame with a checksum).
///
/// # Errors
/// A bad configuration, or a failure of `writer`; what it has then received is not a whole stream.
pub fn write_dbn_zst(config: &SynthConfig, writer: impl Write) -> Result<SynthSummary, SynthError> {
    let mut stream = Stream::new(config)?;
    let all = 0..config.sessions;
    compress(writer, |writer| encode(&mut stream, config, all, writer, &|| false, &mut untold))
}

/// Writes the market as DBN version 3, uncompressed.
///
/// # Errors
/// A bad configuration, or a failure of `writer`; what it has then received is not a whole stream.
pub fn write_dbn(config: &SynthConfig, writer: impl Write) -> Result<SynthSummary, SynthError> {
    let mut stream = Stream::new(config)?;
    encode(&mut stream, config, 0..config.sessions, writer, &|| false, &mut untold)
}

/// Writes the market into `path`: uncompressed if it ends in `.dbn`, as `.dbn.zst` otherwise.
///
/// The file appears whole or not at all: it is written beside its place, synced and renamed.
///
/// # Errors
/// A bad configuration, or a failure of the file system; nothing is then left behind.
pub fn write_file(config: &SynthConfig, path: &Path) -> Result<SynthSummary, SynthError> {
    write_file_until(config, path, &|| false)
}

/// [`write_file`] that gives up as soon as `is_stopped` says so; it is asked for every record.
///
/// # Errors
/// As [`write_file`], and [`SynthError::Stopped`]; nothing is then left behind.
pub fn write_file_until(
    config: &SynthConfig,
    path: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<SynthSummary, SynthError> {
    write_file_with_truth(config, path, is_stopped, &mut untold)
}

/// [`write_file_until`] that gives the hidden state behind each record to `truth`, in the order of
/// the records. The file is the same as without.
///
/// ```
/// use lob_synth::{SynthConfig, write_file_with_truth};
/// let folder = tempfile::tempdir()?;
/// let (path, mut regimes) = (folder.path().join("market.dbn"), Vec::new());
/// let config = SynthConfig { records: 2_000, ..SynthConfig::default() };
/// write_file_with_truth(&config, &path, &|| false, &mut |truth| {
///     regimes.push(truth.regime);
///     Ok(())
/// })?;
/// assert_eq!(regimes.len(), 2_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`write_file_until`], and [`SynthError::Truth`]; nothing is then left behind.
pub fn write_file_with_truth(
    config: &SynthConfig,
    path: &Path,
    is_stopped: &dyn Fn() -> bool,
    truth: TruthSink<'_>,
) -> Result<SynthSummary, SynthError> {
    let mut stream = Stream::new(config)?;
    session_file(&mut stream, config, 0..config.sessions, path, is_stopped, truth)
}

/// Writes one file per session into the folder `dir`, which is made if it does not exist:
/// `glbx-mdp3-YYYYMMDD.SCHEMA.dbn.zst`, as the vendor's batch downloads name them.
///
/// # Errors
/// As [`write_file`]; the files of the sessions before the failing one stay.
pub fn write_sessions(config: &SynthConfig, dir: &Path) -> Result<Vec<SessionFile>, SynthError> {
    write_sessions_until(config, dir, &|| false)
}

/// [`write_sessions`] that gives up as soon as `is_stopped` says so; it is asked for every record.
///
/// # Errors
/// As [`write_sessions`], and [`SynthError::Stopped`].
pub fn write_sessions_until(
    config: &SynthConfig,
    dir: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Vec<SessionFile>, SynthError> {
    write_sessions_with_truth(config, dir, is_stopped, &mut untold)
}

/// [`write_sessions_until`] that gives the hidden state behind each record to `truth`, in the order of
/// the files and their records. The files are the same as without.
///
/// # Errors
/// As [`write_sessions_until`], and [`SynthError::Truth`].
pub fn write_sessions_with_truth(
    config: &SynthConfig,
    dir: &Path,
    is_stopped: &dyn Fn() -> bool,
    truth: TruthSink<'_>,
) -> Result<Vec<SessionFile>, SynthError> {
    let mut stream = Stream::new(config)?;
    fs::create_dir_all(dir).map_err(io_error("create the folder", dir))?;
    let mut files = Vec::new();
    for session in 0..config.sessions {
        let day = calendar::compact_date(calendar::midnight(session))?;
        let path = dir.join(format!("glbx-mdp3-{day}.{}.dbn.zst", config.schema.to_dbn()));
        let one = session..session + 1;
        let summary = session_file(&mut stream, config, one, &path, is_stopped, truth)?;
        files.push(SessionFile { path, summary });
    }
    Ok(files)
}

fn session_file(
    stream: &mut Stream,
    config: &SynthConfig,
    sessions: Range<u32>,
    path: &Path,
    is_stopped: &dyn Fn() -> bool,
    truth: TruthSink<'_>,
) -> Result<SynthSummary, SynthError> {
    whole_file(path, |writer| encode(stream, config, sessions, writer, is_stopped, truth))
}

/// A file of what `write` writes, uncompressed if `path` ends in `.dbn`; whole or not there at all.
pub(crate) fn whole_file<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, SynthError>,
) -> Result<T, SynthError> {
    // A rename would put a file in the place of a device or a pipe, for everybody.
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let special = "it is a device or a pipe; choose a regular file";
        let special = std::io::Error::new(std::io::ErrorKind::InvalidInput, special);
        return Err(io_error("create", path)(special));
    }
    let temp = TempFile::beside(path);
    let mut file = File::create(&temp.path).map_err(io_error("create", &temp.path))?;
    let written = if path.extension().is_some_and(|extension| extension == "dbn") {
        write(&mut file)?
    } else {
        compress(&mut file, write)?
    };
    file.sync_all().map_err(io_error("sync", &temp.path))?;
    drop(file);
    fs::rename(&temp.path, path).map_err(io_error("create", path))?;
    Ok(written)
}

/// A file under a name of its own until it is renamed; removed if that never happens.
struct TempFile {
    path: PathBuf,
}

impl TempFile {
    fn beside(path: &Path) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        Self { path: path.with_file_name(name) }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove, which is not worth a word.
        let _ = fs::remove_file(&self.path);
    }
}

fn compress<T>(
    writer: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, SynthError>,
) -> Result<T, SynthError> {
    let mut zstd = zstd::Encoder::new(writer, ZSTD_LEVEL).map_err(SynthError::Stream)?;
    zstd.include_checksum(true).map_err(SynthError::Stream)?;
    let written = write(&mut zstd)?;
    // An encoder that is dropped instead loses the tail without a word.
    zstd.finish().and_then(|mut writer| writer.flush()).map_err(SynthError::Stream)?;
    Ok(written)
}

fn encode(
    stream: &mut Stream,
    config: &SynthConfig,
    sessions: Range<u32>,
    writer: impl Write,
    is_stopped: &dyn Fn() -> bool,
    truth: TruthSink<'_>,
) -> Result<SynthSummary, SynthError> {
    let metadata = metadata(stream.instruments(), config.schema, sessions.clone())?;
    let buffered = BufWriter::with_capacity(BUFFER_BYTES, writer);
    let mut encoder = DbnEncoder::new(buffered, &metadata)?;
    let mut summary = SynthSummary { instruments: stream.instruments(), ..Default::default() };
    for session in sessions {
        let next = stream.session(session, &mut |record, behind| {
            if is_stopped() {
                return Err(SynthError::Stopped);
            }
            match record {
                Record::Mbo(order) => encoder.encode_record(order)?,
                Record::Mbp10(update) => encoder.encode_record(update)?,
            }
            truth(behind).map_err(SynthError::Truth)
        })?;
        summary.extend(next);
    }
    encoder.flush()?;
    Ok(summary)
}

/// Dataset, times and the symbols' ids over whole days.
fn metadata(
    instruments: Vec<(u32, String)>,
    schema: Schema,
    sessions: Range<u32>,
) -> Result<Metadata, SynthError> {
    let start = calendar::midnight(sessions.start);
    let end = calendar::midnight(sessions.end.saturating_sub(1)) + calendar::DAY_NS;
    let date = |ts| dbn::record::ts_to_dt(ts).map(|dt| dt.date()).ok_or_else(|| bad_date(ts));
    let (start_date, end_date) = (date(start)?, date(end)?);
    let symbols = instruments.iter().map(|(_, symbol)| symbol.clone()).collect();
    let mappings = instruments
        .into_iter()
        .map(|(id, raw_symbol)| SymbolMapping {
            raw_symbol,
            intervals: vec![MappingInterval { start_date, end_date, symbol: id.to_string() }],
        })
        .collect();
    Ok(Metadata::builder()
        .version(dbn::DBN_VERSION)
        .dataset(DATASET)
        .schema(Some(schema.to_dbn()))
        .start(start)
        .end(NonZeroU64::new(end))
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(symbols)
        .mappings(mappings)
        .build())
}

pub(crate) fn io_error(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SynthError {
    let path = path.to_owned();
    move |source| SynthError::Io { verb, path, source }
}
