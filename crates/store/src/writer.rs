mod atomic;
mod chunk;
mod file;
mod stage;
mod unfinished;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lob_depth::{Bin, PRICE_SCALE};
use parquet::{
    basic::{Compression as Codec, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion},
    schema::types::{ColumnPath, SchemaDescriptor},
};

pub(crate) use self::{
    atomic::AtomicFile,
    chunk::{ChunkWriter, Values},
    file::ParquetFile,
};
pub use self::{
    atomic::write_file,
    unfinished::{Unfinished, discard_unfinished},
};
use crate::{
    FORMAT_VERSION, LabelKind, NamedLabel, SegmentMeta, StoreError, StoreMeta,
    fs::SharedFs,
    schema::{self, Column},
    writer::stage::Stage,
};

/// End of the name of a file that is still being written.
pub const TEMP_SUFFIX: &str = ".loblab-tmp";

/// Longest page and row group: bounds the memory of writer and readers.
pub(crate) const MAX_PAGE_ROWS: usize = 1 << 16;
const MAX_ROW_GROUP_ROWS: usize = 1 << 20;

/// One row of a store file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBin {
    /// The bin itself.
    pub bin: Bin,
    /// Run of bins without a break; must not decrease from row to row.
    pub segment: u32,
    /// Price movement around the bin's last update, `None` where undefined.
    pub movement: Option<f64>,
    /// Class of the movement.
    pub label: Option<i32>,
    /// The file's other labels, in the order in which the writer was given them.
    pub others: Vec<LabelCell>,
}

/// What a row has of a label besides the movement.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LabelCell {
    /// The value, in the unit of its [`LabelKind`]; `None` where it is undefined. A whole number of at
    /// most 2^53 where the kind counts something.
    pub value: Option<f64>,
    /// Its class, from 0; without one where the label has no classes.
    pub class: Option<i32>,
}

/// How pages are compressed on top of dictionary and run-length encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: rows are decoded straight from the map.
    None,
    /// Zstandard at this level, 1 to 22.
    Zstd(i32),
}

/// Layout of a store file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Rows in a page, 1 to 65,536.
    pub page_rows: usize,
    /// Rows in a row group, up to 1,048,576; rounded up to whole pages. A row group is encoded
    /// in memory: about 300 bytes a row.
    pub row_group_rows: usize,
    /// Compression of all pages.
    pub compression: Compression,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { page_rows: 1024, row_group_rows: 65_536, compression: Compression::None }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Final path.
    pub path: PathBuf,
    /// Bins in the file.
    pub rows: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

/// Writes one store file: rows in order, then [`finish`](Self::finish). Until then only a
/// temporary file exists, which is removed on drop.
pub struct BinWriter {
    path: PathBuf,
    price_step: i64,
    options: WriterOptions,
    labels: Vec<NamedLabel>,
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    file: ParquetFile,
    chunks: Vec<ChunkWriter>,
    stage: Stage,
    rows: u64,
    segments: Vec<SegmentMeta>,
}

