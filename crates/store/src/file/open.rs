//! Checking that a file is one of ours before anything in it is believed.

use std::{collections::BTreeSet, fs::File, ops::Range, path::Path};

use memmap2::Mmap;
use parquet::{
    basic::{Compression as Codec, Repetition},
    file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData},
    schema::types::ColumnDescriptor,
};
use serde::Deserialize;

use super::{BinFile, chunk::Chunk, stamp::Stamp};
use crate::{
    FORMAT_VERSION, LabelKind, NamedLabel, StoreError, StoreMeta,
    footer::{self, MAGIC, TAIL},
    schema::{self, Column},
    writer::{MAX_PAGE_ROWS, META_CRC_KEY, META_KEY, PAGE_ROWS_KEY},
};

/// A page has a header of more fields than this, and four bytes in the page table.
const MIN_PAGE_BYTES: u64 = 16;

/// Maps a file that may be Parquet, and says what it is told apart by.
pub(crate) fn mapped(path: &Path) -> Result<(Mmap, Stamp), StoreError> {
    let io = |action| move |source| StoreError::Io { path: path.to_owned(), action, source };
    let file = File::open(path).map_err(io("open"))?;
    let stamp = Stamp::of(path).map_err(io("read the size of"))?;
    if stamp.len < (MAGIC.len() + TAIL) as u64 {
        return Err(not_parquet(path, "at least 12 bytes", format!("`{}`", stamp.len)));
    }
    // SAFETY: the map is read-only and lives as long as its owner, who hands out no slice of
    // it. Should another process shrink the file meanwhile, the kernel signals instead of
    // giving other memory; the length and time checked before each read make that a race.
    let map = unsafe { Mmap::map(&file) }.map_err(io("map"))?;
    Ok((map, stamp))
}

pub(super) fn open(path: &Path) -> Result<BinFile, StoreError> {
    let (map, stamp) = mapped(path)?;
    let place = footer_place(path, &map)?;
    let parquet = footer::decode(&map[place.clone()])
        .map_err(|found| damaged(path, "footer", "Parquet metadata", found))?;
    let entries = Entries(parquet.file_metadata());
    let meta = store_meta(path, &entries)?;
    check_meta(path, &meta)?;
    let columns = schema::columns(meta.format_version, &meta.labels);
    check_schema(path, parquet.file_metadata(), &columns)?;
    let page_rows = entries.number(path, PAGE_ROWS_KEY)?;
    let (rows, group_rows) = check_rows(path, &parquet, page_rows, &meta)?;
    check_size(path, &parquet, page_rows, stamp.len)?;
    let mut chunks = Vec::with_capacity(parquet.num_row_groups() * columns.len());
    for (at, column) in parquet.row_groups().iter().flat_map(|g| g.columns().iter().enumerate()) {
        chunks.push(chunk(path, column, columns[at].dictionary, place.start)?);
    }
    Ok(BinFile {
        path: path.to_owned(),
        map,
        stamp,
        meta,
        rows,
        group_rows,
        page_rows,
        n_columns: columns.len(),
        chunks,
        bytes_read: Default::default(),
    })
}

fn not_parquet(path: &Path, expected: &'static str, found: String) -> StoreError {
    StoreError::NotParquet { path: path.to_owned(), expected, found }
}

pub(crate) fn damaged(
    path: &Path,
    what: &str,
    expected: impl Into<String>,
    found: String,
) -> StoreError {
    let (path, what, expected) = (path.to_owned(), what.to_owned(), expected.into());
    StoreError::Damaged { path, what, expected, found }
}

/// Where the footer lies.
pub(crate) fn footer_place(path: &Path, map: &[u8]) -> Result<Range<usize>, StoreError> {
    let quote = |bytes: &[u8]| format!("`{}`", bytes.escape_ascii());
    if !map.starts_with(MAGIC) {
        return Err(not_parquet(path, "`PAR1` at the start", quote(&map[..MAGIC.len()])));
    }
    let (rest, magic) = map.split_at(map.len() - MAGIC.len());
    if magic != MAGIC {
        let found = quote(magic);
        return Err(damaged(path, "end of the file (cut short?)", "`PAR1`", found));
    }
    let (rest, len) = rest.split_at(rest.len() - (TAIL - MAGIC.len()));
    let len = len.first_chunk().map_or(0, |len| u32::from_le_bytes(*len)) as usize;
    let start = rest.len().checked_sub(len).filter(|&start| start >= MAGIC.len());
    let start = start.ok_or_else(|| {
        let found = format!("`{}` bytes", map.len());
        damaged(path, "footer", format!("a file longer than its footer of `{len}` bytes"), found)
    })?;
    Ok(start..rest.len())
}

