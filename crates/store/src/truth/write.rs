use std::path::Path;

use super::{COLUMNS, TRUTH_FORMAT_VERSION, TRUTH_KEY, Truth, TruthKey, TruthMeta};
use crate::{
    Cells, Column, ColumnKind, FileSummary, NamedLabel, StoreError, TableWriter, table::PAGE_ROWS,
    writer::PAGE_ROWS_KEY,
};

/// Writes a truth file: rows in the order of their records, then [`finish`](Self::finish). Until then
/// only a temporary file exists, which is removed on drop. A page of rows is in memory.
#[derive(Debug)]
pub struct TruthWriter {
    table: TableWriter,
    /// Index into `symbols`, and the row.
    page: Vec<(usize, TruthKey, Truth)>,
    symbols: Vec<String>,
}

impl TruthWriter {
    /// Starts a file that will appear at `path`; missing folders are made.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let kind = |name| match name {
            "symbol" => ColumnKind::Utf8,
            "ts_event" | "ts_recv" => ColumnKind::Timestamp,
            "pressure" => ColumnKind::F64,
            "regime" => ColumnKind::I64,
            _ => ColumnKind::U64,
        };
        let columns = COLUMNS.map(|(name, ..)| Column::new(name, kind(name)));
        let with_dictionary = COLUMNS.iter().filter(|column| column.2);
        let dictionaries: Vec<_> = with_dictionary.map(|column| column.0).collect();
        let table = TableWriter::create_to_read(path.as_ref(), &columns, &dictionaries)?;
        Ok(Self { table, page: Vec::with_capacity(PAGE_ROWS), symbols: Vec::new() })
    }

    /// Appends the truth of a record of the instrument of this symbol.
    ///
    /// # Errors
    /// A time stamp that does not fit its column, or the disk refused.
    pub fn push(&mut self, symbol: &str, key: TruthKey, truth: Truth) -> Result<(), StoreError> {
        let at = self.symbols.iter().position(|known| known == symbol);
        let at = at.unwrap_or_else(|| {
            self.symbols.push(symbol.to_owned());
            self.symbols.len() - 1
        });
        self.page.push((at, key, truth));
        if self.page.len() == PAGE_ROWS { self.write_page() } else { Ok(()) }
    }

    fn write_page(&mut self) -> Result<(), StoreError> {
        let page = std::mem::take(&mut self.page);
        let numbers = |of: fn(&TruthKey) -> u64| -> Vec<Option<u64>> {
            page.iter().map(|(_, key, _)| Some(of(key))).collect()
        };
        let symbols: Vec<_> = page.iter().map(|row| Some(self.symbols[row.0].as_str())).collect();
        let regimes: Vec<_> = page.iter().map(|row| Some(i64::from(row.2.regime))).collect();
        let pressures: Vec<_> = page.iter().map(|row| row.2.pressure).collect();
        self.table.push(&[
            Cells::U64(&numbers(|key| key.instrument_id.into())),
            Cells::Utf8(&symbols),
            Cells::U64(&numbers(|key| key.ts_event)),
            Cells::U64(&numbers(|key| key.ts_recv)),
            Cells::U64(&numbers(|key| key.sequence.into())),
            Cells::I64(&regimes),
            Cells::F64(&pressures),
        ])?;
        self.page = page;
        self.page.clear();
        Ok(())
    }

    /// Writes the footer, syncs, and moves the file to its final path.
    ///
    /// # Errors
    /// The disk refused.
    pub fn finish(mut self) -> Result<FileSummary, StoreError> {
        if !self.page.is_empty() {
            self.write_page()?;
        }
        let meta = TruthMeta {
            version: TRUTH_FORMAT_VERSION,
            regimes: NamedLabel::REGIMES.map(str::to_owned).to_vec(),
            pressure: "per cent, above 0 buyers are at work".to_owned(),
        };
        let json = serde_json::to_string(&meta).map_err(|source| StoreError::Encode {
            path: self.table.path().to_owned(),
            source: source.into(),
        })?;
        self.table.describe(TRUTH_KEY, json);
        self.table.describe(PAGE_ROWS_KEY, PAGE_ROWS.to_string());
        self.table.finish()
    }
}
