use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use lob_depth::PRICE_SCALE;
use parquet::{
    basic::{Compression as Codec, Encoding, ZstdLevel},
    column::writer::ColumnCloseResult,
    data_type::ByteArray,
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion},
    schema::types::{ColumnPath, SchemaDescriptor},
};

use super::{
    TickMeta, TickRow,
    columns::{self, Gathered, Kind, N_ROW_COLUMNS},
    meta::TICKS_KEY,
};
use crate::{
    Compression, FileSummary, StoreError, TICKS_FORMAT_VERSION,
    fs::SharedFs,
    writer::{AtomicFile, ChunkWriter, ParquetFile, Values, encode_error},
};

/// Rows handed to the encoders at once.
const BLOCK_ROWS: usize = 1024;
const PAGE_ROWS: usize = 16 * BLOCK_ROWS;

/// Layout of a tick file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickOptions {
    /// Compression of all pages.
    pub compression: Compression,
    /// Threads that encode the columns of a row group, at least 1. The bytes do not depend on it.
    pub threads: usize,
}

impl Default for TickOptions {
    /// Zstandard at level 1, as the columns are packed well before, on one thread.
    fn default() -> Self {
        Self { compression: Compression::Zstd(1), threads: 1 }
    }
}

/// Rows encoded to a row group that lacks its labels.
#[derive(Debug)]
pub struct TickGroup {
    rows: usize,
    /// Length in bytes of each column chunk and what the footer says about it.
    chunks: Vec<(usize, ColumnCloseResult)>,
}

impl TickGroup {
    /// Rows in the group.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }
}

/// Turns rows into encoded row groups. One encoder serves any number of files: a group waits
/// wherever its bytes are put until its labels are known.
pub struct TickEncoder {
    /// Named in errors.
    path: PathBuf,
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    gathered: Vec<Gathered>,
    threads: usize,
}

impl std::fmt::Debug for TickEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TickEncoder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TickEncoder {
    /// An encoder; `path` is named in its errors.
    ///
    /// # Errors
    /// An option is out of range.
    pub fn new(path: impl AsRef<Path>, options: TickOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let encode = |source| encode_error(path, source);
        Ok(Self {
            path: path.to_owned(),
            schema: SchemaDescriptor::new(columns::parquet_schema().map_err(encode)?),
            properties: Arc::new(properties(options).map_err(encode)?),
            gathered: columns::columns().iter().take(N_ROW_COLUMNS).map(Gathered::new).collect(),
            threads: options.threads.clamp(1, N_ROW_COLUMNS),
        })
    }

    /// Encodes rows of one instrument, which come in pieces; the bytes are appended to `to`. Pieces
    /// of about 64 rows are turned into columns without leaving the first-level cache.
    ///
    /// # Errors
    /// A time stamp does not fit its column.
    pub fn encode<Rows: AsRef<[TickRow]> + Sync>(
        &mut self,
        pieces: &[Rows],
        symbol: &str,
        to: &mut Vec<u8>,
    ) -> Result<TickGroup, StoreError> {
        let symbol = ByteArray::from(Bytes::copy_from_slice(symbol.as_bytes()));
        let (path, schema, properties) = (&*self.path, &self.schema, &self.properties);
        let share = N_ROW_COLUMNS.div_ceil(self.threads);
        let mut columns = self.gathered.chunks_mut(share).enumerate().map(|(n, gathered)| {
            let writers = (n * share..n * share + gathered.len())
                .map(|at| ChunkWriter::new(schema.column(at), Arc::clone(properties)))
                .collect();
            Columns { path, first: n * share, gathered, writers }
        });
        // The first share is this thread's.
        let own = columns.next();
        let encoded = std::thread::scope(|scope| {
            let encode = |columns: Columns<'_>| columns.encode(pieces, &symbol);
            let others: Vec<_> =
                columns.map(|columns| scope.spawn(move || encode(columns))).collect();
            let own = own.map(encode);
            let joined = others.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            own.into_iter().chain(joined).collect::<Result<Vec<_>, _>>()
        })?;
        let mut chunks = Vec::with_capacity(N_ROW_COLUMNS);
        for (bytes, closed) in encoded.into_iter().flatten() {
            to.extend_from_slice(&bytes);
            chunks.push((bytes.len(), closed));
        }
        Ok(TickGroup { rows: pieces.iter().map(|rows| rows.as_ref().len()).sum(), chunks })
    }
}

