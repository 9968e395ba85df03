//! The DBN header: magic, version, and the metadata block.

use std::{io::Read, path::Path};

use dbn::{
    Metadata, Schema, VersionUpgradePolicy,
    decode::dbn::{MetadataDecoder, fsm::DbnFsm},
};

use super::source::read_full;
use crate::ConvertError;

/// Magic, version and length of the metadata block.
const PRELUDE_BYTES: usize = 8;
/// Longest metadata block read: a day of every symbol of the largest venues needs some 200 MiB
/// less than this, and a damaged length must not take all memory.
const MAX_METADATA_BYTES: usize = 1 << 28;
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

/// A header, and the number of bytes it took.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: Metadata,
    pub(crate) bytes: u64,
}

/// Reads the header from the start of the decoded stream.
pub(crate) fn read_header(path: &Path, reader: &mut impl Read) -> Result<Header, ConvertError> {
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
        let found = format!("its content starts with `{}`", block.escape_ascii());
        return Err(ConvertError::NotDbn { path: path.to_owned(), found });
    }
    if !VERSIONS.contains(&version) {
        return Err(ConvertError::Version { path: path.to_owned(), found: version });
    }
    let length = u32::from_le_bytes([block[4], block[5], block[6], block[7]]) as usize;
    if length > MAX_METADATA_BYTES {
        let what = format!("metadata of {length} bytes, at most {MAX_METADATA_BYTES} are accepted");
        let source = dbn::Error::Decode(what);
        return Err(ConvertError::Metadata { path: path.to_owned(), source });
    }
    block.resize(PRELUDE_BYTES + length, 0);
    fill(&mut block[PRELUDE_BYTES..], PRELUDE_BYTES)?;
    let metadata = MetadataDecoder::with_upgrade_policy(&block[..], VersionUpgradePolicy::AsIs)
        .decode()
        .map_err(|source| ConvertError::Metadata { path: path.to_owned(), source })?;
    Ok(Header { metadata, bytes: block.len() as u64 })
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
