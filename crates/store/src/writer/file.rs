//! A Parquet file on its way to its final name.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use parquet::{
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterPropertiesPtr,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::TypePtr,
};

use super::{AtomicFile, encode_error};
use crate::{StoreError, footer};

/// Row groups one after the other, then [`finish`](Self::finish).
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: SerializedFileWriter<Output>,
}

/// The file, and what comes after its last row group once that is written.
pub(crate) struct Output {
    file: AtomicFile,
    end: Option<Vec<u8>>,
}

impl ParquetFile {
    /// Starts the file, which is named in errors as `path`.
    pub(crate) fn new(
        path: &Path,
        file: AtomicFile,
        schema: TypePtr,
        properties: WriterPropertiesPtr,
    ) -> Result<Self, StoreError> {
        let writer = SerializedFileWriter::new(Output { file, end: None }, schema, properties);
        Ok(Self {
            path: path.to_owned(),
            writer: writer.map_err(|source| encode_error(path, source))?,
        })
    }

    pub(crate) fn next_row_group(
        &mut self,
    ) -> Result<SerializedRowGroupWriter<'_, Output>, ParquetError> {
        self.writer.next_row_group()
    }

    /// Adds an entry to the key-value metadata.
    pub(crate) fn describe(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.writer.append_key_value_metadata(KeyValue::new(key.into(), value.into()));
    }

    /// Writes the footer, syncs, and moves the file to its final path; its length in bytes and
    /// SHA-256.
    pub(crate) fn finish(mut self) -> Result<(u64, String), StoreError> {
        let encode = |source| encode_error(&self.path, source);
        self.writer.flush().map_err(|source| encode(source.into()))?;
        self.writer.inner_mut().end = Some(Vec::new());
        let Output { mut file, end } = self.writer.into_inner().map_err(encode)?;
        let mut end = end.unwrap_or_default();
        let foreign = || encode(ParquetError::General("a footer of another form".to_owned()));
        footer::order_by_type(&mut end).ok_or_else(foreign)?;
        file.write_all(&end).map_err(|source| encode(source.into()))?;
        file.commit()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.end {
            Some(end) => end.write(bytes),
            None => self.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
