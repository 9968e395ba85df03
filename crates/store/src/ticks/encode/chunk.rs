//! Column chunks: pages of one column, each encoded, compressed and summed.

use parquet::{
    basic::{Compression as Codec, Encoding, ZstdLevel},
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, OffsetIndexBuilder},
        statistics::Statistics,
    },
    schema::types::ColumnDescPtr,
};
use zstd::bulk::Compressor;

use super::{
    delta,
    dictionary::Dictionary,
    hybrid,
    reject::{Reject, length, rows, too_long},
};
use crate::{
    Compression,
    page::{PageHeader, PageKind, RLE_DICTIONARY},
    ticks::columns::{Column, Kind},
};

/// Values that a dictionary may always have.
const DICTIONARY_MIN: usize = 1 << 12;
/// Beyond those, rows there must be for each value: a dictionary of values that hardly come twice
/// takes more than it saves.
const ROWS_PER_VALUE: usize = 4;
/// Stands for a null among the numbers of values.
const NULL: u32 = u32::MAX;

const DELTA_BINARY_PACKED: i32 = Encoding::DELTA_BINARY_PACKED as i32;
const BYTE_STREAM_SPLIT: i32 = Encoding::BYTE_STREAM_SPLIT as i32;

/// The pages of one column of a row group.
#[derive(Debug, Default)]
pub(in crate::ticks) struct Chunk {
    dictionary: Dictionary,
    /// Whether the dictionary grew too large: the pages from here on go without it.
    is_plain: bool,
    /// Data pages with their heads, one after the other.
    pages: Vec<u8>,
    /// Length and rows of each.
    places: Vec<(usize, usize)>,
    /// Length of the pages, heads included, before compression.
    uncompressed: usize,
    /// Encodings of pages seen.
    encodings: Vec<i32>,
    rows: usize,
    nulls: usize,
    /// Smallest and largest value, where they are asked for.
    range: Option<(u64, u64)>,
}

impl Chunk {
    /// Forgets all pages.
    pub(in crate::ticks) fn clear(&mut self) {
        self.dictionary.clear();
        self.pages.clear();
        self.places.clear();
        self.encodings.clear();
        (self.is_plain, self.uncompressed, self.rows, self.nulls) = (false, 0, 0, 0);
        self.range = None;
    }
}

