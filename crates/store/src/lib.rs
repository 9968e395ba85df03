//! Parquet files of tick bins, written atomically and read through a memory map.
//!
//! A store is a folder of partitions (one file for each trading day and instrument). Each row
//! is one tick bin; columns are flat, scalar and named, so any Parquet reader can use them.
//! [`BinWriter`] writes one file, [`BinFile`] reads one at random, and [`Store`] opens a folder.
//! [`TickWriter`] writes the other layout, one row for each book update, for tables elsewhere.
//! [`TableWriter`] writes any table of numbers and text: signals, embeddings. [`TruthFile`] has the
//! hidden state behind the records of a synthetic market.
//!
//! Every page carries a CRC-32 that is checked before its values are used; a damaged file is an
//! error that names the row and the column, never a wrong number.
//!
//! ```
//! use std::path::Path;
//! let path = lob_store::partition_path("2024-01-02", 7);
//! assert_eq!(path, Path::new("day=2024-01-02/instrument_id=7/bins.parquet"));
//! ```

mod decode;
mod error;
mod file;
mod fingerprint;
mod footer;
pub mod fs;
mod label;
mod meta;
mod page;
mod schema;
mod store;
mod table;
mod thrift;
mod ticks;
mod truth;
mod writer;

pub use crate::{
    error::StoreError,
    file::{BinFile, LabelColumns, LabelPlace, LabelValues, Planes, RowLabel},
    fingerprint::StoreFingerprint,
    label::{LabelKind, LabelMeta, LabelUnit, NamedLabel},
    meta::{
        FORMAT_VERSION, SegmentMeta, SourceMeta, StoreMeta, UNKNOWN_ORDER_FLOW,
        UNKNOWN_SNAPSHOT_ROWS,
    },
    store::{Store, partition_path},
    table::{Cells, Column, ColumnKind, TableFacts, TableWriter, read_table_facts},
    ticks::{
        TICKS_FORMAT_VERSION, TickEncoder, TickGroup, TickLog, TickMeta, TickOptions, TickRow,
        TickWriter, read_tick_meta,
    },
    truth::{TRUTH_FORMAT_VERSION, Truth, TruthFile, TruthKey, TruthReader, TruthWriter},
    writer::{
        BinWriter, Compression, FileSummary, LabelCell, StoredBin, TEMP_SUFFIX, Unfinished,
        WriterOptions, discard_unfinished, write_file,
    },
};
