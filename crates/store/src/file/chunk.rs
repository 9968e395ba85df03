//! One column of one row group: where its pages lie and what they hold.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    decode::DataPage,
    page::{PLAIN, PageHeader, PageKind, PageSlot, RLE_DICTIONARY, decode_offset_index},
};

/// Longest page accepted, uncompressed: 65,536 rows of 8 bytes with room for the levels.
const MAX_PAGE_BYTES: u32 = 1 << 20;
/// Longest dictionary accepted, uncompressed.
const MAX_DICTIONARY_BYTES: u32 = 16 << 20;

/// What is wrong at some place of a chunk.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Makes a [`Flaw`].
pub(crate) fn flaw(expected: impl Into<String>, found: impl Into<String>) -> Flaw {
    Flaw { expected: expected.into(), found: found.into() }
}

/// Place of a column chunk. Its page table and dictionary are read on first use and kept.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Bytes of all its pages in the file.
    pub(crate) span: Range<usize>,
    /// Bytes of its offset index in the file.
    pub(crate) index: Range<usize>,
    /// Offset of its dictionary page.
    pub(crate) dictionary_at: Option<usize>,
    pub(crate) is_zstd: bool,
    pages: OnceLock<Box<[PageSlot]>>,
    dictionary: OnceLock<Dictionary>,
}

/// The values of a dictionary page: in the map, or inflated from it.
#[derive(Debug)]
enum Dictionary {
    Mapped(Range<usize>),
    Inflated(Vec<u8>),
}

/// Rows of the row group a chunk belongs to, and of its pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) group_rows: u64,
    pub(crate) page_rows: u64,
}

impl Shape {
    /// Rows of page `page`.
    fn rows_of(self, page: u64) -> u64 {
        self.page_rows.min(self.group_rows.saturating_sub(page * self.page_rows))
    }
}

impl Chunk {
    pub(crate) fn new(
        span: Range<usize>,
        index: Range<usize>,
        dictionary_at: Option<usize>,
        is_zstd: bool,
    ) -> Self {
        let (pages, dictionary) = (OnceLock::new(), OnceLock::new());
        Self { span, index, dictionary_at, is_zstd, pages, dictionary }
    }

    /// The page table; read from the offset index on first use.
    fn pages(&self, map: &[u8], shape: Shape) -> Result<&[PageSlot], Flaw> {
        if let Some(pages) = self.pages.get() {
            return Ok(pages);
        }
        let bytes = map.get(self.index.clone()).unwrap_or_default();
        let slots = decode_offset_index(bytes)
            .ok_or_else(|| flaw("an offset index", "bytes that are none"))?;
        let n_pages = shape.group_rows.div_ceil(shape.page_rows);
        if slots.len() as u64 != n_pages {
            return Err(flaw(format!("`{n_pages}` pages"), format!("`{}`", slots.len())));
        }
        // Pages follow each other without a gap to the end of the chunk, so that a wrong offset
        // cannot pass for another page.
        let has_dictionary = self.dictionary_at.is_some();
        let first = slots.first().map_or(0, |slot| slot.offset);
        let is_first = if has_dictionary { u64::gt } else { u64::eq };
        if !is_first(&first, &(self.span.start as u64)) {
            let expected = format!("the first page after byte `{}`", self.span.start);
            return Err(flaw(expected, format!("byte `{first}`")));
        }
        let mut next = (first, 0);
        for slot in &slots {
            if (slot.offset, slot.first_row) != next {
                let expected = format!("a page at byte `{}` from row `{}`", next.0, next.1);
                let found = format!("byte `{}`, row `{}`", slot.offset, slot.first_row);
                return Err(flaw(expected, found));
            }
            next = (slot.offset + u64::from(slot.len), slot.first_row + shape.page_rows);
        }
        if next.0 != self.span.end as u64 {
            let expected = format!("pages up to byte `{}`", self.span.end);
            return Err(flaw(expected, format!("`{}`", next.0)));
        }
        Ok(self.pages.get_or_init(|| slots.into_boxed_slice()))
    }