/// Encodes pages of any columns; its memory goes from one to the next.
pub(in crate::ticks) struct ChunkEncoder {
    codec: Codec,
    compressor: Option<Compressor<'static>>,
    /// Number of the value, or [`NULL`], and how many rows have it.
    runs: Vec<(u32, u32)>,
    values: Vec<u64>,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl ChunkEncoder {
    pub(in crate::ticks) fn new(compression: Compression) -> Result<Self, ParquetError> {
        let (codec, compressor) = match compression {
            Compression::None => (Codec::UNCOMPRESSED, None),
            Compression::Zstd(level) => {
                (Codec::ZSTD(ZstdLevel::try_new(level)?), Some(Compressor::new(level)?))
            }
        };
        let (runs, values, raw, packed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { codec, compressor, runs, values, raw, packed })
    }

    /// Appends a page of `n` rows. `changes` gives rows, ascending from 0, and the value from there
    /// on, zero above its own bits.
    pub(in crate::ticks) fn page<Changes: Iterator<Item = (u32, u64)>>(
        &mut self,
        column: &Column,
        chunk: &mut Chunk,
        n: usize,
        changes: impl Fn() -> Changes,
    ) -> Result<(), Reject> {
        self.raw.clear();
        if !column.is_dense && !chunk.is_plain {
            let known = chunk.dictionary.values().len();
            self.number(column, &mut chunk.dictionary, n, changes());
            let most = DICTIONARY_MIN.max((chunk.rows + n) / ROWS_PER_VALUE);
            if chunk.dictionary.values().len() <= most {
                return Ok(self.dictionary_page(column, chunk, n)?);
            }
            chunk.dictionary.truncate(known);
            chunk.is_plain = true;
        }
        self.expand(column, n, changes())?;
        Ok(self.value_page(column, chunk, n)?)
    }

    /// Turns values into runs of their numbers.
    fn number(
        &mut self,
        column: &Column,
        dictionary: &mut Dictionary,
        n: usize,
        mut changes: impl Iterator<Item = (u32, u64)>,
    ) {
        let null = column.null();
        self.runs.clear();
        let Some((mut first, mut same)) = changes.next() else { return };
        let mut number = |value| if Some(value) == null { NULL } else { dictionary.number(value) };
        for (row, value) in changes {
            if value != same {
                self.runs.push((number(same), row - first));
                (first, same) = (row, value);
            }
        }
        self.runs.push((number(same), rows(n) - first));
    }

    /// Turns values into one a row, nulls left out, and runs of rows with and without one.
    fn expand(
        &mut self,
        column: &Column,
        n: usize,
        changes: impl Iterator<Item = (u32, u64)>,
    ) -> Result<(), Reject> {
        let null = column.null();
        self.runs.clear();
        self.values.clear();
        let mut changes = changes.peekable();
        while let Some((row, value)) = changes.next() {
            let end = changes.peek().map_or(rows(n), |(next, _)| *next);
            let times = end - row;
            if Some(value) == null {
                self.runs.push((NULL, times));
                continue;
            }
            if column.kind == Kind::Time && value > i64::MAX.cast_unsigned() {
                return Err(Reject::Time(row as usize, column.name.clone(), value));
            }
            match self.runs.last_mut() {
                Some((0, before)) => *before += times,
                _ => self.runs.push((0, times)),
            }
            if times == 1 {
                self.values.push(value);
            } else {
                self.values.extend(std::iter::repeat_n(value, times as usize));
            }
        }
        Ok(())
    }

    fn dictionary_page(
        &mut self,
        column: &Column,
        chunk: &mut Chunk,
        n: usize,
    ) -> Result<(), ParquetError> {
        let levels = self.levels(column);
        let known = self.runs.iter().filter(|(number, _)| *number != NULL);
        let width = hybrid::width(known.clone().map(|(number, _)| *number).max().unwrap_or(0));
        self.raw.push((width & 0xff) as u8);
        hybrid::encode(known.copied(), width, &mut self.raw);
        self.finish_page(chunk, n, levels, RLE_DICTIONARY)
    }

    fn value_page(
        &mut self,
        column: &Column,
        chunk: &mut Chunk,
        n: usize,
    ) -> Result<(), ParquetError> {
        let levels = self.levels(column);
        if column.has_range() {
            for value in &self.values {
                let (least, most) = chunk.range.get_or_insert((*value, *value));
                (*least, *most) = ((*least).min(*value), (*most).max(*value));
            }
        }
        let encoding = match column.kind {
            Kind::Double => {
                // Neighbouring numbers share their high bytes: apart, those compress.
                for byte in 0..size_of::<f64>() {
                    self.raw.extend(self.values.iter().map(|value| value.to_le_bytes()[byte]));
                }
                BYTE_STREAM_SPLIT
            }
            Kind::Time | Kind::Price => {
                delta::encode(&self.values, 64, &mut self.raw);
                DELTA_BINARY_PACKED
            }
            // Texts have few values, and never come here.
            Kind::Unsigned(_) | Kind::Signed | Kind::Class | Kind::Letter | Kind::Symbol => {
                delta::encode(&self.values, 32, &mut self.raw);
                DELTA_BINARY_PACKED
            }
        };
        self.finish_page(chunk, n, levels, encoding)
    }

    /// Writes which rows have a value: length in bytes, and the rows that have none.
    fn levels(&mut self, column: &Column) -> (usize, usize) {
        if column.null().is_none() {
            return (0, 0);
        }
        let levels = self.runs.iter().map(|(number, n)| (u32::from(*number != NULL), *n));
        hybrid::encode(levels, 1, &mut self.raw);
        let nulls =
            self.runs.iter().filter(|(number, _)| *number == NULL).map(|(_, n)| *n as usize);
        (self.raw.len(), nulls.sum())
    }

    /// Compresses what stands in `raw` and appends the page.
    fn finish_page(
        &mut self,
        chunk: &mut Chunk,
        n: usize,
        (levels, nulls): (usize, usize),
        encoding: i32,
    ) -> Result<(), ParquetError> {
        let is_compressed = self.compress(levels)?;
        let (levels_raw, values) = self.raw.split_at(levels);
        let values = if is_compressed { &self.packed[..] } else { values };
        let mut crc = crc32fast::Hasher::new();
        crc.update(levels_raw);
        crc.update(values);
        let head = PageHeader {
            uncompressed: length(self.raw.len())?,
            compressed: length(levels + values.len())?,
            crc: crc.finalize(),
            kind: PageKind::Data {
                n_values: rows(n),
                n_nulls: length(nulls)?,
                encoding,
                def_len: length(levels)?,
                is_compressed,
            },
        }
        .encode();
        for part in [&head[..], levels_raw, values] {
            chunk.pages.extend_from_slice(part);
        }
        chunk.places.push((head.len() + levels + values.len(), n));
        chunk.uncompressed += head.len() + self.raw.len();
        chunk.rows += n;
        chunk.nulls += nulls;
        if !chunk.encodings.contains(&encoding) {
            chunk.encodings.push(encoding);
        }
        Ok(())
    }

    /// Compresses what stands in `raw` from `start` on to `packed`; whether that is shorter.
    fn compress(&mut self, start: usize) -> Result<bool, ParquetError> {
        let Some(compressor) = &mut self.compressor else { return Ok(false) };
        let values = &self.raw[start..];
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(values.len()));
        compressor.compress_to_buffer(values, &mut self.packed)?;
        Ok(self.packed.len() < values.len())
    }

