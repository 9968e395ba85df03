//! Files of ticks: row groups with their labels, and what the file says about itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use lob_depth::PRICE_SCALE;
use parquet::{
    errors::ParquetError,
    file::properties::{WriterProperties, WriterVersion},
    schema::types::SchemaDescriptor,
};

use super::{
    TickGroup, TickMeta, TickOptions,
    columns::{self, Column, N_ROW_COLUMNS, NO_CLASS, NO_NUMBER},
    encode::{Chunk, ChunkEncoder, PAGE_ROWS, Reject},
    meta::{TICKS_FORMAT_VERSION, TICKS_KEY},
};
use crate::{
    FileSummary, StoreError,
    fs::SharedFs,
    writer::{AtomicFile, ParquetFile, encode_error},
};

/// Movement and class of a row.
type Label = (Option<f64>, Option<i32>);

/// Writes one tick file: groups in order, then [`finish`](Self::finish). Until then only a
/// temporary file exists, which is removed on drop.
pub struct TickWriter {
    path: PathBuf,
    schema: SchemaDescriptor,
    file: ParquetFile,
    encoder: ChunkEncoder,
    /// Movement and class.
    labels: Vec<(Column, Chunk)>,
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
        let encoder = ChunkEncoder::new(options.compression).map_err(encode)?;
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_created_by(format!("loblab version {}", env!("CARGO_PKG_VERSION")))
            .build();
        let labels = columns::columns().into_iter().skip(N_ROW_COLUMNS);
        let file = create(path)?;
        Ok(Self {
            path: path.to_owned(),
            schema: SchemaDescriptor::new(Arc::clone(&root)),
            file: ParquetFile::new(path, file, root, Arc::new(properties))?,
            encoder,
            labels: labels.map(|column| (column, Chunk::default())).collect(),
            rows: 0,
        })
    }

    /// Appends a group: its bytes as [`TickEncoder::encode`](super::TickEncoder::encode) gave them,
    /// and the movement and class of each of its rows.
    ///
    /// # Errors
    /// Bytes or labels are not those of the group, or the disk refused.
    pub fn push(
        &mut self,
        group: TickGroup,
        bytes: Bytes,
        labels: &[Label],
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
        self.encode_labels(labels).map_err(|reject| reject.at(&self.path, 0))?;
        let written = self.write_group(group, &bytes);
        written.map_err(|source| encode_error(&self.path, source))?;
        self.rows += rows;
        Ok(())
    }

    fn encode_labels(&mut self, labels: &[Label]) -> Result<(), Reject> {
        let bits: [fn(&Label) -> u64; 2] = [
            |(movement, _)| movement.map_or(NO_NUMBER, f64::to_bits),
            |(_, class)| class.map_or(NO_CLASS, |class| u64::from(class.cast_unsigned())),
        ];
        for ((column, chunk), bits) in self.labels.iter_mut().zip(bits) {
            chunk.clear();
            for labels in labels.chunks(PAGE_ROWS) {
                let values = || (0_u32..).zip(labels.iter().map(bits));
                self.encoder.page(column, chunk, labels.len(), values)?;
            }
        }
        Ok(())
    }

    fn write_group(&mut self, group: TickGroup, bytes: &Bytes) -> Result<(), ParquetError> {
        let mut to = self.file.next_row_group()?;
        let mut start = 0;
        for (length, closed) in group.chunks {
            to.append_column(&bytes.slice(start..start + length), closed)?;
            start += length;
        }
        for (at, (column, chunk)) in (N_ROW_COLUMNS..).zip(&mut self.labels) {
            let mut bytes = Vec::new();
            let described = self.schema.column(at);
            let (_, closed) = self.encoder.close(column, described, chunk, &[], &mut bytes)?;
            to.append_column(&Bytes::from(bytes), closed)?;
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