/// The key-value entries of the footer.
pub(crate) struct Entries<'a>(pub(crate) &'a FileMetaData);

impl Entries<'_> {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let entries = self.0.key_value_metadata()?;
        entries.iter().find(|entry| entry.key == key)?.value.as_deref()
    }

    pub(crate) fn number(&self, path: &Path, key: &str) -> Result<u64, StoreError> {
        let text = self.get(key).unwrap_or("nothing");
        let number = text.parse().ok().filter(|&number| number > 0);
        let wrong = || damaged(path, key, "a number above 0", format!("`{text}`"));
        number.ok_or_else(wrong)
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

fn store_meta(path: &Path, entries: &Entries<'_>) -> Result<StoreMeta, StoreError> {
    let Some(json) = entries.get(META_KEY) else {
        let creator = entries.0.created_by().unwrap_or("an unnamed program");
        let found = format!("written by `{creator}`, without a `{META_KEY}` entry in its footer");
        return Err(StoreError::Foreign { path: path.to_owned(), found });
    };
    let bad = |source: serde_json::Error| {
        damaged(path, META_KEY, "the description of a store", source.to_string())
    };
    let found = crc32fast::hash(json.as_bytes());
    // The version goes first: a newer one may describe and check itself in another way.
    if let Ok(VersionOnly { format_version }) = serde_json::from_str(json)
        && !(1..=FORMAT_VERSION).contains(&format_version)
    {
        let (path, supported) = (path.to_owned(), FORMAT_VERSION);
        return Err(StoreError::Version { path, found: format_version, supported });
    }
    if entries.get(META_CRC_KEY) != Some(found.to_string().as_str()) {
        let expected = entries.get(META_CRC_KEY).unwrap_or("a number");
        let expected = format!("CRC-32 `{expected}`");
        return Err(damaged(path, META_KEY, expected, format!("`{found}`")));
    }
    let meta: StoreMeta = serde_json::from_str(json).map_err(bad)?;
    Ok(if meta.format_version == 1 { meta.of_version_1() } else { meta.with_names() })
}

/// What a checksum does not say: that the description makes sense. Readers divide by the price step
/// and make room for the classes.
fn check_meta(path: &Path, meta: &StoreMeta) -> Result<(), StoreError> {
    let refuse = |what: &str, expected: &str, found: String| {
        Err(damaged(path, &format!("{META_KEY}, {what}"), expected, format!("`{found}`")))
    };
    if meta.price_step <= 0 {
        return refuse("price_step", "more than 0", meta.price_step.to_string());
    }
    if !is_day(&meta.day) {
        return refuse("day", "a day such as `2024-01-31`", meta.day.escape_debug().to_string());
    }
    let names = meta.labels.iter().map(|label| label.name.as_str());
    if meta.labels.first() != Some(&NamedLabel::reversal(&meta.label))
        || meta.labels[1..].iter().any(|label| label.kind == LabelKind::Reversal)
        || names.clone().collect::<BTreeSet<_>>().len() != meta.labels.len()
    {
        let expected = "the label of `label` first, and others of other kinds and names";
        return refuse("labels", expected, names.collect::<Vec<_>>().join("`, `"));
    }
    for label in &meta.labels {
        if let Some(odd) = label.odd_edges() {
            let what = format!("label `{}`", label.name);
            let expected = "ascending numbers as edges, one less than there are classes";
            return refuse(&what, expected, odd.replace('`', ""));
        }
    }
    Ok(())
}

/// Whether this is a date as partitions bear it, `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    let number = |at: Range<usize>| -> Option<u32> {
        let digits = text.get(at)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separators = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    separators
        && number(0..4).is_some()
        && number(5..7).is_some_and(|month| (1..=12).contains(&month))
        && number(8..10).is_some_and(|day| (1..=31).contains(&day))
}

pub(crate) fn check_schema(
    path: &Path,
    parquet: &FileMetaData,
    expected: &[Column],
) -> Result<(), StoreError> {
    let found = parquet.schema_descr();
    if found.num_columns() != expected.len() {
        let (n, m) = (expected.len(), found.num_columns());
        return Err(damaged(path, "schema", format!("`{n}` columns"), format!("`{m}`")));
    }
    for (expected, found) in expected.iter().zip(found.columns()) {
        let describe = |name: &str, physical, nullable| {
            format!("`{name}` ({physical}{})", if nullable { ", nullable" } else { "" })
        };
        let is_nullable = |column: &ColumnDescriptor| {
            column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL
        };
        let expected = describe(&expected.name, expected.physical, expected.nullable);
        let found = describe(&found.path().string(), found.physical_type(), is_nullable(found));
        if expected != found {
            return Err(damaged(path, "schema", format!("column {expected}"), found));
        }
    }
    Ok(())
}