    /// Ends the chunk: appends its bytes to `to`, and says how many there are and what the footer
    /// says about them. `symbol` is the text of the column that has one.
    pub(in crate::ticks) fn close(
        &mut self,
        column: &Column,
        described: ColumnDescPtr,
        chunk: &mut Chunk,
        symbol: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<(usize, ColumnCloseResult), ParquetError> {
        let start = to.len();
        let mut encodings = vec![Encoding::RLE];
        if chunk.encodings.contains(&RLE_DICTIONARY) {
            self.put_dictionary(column, chunk, symbol, to)?;
            encodings.extend([Encoding::PLAIN, Encoding::RLE_DICTIONARY]);
        }
        for (encoding, n) in [
            (Encoding::DELTA_BINARY_PACKED, DELTA_BINARY_PACKED),
            (Encoding::BYTE_STREAM_SPLIT, BYTE_STREAM_SPLIT),
        ] {
            if chunk.encodings.contains(&n) {
                encodings.push(encoding);
            }
        }
        let data = to.len() - start;
        to.extend_from_slice(&chunk.pages);
        let bytes = to.len() - start;
        let offset = |n: usize| i64::try_from(n).map_err(|_| too_long(n));
        let mut metadata = ColumnChunkMetaData::builder(described)
            .set_encodings(encodings)
            .set_compression(self.codec)
            .set_num_values(offset(chunk.rows)?)
            .set_total_compressed_size(offset(bytes)?)
            .set_total_uncompressed_size(offset(chunk.uncompressed)?)
            .set_data_page_offset(offset(data)?)
            .set_dictionary_page_offset((data > 0).then_some(0));
        if column.has_range() {
            metadata = metadata.set_statistics(statistics(column, chunk));
        }
        let mut index = OffsetIndexBuilder::new();
        let mut at = data;
        for (length, n) in &chunk.places {
            let size = i32::try_from(*length).map_err(|_| too_long(*length))?;
            index.append_offset_and_size(offset(at)?, size);
            index.append_row_count(offset(*n)?);
            at += length;
        }
        let closed = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: chunk.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok((bytes, closed))
    }

    /// Appends the page of the dictionary.
    fn put_dictionary(
        &mut self,
        column: &Column,
        chunk: &mut Chunk,
        symbol: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<(), ParquetError> {
        self.raw.clear();
        for value in chunk.dictionary.values() {
            match column.kind {
                Kind::Time | Kind::Price | Kind::Double => self.raw.extend(value.to_le_bytes()),
                Kind::Unsigned(_) | Kind::Signed | Kind::Class => {
                    self.raw.extend(&value.to_le_bytes()[..size_of::<i32>()]);
                }
                Kind::Letter => {
                    let text = char::from(value.to_le_bytes()[0]).to_string();
                    put_text(text.as_bytes(), &mut self.raw)?;
                }
                Kind::Symbol => put_text(symbol, &mut self.raw)?,
            }
        }
        // Its head cannot say that it is not compressed.
        self.compress(0)?;
        let page = if self.compressor.is_some() { &self.packed } else { &self.raw };
        let head = PageHeader {
            uncompressed: length(self.raw.len())?,
            compressed: length(page.len())?,
            crc: crc32fast::hash(page),
            kind: PageKind::Dictionary { n_values: rows(chunk.dictionary.values().len()) },
        }
        .encode();
        to.extend_from_slice(&head);
        to.extend_from_slice(page);
        chunk.uncompressed += head.len() + self.raw.len();
        Ok(())
    }
}

fn put_text(text: &[u8], to: &mut Vec<u8>) -> Result<(), ParquetError> {
    to.extend(length(text.len())?.to_le_bytes());
    to.extend_from_slice(text);
    Ok(())
}

/// Smallest and largest value, and the number of nulls.
#[expect(clippy::cast_possible_truncation, reason = "the low half is the value")]
fn statistics(column: &Column, chunk: &Chunk) -> Statistics {
    let (range, nulls) = (chunk.range, Some(chunk.nulls as u64));
    let (least, most) = (range.map(|range| range.0), range.map(|range| range.1));
    if column.kind == Kind::Time {
        let signed = |value: Option<u64>| value.map(u64::cast_signed);
        return Statistics::int64(signed(least), signed(most), None, nulls, false);
    }
    let signed = |value: Option<u64>| value.map(|value| (value as u32).cast_signed());
    Statistics::int32(signed(least), signed(most), None, nulls, false)
}
