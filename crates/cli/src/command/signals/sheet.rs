//! Rows of named columns, on their way to a CSV or Parquet file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lob_metrics::shown;
use lob_store::{Cells, Column, ColumnKind, TableWriter, Unfinished};

/// Rows kept before they are written.
const ROWS_AT_ONCE: usize = 8192;

/// The cells of one column that are not written yet.
#[derive(Debug)]
enum Buffer {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<Option<i64>>),
    U64(Vec<Option<u64>>),
    Text(Vec<Arc<str>>),
}

/// A file that was written.
pub(super) struct OutputFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Known for Parquet, which is hashed on the way.
    pub(super) sha256: Option<String>,
}

/// Where rows go.
enum Target {
    Stdout(BufWriter<io::Stdout>),
    Csv { file: BufWriter<File>, temporary: PathBuf, path: PathBuf, _noted: Unfinished },
    Parquet(Box<TableWriter>),
}

/// Columns that fill row by row; cells are pushed in the order of the columns.
pub(super) struct Sheet {
    columns: Vec<Column>,
    buffers: Vec<Buffer>,
    /// Column the next cell belongs to.
    at: usize,
    rows: u64,
    n_buffered: usize,
    target: Option<Target>,
}

impl Sheet {
    pub(super) fn to_stdout(columns: Vec<Column>) -> Self {
        Self::new(columns, Target::Stdout(BufWriter::new(io::stdout())))
    }

    pub(super) fn to_csv(path: &Path, columns: Vec<Column>) -> Result<Self> {
        let name = path.file_name().context("the path names no file")?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        // A rename would put a file in the place of a device or a pipe, for everybody.
        let is_special =
            std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        anyhow::ensure!(!is_special, "`{}` is a device or a pipe, no file", shown(path.display()));
        let (_noted, file) = Unfinished::make(&temporary, |path| File::create(path))
            .with_context(|| format!("cannot write `{}`", shown(temporary.display())))?;
        let path = path.to_owned();
        let file = BufWriter::new(file);
        Ok(Self::new(columns, Target::Csv { file, temporary, path, _noted }))
    }

    pub(super) fn to_parquet(path: &Path, columns: Vec<Column>) -> Result<Self> {
        let writer = TableWriter::create(path, &columns)?;
        Ok(Self::new(columns, Target::Parquet(Box::new(writer))))
    }

    fn new(columns: Vec<Column>, target: Target) -> Self {
        let buffers = columns
            .iter()
            .map(|column| match column.kind {
                ColumnKind::F32 => Buffer::F32(Vec::new()),
                ColumnKind::F64 => Buffer::F64(Vec::new()),
                ColumnKind::I64 => Buffer::I64(Vec::new()),
                ColumnKind::Utf8 => Buffer::Text(Vec::new()),
                _ => Buffer::U64(Vec::new()),
            })
            .collect();
        Self { columns, buffers, at: 0, rows: 0, n_buffered: 0, target: Some(target) }
    }

    fn next(&mut self) -> &mut Buffer {
        let at = self.at;
        self.at += 1;
        &mut self.buffers[at]
    }

    pub(super) fn f64(&mut self, value: f64) {
        if let Buffer::F64(cells) = self.next() {
            cells.push(value);
        }
    }

    pub(super) fn f32(&mut self, value: f32) {
        if let Buffer::F32(cells) = self.next() {
            cells.push(value);
        }
    }

    pub(super) fn i64(&mut self, value: i64) {
        if let Buffer::I64(cells) = self.next() {
            cells.push(Some(value));
        }
    }

    pub(super) fn u64(&mut self, value: u64) {
        if let Buffer::U64(cells) = self.next() {
            cells.push(Some(value));
        }
    }

    pub(super) fn u64_or_null(&mut self, value: Option<u64>) {
        if let Buffer::U64(cells) = self.next() {
            cells.push(value);
        }
    }

    pub(super) fn text(&mut self, value: &Arc<str>) {
        if let Buffer::Text(cells) = self.next() {
            cells.push(Arc::clone(value));
        }
    }

