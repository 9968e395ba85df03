//! Row groups: rows by column, encoded and compressed.

mod chunk;
mod delta;
mod dictionary;
mod hybrid;
mod reject;

use std::path::{Path, PathBuf};

use parquet::{column::writer::ColumnCloseResult, schema::types::SchemaDescriptor};

pub(super) use self::{
    chunk::{Chunk, ChunkEncoder},
    reject::Reject,
};
use super::{
    TickLog,
    columns::{self, Column, N_ROW_COLUMNS},
    page::PageRows,
};
use crate::{Compression, StoreError, writer::encode_error};

/// Rows of a page.
pub(super) const PAGE_ROWS: usize = 1 << 15;

/// Layout of a tick file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickOptions {
    /// Compression of all pages.
    pub compression: Compression,
}

impl Default for TickOptions {
    /// Zstandard at level 1, as the columns are packed well before.
    fn default() -> Self {
        Self { compression: Compression::Zstd(1) }
    }
}

/// Rows encoded to a row group that lacks its labels.
#[derive(Debug)]
pub struct TickGroup {
    pub(super) rows: usize,
    /// Length in bytes of each column chunk and what the footer says about it.
    pub(super) chunks: Vec<(usize, ColumnCloseResult)>,
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
    encoder: ChunkEncoder,
    columns: Vec<(Column, Chunk)>,
    page: PageRows,
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
        let columns = columns::columns().into_iter().take(N_ROW_COLUMNS);
        Ok(Self {
            path: path.to_owned(),
            schema: SchemaDescriptor::new(columns::parquet_schema().map_err(encode)?),
            encoder: ChunkEncoder::new(options.compression).map_err(encode)?,
            columns: columns.map(|column| (column, Chunk::default())).collect(),
            page: PageRows::new(),
        })
    }

    /// Encodes rows of one instrument, which come in one or more logs; the bytes are appended to
    /// `to`. They depend on the rows alone, not on how these are shared out to logs.
    ///
    /// # Errors
    /// A time stamp does not fit its column.
    pub fn encode(
        &mut self,
        logs: &[TickLog],
        symbol: &str,
        to: &mut Vec<u8>,
    ) -> Result<TickGroup, StoreError> {
        self.columns.iter_mut().for_each(|(_, chunk)| chunk.clear());
        self.page.clear();
        let mut rows = 0;
        for log in logs {
            self.page.begin_log();
            for (at, (mask, changed)) in log.entries().enumerate() {
                self.page.push(mask, changed, at == 0);
                if self.page.n() == PAGE_ROWS {
                    self.write_page(&mut rows)?;
                }
            }
        }
        if self.page.n() > 0 {
            self.write_page(&mut rows)?;
        }
        let mut chunks = Vec::with_capacity(N_ROW_COLUMNS);
        for (at, (column, chunk)) in self.columns.iter_mut().enumerate() {
            let closed =
                self.encoder.close(column, self.schema.column(at), chunk, symbol.as_bytes(), to);
            chunks.push(closed.map_err(|source| encode_error(&self.path, source))?);
        }
        Ok(TickGroup { rows, chunks })
    }

    /// Writes the page of every column.
    fn write_page(&mut self, rows: &mut usize) -> Result<(), StoreError> {
        let page = &self.page;
        for (column, chunk) in &mut self.columns {
            let written = self.encoder.page(column, chunk, page.n(), || page.changes(column.place));
            written.map_err(|reject| reject.at(&self.path, *rows))?;
        }
        *rows += page.n();
        self.page.clear();
        Ok(())
    }
}
