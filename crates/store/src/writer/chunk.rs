use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::{
    column::{
        page::{CompressedPage, Page, PageWriteSpec, PageWriter},
        writer::{ColumnCloseResult, ColumnWriter, get_column_writer},
    },
    data_type::ByteArray,
    errors::{ParquetError, Result},
    file::properties::WriterPropertiesPtr,
    schema::types::ColumnDescPtr,
};

use crate::page::{PageHeader, PageKind};

/// Values of one page of one column, waiting to be encoded. Nulls are in `levels` only.
#[derive(Debug)]
pub(crate) enum Values {
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

/// A column chunk being encoded into memory.
pub(crate) struct ChunkWriter {
    writer: ColumnWriter<'static>,
    sink: Arc<Mutex<Vec<u8>>>,
}

impl ChunkWriter {
    pub(crate) fn new(column: ColumnDescPtr, properties: WriterPropertiesPtr) -> Self {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let pages = Box::new(CrcPageWriter { sink: Arc::clone(&sink) });
        Self { writer: get_column_writer(column, properties, pages), sink }
    }

    /// Encodes one page. `levels` has one entry a row for a nullable column: 1 is a value.
    pub(crate) fn write_page(&mut self, values: &Values, levels: Option<&[i16]>) -> Result<()> {
        match (&mut self.writer, values) {
            (ColumnWriter::Int32ColumnWriter(to), Values::I32(values)) => {
                to.write_batch(values, levels, None)?;
            }
            (ColumnWriter::Int64ColumnWriter(to), Values::I64(values)) => {
                to.write_batch(values, levels, None)?;
            }
            (ColumnWriter::FloatColumnWriter(to), Values::F32(values)) => {
                to.write_batch(values, levels, None)?;
            }
            (ColumnWriter::DoubleColumnWriter(to), Values::F64(values)) => {
                to.write_batch(values, levels, None)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(to), Values::Bytes(values)) => {
                to.write_batch(values, levels, None)?;
            }
            _ => return Err(ParquetError::General("a column of another type".to_owned())),
        }
        Ok(())
    }

    /// Ends the chunk: its bytes and where things lie in them.
    pub(crate) fn close(self) -> Result<(Bytes, ColumnCloseResult)> {
        let closed = self.writer.close()?;
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((Bytes::from(std::mem::take(&mut *sink)), closed))
    }
}

/// Puts pages into memory with a CRC-32 in each header, which the `parquet` crate leaves out.
struct CrcPageWriter {
    sink: Arc<Mutex<Vec<u8>>>,
}

impl PageWriter for CrcPageWriter {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let kind = match *page.compressed_page() {
            Page::DictionaryPage { num_values, .. } => {
                PageKind::Dictionary { n_values: num_values }
            }
            Page::DataPageV2 {
                num_values,
                num_nulls,
                encoding,
                def_levels_byte_len,
                is_compressed,
                ..
            } => PageKind::Data {
                n_values: num_values,
                n_nulls: num_nulls,
                encoding: encoding as i32,
                def_len: def_levels_byte_len,
                is_compressed,
            },
            Page::DataPage { .. } => {
                return Err(ParquetError::General("a data page of version 1".to_owned()));
            }
        };
        let size = |n: usize| {
            let too_long = |_| ParquetError::General(format!("a page of `{n}` bytes"));
            i32::try_from(n).map(i32::cast_unsigned).map_err(too_long)
        };
        let header = PageHeader {
            uncompressed: size(page.uncompressed_size())?,
            compressed: size(page.compressed_size())?,
            crc: crc32fast::hash(page.data()),
            kind,
        }
        .encode();
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = sink.len() as u64;
        sink.extend_from_slice(&header);
        sink.extend_from_slice(page.data());
        let mut spec = PageWriteSpec::new();
        spec.page_type = page.page_type();
        spec.uncompressed_size = page.uncompressed_size() + header.len();
        spec.compressed_size = page.compressed_size() + header.len();
        spec.num_values = page.num_values();
        spec.offset = offset;
        spec.bytes_written = sink.len() as u64 - offset;
        Ok(spec)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