    /// Ends a row, which must have a cell of the right kind in every column.
    pub(super) fn end_row(&mut self) -> Result<()> {
        self.at = 0;
        self.rows += 1;
        self.n_buffered += 1;
        if self.n_buffered == ROWS_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Writes out, syncs, and moves the file to its name. What is dropped instead leaves nothing.
    pub(super) fn finish(mut self) -> Result<(u64, Option<OutputFile>)> {
        if self.rows == 0
            && let Some(Target::Stdout(out)) = &mut self.target
        {
            write_header(out, &self.columns)?;
        }
        if self.rows == 0
            && let Some(Target::Csv { file, .. }) = &mut self.target
        {
            write_header(file, &self.columns)?;
        }
        self.flush()?;
        let file = match self.target.take() {
            Some(Target::Parquet(writer)) => {
                let file = writer.finish()?;
                Some(OutputFile { path: file.path, bytes: file.bytes, sha256: Some(file.sha256) })
            }
            Some(Target::Stdout(mut out)) => {
                out.flush()?;
                None
            }
            Some(Target::Csv { mut file, temporary, path, _noted }) => {
                let moved = file
                    .flush()
                    .and_then(|()| file.get_ref().sync_all())
                    .and_then(|()| std::fs::rename(&temporary, &path));
                if moved.is_err() {
                    // The error matters more than a temporary file that cannot be removed either.
                    let _ = std::fs::remove_file(&temporary);
                }
                moved.with_context(|| format!("cannot write `{}`", shown(path.display())))?;
                let bytes = std::fs::metadata(&path)?.len();
                Some(OutputFile { path, bytes, sha256: None })
            }
            None => None,
        };
        Ok((self.rows, file))
    }

    fn flush(&mut self) -> Result<()> {
        let n = std::mem::take(&mut self.n_buffered);
        if n == 0 {
            return Ok(());
        }
        ensure!(
            self.buffers.iter().all(|buffer| buffer.len() == n),
            "a row with cells of the wrong kind: this is a defect of `lob signals`"
        );
        let is_first = self.rows == n as u64;
        match &mut self.target {
            Some(Target::Stdout(out)) => write_rows(out, &self.columns, &self.buffers, is_first)?,
            Some(Target::Csv { file, .. }) => {
                write_rows(file, &self.columns, &self.buffers, is_first)?;
            }
            Some(Target::Parquet(writer)) => push(writer, &self.buffers)?,
            None => {}
        }
        self.buffers.iter_mut().for_each(Buffer::clear);
        Ok(())
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        if let Some(Target::Csv { temporary, .. }) = &self.target {
            // Nobody is left to tell; the file is hidden and names its process.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

impl Buffer {
    fn len(&self) -> usize {
        match self {
            Self::F32(cells) => cells.len(),
            Self::F64(cells) => cells.len(),
            Self::I64(cells) => cells.len(),
            Self::U64(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::F32(cells) => cells.clear(),
            Self::F64(cells) => cells.clear(),
            Self::I64(cells) => cells.clear(),
            Self::U64(cells) => cells.clear(),
            Self::Text(cells) => cells.clear(),
        }
    }

    /// One cell as CSV; nothing for null. Numbers are the shortest that read back the same.
    fn write_cell(&self, row: usize, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::F32(cells) if cells[row].is_finite() => write!(out, "{}", cells[row]),
            Self::F64(cells) if cells[row].is_finite() => write!(out, "{}", cells[row]),
            Self::F32(_) | Self::F64(_) => Ok(()),
            Self::I64(cells) => cells[row].map_or(Ok(()), |value| write!(out, "{value}")),
            Self::U64(cells) => cells[row].map_or(Ok(()), |value| write!(out, "{value}")),
            Self::Text(cells) => out.write_all(quoted(&cells[row]).as_bytes()),
        }
    }
}

/// Text as a CSV cell (RFC 4180).
fn quoted(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

fn write_header(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    let names: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
    writeln!(out, "{}", names.join(","))
}

fn write_rows(
    out: &mut impl Write,
    columns: &[Column],
    buffers: &[Buffer],
    is_first: bool,
) -> io::Result<()> {
    if is_first {
        write_header(out, columns)?;
    }
    for row in 0..buffers.first().map_or(0, Buffer::len) {
        for (i, buffer) in buffers.iter().enumerate() {
            if i > 0 {
                out.write_all(b",")?;
            }
            buffer.write_cell(row, out)?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn push(writer: &mut TableWriter, buffers: &[Buffer]) -> Result<()> {
    let texts: Vec<Vec<Option<&str>>> = buffers
        .iter()
        .map(|buffer| match buffer {
            Buffer::Text(cells) => cells.iter().map(|text| Some(&**text)).collect(),
            _ => Vec::new(),
        })
        .collect();
    let cells: Vec<Cells<'_>> = buffers
        .iter()
        .zip(&texts)
        .map(|(buffer, texts)| match buffer {
            Buffer::F32(cells) => Cells::F32(cells),
            Buffer::F64(cells) => Cells::F64(cells),
            Buffer::I64(cells) => Cells::I64(cells),
            Buffer::U64(cells) => Cells::U64(cells),
            Buffer::Text(_) => Cells::Utf8(texts),
        })
        .collect();
    writer.push(&cells)?;
    Ok(())
}
