//! Page headers and offset indexes of the Parquet format, in the form this crate writes.

use crate::thrift::{Field, Reader, Writer};

/// Values follow as they are.
pub(crate) const PLAIN: i32 = 0;
/// Values are indices into the dictionary, in runs.
pub(crate) const RLE_DICTIONARY: i32 = 8;

const TYPE_DICTIONARY: i32 = 2;
const TYPE_DATA_V2: i32 = 3;

/// Head of a page. Lengths are in bytes and never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) uncompressed: u32,
    pub(crate) compressed: u32,
    /// CRC-32 over the page as it lies in the file.
    pub(crate) crc: u32,
    pub(crate) kind: PageKind,
}

/// The two kinds of page this crate writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    Dictionary { n_values: u32 },
    Data { n_values: u32, n_nulls: u32, encoding: i32, def_len: u32, is_compressed: bool },
}

impl PageHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        let page_type = match self.kind {
            PageKind::Dictionary { .. } => TYPE_DICTIONARY,
            PageKind::Data { .. } => TYPE_DATA_V2,
        };
        to.i32(1, page_type);
        to.i32(2, self.uncompressed.cast_signed());
        to.i32(3, self.compressed.cast_signed());
        to.i32(4, self.crc.cast_signed());
        match self.kind {
            PageKind::Dictionary { n_values } => to.structure(7, |to| {
                to.i32(1, n_values.cast_signed());
                to.i32(2, PLAIN);
                to.bool(3, false);
            }),
            PageKind::Data { n_values, n_nulls, encoding, def_len, is_compressed } => {
                to.structure(8, |to| {
                    to.i32(1, n_values.cast_signed());
                    to.i32(2, n_nulls.cast_signed());
                    to.i32(3, n_values.cast_signed());
                    to.i32(4, encoding);
                    to.i32(5, def_len.cast_signed());
                    to.i32(6, 0);
                    to.bool(7, is_compressed);
                });
            }
        }
        to.stop();
        to.bytes
    }

    /// Reads a header and its length in bytes; `None` if it is not one of ours.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut from = Reader::new(bytes);
        let (mut page_type, mut uncompressed, mut compressed, mut crc) = (None, None, None, None);
        let (mut dictionary, mut data) = (None, None);
        from.structure(|from, field| {
            match field.id {
                1 => page_type = Some(from.i32_field(field)?),
                2 => uncompressed = Some(length(from, field)?),
                3 => compressed = Some(length(from, field)?),
                4 => crc = Some(from.i32_field(field)?.cast_unsigned()),
                7 => dictionary = Some(dictionary_header(from, field)?),
                8 => data = Some(data_header(from, field)?),
                _ => from.skip(field)?,
            }
            Some(())
        })?;
        let kind = match page_type? {
            TYPE_DICTIONARY => dictionary?,
            TYPE_DATA_V2 => data?,
            _ => return None,
        };
        let header = Self { uncompressed: uncompressed?, compressed: compressed?, crc: crc?, kind };
        Some((header, from.position()))
    }
}

fn length(from: &mut Reader<'_>, field: Field) -> Option<u32> {
    u32::try_from(from.i32_field(field)?).ok()
}

fn dictionary_header(from: &mut Reader<'_>, field: Field) -> Option<PageKind> {
    let (mut n_values, mut encoding) = (None, None);
    from.struct_field(field, |from, field| {
        match field.id {
            1 => n_values = Some(length(from, field)?),
            2 => encoding = Some(from.i32_field(field)?),
            _ => from.skip(field)?,
        }
        Some(())
    })?;
    (encoding? == PLAIN).then_some(PageKind::Dictionary { n_values: n_values? })
}

fn data_header(from: &mut Reader<'_>, field: Field) -> Option<PageKind> {
    let (mut n_values, mut n_nulls, mut n_rows, mut encoding) = (None, None, None, None);
    let (mut def_len, mut rep_len, mut is_compressed) = (None, None, true);
    from.struct_field(field, |from, field| {
        match field.id {
            1 => n_values = Some(length(from, field)?),
            2 => n_nulls = Some(length(from, field)?),
            3 => n_rows = Some(length(from, field)?),
            4 => encoding = Some(from.i32_field(field)?),
            5 => def_len = Some(length(from, field)?),
            6 => rep_len = Some(length(from, field)?),
            7 => is_compressed = Reader::bool_field(field)?,
            _ => from.skip(field)?,
        }
        Some(())
    })?;
    let (n_values, n_nulls) = (n_values?, n_nulls?);
    // Flat columns: one value a row, no repetition levels.
    (n_rows? == n_values && rep_len? == 0 && n_nulls <= n_values).then_some(PageKind::Data {
        n_values,
        n_nulls,
        encoding: encoding?,
        def_len: def_len?,
        is_compressed,
    })
}

/// Place of one data page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageSlot {
    /// Offset of the page's header in the file.
    pub(crate) offset: u64,
    /// Length of header and content.
    pub(crate) len: u32,
    /// First row, counted from the start of the row group.
    pub(crate) first_row: u64,
}

/// Reads the offset index of a column chunk.
pub(crate) fn decode_offset_index(bytes: &[u8]) -> Option<Vec<PageSlot>> {
    let mut from = Reader::new(bytes);
    let mut slots = Vec::new();
    from.structure(|from, field| {
        if field.id != 1 {
            return from.skip(field);
        }
        let n = from.struct_list(field)?;
        slots.reserve_exact(n);
        for _ in 0..n {
            slots.push(page_slot(from)?);
        }
        Some(())
    })?;
    Some(slots)
}

fn page_slot(from: &mut Reader<'_>) -> Option<PageSlot> {
    let (mut offset, mut len, mut first_row) = (None, None, None);
    from.structure(|from, field| {
        match field.id {
            1 => offset = u64::try_from(from.i64_field(field)?).ok(),
            2 => len = Some(length(from, field)?),
            3 => first_row = u64::try_from(from.i64_field(field)?).ok(),
            _ => from.skip(field)?,
        }
        Some(())
    })?;
    Some(PageSlot { offset: offset?, len: len?, first_row: first_row? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: PageHeader) {
        let mut bytes = header.encode();
        let len = bytes.len();
        bytes.extend([0xaa; 5]);
        assert_eq!(PageHeader::decode(&bytes), Some((header, len)));
        for cut in 0..len {
            assert_eq!(PageHeader::decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn headers_round_trip_and_never_read_past_their_end() {
        let sizes = |kind| PageHeader { uncompressed: 4096, compressed: 300, crc: u32::MAX, kind };
        check(sizes(PageKind::Dictionary { n_values: 131_072 }));
        check(sizes(PageKind::Data {
            n_values: 512,
            n_nulls: 3,
            encoding: RLE_DICTIONARY,
            def_len: 40,
            is_compressed: false,
        }));
        check(PageHeader {
            uncompressed: 0,
            compressed: 0,
            crc: 0,
            kind: PageKind::Data {
                n_values: 0,
                n_nulls: 0,
                encoding: PLAIN,
                def_len: 0,
                is_compressed: true,
            },
        });
    }

    #[test]
    fn an_offset_index_with_an_impossible_length_is_refused() {
        // Field 1, list, 2^34 structs announced.
        assert_eq!(decode_offset_index(&[0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x40]), None);
        assert_eq!(decode_offset_index(&[0x19, 0x0c, 0x00]), Some(vec![]));
        assert_eq!(decode_offset_index(&[]), None);
    }
}
