//! Every defect of a DBN file, with its place.

mod damage;
mod resync;
mod scan;
mod window;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dbn::Metadata;
use serde::Serialize;

use crate::{
    ConvertError, InputHash, Progress,
    decode::{
        FramesEnd, Header, Source, book_schema, is_frames, read_head, read_header, walk_frames,
    },
    input_file::InputFile,
    inputs::{SYMBOLOGY, folder_symbols},
    instruments::Instruments,
    symbols::of_header,
};

/// Defects listed one by one; the rest is only counted.
const DEFECTS_LISTED_MAX: usize = 1_000;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DefectKind {
    /// No DBN file, or of a version that is not read.
    Header,
    /// A schema without order books.
    Schema,
    /// The file ends inside a Zstandard frame.
    FrameTruncated,
    /// Something other than a frame follows the last one.
    TrailingBytes,
    /// Compressed data that does not decompress, or fails its checksum.
    FrameDamaged,
    /// A frame without checksum: damage inside it may go unseen.
    ChecksumMissing,
    /// The file ends inside a record.
    RecordTruncated,
    /// A length no record has.
    RecordLength,
    /// An unknown record type, or one that does not belong into the file's schema.
    RecordType,
    /// A field with a value that has no meaning, so that the record cannot be used.
    RecordField,
    /// A second DBN file begins.
    Concatenated,
    /// A mapping of a symbol that cannot be used. No data is lost, but that symbol may be.
    Mapping,
}

/// Which bytes a position counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetIn {
    /// Those of the file.
    File,
    /// Those of the decompressed stream; of the file too if it is not compressed.
    Decoded,
}

/// One defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// What it is.
    pub kind: DefectKind,
    /// Where it starts.
    pub byte_offset: u64,
    /// What `byte_offset` counts.
    pub offset_in: OffsetIn,
    /// Records before it; `None` where records are not known yet.
    pub record_index: Option<u64>,
    /// What was found and what was expected.
    pub message: String,
    /// Whether data is lost: such a file is not converted.
    pub fatal: bool,
}

/// What a market does now and then, and a broken feed does often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Oddities {
    /// Updates with best bid above best ask.
    pub crossed: u64,
    /// Updates with best bid equal to best ask.
    pub locked: u64,
    /// Updates with one side empty.
    pub one_sided: u64,
    /// Updates with both sides empty.
    pub empty: u64,
    /// Records captured before their predecessor (`ts_recv`).
    pub ts_recv_backwards: u64,
    /// Records of an instrument with an exchange time before its last one.
    pub ts_event_backwards: u64,
    /// Records of a publisher with a sequence number below its last one.
    pub sequence_backwards: u64,
    /// Records of a publisher whose sequence number skips some. Usual where a file holds a
    /// selection of instruments.
    pub sequence_gaps: u64,
    /// Records the vendor marks as of a possibly wrong book.
    pub maybe_bad_book: u64,
    /// Records the vendor marks as of a wrong capture time.
    pub bad_ts_recv: u64,
    /// Records that no clock places in time: a conversion leaves them out.
    pub untimed: u64,
    /// Records that empty the book.
    pub clears: u64,
    /// Cancels of orders that no record added. Usual where a file begins in mid session.
    pub unknown_cancels: u64,
    /// Modifies of orders that no record added.
    pub unknown_modifies: u64,
    /// Adds of orders that rest already.
    pub duplicate_adds: u64,
    /// Cancels of more than is left of an order.
    pub oversized_cancels: u64,
}

/// The records of one instrument: an id that gets another symbol is another one from there on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstrumentCount {
    /// Publisher of the records.
    pub publisher_id: u16,
    /// Instrument id.
    pub instrument_id: u32,
    /// Its symbol; `None` if neither the file nor its batch folder maps one.
    pub symbol: Option<String>,
    /// Book records.
    pub records: u64,
    /// First and last exchange time, nanoseconds since the Unix epoch. A time that cannot be, or is
    /// more than an hour off, is replaced by the one at which [`Clock`](crate::Clock) places the record.
    pub ts_event_range: Option<(u64, u64)>,
}

