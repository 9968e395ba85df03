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
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, SchemaDescriptor},
};

use super::{
    TickMeta, TickRow,
    columns::{self, Gathered, Kind, N_ROW_COLUMNS},
    meta::TICKS_KEY,
};
use crate::{
    Compression, FORMAT_VERSION, FileSummary, StoreError,
    writer::{AtomicFile, ChunkWriter, Values, encode_error},
};

/// Rows turned into columns at once: fits the second-level cache.
const BLOCK_ROWS: usize = 1024;
const PAGE_ROWS: usize = 16 * BLOCK_ROWS;

/// Layout of a tick file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickOptions {
    /// Compression of all pages.
    pub compression: Compression,
}

impl Default for TickOptions {
    /// Zstandard at level 1: the columns are packed well before.
    fn default() -> Self {
        Self { compression: Compression::Zstd(1) }
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
        })
    }

    /// Encodes rows of one instrument; the bytes are appended to `to`.
    ///
    /// # Errors
    /// A time stamp does not fit its column.
    pub fn encode(
        &mut self,
        rows: &[TickRow],
        symbol: &str,
        to: &mut Vec<u8>,
    ) -> Result<TickGroup, StoreError> {
        let symbol = ByteArray::from(Bytes::copy_from_slice(symbol.as_bytes()));
        let new =
            |at: usize| ChunkWriter::new(self.schema.column(at), Arc::clone(&self.properties));
        let mut writers: Vec<_> = (0..N_ROW_COLUMNS).map(new).collect();
        for (n, block) in rows.chunks(BLOCK_ROWS).enumerate() {
            for (at, (writer, gathered)) in writers.iter_mut().zip(&mut self.gathered).enumerate() {
                gathered.fill(at, block, &symbol).map_err(|(row, reason)| StoreError::Invalid {
                    path: self.path.clone(),
                    row: (n * BLOCK_ROWS + row) as u64,
                    reason,
                })?;
                let written = writer.write_page(&gathered.values, gathered.levels.as_deref());
                written.map_err(|source| encode_error(&self.path, source))?;
            }
        }
        let mut chunks = Vec::with_capacity(N_ROW_COLUMNS);
        for writer in writers {
            let (bytes, closed) =
                writer.close().map_err(|source| encode_error(&self.path, source))?;
            to.extend_from_slice(&bytes);
            chunks.push((bytes.len(), closed));
        }
        Ok(TickGroup { rows: rows.len(), chunks })
    }
}

/// Writes one tick file: groups in order, then [`finish`](Self::finish). Until then only a
/// temporary file exists, which is removed on drop.
pub struct TickWriter {
    path: PathBuf,
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    file: SerializedFileWriter<AtomicFile>,
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
        let path = path.as_ref();
        let encode = |source| encode_error(path, source);
        let root = columns::parquet_schema().map_err(encode)?;
        let properties = Arc::new(properties(options).map_err(encode)?);
        let file = AtomicFile::create(path)?;
        Ok(Self {
            path: path.to_owned(),
            schema: SchemaDescriptor::new(Arc::clone(&root)),
            file: SerializedFileWriter::new(file, root, Arc::clone(&properties)).map_err(encode)?,
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
        meta.format_version = FORMAT_VERSION;
        meta.price_units = PRICE_SCALE;
        meta.rows = self.rows;
        let json = serde_json::to_string(&meta).map_err(|source| StoreError::Encode {
            path: self.path.clone(),
            source: source.into(),
        })?;
        for (key, value) in [
            (TICKS_KEY, json),
            ("price_scale", "1e-9".to_owned()),
            ("schema_version", FORMAT_VERSION.to_string()),
        ] {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let file = self.file.into_inner().map_err(|source| encode_error(&self.path, source))?;
        let (bytes, sha256) = file.commit()?;
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