/// Some of the columns of a row group, for one thread to encode.
struct Columns<'a> {
    path: &'a Path,
    /// Position of the first of them.
    first: usize,
    gathered: &'a mut [Gathered],
    writers: Vec<ChunkWriter>,
}

impl Columns<'_> {
    fn encode<Rows: AsRef<[TickRow]>>(
        mut self,
        pieces: &[Rows],
        symbol: &ByteArray,
    ) -> Result<Vec<(Bytes, ColumnCloseResult)>, StoreError> {
        self.gathered.iter_mut().for_each(Gathered::clear);
        let (mut held, mut rows_before) = (0, 0);
        for mut rows in pieces.iter().map(AsRef::as_ref) {
            while !rows.is_empty() {
                let (now, rest) = rows.split_at(rows.len().min(BLOCK_ROWS - held));
                for (at, gathered) in (self.first..).zip(&mut *self.gathered) {
                    gathered.add(at, now, symbol).map_err(|(row, reason)| StoreError::Invalid {
                        path: self.path.to_owned(),
                        row: (rows_before + row) as u64,
                        reason,
                    })?;
                }
                (held, rows_before, rows) = (held + now.len(), rows_before + now.len(), rest);
                if held == BLOCK_ROWS {
                    self.write()?;
                    held = 0;
                }
            }
        }
        if held > 0 {
            self.write()?;
        }
        let path = self.path;
        let close = |writer: ChunkWriter| writer.close().map_err(|e| encode_error(path, e));
        self.writers.into_iter().map(close).collect()
    }

    /// Hands what is gathered to the encoders.
    fn write(&mut self) -> Result<(), StoreError> {
        for (writer, gathered) in self.writers.iter_mut().zip(&mut *self.gathered) {
            let written = writer.write_page(&gathered.values, gathered.levels.as_deref());
            written.map_err(|source| encode_error(self.path, source))?;
            gathered.clear();
        }
        Ok(())
    }
}

/// Writes one tick file: groups in order, then [`finish`](Self::finish). Until then only a
/// temporary file exists, which is removed on drop.
pub struct TickWriter {
    path: PathBuf,
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    file: ParquetFile,
    rows: u64,
}