impl std::fmt::Display for InstrumentCount {
    /// Symbol, id and records, such as `ESM4, id 17, 500 records`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "{}", symbol.escape_debug())?,
            None => f.write_str("(no symbol)")?,
        }
        write!(f, ", id {}, {} records", self.instrument_id, self.records)
    }
}

/// Everything [`verify`] found out about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Whole Zstandard frames; `None` for a raw file.
    pub frames: Option<u64>,
    /// Version in the header.
    pub dbn_version: Option<u8>,
    /// Dataset in the header.
    pub dataset: Option<String>,
    /// Schema in the header.
    pub schema: Option<String>,
    /// Whole, sound records.
    pub records: u64,
    /// Book updates among them, after the replay of market-by-order records.
    pub updates: u64,
    /// Records that accompany the books, by kind.
    pub skipped: BTreeMap<String, u64>,
    /// Instruments seen, by publisher, id, and order of appearance.
    pub instruments: Vec<InstrumentCount>,
    /// First and last time at which [`Clock`](crate::Clock) places a record, nanoseconds since the
    /// Unix epoch.
    pub ts_range: Option<(u64, u64)>,
    /// What is wrong, in the order found; at most 1,000.
    pub defects: Vec<Defect>,
    /// Defects beyond the listed ones.
    pub defects_unlisted: u64,
    /// What is unusual.
    pub oddities: Oddities,
}

impl VerifyReport {
    /// Whether no data is lost.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.defects.iter().any(|defect| defect.fatal)
    }

    fn add(&mut self, defect: Defect) {
        if self.defects.len() < DEFECTS_LISTED_MAX {
            self.defects.push(defect);
        } else {
            self.defects_unlisted += 1;
        }
    }

    fn frame_defect(&mut self, kind: DefectKind, byte_offset: u64, message: String, fatal: bool) {
        let offset_in = OffsetIn::File;
        self.add(Defect { kind, byte_offset, offset_in, record_index: None, message, fatal });
    }
}

/// Checks a whole file: its frames, header, record framing, and what the records say. Reads on
/// behind a damaged record where it can.
///
/// # Errors
/// The file cannot be read at all, needs more memory to be decompressed than is given to it, or
/// changes while it is read; whatever is wrong with its content stands in the report.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, ConvertError> {
    verify_with(path, &())
}

/// [`verify`], which `progress` can stop.
///
/// # Errors
/// As [`verify`], and [`ConvertError::Interrupted`].
pub fn verify_with(
    path: impl AsRef<Path>,
    progress: &dyn Progress,
) -> Result<VerifyReport, ConvertError> {
    Ok(look(path.as_ref(), progress)?.0)
}

/// The report of a file, and its header or why there is none.
pub(crate) fn look(
    path: &Path,
    progress: &dyn Progress,
) -> Result<(VerifyReport, Result<Metadata, ConvertError>), ConvertError> {
    let input = InputFile::open(path)?;
    let hash = input.hash(InputHash::Sha256, &|| progress.is_cancelled())?;
    let mut report = VerifyReport {
        path: path.to_owned(),
        bytes: input.bytes(),
        sha256: hash.sha256.clone().unwrap_or_default(),
        ..VerifyReport::default()
    };
    let metadata = match check_all(&input, &mut report, progress) {
        Err(
            error @ (ConvertError::Io { .. }
            | ConvertError::Window { .. }
            | ConvertError::Interrupted),
        ) => return Err(error),
        Err(error) => {
            header_defect(&mut report, &error);
            Err(error)
        }
        found => found,
    };
    // Hash, frames and records are of one file only if it has stayed the same.
    input.check_read(&hash)?;
    Ok((report, metadata))
}

