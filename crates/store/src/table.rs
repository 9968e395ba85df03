//! Tables of any columns, for results that other programs read.

mod facts;
mod properties;

pub use facts::{TableFacts, read_table_facts};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::ByteArray,
    errors::ParquetError,
    file::properties::{WriterProperties, WriterPropertiesPtr},
    schema::types::{SchemaDescriptor, Type, TypePtr},
};

use self::properties::{plain_properties, properties};
use crate::{
    FileSummary, StoreError,
    writer::{AtomicFile, ChunkWriter, ParquetFile, Values, encode_error},
};

/// Rows after which a row group is written: bounds the memory of writer and readers.
pub(crate) const ROW_GROUP_ROWS: usize = 1 << 16;
pub(crate) const PAGE_ROWS: usize = 1 << 14;

/// What a column of a table holds. Every column may have nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Single-precision number.
    F32,
    /// Double-precision number.
    F64,
    /// Signed integer.
    I64,
    /// Unsigned integer.
    U64,
    /// Nanoseconds since the Unix epoch, UTC.
    Timestamp,
    /// Text.
    Utf8,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, different from all others of the table.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The cells of one column in a batch of rows. A number that is not finite is written as null:
/// readers would take it for a value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Cells<'a> {
    /// For [`ColumnKind::F32`].
    F32(&'a [f32]),
    /// For [`ColumnKind::F64`].
    F64(&'a [f64]),
    /// For [`ColumnKind::I64`].
    I64(&'a [Option<i64>]),
    /// For [`ColumnKind::U64`] and [`ColumnKind::Timestamp`].
    U64(&'a [Option<u64>]),
    /// For [`ColumnKind::Utf8`].
    Utf8(&'a [Option<&'a str>]),
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Cells::F32(cells) => cells.len(),
            Cells::F64(cells) => cells.len(),
            Cells::I64(cells) => cells.len(),
            Cells::U64(cells) => cells.len(),
            Cells::Utf8(cells) => cells.len(),
        }
    }

    /// The values that are there and, for each row, whether one is.
    fn page(&self, kind: ColumnKind, rows: std::ops::Range<usize>) -> Result<Page, Reject> {
        Ok(match (*self, kind) {
            (Cells::F32(cells), ColumnKind::F32) => {
                let cells = &cells[rows];
                let there = cells.iter().map(|x| i16::from(x.is_finite())).collect();
                (Values::F32(cells.iter().copied().filter(|x| x.is_finite()).collect()), there)
            }
            (Cells::F64(cells), ColumnKind::F64) => {
                let cells = &cells[rows];
                let there = cells.iter().map(|x| i16::from(x.is_finite())).collect();
                (Values::F64(cells.iter().copied().filter(|x| x.is_finite()).collect()), there)
            }
            (Cells::I64(cells), ColumnKind::I64) => {
                let cells = &cells[rows];
                (Values::I64(cells.iter().flatten().copied().collect()), levels(cells))
            }
            (Cells::U64(cells), ColumnKind::U64) => {
                let cells = &cells[rows];
                let values = cells.iter().flatten().map(|x| x.cast_signed());
                (Values::I64(values.collect()), levels(cells))
            }
            (Cells::U64(cells), ColumnKind::Timestamp) => {
                let first = rows.start;
                let cells = &cells[rows];
                let mut values = Vec::with_capacity(cells.len());
                for (row, &ts) in cells.iter().enumerate() {
                    if let Some(ts) = ts {
                        values.push(i64::try_from(ts).map_err(|_| Reject::Time(first + row, ts))?);
                    }
                }
                (Values::I64(values), levels(cells))
            }
            (Cells::Utf8(cells), ColumnKind::Utf8) => {
                let cells = &cells[rows];
                let bytes = |text: &str| ByteArray::from(Bytes::copy_from_slice(text.as_bytes()));
                let values = cells.iter().flatten().map(|text| bytes(text));
                (Values::Bytes(values.collect()), levels(cells))
            }
            _ => return Err(Reject::Kind),
        })
    }
}

type Page = (Values, Vec<i16>);

/// Why cells cannot be written.
enum Reject {
    Kind,
    Time(usize, u64),
}

fn levels<T>(cells: &[Option<T>]) -> Vec<i16> {
    cells.iter().map(|cell| i16::from(cell.is_some())).collect()
}

/// Writes one Parquet file: batches of rows in order, then [`finish`](Self::finish). Until then
/// only a temporary file exists, which is removed on drop.
///
/// ```
/// use lob_store::{Cells, Column, ColumnKind, TableWriter};
/// let folder = tempfile::tempdir().unwrap();
/// let columns = [Column::new("ts_event", ColumnKind::Timestamp), Column::new("mid", ColumnKind::F64)];
/// let mut table = TableWriter::create(folder.path().join("mids.parquet"), &columns).unwrap();
/// table.push(&[Cells::U64(&[Some(1), None]), Cells::F64(&[100.25, f64::NAN])]).unwrap();
/// assert_eq!(table.finish().unwrap().rows, 2);
/// ```
pub struct TableWriter {
    path: PathBuf,
    columns: Vec<Column>,
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    file: ParquetFile,
    chunks: Vec<ChunkWriter>,
    group_rows: usize,
    rows: u64,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Starts a file that will appear at `path`; missing folders are made.
    ///
    /// # Errors
    /// There is no column, two have the same name, or the file cannot be made.
    pub fn create(path: impl AsRef<Path>, columns: &[Column]) -> Result<Self, StoreError> {
        Self::create_as(path.as_ref(), columns, properties)
    }

