use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
};

use memmap2::Mmap;
use parquet::file::metadata::RowGroupMetaData;
use serde::Deserialize;

use super::{TRUTH_FORMAT_VERSION, TRUTH_KEY, Truth, TruthKey, TruthMeta, columns};
use crate::{
    NamedLabel, StoreError,
    decode::{Buffers, Value, decode},
    file::{
        chunk::{Chunk, Inflater, Shape, flaw},
        open::{Entries, check_schema, chunk, damaged, footer_place, mapped},
        stamp::Stamp,
    },
    footer,
    table::ROW_GROUP_ROWS,
    writer::{MAX_PAGE_ROWS, PAGE_ROWS_KEY},
};

/// Row groups of decoded rows that a reader keeps: 9 MiB.
const CACHED_GROUPS: usize = 4;

const INSTRUMENT: usize = 0;
const TS_EVENT: usize = 2;
const TS_RECV: usize = 3;
const SEQUENCE: usize = 4;
const REGIME: usize = 5;
const PRESSURE: usize = 6;

/// A truth file, mapped into memory. Cheap to share behind an `Arc`; each thread has a
/// [`reader`](Self::reader) of its own.
pub struct TruthFile {
    path: PathBuf,
    map: Mmap,
    stamp: Stamp,
    page_rows: u64,
    groups: Vec<Group>,
}

/// A row group: its rows, where its columns lie, and the capture time of its first row.
struct Group {
    rows: u64,
    chunks: Vec<Chunk>,
    first_ts: u64,
}

impl fmt::Debug for TruthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TruthFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The part of [`TruthMeta`] that every version has.
#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl TruthFile {
    /// Opens a truth file and checks that it is one.
    ///
    /// # Errors
    /// The file cannot be read, is no truth file, is of another version, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let (map, stamp) = mapped(path)?;
        let place = footer_place(path, &map)?;
        let parquet = footer::decode(&map[place.clone()])
            .map_err(|found| damaged(path, "footer", "Parquet metadata", found))?;
        let entries = Entries(parquet.file_metadata());
        check_meta(path, &entries)?;
        let columns = columns();
        check_schema(path, parquet.file_metadata(), &columns)?;
        let page_rows = entries.number(path, PAGE_ROWS_KEY)?;
        if page_rows > MAX_PAGE_ROWS as u64 {
            let expected = format!("at most `{MAX_PAGE_ROWS}`");
            return Err(damaged(path, PAGE_ROWS_KEY, expected, format!("`{page_rows}`")));
        }
        let mut file = Self { path: path.to_owned(), map, stamp, page_rows, groups: Vec::new() };
        let mut inflater = Inflater::default();
        for group in parquet.row_groups() {
            let mut group = Group { rows: rows_of(path, group)?, chunks: Vec::new(), first_ts: 0 }
                .with_chunks(path, group, place.start)?;
            let first = file.page(&group, TS_RECV, 0, &mut inflater, i64::cast_unsigned)?;
            group.first_ts = first.first().copied().unwrap_or_default();
            if file.groups.last().is_some_and(|before| before.first_ts > group.first_ts) {
                return Err(file.unsorted());
            }
            file.groups.push(group);
        }
        Ok(file)
    }

    /// Path as opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows: of records of the market.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.groups.iter().map(|group| group.rows).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds rows by their keys.
    #[must_use]
    pub fn reader(&self) -> TruthReader<'_> {
        TruthReader { file: self, cached: VecDeque::new(), inflater: Inflater::default() }
    }

    fn unsorted(&self) -> StoreError {
        let found = "a time that goes back".to_owned();
        damaged(&self.path, "column `ts_recv`", "times in ascending order", found)
    }

    /// The values of one page of a column, each changed by `of`; none may be missing.
    fn page<T: Value, U>(
        &self,
        group: &Group,
        column: usize,
        page: u64,
        inflater: &mut Inflater,
        of: impl Fn(T) -> U,
    ) -> Result<Vec<U>, StoreError> {
        let n = self.page_rows.min(group.rows - page * self.page_rows);
        let n = usize::try_from(n).unwrap_or(0);
        let shape = Shape { group_rows: group.rows, page_rows: self.page_rows };
        let (mut values, mut buffers) = (Vec::with_capacity(n), Buffers::default());
        let read = AtomicU64::new(0);
        let chunk = &group.chunks[column];
        let decoded = chunk.with_page(&self.map, shape, page, inflater, &read, |page| {
            decode(page, true, 0, n, &mut buffers, |_, value| values.extend(value.map(&of)))
        });
        let missing = || flaw("a value in every row", "nulls");
        let decoded = decoded.and_then(|()| (values.len() == n).then_some(()).ok_or_else(missing));
        decoded.map_err(|flaw| {
            let what = format!("column `{}`, page `{page}`", super::COLUMNS[column].0);
            damaged(&self.path, &what, flaw.expected, flaw.found)
        })?;
        Ok(values)
    }

    fn column<T: Value, U>(
        &self,
        group: &Group,
        column: usize,
        inflater: &mut Inflater,
        of: impl Fn(T) -> U,
    ) -> Result<Vec<U>, StoreError> {
        let mut all = Vec::new();
        for page in 0..group.rows.div_ceil(self.page_rows) {
            all.extend(self.page(group, column, page, inflater, &of)?);
        }
        Ok(all)
    }
}

