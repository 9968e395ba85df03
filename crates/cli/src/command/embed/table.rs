//! The Parquet table of embeddings: a row for each window, written in pieces.

use std::path::Path;

use anyhow::Result;
use lob_contrastive::{Origin, Prepared};
use lob_store::{Cells, Column, ColumnKind, LabelValues, Store, TableWriter};

/// Version of the table; docs/FORMATS.md says what raises it.
const VERSION: u32 = 2;

/// Rows of labels read at once.
const BLOCK_ROWS: u64 = 8192;

/// Bytes of embeddings in a piece, at least a row of them.
const PIECE_BYTES: usize = 4 << 20;

/// A label of the store, and the block of it that was read last.
struct Label {
    name: String,
    has_classes: bool,
    block: Option<(usize, u64)>,
    values: LabelValues,
}

impl Label {
    /// Value and class at a row, of a file that has the label.
    fn at(&mut self, store: &Store, file: usize, row: u64) -> Result<(Option<f64>, Option<i32>)> {
        let place = (file, row / BLOCK_ROWS);
        if self.block != Some(place) {
            let from = &store.files()[file];
            let first = place.1 * BLOCK_ROWS;
            self.values =
                from.label_values(&self.name, first..from.len().min(first + BLOCK_ROWS))?;
            self.block = Some(place);
        }
        let at = usize::try_from(row % BLOCK_ROWS)?;
        let value = self.values.value.get(at).copied().flatten();
        Ok((value, self.values.class.get(at).copied().flatten()))
    }
}

/// Cells of the rows that are not written yet.
#[derive(Default)]
struct Piece {
    rows: usize,
    instrument_id: Vec<Option<u64>>,
    symbol: Vec<Option<usize>>,
    file: Vec<Option<u64>>,
    row: Vec<Option<u64>>,
    ts_first: Vec<Option<u64>>,
    ts_event: Vec<Option<u64>>,
    part: Vec<Option<&'static str>>,
    /// Values and classes of each label.
    values: Vec<Vec<f64>>,
    classes: Vec<Vec<Option<i64>>>,
    /// By dimension.
    embeddings: Vec<Vec<f32>>,
}

pub(super) struct EmbeddingTable {
    writer: TableWriter,
    store: Option<Store>,
    /// Symbol and name below the store of each file.
    files: Vec<(String, String)>,
    labels: Vec<Label>,
    window: u64,
    dim: usize,
    most_rows: usize,
    piece: Piece,
}

impl EmbeddingTable {
    /// Begins the table of a model's windows of `window` bins of `store`.
    pub(super) fn create(
        path: &Path,
        prepared: &Prepared,
        store: Option<Store>,
        (window, dim): (usize, usize),
        model: &Path,
    ) -> Result<Self> {
        let named = prepared.facts.iter().flat_map(|facts| &facts.labels);
        let labels: Vec<Label> = named
            .map(|label| Label {
                name: label.name.clone(),
                has_classes: label.classes > 0,
                block: None,
                values: LabelValues::default(),
            })
            .collect();
        let mut columns = vec![
            Column::new("instrument_id", ColumnKind::U64),
            Column::new("symbol", ColumnKind::Utf8),
            Column::new("file", ColumnKind::U64),
            Column::new("file_name", ColumnKind::Utf8),
            Column::new("row", ColumnKind::U64),
            Column::new("ts_first", ColumnKind::Timestamp),
            Column::new("ts_event", ColumnKind::Timestamp),
            Column::new("part", ColumnKind::Utf8),
        ];
        for label in &labels {
            columns.push(Column::new(label.name.clone(), ColumnKind::F64));
            if label.has_classes {
                columns.push(Column::new(format!("{}_class", label.name), ColumnKind::I64));
            }
        }
        columns.extend((0..dim).map(|i| Column::new(format!("e{i:03}"), ColumnKind::F32)));
        let mut writer = TableWriter::create(path, &columns)?;
        writer.describe("loblab:embeddings", VERSION.to_string());
        writer.describe("loblab:model", model.display().to_string());
        if let Some(data) = prepared.data {
            writer.describe("loblab:data", data.to_string());
        }
        let files = store.iter().flat_map(|store| {
            store.files().iter().map(|file| {
                let below = file.path().strip_prefix(store.path()).unwrap_or(file.path());
                let below = if below.as_os_str().is_empty() { file.path() } else { below };
                (file.meta().symbol.clone(), below.display().to_string())
            })
        });
        let piece = Piece {
            values: vec![Vec::new(); labels.len()],
            classes: vec![Vec::new(); labels.len()],
            embeddings: vec![Vec::new(); dim],
            ..Piece::default()
        };
        let most_rows = (PIECE_BYTES / (4 * dim.max(1))).max(1);
        let files = files.collect();
        Ok(Self { writer, store, files, labels, window: window as u64, dim, most_rows, piece })
    }

    /// Appends a window, of this part, with its embedding.
    pub(super) fn push(
        &mut self,
        origin: &Origin,
        part: &'static str,
        embedding: &[f32],
    ) -> Result<()> {
        let piece = &mut self.piece;
        piece.instrument_id.push(origin.instrument_id.map(u64::from));
        piece.symbol.push(self.store.as_ref().map(|_| origin.file));
        piece.file.push(Some(origin.file as u64));
        piece.row.push(Some(origin.row));
        piece.ts_first.push(origin.ts_first);
        piece.ts_event.push(origin.ts_event);
        piece.part.push(Some(part));
        if let Some(store) = &self.store {
            let last = origin.row + self.window - 1;
            for (at, label) in self.labels.iter_mut().enumerate() {
                let (value, class) = label.at(store, origin.file, last)?;
                piece.values[at].push(value.unwrap_or(f64::NAN));
                piece.classes[at].push(class.map(i64::from));
            }
        }
        for (to, x) in piece.embeddings.iter_mut().zip(embedding) {
            to.push(*x);
        }
        piece.rows += 1;
        if piece.rows == self.most_rows { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let piece = &self.piece;
        let text = |of: fn(&(String, String)) -> &str| -> Vec<Option<&str>> {
            piece.symbol.iter().map(|file| Some(of(self.files.get((*file)?)?))).collect()
        };
        let (symbols, names) = (text(|file| &file.0), text(|file| &file.1));
        let mut cells = vec![
            Cells::U64(&piece.instrument_id),
            Cells::Utf8(&symbols),
            Cells::U64(&piece.file),
            Cells::Utf8(&names),
            Cells::U64(&piece.row),
            Cells::U64(&piece.ts_first),
            Cells::U64(&piece.ts_event),
            Cells::Utf8(&piece.part),
        ];
        for (at, label) in self.labels.iter().enumerate() {
            cells.push(Cells::F64(&piece.values[at]));
            if label.has_classes {
                cells.push(Cells::I64(&piece.classes[at]));
            }
        }
        cells.extend(piece.embeddings.iter().map(|dim| Cells::F32(dim)));
        self.writer.push(&cells)?;
        self.piece = Piece {
            values: vec![Vec::new(); self.labels.len()],
            classes: vec![Vec::new(); self.labels.len()],
            embeddings: vec![Vec::new(); self.dim],
            ..Piece::default()
        };
        Ok(())
    }

    /// Writes the rest and moves the file to its name; its SHA-256.
    pub(super) fn finish(mut self) -> Result<String> {
        if self.piece.rows > 0 {
            self.flush()?;
        }
        Ok(self.writer.finish()?.sha256)
    }
}