    /// The same for files that this crate reads again: plain values, and dictionaries for the columns
    /// of these names.
    pub(crate) fn create_to_read(
        path: &Path,
        columns: &[Column],
        dictionaries: &[&str],
    ) -> Result<Self, StoreError> {
        Self::create_as(path, columns, |columns| plain_properties(columns, dictionaries))
    }

    fn create_as(
        path: &Path,
        columns: &[Column],
        properties: impl FnOnce(&[Column]) -> Result<WriterProperties, ParquetError>,
    ) -> Result<Self, StoreError> {
        let invalid = |reason| StoreError::Invalid { path: path.to_owned(), row: 0, reason };
        if columns.is_empty() {
            return Err(invalid("a table without columns".to_owned()));
        }
        let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(invalid(format!("two columns named `{}`", twice[0])));
        }
        let encode = |source| encode_error(path, source);
        let root = parquet_schema(columns).map_err(encode)?;
        let properties = Arc::new(properties(columns).map_err(encode)?);
        let file = AtomicFile::create(path)?;
        Ok(Self {
            path: path.to_owned(),
            columns: columns.to_vec(),
            schema: SchemaDescriptor::new(Arc::clone(&root)),
            file: ParquetFile::new(path, file, root, Arc::clone(&properties))?,
            properties,
            chunks: Vec::new(),
            group_rows: 0,
            rows: 0,
        })
    }

    /// Where the file will appear.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Rows pushed so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds an entry to the file's key-value metadata.
    pub fn describe(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.file.describe(key, value);
    }

    /// Appends a batch of rows: one entry for each column, all of the same length.
    ///
    /// # Errors
    /// Cells that do not fit their column, columns of different lengths, or the disk refused. The
    /// file cannot be finished sensibly after an error: drop it.
    pub fn push(&mut self, batch: &[Cells<'_>]) -> Result<(), StoreError> {
        let n = batch.first().map_or(0, Cells::len);
        if batch.len() != self.columns.len() || batch.iter().any(|cells| cells.len() != n) {
            let lengths: Vec<usize> = batch.iter().map(Cells::len).collect();
            let reason = format!(
                "`{}` columns expected, all of one length; found lengths {lengths:?}",
                self.columns.len()
            );
            return Err(self.invalid(0, reason));
        }
        let mut first = 0;
        while first < n {
            let rows =
                first..n.min(first + PAGE_ROWS).min(first + ROW_GROUP_ROWS - self.group_rows);
            self.write_page(batch, rows.clone())?;
            self.rows += rows.len() as u64;
            self.group_rows += rows.len();
            first = rows.end;
            if self.group_rows == ROW_GROUP_ROWS {
                self.write_row_group()?;
            }
        }
        Ok(())
    }

    fn write_page(
        &mut self,
        batch: &[Cells<'_>],
        rows: std::ops::Range<usize>,
    ) -> Result<(), StoreError> {
        if self.chunks.is_empty() {
            let columns = self.schema.columns().iter();
            self.chunks = columns
                .map(|column| ChunkWriter::new(Arc::clone(column), Arc::clone(&self.properties)))
                .collect();
        }
        for (at, cells) in batch.iter().enumerate() {
            let column = &self.columns[at];
            let (values, levels) = match cells.page(column.kind, rows.clone()) {
                Ok(page) => page,
                Err(Reject::Kind) => {
                    let reason = format!("column `{}` holds {:?}", column.name, column.kind);
                    return Err(self.invalid(0, reason));
                }
                Err(Reject::Time(row, ts)) => {
                    let reason = format!("time stamp `{ts}` in `{}` is too large", column.name);
                    return Err(self.invalid(row - rows.start, reason));
                }
            };
            self.chunks[at]
                .write_page(&values, Some(&levels))
                .map_err(|source| encode_error(&self.path, source))?;
        }
        Ok(())
    }

    fn write_row_group(&mut self) -> Result<(), StoreError> {
        let chunks = std::mem::take(&mut self.chunks);
        self.group_rows = 0;
        let write = || {
            let mut group = self.file.next_row_group()?;
            for chunk in chunks {
                let (bytes, closed) = chunk.close()?;
                group.append_column(&bytes, closed)?;
            }
            group.close().map(drop)
        };
        write().map_err(|source| encode_error(&self.path, source))
    }

    /// Writes the footer, syncs, and moves the file to its final path.
    ///
    /// # Errors
    /// The disk refused.
    pub fn finish(mut self) -> Result<FileSummary, StoreError> {
        if !self.chunks.is_empty() {
            self.write_row_group()?;
        }
        let (bytes, sha256) = self.file.finish()?;
        Ok(FileSummary { path: self.path, rows: self.rows, bytes, sha256 })
    }

    fn invalid(&self, offset: usize, reason: String) -> StoreError {
        StoreError::Invalid { path: self.path.clone(), row: self.rows + offset as u64, reason }
    }
}

fn parquet_schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                ColumnKind::F32 => (Physical::FLOAT, None),
                ColumnKind::F64 => (Physical::DOUBLE, None),
                ColumnKind::I64 => (Physical::INT64, None),
                ColumnKind::U64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
                ColumnKind::Timestamp => {
                    (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS)))
                }
                ColumnKind::Utf8 => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            Type::primitive_type_builder(&column.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
                .build()
                .map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("table").with_fields(fields).build()?))
}
