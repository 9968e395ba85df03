//! Parquet footers, looked through before the decoder believes them.
//!
//! The decoder makes room for as many row groups and children as a footer announces, and goes one
//! call deeper for each group inside a group: without this a few bytes could ask for all memory or
//! the whole stack, and both end the process.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::thrift::{Field, Reader};

/// Fields of `FileMetaData` and `SchemaElement` in the format's `parquet.thrift`.
const SCHEMA: i16 = 2;
const NUM_CHILDREN: i16 = 5;
const COLUMN_ORDERS: i16 = 7;
/// First byte of a `ColumnOrder` that is `TYPE_ORDER`: field 1, a struct.
const TYPE_ORDER: u8 = 0x1c;
/// Groups inside groups: our own files have none.
const MAX_GROUPS: usize = 64;

/// Length of a file's end: the footer's own length as u32, and the magic.
pub(crate) const TAIL: usize = 8;
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// Reads and decodes the footer of a file; the inner error is about its content.
pub(crate) fn read(file: &mut File) -> io::Result<Result<ParquetMetaData, String>> {
    let len = file.seek(SeekFrom::End(0))?;
    let Some(end) = len.checked_sub(TAIL as u64).filter(|end| *end >= MAGIC.len() as u64) else {
        return Ok(Err(format!("a file of `{len}` bytes")));
    };
    file.seek(SeekFrom::Start(end))?;
    let mut tail = [0; TAIL];
    file.read_exact(&mut tail)?;
    let [n, magic] = [0, 4].map(|at| tail[at..].first_chunk::<4>().copied().unwrap_or_default());
    let n = u64::from(u32::from_le_bytes(n));
    if magic != *MAGIC || n > end - MAGIC.len() as u64 {
        return Ok(Err(format!(
            "a footer of `{n}` bytes in a file of `{len}`, or no Parquet file"
        )));
    }
    file.seek(SeekFrom::Start(end - n))?;
    let mut bytes = Vec::new();
    file.take(n).read_to_end(&mut bytes)?;
    Ok(decode(&bytes))
}

/// Decodes a footer.
pub(crate) fn decode(bytes: &[u8]) -> Result<ParquetMetaData, String> {
    if !is_sound(bytes) {
        return Err("a structure that cannot be, or larger than the footer".to_owned());
    }
    ParquetMetaDataReader::decode_metadata(bytes).map_err(|error| error.to_string())
}

/// Declares the order of every column to be that of its type, in a file's end as it was just
/// written: footer, length and magic. `None` if it is not one.
///
/// The writer declares `IEEE754TotalOrder` for columns of floating-point numbers. Readers that are
/// older than it refuse the whole footer, even where no column has statistics that it is about.
/// Ours have none.
pub(crate) fn order_by_type(end: &mut [u8]) -> Option<()> {
    let tail = end.len().checked_sub(TAIL)?;
    let n = u32::from_le_bytes(*end[tail..].first_chunk()?);
    let start = tail.checked_sub(usize::try_from(n).ok()?)?;
    let mut orders = Vec::new();
    let mut from = Reader::new(&end[start..tail]);
    from.structure(|from, field| {
        if field.id != COLUMN_ORDERS {
            return from.skip(field);
        }
        for _ in 0..from.struct_list(field)? {
            orders.push(start + from.position());
            from.structure(Reader::skip)?;
        }
        Some(())
    })?;
    orders.into_iter().for_each(|at| end[at] = TYPE_ORDER);
    Some(())
}

/// Whether every list fits into the footer and the schema is a tree of its own elements.
fn is_sound(bytes: &[u8]) -> bool {
    let mut from = Reader::new(bytes);
    let read = from.structure(|from, field| match field.id {
        SCHEMA => schema(from, field),
        _ => from.skip(field),
    });
    read.is_some()
}

/// Passes over the list of schema elements: each group is followed by its children.
fn schema(from: &mut Reader<'_>, field: Field) -> Option<()> {
    let n = from.struct_list(field)?;
    // Children still to come of every open group.
    let mut open: Vec<usize> = Vec::new();
    for at in 0..n {
        let mut children = 0;
        from.structure(|from, field| {
            match field.id {
                NUM_CHILDREN => children = usize::try_from(from.i32_field(field)?).ok()?,
                _ => from.skip(field)?,
            }
            Some(())
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > n - at - 1 || open.len() >= MAX_GROUPS {
            return None;
        }
        open.push(children);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FileMetaData` of version 1 with this schema list and no rows.
    fn footer(elements: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
        let n = u8::try_from(elements.len()).unwrap();
        let mut bytes = vec![0x15, 0x02, 0x19, 0xfc, n];
        bytes.extend(elements.concat());
        bytes.extend([0x16, 0x00]);
        bytes.extend(rest);
        bytes.push(0);
        bytes
    }

    /// A group of one name with these children (zigzag, at most two bytes' worth or the most).
    fn group(children: &[u8]) -> Vec<u8> {
        [&[0x35, 0x00, 0x18, 0x01, b'm', 0x15], children, &[0]].concat()
    }

    fn leaf() -> Vec<u8> {
        vec![0x15, 0x02, 0x25, 0x00, 0x18, 0x01, b'a', 0x00]
    }

    /// 2^31 - 1 as a list length, and as a zigzag number.
    const MANY: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x07];
    const MANY_SIGNED: [u8; 5] = [0xfe, 0xff, 0xff, 0xff, 0x0f];

    #[test]
    fn sizes_that_cannot_be_never_reach_the_decoder() {
        let none = [0x19, 0x0c];
        assert!(is_sound(&footer(&[group(&[0x02]), leaf()], &none)));
        assert!(decode(&footer(&[group(&[0x02]), leaf()], &none)).is_ok());
        let row_groups = [&[0x19, 0xfc][..], &MANY].concat();
        let pairs = [&[0x29, 0xfc][..], &MANY].concat();
        for footer in [
            footer(&[group(&[0x02]), leaf()], &row_groups),
            footer(&[group(&[0x02]), leaf()], &pairs),
            footer(&[group(&MANY_SIGNED), leaf()], &none),
            // A leaf that is missing.
            footer(&[group(&[0x04]), leaf()], &none),
            // Every group holds the next one.
            footer(&vec![group(&[0x02]); 120], &none),
            [&[0x15, 0x02, 0x19, 0xfc][..], &MANY].concat(),
            Vec::new(),
        ] {
            assert!(!is_sound(&footer), "{footer:x?}");
            assert!(decode(&footer).is_err());
        }
    }

    #[test]
    fn the_order_of_all_columns_becomes_that_of_their_types() {
        // Field 7 after field 3: a list of two structs, of field 2 and field 1.
        let orders = |first: u8| [0x49, 0x2c, first, 0, 0, 0x1c, 0, 0];
        let end = |orders: [u8; 8]| {
            let footer = footer(&[group(&[0x02]), leaf()], &orders);
            let len = u32::try_from(footer.len()).unwrap().to_le_bytes();
            [b"index", &footer[..], &len, MAGIC].concat()
        };
        let mut found = end(orders(0x2c));
        assert_eq!(order_by_type(&mut found), Some(()));
        assert_eq!(found, end(orders(0x1c)));
        for cut in [6, 9, found.len() - 8, found.len() - 3] {
            assert_eq!(order_by_type(&mut found[cut..].to_vec()), None, "cut at {cut}");
        }
    }
}
