pub(crate) mod chunk;
mod column;
mod labels;
pub(crate) mod open;
mod rows;
pub(crate) mod stamp;

use std::{
    cell::RefCell,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use lob_depth::{BinColumns, NO_PRICE, SLOTS};
use memmap2::Mmap;

pub use self::labels::{LabelColumns, LabelPlace, LabelValues, RowLabel};
use self::{
    chunk::{Chunk, Inflater},
    stamp::Stamp,
};
use crate::{Compression, StoreError, StoreMeta, WriterOptions, decode::Buffers, schema};

/// One store file, mapped into memory and read at random. Cheap to share behind an `Arc`.
pub struct BinFile {
    path: PathBuf,
    map: Mmap,
    stamp: Stamp,
    meta: StoreMeta,
    rows: u64,
    group_rows: u64,
    page_rows: u64,
    n_columns: usize,
    /// All columns of the first row group, then of the next.
    chunks: Vec<Chunk>,
    bytes_read: AtomicU64,
}

/// Which numbers of a bin to read besides prices; the others stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Planes {
    /// Aggregated sizes.
    pub size: bool,
    /// Variances of the size.
    pub variance: bool,
    /// Order counts.
    pub count: bool,
}

impl Planes {
    /// Everything.
    pub const ALL: Self = Self { size: true, variance: true, count: true };
    /// Prices alone.
    pub const NONE: Self = Self { size: false, variance: false, count: false };
}

/// Decoding buffers, one set a thread.
#[derive(Debug, Default)]
struct Scratch {
    buffers: Buffers,
    inflater: Inflater,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl BinFile {
    /// Opens a store file and checks that it is one.
    ///
    /// # Errors
    /// The file cannot be read, is not ours, is of a newer version, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::open(path.as_ref())
    }

    /// Path as opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself.
    pub fn meta(&self) -> &StoreMeta {
        &self.meta
    }

    /// Number of bins (rows).
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether the file has no bins.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Rows in a page: the unit in which the file is read.
    pub fn page_rows(&self) -> u64 {
        self.page_rows
    }

    /// The layout it was written in, as far as it shows: of a compression the level does not.
    pub fn options(&self) -> WriterOptions {
        let most = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let is_zstd = self.chunks.first().is_some_and(|chunk| chunk.is_zstd);
        WriterOptions {
            page_rows: most(self.page_rows),
            // A single row group may be shorter than it could have been.
            row_group_rows: match self.rows > self.group_rows {
                true => most(self.group_rows),
                false => most(self.group_rows).max(WriterOptions::default().row_group_rows),
            },
            compression: if is_zstd { Compression::Zstd(1) } else { Compression::None },
        }
    }

    /// Bytes of pages read since the file was opened.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Appends the bins of `rows` to `out`, all planes.
    ///
    /// # Errors
    /// Rows outside the file, a damaged page, or a file that changed after opening; `out` is
    /// then as before.
    pub fn read(&self, rows: Range<u64>, out: &mut BinColumns) -> Result<(), StoreError> {
        self.read_planes(rows, Planes::ALL, out)
    }