impl std::fmt::Debug for BinWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BinWriter")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl BinWriter {
    /// Starts a file that will appear at `path`; missing folders are made. `price_step` is the
    /// scale of the bins' prices in units of 1e-9. Rows have one label, the movement.
    ///
    /// # Errors
    /// The folder or the temporary file cannot be made, or an option is out of range.
    pub fn create(
        path: impl AsRef<Path>,
        price_step: i64,
        options: WriterOptions,
    ) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), price_step, options, Vec::new(), AtomicFile::create)
    }

    /// As [`create`](Self::create), in a folder of `fs` that nobody reads: the file is written in
    /// its place, and only its content is synced. The caller moves it to where it shall last. Rows
    /// have these labels besides the movement.
    ///
    /// # Errors
    /// As [`create`](Self::create); there must be no file yet, and no label of kind
    /// [`Reversal`](LabelKind::Reversal), without its edges, or twice.
    pub fn create_staged(
        fs: &SharedFs,
        path: impl AsRef<Path>,
        price_step: i64,
        options: WriterOptions,
        labels: Vec<NamedLabel>,
    ) -> Result<Self, StoreError> {
        let create = |path: &Path| AtomicFile::staged(fs, path);
        Self::open(path.as_ref(), price_step, options, labels, create)
    }

    fn open(
        path: &Path,
        price_step: i64,
        options: WriterOptions,
        labels: Vec<NamedLabel>,
        create: impl FnOnce(&Path) -> Result<AtomicFile, StoreError>,
    ) -> Result<Self, StoreError> {
        let options = check_options(path, price_step, options)?;
        check_labels(path, &labels)?;
        let encode = |source| encode_error(path, source);
        let columns = schema::columns(FORMAT_VERSION, &labels);
        let root = schema::parquet_schema(&columns).map_err(encode)?;
        let properties = Arc::new(properties(options, &columns).map_err(encode)?);
        let file = create(path)?;
        Ok(Self {
            path: path.to_owned(),
            price_step,
            options,
            stage: Stage::new(&columns, options.page_rows),
            labels,
            schema: SchemaDescriptor::new(Arc::clone(&root)),
            file: ParquetFile::new(path, file, root, Arc::clone(&properties))?,
            properties,
            chunks: Vec::new(),
            rows: 0,
            segments: Vec::new(),
        })
    }

    /// Appends one row.
    ///
    /// # Errors
    /// The row contradicts the format (a segment that goes back, a number that does not fit its
    /// column), or the disk refused.
    pub fn push(&mut self, row: &StoredBin) -> Result<(), StoreError> {
        let invalid =
            |reason| StoreError::Invalid { path: self.path.clone(), row: self.rows, reason };
        match self.segments.last_mut() {
            Some(last) if last.segment == row.segment => {
                last.rows += 1;
                last.ts_last = row.bin.ts_event_last;
            }
            Some(last) if last.segment > row.segment => {
                let (to, from) = (row.segment, last.segment);
                return Err(invalid(format!("segment goes back from `{from}` to `{to}`")));
            }
            _ => self.segments.push(SegmentMeta {
                segment: row.segment,
                first_row: self.rows,
                rows: 1,
                ts_first: row.bin.ts_event_last,
                ts_last: row.bin.ts_event_last,
            }),
        }
        self.stage.push(row, self.price_step, &self.labels).map_err(invalid)?;
        self.rows += 1;
        if self.stage.rows() == self.options.page_rows {
            self.write_page()?;
            if self.rows.is_multiple_of(self.options.row_group_rows as u64) {
                self.write_row_group()?;
            }
        }
        Ok(())
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn write_page(&mut self) -> Result<(), StoreError> {
        if self.chunks.is_empty() {
            let columns = self.schema.columns().iter();
            self.chunks = columns
                .map(|column| ChunkWriter::new(Arc::clone(column), Arc::clone(&self.properties)))
                .collect();
        }
        for (chunk, column) in self.chunks.iter_mut().zip(self.stage.columns()) {
            let written = chunk.write_page(&column.values, column.levels.as_deref());
            written.map_err(|source| encode_error(&self.path, source))?;
        }
        self.stage.clear();
        Ok(())
    }

    fn write_row_group(&mut self) -> Result<(), StoreError> {
        let chunks = std::mem::take(&mut self.chunks);
        let write = || {
            let mut group = self.file.next_row_group()?;
            for chunk in chunks {
                let (bytes, closed) = chunk.close()?;
                group.append_column(&bytes, closed)?;
            }
            group.close().map(drop)
        };
        write().map_err(|source| encode_error(&self.path, source))
    }

    /// Writes the footer, syncs, and moves the file to its final path. `meta.segments`, `meta.labels`
    /// and `meta.format_version` are filled here.
    ///
    /// # Errors
    /// `meta.price_step` differs from the one given at creation, or the disk refused.
    pub fn finish(mut self, mut meta: StoreMeta) -> Result<FileSummary, StoreError> {
        if meta.price_step != self.price_step {
            let (given, created) = (meta.price_step, self.price_step);
            let reason = format!("price step `{given}` in the metadata, created with `{created}`");
            return Err(StoreError::Invalid { path: self.path, row: self.rows, reason });
        }
        meta.format_version = FORMAT_VERSION;
        meta.segments = std::mem::take(&mut self.segments);
        meta.labels = vec![NamedLabel::reversal(&meta.label)];
        meta.labels.append(&mut self.labels);
        if self.stage.rows() > 0 {
            self.write_page()?;
        }
        if !self.chunks.is_empty() {
            self.write_row_group()?;
        }
        for (key, value) in footer_entries(&meta, self.options).map_err(|source| {
            StoreError::Encode { path: self.path.clone(), source: source.into() }
        })? {
            self.file.describe(key, value);
        }
        let (bytes, sha256) = self.file.finish()?;
        Ok(FileSummary { path: self.path, rows: self.rows, bytes, sha256 })
    }
}