/// Rows of the file and of each row group but the last.
fn check_rows(
    path: &Path,
    parquet: &ParquetMetaData,
    page_rows: u64,
    meta: &StoreMeta,
) -> Result<(u64, u64), StoreError> {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let groups: Vec<u64> = parquet.row_groups().iter().map(|g| count(g.num_rows())).collect();
    let rows = groups.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n)).unwrap_or(0);
    let group_rows = groups.first().copied().unwrap_or(1).max(1);
    let (last, others) = groups.split_last().map_or((0, [].as_slice()), |(l, o)| (*l, o));
    let is_even = others.iter().all(|&n| n == group_rows && n.is_multiple_of(page_rows));
    if !is_even || last > group_rows || (last == 0 && !groups.is_empty()) {
        let expected = format!("whole pages of `{page_rows}` rows");
        return Err(damaged(path, "row groups", expected, format!("`{groups:?}` rows")));
    }
    if count(parquet.file_metadata().num_rows()) != rows {
        let found = parquet.file_metadata().num_rows();
        return Err(damaged(path, "footer", format!("`{rows}` rows"), format!("`{found}`")));
    }
    let mut next = 0;
    for run in &meta.segments {
        if run.first_row != next || run.rows == 0 {
            let found = format!("row `{}`", run.first_row);
            return Err(damaged(path, "segments", format!("a run from row `{next}`"), found));
        }
        next = next.saturating_add(run.rows);
    }
    if next != rows {
        return Err(damaged(path, "segments", format!("`{rows}` rows"), format!("`{next}`")));
    }
    Ok((rows, group_rows))
}

/// Rows are believed as far as the file can hold them: readers make room for all that are announced.
fn check_size(
    path: &Path,
    parquet: &ParquetMetaData,
    page_rows: u64,
    len: u64,
) -> Result<(), StoreError> {
    if page_rows > MAX_PAGE_ROWS as u64 {
        let expected = format!("at most `{MAX_PAGE_ROWS}`");
        return Err(damaged(path, PAGE_ROWS_KEY, expected, format!("`{page_rows}`")));
    }
    let least = |group: &RowGroupMetaData| {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        // Column `update_idx` has eight bytes for every row, whatever they are.
        let column = &group.columns()[schema::UPDATE_IDX];
        let plain = if column.compression() == Codec::UNCOMPRESSED { rows } else { 0 };
        let pages = rows.div_ceil(page_rows).saturating_mul(group.columns().len() as u64);
        pages.saturating_mul(MIN_PAGE_BYTES).max(plain.saturating_mul(8))
    };
    let bytes = parquet.row_groups().iter().fold(0, |sum: u64, g| sum.saturating_add(least(g)));
    if bytes > len {
        let expected = format!("a file of at least `{bytes}` bytes for its rows");
        return Err(damaged(path, "row groups", expected, format!("`{len}`")));
    }
    Ok(())
}

/// Where a column chunk lies: all of it before the footer.
pub(crate) fn chunk(
    path: &Path,
    column: &ColumnChunkMetaData,
    has_dictionary: bool,
    footer_start: usize,
) -> Result<Chunk, StoreError> {
    let span = |start: Option<i64>, len: Option<i64>| {
        let start = usize::try_from(start?).ok()?;
        let end = start.checked_add(usize::try_from(len?).ok()?)?;
        (start >= MAGIC.len() && end <= footer_start).then_some(start..end)
    };
    let dictionary = column.dictionary_page_offset();
    let start = dictionary.unwrap_or_else(|| column.data_page_offset());
    let pages = span(Some(start), Some(column.compressed_size()));
    let index = span(column.offset_index_offset(), column.offset_index_length().map(i64::from));
    let name = column.column_path().string();
    let is_zstd = match column.compression() {
        Codec::UNCOMPRESSED => false,
        Codec::ZSTD(_) => true,
        other => {
            let expected = "no compression or zstd";
            return Err(damaged(path, &format!("column `{name}`"), expected, format!("`{other}`")));
        }
    };
    let (Some(pages), Some(index)) = (pages, index) else {
        let expected = "pages and an offset index before the footer";
        let found = format!("byte `{start}`, index {:?}", column.offset_index_offset());
        return Err(damaged(path, &format!("column `{name}`"), expected, found));
    };
    if dictionary.is_some() != has_dictionary {
        let expected = if has_dictionary { "a dictionary" } else { "no dictionary" };
        return Err(damaged(
            path,
            &format!("column `{name}`"),
            expected,
            format!("{dictionary:?}"),
        ));
    }
    let dictionary_at = dictionary.is_some().then_some(pages.start);
    Ok(Chunk::new(pages, index, dictionary_at, is_zstd))
}