/// Frames, header and records; an error is one of the header.
fn check_all(
    input: &InputFile,
    report: &mut VerifyReport,
    progress: &dyn Progress,
) -> Result<Metadata, ConvertError> {
    if is_frames(&read_head(input)?) {
        check_frames(input, report)?;
    }
    let mut source = Source::unchecked(input)?;
    let header = read_header(input, &mut source)?;
    report.dbn_version = Some(header.metadata.version);
    report.dataset = Some(header.metadata.dataset.clone());
    report.schema = header.metadata.schema.map(|schema| schema.as_str().to_owned());
    match book_schema(input.path(), &header.metadata) {
        Ok(schema) => {
            let instruments = instruments_of(input.path(), &header, report, progress)?;
            scan::scan_records(&mut source, &header, schema, instruments, report, progress)?;
        }
        Err(error) => report.frame_defect(DefectKind::Schema, 0, error.to_string(), true),
    }
    Ok(header.metadata)
}

/// What header and batch folder say about instruments; what of it cannot be used is a defect.
fn instruments_of(
    path: &Path,
    header: &Header,
    report: &mut VerifyReport,
    progress: &dyn Progress,
) -> Result<Instruments, ConvertError> {
    let symbols = of_header(&header.metadata, &|| progress.is_cancelled())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (batch, reason) = match folder_symbols(folder, &|| progress.is_cancelled()) {
        Ok(batch) => (batch, None),
        Err(ConvertError::Interrupted) => return Err(ConvertError::Interrupted),
        Err(error) => (None, Some(error.to_string())),
    };
    let of_batch = batch.iter().flat_map(|map| map.faults.lines(|_| true));
    let of_batch = of_batch.map(|line| format!("`{}` beside the file: {line}", SYMBOLOGY));
    for message in symbols.faults.lines(|_| true).into_iter().chain(of_batch).chain(reason) {
        report.add(Defect {
            kind: DefectKind::Mapping,
            byte_offset: 0,
            offset_in: OffsetIn::Decoded,
            record_index: None,
            message,
            fatal: false,
        });
    }
    Ok(Instruments::new(symbols, batch))
}

/// Notes an error of the header as a defect.
fn header_defect(report: &mut VerifyReport, error: &ConvertError) {
    let (kind, at) = match error {
        ConvertError::Truncated { byte_offset, .. } => (DefectKind::RecordTruncated, *byte_offset),
        ConvertError::Decompress { .. } => (DefectKind::FrameDamaged, 0),
        _ => (DefectKind::Header, 0),
    };
    // A cut frame has been reported already, and is why the header ends early.
    let is_known = kind == DefectKind::RecordTruncated
        && report.defects.iter().any(|defect| defect.kind == DefectKind::FrameTruncated);
    if !is_known {
        report.frame_defect(kind, at, error.to_string(), true);
    }
}

fn check_frames(input: &InputFile, report: &mut VerifyReport) -> Result<(), ConvertError> {
    let frames = walk_frames(input.reader()?).map_err(ConvertError::io(input.path(), "read"))?;
    report.frames = Some(frames.whole);
    match frames.end {
        FramesEnd::Whole => {}
        FramesEnd::Cut { frame_offset } => {
            let message = format!(
                "the Zstandard frame that starts here is not finished at the end of the file ({} bytes)",
                frames.file_bytes
            );
            report.frame_defect(DefectKind::FrameTruncated, frame_offset, message, true);
        }
        FramesEnd::Trailing { byte_offset } => {
            let message = format!(
                "{} bytes after the last Zstandard frame are no frame",
                frames.file_bytes - byte_offset
            );
            report.frame_defect(DefectKind::TrailingBytes, byte_offset, message, true);
        }
        FramesEnd::Damaged { frame_offset } => {
            let message =
                "the frame that starts here has a window or a type of block that no frame has"
                    .to_owned();
            report.frame_defect(DefectKind::FrameDamaged, frame_offset, message, true);
        }
    }
    if frames.unchecked > 0 {
        let message = format!(
            "{} of {} frames have no checksum; damage that still decompresses would not be seen",
            frames.unchecked, frames.whole
        );
        report.frame_defect(DefectKind::ChecksumMissing, 0, message, false);
    }
    Ok(())
}