impl Group {
    fn with_chunks(
        mut self,
        path: &Path,
        group: &RowGroupMetaData,
        footer_start: usize,
    ) -> Result<Self, StoreError> {
        for (column, (_, _, has_dictionary)) in group.columns().iter().zip(super::COLUMNS) {
            self.chunks.push(chunk(path, column, has_dictionary, footer_start)?);
        }
        Ok(self)
    }
}

fn check_meta(path: &Path, entries: &Entries<'_>) -> Result<(), StoreError> {
    let refuse = |found: String| StoreError::NotTruth { path: path.to_owned(), found };
    let json = entries.get(TRUTH_KEY);
    let json = json.ok_or_else(|| refuse(format!("its footer has no entry `{TRUTH_KEY}`")))?;
    if let Ok(VersionOnly { version }) = serde_json::from_str(json)
        && version != TRUTH_FORMAT_VERSION
    {
        let found = format!("version `{version}`, this build reads `{TRUTH_FORMAT_VERSION}`");
        return Err(refuse(found));
    }
    let meta: TruthMeta = serde_json::from_str(json).map_err(|error| {
        damaged(path, TRUTH_KEY, "the description of a truth", error.to_string())
    })?;
    if meta.regimes != NamedLabel::REGIMES {
        let expected = NamedLabel::REGIMES.join(", ");
        return Err(damaged(path, TRUTH_KEY, expected, meta.regimes.join(", ")));
    }
    Ok(())
}

/// Rows of a group, which are held in memory together.
fn rows_of(path: &Path, group: &RowGroupMetaData) -> Result<u64, StoreError> {
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    if (1..=ROW_GROUP_ROWS as u64).contains(&rows) {
        return Ok(rows);
    }
    let expected = format!("1 to `{ROW_GROUP_ROWS}` rows");
    Err(damaged(path, "row groups", expected, format!("`{}`", group.num_rows())))
}

/// Finds rows of a [`TruthFile`] by their keys, wherever they are; rows asked for in about their order
/// are found without reading a row group twice.
pub struct TruthReader<'f> {
    file: &'f TruthFile,
    /// Decoded row groups, the one used last at the end.
    cached: VecDeque<(usize, Rows)>,
    inflater: Inflater,
}

impl fmt::Debug for TruthReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TruthReader").field("file", self.file).finish_non_exhaustive()
    }
}

/// The rows of a group, column by column.
struct Rows {
    instrument: Vec<i64>,
    sequence: Vec<i64>,
    ts_event: Vec<u64>,
    ts_recv: Vec<u64>,
    regime: Vec<u8>,
    pressure: Vec<f64>,
}