/// Key of the metadata, and of the CRC-32 over its JSON text.
pub(crate) const META_KEY: &str = "loblab:meta";
pub(crate) const META_CRC_KEY: &str = "loblab:meta_crc32";
pub(crate) const PAGE_ROWS_KEY: &str = "loblab:page_rows";

fn footer_entries(
    meta: &StoreMeta,
    options: WriterOptions,
) -> Result<[(&'static str, String); 5], serde_json::Error> {
    let json = serde_json::to_string(meta)?;
    Ok([
        (META_CRC_KEY, crc32fast::hash(json.as_bytes()).to_string()),
        (META_KEY, json),
        (PAGE_ROWS_KEY, options.page_rows.to_string()),
        ("price_step", decimal(meta.price_step)),
        ("schema_version", meta.format_version.to_string()),
    ])
}

/// A positive number of 1e-9 as a decimal without idle zeros, for people.
fn decimal(price: i64) -> String {
    let text = format!("{}.{:09}", price / PRICE_SCALE, price % PRICE_SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn encode_error(path: &Path, source: parquet::errors::ParquetError) -> StoreError {
    StoreError::Encode { path: path.to_owned(), source: Box::new(source) }
}

fn check_options(
    path: &Path,
    price_step: i64,
    mut options: WriterOptions,
) -> Result<WriterOptions, StoreError> {
    let invalid = |reason| Err(StoreError::Invalid { path: path.to_owned(), row: 0, reason });
    if price_step <= 0 {
        return invalid(format!("price step `{price_step}`, expected more than 0"));
    }
    if !(1..=MAX_PAGE_ROWS).contains(&options.page_rows) {
        let rows = options.page_rows;
        return invalid(format!("page of `{rows}` rows, expected 1 to {MAX_PAGE_ROWS}"));
    }
    if !(1..=MAX_ROW_GROUP_ROWS).contains(&options.row_group_rows) {
        let rows = options.row_group_rows;
        return invalid(format!("row group of `{rows}` rows, expected 1 to {MAX_ROW_GROUP_ROWS}"));
    }
    options.row_group_rows = options.row_group_rows.next_multiple_of(options.page_rows);
    Ok(options)
}

/// Labels besides the movement: each of a name that no column has, with the edges of its classes.
fn check_labels(path: &Path, labels: &[NamedLabel]) -> Result<(), StoreError> {
    let invalid = |reason| Err(StoreError::Invalid { path: path.to_owned(), row: 0, reason });
    for label in labels {
        if label.kind == LabelKind::Reversal {
            return invalid(format!("label `{}` is of kind {}", label.name, label.kind));
        }
        if let Some(odd) = label.odd_edges() {
            return invalid(format!("label `{}` of {odd}", label.name));
        }
    }
    let columns = schema::columns(FORMAT_VERSION, labels);
    let mut names: Vec<_> = columns.iter().map(|column| &column.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return invalid(format!("two columns named `{}`", twice[0]));
    }
    Ok(())
}

fn properties(
    options: WriterOptions,
    columns: &[Column],
) -> Result<WriterProperties, parquet::errors::ParquetError> {
    let codec = match options.compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level)?),
    };
    // Readers rely on two things. Pages are cut by rows alone, at the same rows in all columns;
    // and a dictionary always has room for its row group, so that a column has one encoding.
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(format!("loblab version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(codec)
        .set_encoding(Encoding::PLAIN)
        .set_data_page_row_count_limit(options.page_rows)
        .set_write_batch_size(options.page_rows)
        .set_data_page_size_limit(usize::MAX)
        .set_dictionary_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in columns {
        let path = ColumnPath::from(column.name.as_str());
        builder = builder.set_column_dictionary_enabled(path, column.dictionary);
    }
    // Other readers skip row groups and pages by these; the levels are never filtered on.
    for name in ["segment", "ts_event_first", "ts_event", "ts_recv", "update_idx"] {
        let path = ColumnPath::from(name);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn price_steps_read_as_decimals() {
        let check = |price, expected: &str| assert_eq!(decimal(price), expected);
        check(250_000_000, "0.25");
        check(1, "0.000000001");
        check(10_000_000_000, "10");
        check(1_500_000_000, "1.5");
    }
}