impl std::fmt::Debug for TickWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TickWriter")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl TickWriter {
    /// Starts a file that will appear at `path`; missing folders are made.
    ///
    /// # Errors
    /// The folder or the temporary file cannot be made, or an option is out of range.
    pub fn create(path: impl AsRef<Path>, options: TickOptions) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), options, AtomicFile::create)
    }

    /// As [`create`](Self::create), in a folder of `fs` that nobody reads: the file is written in
    /// its place, and only its content is synced. The caller moves it to where it shall last.
    ///
    /// # Errors
    /// As [`create`](Self::create); there must be no file yet.
    pub fn create_staged(
        fs: &SharedFs,
        path: impl AsRef<Path>,
        options: TickOptions,
    ) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), options, |path| AtomicFile::staged(fs, path))
    }

    fn open(
        path: &Path,
        options: TickOptions,
        create: impl FnOnce(&Path) -> Result<AtomicFile, StoreError>,
    ) -> Result<Self, StoreError> {
        let encode = |source| encode_error(path, source);
        let root = columns::parquet_schema().map_err(encode)?;
        let properties = Arc::new(properties(options).map_err(encode)?);
        let file = create(path)?;
        Ok(Self {
            path: path.to_owned(),
            schema: SchemaDescriptor::new(Arc::clone(&root)),
            file: ParquetFile::new(path, file, root, Arc::clone(&properties))?,
            properties,
            rows: 0,
        })
    }

    /// Appends a group: its bytes as [`TickEncoder::encode`] gave them, and the movement and class
    /// of each of its rows.
    ///
    /// # Errors
    /// Bytes or labels are not those of the group, or the disk refused.
    pub fn push(
        &mut self,
        group: TickGroup,
        bytes: Bytes,
        labels: &[(Option<f64>, Option<i32>)],
    ) -> Result<(), StoreError> {
        let expected: usize = group.chunks.iter().map(|(length, _)| length).sum();
        if (bytes.len(), labels.len()) != (expected, group.rows) {
            let (found, rows) = (bytes.len(), labels.len());
            let reason = format!(
                "a group of `{}` rows and `{expected}` bytes came with `{rows}` and `{found}`",
                group.rows
            );
            return Err(StoreError::Invalid { path: self.path.clone(), row: self.rows, reason });
        }
        let rows = group.rows as u64;
        let written = self.write_group(group, &bytes, labels);
        written.map_err(|source| encode_error(&self.path, source))?;
        self.rows += rows;
        Ok(())
    }

    fn write_group(
        &mut self,
        group: TickGroup,
        bytes: &Bytes,
        labels: &[(Option<f64>, Option<i32>)],
    ) -> Result<(), ParquetError> {
        let movements = Values::F64(labels.iter().filter_map(|(movement, _)| *movement).collect());
        let classes = Values::I32(labels.iter().filter_map(|(_, class)| *class).collect());
        let has_movement: Vec<_> = labels.iter().map(|(m, _)| i16::from(m.is_some())).collect();
        let has_class: Vec<_> = labels.iter().map(|(_, c)| i16::from(c.is_some())).collect();
        let mut to = self.file.next_row_group()?;
        let mut start = 0;
        for (length, closed) in group.chunks {
            to.append_column(&bytes.slice(start..start + length), closed)?;
            start += length;
        }
        for (at, values, levels) in
            [(N_ROW_COLUMNS, movements, has_movement), (N_ROW_COLUMNS + 1, classes, has_class)]
        {
            let mut writer = ChunkWriter::new(self.schema.column(at), Arc::clone(&self.properties));
            writer.write_page(&values, Some(&levels))?;
            let (bytes, closed) = writer.close()?;
            to.append_column(&bytes, closed)?;
        }
        to.close().map(drop)
    }

    /// Writes the footer, syncs, and moves the file to its final path. The version, the price
    /// units and the number of rows are filled here.
    ///
    /// # Errors
    /// The disk refused.
    pub fn finish(mut self, mut meta: TickMeta) -> Result<FileSummary, StoreError> {
        meta.format_version = TICKS_FORMAT_VERSION;
        meta.price_units = PRICE_SCALE;
        meta.rows = self.rows;
        let json = serde_json::to_string(&meta).map_err(|source| StoreError::Encode {
            path: self.path.clone(),
            source: source.into(),
        })?;
        for (key, value) in [
            (TICKS_KEY, json),
            ("price_scale", "1e-9".to_owned()),
            ("schema_version", TICKS_FORMAT_VERSION.to_string()),
        ] {
            self.file.describe(key, value);
        }
        let (bytes, sha256) = self.file.finish()?;
        Ok(FileSummary { path: self.path, rows: self.rows, bytes, sha256 })
    }
}

fn properties(options: TickOptions) -> Result<WriterProperties, ParquetError> {
    let codec = match options.compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level)?),
    };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(format!("loblab version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(codec)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(BLOCK_ROWS)
        .set_data_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in columns::columns() {
        let path = ColumnPath::from(column.name.as_str());
        builder = builder.set_column_dictionary_enabled(path.clone(), column.has_dictionary());
        // Consecutive books differ little.
        let encoding = match column.kind {
            Kind::Time | Kind::Price | Kind::Unsigned(_) | Kind::Signed => {
                Encoding::DELTA_BINARY_PACKED
            }
            Kind::Text | Kind::Double => Encoding::PLAIN,
        };
        builder = builder.set_column_encoding(path.clone(), encoding);
        if column.kind == Kind::Time || column.name == "sequence" {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    Ok(builder.build())
}
