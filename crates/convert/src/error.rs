//! The one error type of the crate.

use std::{io, path::PathBuf};

use lob_book::BookError;
use lob_depth::DepthError;
use lob_metrics::shown;
use lob_store::StoreError;

/// Why an input cannot be read or a store cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The operating system refused an operation.
    #[error(
        "cannot {action} `{path}`: {source}",
        path = shown(.path.display())
    )]
    Io {
        /// File or folder concerned.
        path: PathBuf,
        /// What was attempted, as a verb.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The file does not start like a DBN file.
    #[error(
        "`{path}` is not a DBN file: {found}; expected `DBN` or a Zstandard frame at byte 0",
        path = shown(.path.display()), found = shown(.found)
    )]
    NotDbn {
        /// Input concerned.
        path: PathBuf,
        /// What stands there instead.
        found: String,
    },
    /// The file has a DBN version this build does not read.
    #[error(
        "`{path}` is DBN version `{found}`, this build reads 1 to 3",
        path = shown(.path.display())
    )]
    Version {
        /// Input concerned.
        path: PathBuf,
        /// Version in the header.
        found: u8,
    },
    /// The metadata block contradicts itself.
    #[error(
        "`{path}` has a damaged DBN header: {source}",
        path = shown(.path.display()), source = shown(.source)
    )]
    Metadata {
        /// Input concerned.
        path: PathBuf,
        /// What the decoder said.
        source: dbn::Error,
    },
    /// The metadata block is longer than a file of this size may have.
    #[error(
        "`{path}` has a DBN header with {length} bytes of metadata in a compressed file of {file_bytes}, at most {most} are accepted there\nhint: if the file is right, decompress it first: `zstd -d`",
        path = shown(.path.display())
    )]
    MetadataLength {
        /// Input concerned.
        path: PathBuf,
        /// Length in the header.
        length: u64,
        /// Bytes of the file.
        file_bytes: u64,
        /// Longest metadata accepted in such a file.
        most: u64,
    },
    /// The file holds no order books.
    #[error(
        "`{path}` has schema `{found}`, accepted are `mbp-10` and `mbo`\nhint: request the data again with one of these schemas; ten book levels cannot be made from `{found}`",
        path = shown(.path.display()), found = shown(.found)
    )]
    Schema {
        /// Input concerned.
        path: PathBuf,
        /// Schema in the header.
        found: String,
    },
    /// The truth file is that of another market.
    #[error(
        "the truth in `{path}` fits nothing: the last updates of all {bins} bins were looked up by instrument, sequence and both times, expected at least one of them there\nhint: give the file that `lob synth --truth` wrote with this very market",
        path = shown(.path.display())
    )]
    OtherTruth {
        /// The truth file.
        path: PathBuf,
        /// Bins that none was found for.
        bins: u64,
    },
    /// A file given for its definition records holds something else.
    #[error(
        "`{path}` has schema `{found}`, expected `definition`",
        path = shown(.path.display()), found = shown(.found)
    )]
    NotDefinitions {
        /// File concerned.
        path: PathBuf,
        /// Schema in the header.
        found: String,
    },
    /// The file ends before its data does.
    #[error(
        "`{path}` is truncated: {what} at byte {byte_offset}{}\nhint: download or copy the file again; `lob verify` shows what is there", after(*records),
        path = shown(.path.display()), what = shown(.what)
    )]
    Truncated {
        /// Input concerned.
        path: PathBuf,
        /// What is incomplete.
        what: String,
        /// Where it starts: in the file for a compressed frame, in the decoded stream for a record.
        byte_offset: u64,
        /// Whole records before that place, if any were read.
        records: Option<u64>,
    },
    /// Bytes follow the last Zstandard frame that are no frame.
    #[error(
        "`{path}` has {extra} bytes of something else after the Zstandard data, from byte {byte_offset}",
        path = shown(.path.display())
    )]
    TrailingBytes {
        /// Input concerned.
        path: PathBuf,
        /// Position of the first of them in the file.
        byte_offset: u64,
        /// Number of such bytes.
        extra: u64,
    },
    /// The compressed data is damaged.
    #[error(
        "`{path}` cannot be decompressed after {records} records, near byte {byte_offset} of the file: {source}",
        path = shown(.path.display())
    )]
    Decompress {
        /// Input concerned.
        path: PathBuf,
        /// Position in the file up to which it was read.
        byte_offset: u64,
        /// Whole records before that place.
        records: u64,
        /// What the decompressor said.
        source: io::Error,
    },
    /// A record that cannot be what it says.
    #[error(
        "`{path}`: record {record_index} at byte {byte_offset} of the decoded stream is damaged: found {found}, expected {expected}",
        path = shown(.path.display()), found = shown(.found), expected = shown(.expected)
    )]
    BadRecord {
        /// Input concerned.
        path: PathBuf,
        /// Index of the record, from 0.
        record_index: u64,
        /// Position of its first byte in the decoded stream.
        byte_offset: u64,
        /// What its header says.
        found: String,
        /// What a sound header says.
        expected: String,
    },
    /// The file is not what it was when reading began, so what was read may be of two files.
    #[error(
        "`{path}` changed while it was read: {found}\nhint: run again when whatever writes it has ended",
        path = shown(.path.display()), found = shown(.found)
    )]
    Changed {
        /// Input concerned.
        path: PathBuf,
        /// What is different.
        found: String,
    },
    /// A Zstandard frame that needs more memory than is given to one.
    #[error(
        "`{path}` is compressed with --long={log}: the frame at byte {byte_offset} needs a window of {} MiB, at most {} MiB are given\nhint: compress it again: `zstd -d --long={log} -c FILE | zstd -o NEW.dbn.zst`",
        window >> 20, limit >> 20,
        path = shown(.path.display())
    )]
    Window {
        /// Input concerned.
        path: PathBuf,
        /// First byte of the frame.
        byte_offset: u64,
        /// Its window in bytes.
        window: u64,
        /// Largest window decompressed, in bytes.
        limit: u64,
        /// The `--long` of the `zstd` command that makes such a window.
        log: u32,
    },
    /// A second DBN file begins inside the stream.
    #[error(
        "`{path}` holds a second DBN file from byte {byte_offset} of the decoded stream, after {records} records\nhint: convert the files one by one instead of joining them",
        path = shown(.path.display())
    )]
    Concatenated {
        /// Input concerned.
        path: PathBuf,
        /// Position of the second header in the decoded stream.
        byte_offset: u64,
        /// Records before it.
        records: u64,
    },
    /// A market-by-order record cannot be applied to a book.
    #[error(
        "`{path}`: {source}",
        path = shown(.path.display())
    )]
    Book {
        /// Input concerned.
        path: PathBuf,
        /// Cause, with the record's index.
        source: BookError,
    },
    /// An update does not fit the bins.
    #[error(
        "`{path}`: instrument {instrument}: {source}",
        path = shown(.path.display()), instrument = shown(.instrument)
    )]
    Depth {
        /// Input concerned.
        path: PathBuf,
        /// Instrument concerned, by symbol and id.
        instrument: String,
        /// Cause.
        source: DepthError,
    },
    /// The store could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting that makes no sense.
    #[error(
        "setting `{setting}`: found `{found}`, expected {expected}",
        found = shown(.found), expected = shown(.expected)
    )]
    Config {
        /// Name of the setting.
        setting: &'static str,
        /// What was given.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// Nothing to convert was given or found.
    #[error(
        "no input: {found}",
        found = shown(.found)
    )]
    NoInput {
        /// What was found instead.
        found: String,
    },
    /// Two inputs hold the same instruments at the same time.
    #[error(
        "`{first}` and `{second}` both hold {what} at the same time, and it cannot be told which is right: {why}\nhint: convert one of the two, part them with --symbols, or take both with --keep-duplicates"
    )]
    SameMarket {
        /// The one that comes first, or is in the store.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Instruments that both hold.
        what: String,
        /// In what they differ.
        why: String,
    },
    /// Another run works on the same folder.
    #[error(
        "`{path}` is in use by another conversion\nhint: wait for it or choose another folder",
        path = shown(.path.display())
    )]
    Locked {
        /// The output folder.
        path: PathBuf,
    },
    /// The folder holds bins made with other settings.
    #[error(
        "`{path}` holds a store made with other settings: `{found}`, this run has `{expected}`\nhint: {hint}",
        path = shown(.path.display()), found = shown(.found), expected = shown(.expected),
        hint = settings_hint(.found, .expected)
    )]
    OtherSettings {
        /// The output folder.
        path: PathBuf,
        /// The store's settings.
        found: String,
        /// Those of the run.
        expected: String,
    },
    /// The file is not the one its batch manifest lists.
    #[error(
        "`{path}` does not match `manifest.json`: found {found}, expected {expected}\nhint: download the file again",
        path = shown(.path.display()), found = shown(.found), expected = shown(.expected)
    )]
    Manifest {
        /// Input concerned.
        path: PathBuf,
        /// Its size or hash.
        found: String,
        /// Size or hash listed.
        expected: String,
    },
    /// A file beside the inputs or in the store's folder that cannot be understood.
    #[error(
        "cannot understand `{path}`: {reason}",
        path = shown(.path.display()), reason = shown(.reason)
    )]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The conversion would have made an empty store.
    #[error(
        "no bin came out of {records} records with {updates} book updates: {why}",
        why = shown(.why)
    )]
    NoBins {
        /// Records read.
        records: u64,
        /// Book updates among them that were wanted.
        updates: u64,
        /// Why, and what would fit.
        why: String,
    },
    /// The user stopped the run.
    #[error("stopped before the end")]
    Interrupted,
    /// Some inputs failed while the others were converted.
    #[error("{} of {total} inputs failed:\n{}", failures.len(), list(failures))]
    SomeFailed {
        /// Number of inputs.
        total: usize,
        /// What happened to each that failed.
        failures: Vec<ConvertError>,
        /// What was converted nevertheless.
        done: Box<crate::ConvertSummary>,
    },
}

fn list(failures: &[ConvertError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn after(records: Option<u64>) -> String {
    records.map_or_else(String::new, |records| format!(", after {records} whole records"))
}

/// What to do about a store of other settings.
fn settings_hint(found: &str, expected: &str) -> &'static str {
    let version =
        |settings: &str| Some(settings.split_once("(store ")?.1.split(' ').next()?.to_owned());
    match (version(found), version(expected)) {
        (Some(before), Some(now)) if before != now => {
            "its rows are of an earlier version, which lacks what rows have now, also after `lob store \
             upgrade`: convert its inputs anew, with the new ones, into another folder"
        }
        _ => "choose another folder, or remove this one first",
    }
}

impl ConvertError {
    /// For `map_err` on I/O.
    pub(crate) fn io(
        path: &std::path::Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