impl TruthReader<'_> {
    /// The truth of the event with this key: `None` where the file has none.
    ///
    /// # Errors
    /// A damaged page, or a file that changed after opening.
    pub fn find(&mut self, key: &TruthKey) -> Result<Option<Truth>, StoreError> {
        let file = self.file;
        let groups = &file.groups;
        // Rows of one capture time may begin in the group before.
        let first = groups.partition_point(|group| group.first_ts < key.ts_recv).saturating_sub(1);
        for (at, group) in groups.iter().enumerate().skip(first) {
            if group.first_ts > key.ts_recv {
                break;
            }
            if let Some(found) = self.rows(at)?.find(key) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn rows(&mut self, at: usize) -> Result<&Rows, StoreError> {
        if let Some(cached) = self.cached.iter().position(|(group, _)| *group == at) {
            if let Some(found) = self.cached.remove(cached) {
                self.cached.push_back(found);
            }
        } else {
            let rows = self.decode(at)?;
            if self.cached.len() == CACHED_GROUPS {
                self.cached.pop_front();
            }
            self.cached.push_back((at, rows));
        }
        let last = self.cached.len() - 1;
        Ok(&self.cached[last].1)
    }

    fn decode(&mut self, at: usize) -> Result<Rows, StoreError> {
        let (file, inflater) = (self.file, &mut self.inflater);
        let changed = |found| StoreError::Changed {
            path: file.path.clone(),
            expected: file.stamp.to_string(),
            found,
        };
        match Stamp::of(&file.path) {
            Ok(stamp) if stamp == file.stamp => {}
            Ok(stamp) => return Err(changed(stamp.to_string())),
            Err(source) => return Err(changed(source.to_string())),
        }
        let group = &file.groups[at];
        let regime = |number: i64| u8::try_from(number).unwrap_or(u8::MAX);
        let rows = Rows {
            instrument: file.column(group, INSTRUMENT, inflater, |id: i64| id)?,
            sequence: file.column(group, SEQUENCE, inflater, |number: i64| number)?,
            ts_event: file.column(group, TS_EVENT, inflater, i64::cast_unsigned)?,
            ts_recv: file.column(group, TS_RECV, inflater, i64::cast_unsigned)?,
            regime: file.column(group, REGIME, inflater, regime)?,
            pressure: file.column(group, PRESSURE, inflater, |percent: f64| percent)?,
        };
        let next = file.groups.get(at + 1).map_or(u64::MAX, |group| group.first_ts);
        if !rows.ts_recv.is_sorted() || rows.ts_recv.last().is_some_and(|last| *last > next) {
            return Err(file.unsorted());
        }
        let n_regimes = NamedLabel::REGIMES.len();
        if let Some(odd) = rows.regime.iter().find(|regime| usize::from(**regime) >= n_regimes) {
            let expected = format!("0 to {}", n_regimes - 1);
            return Err(damaged(&file.path, "column `regime`", expected, format!("`{odd}`")));
        }
        if let Some(odd) = rows.pressure.iter().find(|percent| !percent.is_finite()) {
            let expected = "a finite number";
            return Err(damaged(&file.path, "column `pressure`", expected, format!("`{odd}`")));
        }
        Ok(rows)
    }
}

impl Rows {
    fn find(&self, key: &TruthKey) -> Option<Truth> {
        let first = self.ts_recv.partition_point(|ts| *ts < key.ts_recv);
        let at = (first..self.ts_recv.len())
            .take_while(|at| self.ts_recv[*at] == key.ts_recv)
            .find(|at| {
                self.instrument[*at] == i64::from(key.instrument_id)
                    && self.sequence[*at] == i64::from(key.sequence)
                    && self.ts_event[*at] == key.ts_event
            })?;
        Some(Truth { regime: self.regime[at], pressure: self.pressure[at] })
    }
}