    /// Appends the bins of `rows` to `out`, with the chosen planes only. A buffer must be
    /// filled with the same planes each time.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_planes(
        &self,
        rows: Range<u64>,
        planes: Planes,
        out: &mut BinColumns,
    ) -> Result<(), StoreError> {
        let n = self.check_rows(&rows)?;
        if n == 0 {
            return Ok(());
        }
        let before = (out.px.len(), out.size.len(), out.variance.len(), out.count.len());
        let bins = out.len();
        let read = SCRATCH.with_borrow_mut(|scratch| self.read_into(rows, n, planes, out, scratch));
        if read.is_err() {
            out.px.truncate(before.0);
            out.size.truncate(before.1);
            out.variance.truncate(before.2);
            out.count.truncate(before.3);
            out.last_bid.truncate(bins);
            out.last_ask.truncate(bins);
        }
        read
    }

    fn read_into(
        &self,
        rows: Range<u64>,
        n: usize,
        planes: Planes,
        out: &mut BinColumns,
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let mut plane = |to: &mut Vec<f64>, wanted: bool, first: usize, is_count: bool| {
            if !wanted {
                return Ok(());
            }
            let start = to.len();
            to.resize(start + n * SLOTS, 0.0);
            for slot in 0..SLOTS {
                let to = &mut to[start + slot..];
                let column = first + slot;
                if is_count {
                    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
                    self.column(column, &rows, scratch, |i, value: Option<i64>| {
                        to[i * SLOTS] = value.unwrap_or(0) as f64;
                    })?;
                } else {
                    self.reals(column, &rows, scratch, |i, value| {
                        to[i * SLOTS] = value.unwrap_or(0.0);
                    })?;
                }
            }
            Ok(())
        };
        plane(&mut out.size, planes.size, schema::SIZE, false)?;
        plane(&mut out.variance, planes.variance, schema::VARIANCE, false)?;
        plane(&mut out.count, planes.count, schema::COUNT, true)?;
        let start = out.px.len();
        out.px.resize(start + n * SLOTS, NO_PRICE);
        for slot in 0..SLOTS {
            let to = &mut out.px[start + slot..];
            self.column(schema::PX + slot, &rows, scratch, |i, value| {
                to[i * SLOTS] = value.unwrap_or(NO_PRICE);
            })?;
        }
        for (to, column) in
            [(&mut out.last_bid, schema::LAST_BID_PX), (&mut out.last_ask, schema::LAST_ASK_PX)]
        {
            let start = to.len();
            to.resize(start + n, NO_PRICE);
            let to = &mut to[start..];
            let mut odd = None;
            self.column(column, &rows, scratch, |i, value: Option<i64>| {
                if let Some(px) = value {
                    match self.steps(px) {
                        Some(steps) => to[i] = steps,
                        None => odd = Some((i, px)),
                    }
                }
            })?;
            if let Some((i, px)) = odd {
                let expected = format!("a multiple of the price step `{}`", self.meta.price_step);
                let flaw = chunk::flaw(expected, format!("`{px}`"));
                return Err(self.damaged_cell(column, rows.start + i as u64, flaw));
            }
        }
        Ok(())
    }

    /// A price in steps, if it is a whole number of them.
    fn steps(&self, px: i64) -> Option<i32> {
        let steps = px.checked_div(self.meta.price_step)?;
        (steps * self.meta.price_step == px).then(|| i32::try_from(steps).ok())?
    }

    /// `ts_event` of one row's last update, ns since 1970; `u64::MAX` where unknown.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn ts_event(&self, row: u64) -> Result<u64, StoreError> {
        let rows = row..row.saturating_add(1);
        self.check_rows(&rows)?;
        let mut out = u64::MAX;
        SCRATCH.with_borrow_mut(|scratch| {
            self.column(schema::TS_EVENT, &rows, scratch, |_, ts| out = time(ts))
        })?;
        Ok(out)
    }

    /// `ts_event` of the first update of each of `rows`, ns since 1970; `u64::MAX` where unknown.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn ts_event_first(&self, rows: Range<u64>) -> Result<Vec<u64>, StoreError> {
        let mut out = vec![u64::MAX; self.check_rows(&rows)?];
        SCRATCH.with_borrow_mut(|scratch| {
            self.column(schema::TS_EVENT_FIRST, &rows, scratch, |i, ts| out[i] = time(ts))
        })?;
        Ok(out)
    }

    /// Checks a range of rows and that the file is still the one opened; gives its length.
    fn check_rows(&self, rows: &Range<u64>) -> Result<usize, StoreError> {
        if rows.start > rows.end || rows.end > self.rows {
            let (path, range) = (self.path.clone(), rows.clone());
            return Err(StoreError::OutOfRange { path, range, rows: self.rows });
        }
        let changed = |found| StoreError::Changed {
            path: self.path.clone(),
            expected: self.stamp.to_string(),
            found,
        };
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => {}
            Ok(stamp) => return Err(changed(stamp.to_string())),
            Err(source) => return Err(changed(source.to_string())),
        }
        usize::try_from(rows.end - rows.start).map_err(|_| StoreError::OutOfRange {
            path: self.path.clone(),
            range: rows.clone(),
            rows: self.rows,
        })
    }
}

fn time(ts: Option<i64>) -> u64 {
    ts.map_or(u64::MAX, i64::cast_unsigned)
}

impl fmt::Debug for BinFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinFile")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
