//! The DBN header: magic, version, and the metadata block.

use std::path::Path;

use dbn::{
    Metadata, Schema, VersionUpgradePolicy,
    decode::dbn::{MetadataDecoder, fsm::DbnFsm},
    rtype,
};

use super::{
    foreign::start_of,
    source::{Source, read_full},
};
use crate::{ConvertError, input_file::InputFile};

/// Magic, version and length of the metadata block.
const PRELUDE_BYTES: usize = 8;
/// Longest metadata block read: a day of every symbol of the largest venues needs less, and a
/// damaged length must not take all memory.
const MAX_METADATA_BYTES: u64 = 1 << 28;
/// What compressed metadata may grow to: this much, and so many bytes for each one of the file. A
/// table of symbols shrinks to a tenth or a twentieth; one of zeros to a ten-thousandth.
const FREE_METADATA_BYTES: u64 = 1 << 23;
const METADATA_RATIO_MAX: u64 = 64;
/// Where versions 2 and 3 tell the bytes of a symbol, behind the prelude, and the fewest that any
/// version has: the memory that a list of symbols takes follows from them.
const SYMBOL_BYTES_AT: usize = PRELUDE_BYTES + 45;
const MIN_SYMBOL_BYTES: usize = dbn::v1::SYMBOL_CSTR_LEN;
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

/// A header, and the number of bytes it took.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: Metadata,
    pub(crate) bytes: u64,
}

/// Reads the header from the start of the decoded stream.
pub(crate) fn read_header(input: &InputFile, reader: &mut Source) -> Result<Header, ConvertError> {
    let path = input.path();
    let is_compressed = reader.is_compressed();
    let cut = |at: usize| ConvertError::Truncated {
        path: path.to_owned(),
        what: "the header ends".to_owned(),
        byte_offset: at as u64,
        records: None,
    };
    let mut fill = |buf: &mut [u8], at: usize| {
        let n = read_full(reader, buf).map_err(|source| read_error(path, source))?;
        if n < buf.len() { Err(cut(at + n)) } else { Ok(()) }
    };
    let mut block = vec![0; PRELUDE_BYTES];
    fill(&mut block, 0)?;
    let version = block[3];
    if &block[..3] != b"DBN" {
        let found = format!("decompressed, {}", start_of(&block));
        return Err(ConvertError::NotDbn { path: path.to_owned(), found });
    }
    if !VERSIONS.contains(&version) {
        return Err(ConvertError::Version { path: path.to_owned(), found: version });
    }
    let length = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    if !is_compressed && u64::from(length) > input.bytes().saturating_sub(PRELUDE_BYTES as u64) {
        return Err(cut(usize::try_from(input.bytes()).unwrap_or(usize::MAX)));
    }
    check_length(path, length.into(), is_compressed.then_some(input.bytes()))?;
    block.resize(PRELUDE_BYTES + length as usize, 0);
    fill(&mut block[PRELUDE_BYTES..], PRELUDE_BYTES)?;
    if version > 1
        && let Some(bytes) = block.get(SYMBOL_BYTES_AT..SYMBOL_BYTES_AT + 2)
        && usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) < MIN_SYMBOL_BYTES
    {
        let found = u16::from_le_bytes([bytes[0], bytes[1]]);
        let what = format!("symbols of {found} bytes, expected {}", dbn::SYMBOL_CSTR_LEN);
        return Err(damaged(path, what));
    }
    let metadata = MetadataDecoder::with_upgrade_policy(&block[..], VersionUpgradePolicy::AsIs)
        .decode()
        .map_err(|source| ConvertError::Metadata { path: path.to_owned(), source })?;
    Ok(Header { metadata, bytes: block.len() as u64 })
}

/// Whether metadata of this length is read, of a raw file or of a compressed one of `file_bytes`.
fn check_length(path: &Path, length: u64, file_bytes: Option<u64>) -> Result<(), ConvertError> {
    if length > MAX_METADATA_BYTES {
        let what = format!("metadata of {length} bytes, at most {MAX_METADATA_BYTES} are accepted");
        return Err(damaged(path, what));
    }
    let Some(file_bytes) = file_bytes else { return Ok(()) };
    let most = FREE_METADATA_BYTES.saturating_add(file_bytes.saturating_mul(METADATA_RATIO_MAX));
    if length > most {
        let path = path.to_owned();
        return Err(ConvertError::MetadataLength { path, length, file_bytes, most });
    }
    Ok(())
}

fn damaged(path: &Path, what: String) -> ConvertError {
    ConvertError::Metadata { path: path.to_owned(), source: dbn::Error::Decode(what) }
}

/// A state machine that frames the records after this header.
pub(crate) fn record_fsm(
    path: &Path,
    metadata: &Metadata,
    buffer_bytes: usize,
) -> Result<DbnFsm, ConvertError> {
    DbnFsm::builder()
        .skip_metadata(true)
        .buffer_size(buffer_bytes)
        .upgrade_policy(VersionUpgradePolicy::AsIs)
        .ts_out(metadata.ts_out)
        .input_dbn_version(Some(metadata.version))
        .and_then(|builder| builder.build())
        .map_err(|source| ConvertError::Metadata { path: path.to_owned(), source })
}

/// Which book records a file carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BookSchema {
    /// Ten levels after each update.
    Mbp10,
    /// Single orders, replayed into ten levels.
    Mbo,
}

impl BookSchema {
    /// The schema's name in DBN: `mbp-10` or `mbo`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mbp10 => "mbp-10",
            Self::Mbo => "mbo",
        }
    }

    /// The type byte of its records.
    pub(crate) const fn rtype(self) -> u8 {
        match self {
            Self::Mbp10 => rtype::MBP_10,
            Self::Mbo => rtype::MBO,
        }
    }
}

/// The schema of a file if it is one of books.
///
/// Live captures have no schema in the header; the caller tells it from the first book record.
pub(crate) fn book_schema(
    path: &Path,
    metadata: &Metadata,
) -> Result<Option<BookSchema>, ConvertError> {
    match metadata.schema {
        Some(Schema::Mbp10) => Ok(Some(BookSchema::Mbp10)),
        Some(Schema::Mbo) => Ok(Some(BookSchema::Mbo)),
        None => Ok(None),
        Some(other) => {
            Err(ConvertError::Schema { path: path.to_owned(), found: other.as_str().to_owned() })
        }
    }
}

/// An error of reading the decoded stream while nothing is decoded yet.
fn read_error(path: &Path, source: std::io::Error) -> ConvertError {
    if source.kind() == std::io::ErrorKind::UnexpectedEof {
        return ConvertError::Truncated {
            path: path.to_owned(),
            what: "a Zstandard frame ends inside the header".to_owned(),
            byte_offset: 0,
            records: None,
        };
    }
    ConvertError::Decompress { path: path.to_owned(), byte_offset: 0, records: 0, source }
}