    /// The dictionary's plain values; empty without one.
    fn dictionary<'a>(
        &'a self,
        map: &'a [u8],
        first_data: usize,
        inflater: &mut Inflater,
    ) -> Result<&'a [u8], Flaw> {
        let Some(at) = self.dictionary_at else { return Ok(&[]) };
        if self.dictionary.get().is_none() {
            let bytes = map.get(at..first_data).unwrap_or_default();
            let (header, body) = checked_page(bytes)?;
            let PageKind::Dictionary { .. } = header.kind else {
                return Err(flaw("a dictionary page", "a data page"));
            };
            let dictionary = if self.is_zstd {
                check_size(header.uncompressed, MAX_DICTIONARY_BYTES)?;
                let mut values = Vec::new();
                inflater.inflate(body, header.uncompressed as usize, &mut values)?;
                Dictionary::Inflated(values)
            } else if header.uncompressed != header.compressed {
                return Err(flaw("an uncompressed dictionary", "a compressed one"));
            } else {
                let start = at + (bytes.len() - body.len());
                Dictionary::Mapped(start..start + body.len())
            };
            self.dictionary.get_or_init(|| dictionary);
        }
        match self.dictionary.get() {
            Some(Dictionary::Mapped(range)) => Ok(map.get(range.clone()).unwrap_or_default()),
            Some(Dictionary::Inflated(values)) => Ok(values),
            None => Ok(&[]),
        }
    }

    /// Hands page `page` to `with`, checked against its CRC-32 and ready to decode.
    pub(crate) fn with_page(
        &self,
        map: &[u8],
        shape: Shape,
        page: u64,
        inflater: &mut Inflater,
        bytes_read: &AtomicU64,
        with: impl FnOnce(&DataPage<'_>) -> Result<(), &'static str>,
    ) -> Result<(), Flaw> {
        let pages = self.pages(map, shape)?;
        let slot = usize::try_from(page).ok().and_then(|page| pages.get(page));
        let slot = slot.ok_or_else(|| flaw("a page table", "one that is too short"))?;
        let as_index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let first_data = as_index(pages[0].offset);
        let start = as_index(slot.offset);
        let bytes = map.get(start..start.saturating_add(slot.len as usize)).unwrap_or_default();
        bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let (header, body) = checked_page(bytes)?;
        let PageKind::Data { n_values, n_nulls, encoding, def_len, is_compressed } = header.kind
        else {
            return Err(flaw("a data page", "a dictionary page"));
        };
        let n_rows = shape.rows_of(page);
        if u64::from(n_values) != n_rows {
            return Err(flaw(format!("a page of `{n_rows}` rows"), format!("`{n_values}`")));
        }
        if is_compressed && !self.is_zstd {
            return Err(flaw("an uncompressed page", "a compressed one"));
        }
        // One encoding a column: a page header, which no CRC-32 covers, has no say in it.
        let expected = if self.dictionary_at.is_some() { RLE_DICTIONARY } else { PLAIN };
        if encoding != expected {
            return Err(flaw(format!("encoding `{expected}`"), format!("`{encoding}`")));
        }
        let (levels, values) = body
            .split_at_checked(def_len as usize)
            .ok_or_else(|| flaw("definition levels inside the page", "a longer length"))?;
        let dictionary = self.dictionary(map, first_data, inflater)?;
        let mut scratch = std::mem::take(&mut inflater.page);
        let values = if self.is_zstd && is_compressed {
            check_size(header.uncompressed, MAX_PAGE_BYTES)?;
            let n = header.uncompressed.saturating_sub(def_len) as usize;
            inflater.inflate(values, n, &mut scratch)?;
            scratch.as_slice()
        } else {
            values
        };
        let (n_values, n_nulls) = (n_values as usize, n_nulls as usize);
        let page = DataPage { n_values, n_nulls, encoding, levels, values, dictionary };
        let decoded = with(&page);
        inflater.page = scratch;
        decoded.map_err(|found| flaw("values as the page header announces", found))
    }
}

/// Splits a page into header and body; the body must have the header's length and CRC-32.
fn checked_page(bytes: &[u8]) -> Result<(PageHeader, &[u8]), Flaw> {
    let (header, header_len) =
        PageHeader::decode(bytes).ok_or_else(|| flaw("a page header", "bytes that are none"))?;
    let body = &bytes[header_len..];
    if body.len() != header.compressed as usize {
        let expected = format!("a page of `{}` bytes", header.compressed);
        return Err(flaw(expected, format!("`{}`", body.len())));
    }
    let crc = crc32fast::hash(body);
    if crc != header.crc {
        return Err(flaw(format!("CRC-32 `{:08x}`", header.crc), format!("`{crc:08x}`")));
    }
    Ok((header, body))
}

fn check_size(found: u32, limit: u32) -> Result<(), Flaw> {
    match found > limit {
        true => Err(flaw(format!("a page of at most `{limit}` bytes"), format!("`{found}`"))),
        false => Ok(()),
    }
}

/// Decompresses pages; one a thread.
#[derive(Default)]
pub(crate) struct Inflater {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    page: Vec<u8>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl Inflater {
    /// Inflates `from` into `to`, which then has exactly `n` bytes.
    fn inflate(&mut self, from: &[u8], n: usize, to: &mut Vec<u8>) -> Result<(), Flaw> {
        let bad = |found: String| flaw(format!("`{n}` bytes of zstd data"), found);
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => {
                let made = zstd::bulk::Decompressor::new().map_err(|e| bad(e.to_string()))?;
                none.insert(made)
            }
        };
        to.clear();
        to.resize(n, 0);
        let found =
            zstd.decompress_to_buffer(from, to.as_mut_slice()).map_err(|e| bad(e.to_string()))?;
        if found == n { Ok(()) } else { Err(bad(format!("`{found}`"))) }
    }
}
