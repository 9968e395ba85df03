//! Columns of a CSV table, read by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use lob_metrics::shown;
use lob_signals::Ticks;

/// Names that mean something to an indicator.
const NAMES: [&str; 11] = [
    "price",
    "high",
    "low",
    "volume",
    "signed_volume",
    "bid_px",
    "ask_px",
    "bid_sz",
    "ask_sz",
    "bid_depth_sz",
    "ask_depth_sz",
];

/// Names of columns that say which row is which: they are in the output too.
const KEPT: [&str; 7] =
    ["ts_event", "ts_recv", "timestamp", "time", "date", "instrument_id", "symbol"];

/// A column that is passed on.
#[derive(Debug, PartialEq)]
pub(super) enum Kept {
    /// Whole numbers and nulls.
    Numbers(Vec<Option<u64>>),
    /// Anything else.
    Texts(Vec<Arc<str>>),
}

/// The columns of a table.
#[derive(Debug, Default)]
pub(super) struct Columns {
    values: BTreeMap<&'static str, Vec<f64>>,
    /// Those that say which row is which, in their order.
    pub(super) kept: Vec<(&'static str, Kept)>,
    /// Columns nobody asked for, left out.
    pub(super) ignored: Vec<String>,
}

/// Where the cells of a column go.
enum Slot {
    Known(&'static str, Vec<f64>),
    Kept(&'static str, Vec<Arc<str>>),
    Ignored,
}

impl Slot {
    fn of(name: &str) -> Self {
        let found = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
        match (found(&NAMES), found(&KEPT)) {
            (Some(name), _) => Self::Known(name, Vec::new()),
            (None, Some(name)) => Self::Kept(name, Vec::new()),
            (None, None) => Self::Ignored,
        }
    }
}

impl Columns {
    /// Reads a comma-separated table with a header line (RFC 4180: cells may stand in quotes, lines
    /// may end in CR LF), with or without a byte-order mark. Lines that begin with `#` are
    /// comments; an empty cell is null.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read `{}`", shown(path.display())))?;
        Self::parse(&bytes)
            .with_context(|| format!("`{}` is no table of numbers", shown(path.display())))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let is_utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
        ensure!(!is_utf16, "it is UTF-16\nhint: save it as UTF-8");
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .from_reader(bytes);
        let mut records = reader.records();
        let header = records.next().transpose()?.context("there is no header line")?;
        let mut columns = Self::default();
        let mut slots: Vec<Slot> = header.iter().map(|name| Slot::of(name.trim())).collect();
        for (name, slot) in header.iter().zip(&slots) {
            if matches!(slot, Slot::Ignored) {
                columns.ignored.push(name.trim().to_owned());
            }
        }
        for record in records {
            ensure!(!crate::interrupt::requested(), "interrupted while the table was read");
            let record = record?;
            let line = || line_of(bytes, record.position());
            let (n_cells, n_columns) = (record.len(), slots.len());
            ensure!(n_cells == n_columns, "line {}: {n_cells} cells, expected {n_columns}", line());
            for (cell, slot) in record.iter().zip(&mut slots) {
                match slot {
                    Slot::Known(_, values) => values.push(number(cell.trim(), &line)?),
                    Slot::Kept(_, texts) => texts.push(cell.trim().into()),
                    Slot::Ignored => {}
                }
            }
        }
        columns.take(slots)?;
        ensure!(!columns.values.is_empty(), none_known(&header));
        Ok(columns)
    }

    fn take(&mut self, slots: Vec<Slot>) -> Result<()> {
        for slot in slots {
            match slot {
                Slot::Known(name, values) => {
                    let twice = self.values.insert(name, values).is_some();
                    ensure!(!twice, "two columns `{name}`");
                }
                Slot::Kept(name, texts) => {
                    let twice = self.kept.iter().any(|(other, _)| *other == name);
                    ensure!(!twice, "two columns `{name}`");
                    self.kept.push((name, Kept::of(texts)));
                }
                Slot::Ignored => {}
            }
        }
        Ok(())
    }

    pub(super) fn ticks(&self) -> Ticks<'_> {
        let column = |name| self.values.get(name).map_or(&[][..], Vec::as_slice);
        Ticks {
            price: column("price"),
            high: column("high"),
            low: column("low"),
            volume: column("volume"),
            signed_volume: column("signed_volume"),
            bid_px: column("bid_px"),
            ask_px: column("ask_px"),
            bid_sz: column("bid_sz"),
            ask_sz: column("ask_sz"),
            bid_depth_sz: column("bid_depth_sz"),
            ask_depth_sz: column("ask_depth_sz"),
        }
    }
}

impl Kept {
    fn of(texts: Vec<Arc<str>>) -> Self {
        let number = |text: &Arc<str>| match &**text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        match texts.iter().map(number).collect() {
            Some(numbers) => Self::Numbers(numbers),
            None => Self::Texts(texts),
        }
    }
}

/// The line a record begins in. Its position is where the one before it ended: empty lines and
/// comments may follow there.
fn line_of(bytes: &[u8], position: Option<&csv::Position>) -> usize {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let mut at = position.and_then(|p| usize::try_from(p.byte()).ok()).unwrap_or(0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'#' {
            at += bytes[at..].iter().position(is_end).unwrap_or(bytes.len() - at);
        } else if is_end(byte) {
            at += 1;
        } else {
            break;
        }
    }
    1 + bytes[..at.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count()
}

fn number(cell: &str, line: &dyn Fn() -> usize) -> Result<f64> {
    match cell.parse() {
        Ok(value) => Ok(value),
        Err(_) if cell.is_empty() => Ok(f64::NAN),
        Err(_) => bail!("line {}: `{cell}` is no number", line()),
    }
}

/// What to do where no column has a name that means something.
fn none_known(header: &csv::StringRecord) -> String {
    let found: Vec<&str> = header.iter().take(8).collect();
    let found = found.join(",");
    let separator = match [';', '\t', '|'].into_iter().find(|c| found.contains(*c)) {
        Some(separator) => {
            format!("; its cells seem to be separated by {separator:?}, not by commas")
        }
        None => String::new(),
    };
    format!(
        "none of its columns is known: found {found:?}{separator}\nhint: name them {}",
        NAMES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_bad_ones_named() {
        let table = Columns::parse(b"# made by hand\nprice,note,volume\n1.5,a,2\n,b,3\n").unwrap();
        assert!((table.ticks().price[0] - 1.5).abs() < 1e-15 && table.ticks().price[1].is_nan());
        assert_eq!(table.ticks().volume, [2.0, 3.0]);
        assert_eq!(table.ignored, ["note"]);
        for (text, part) in [
            ("", "no header"),
            ("a,b\n1,2\n", "none of its columns is known"),
            ("price\nx\n", "line 2: `x` is no number"),
            ("price,high\n1\n", "line 2: 1 cells, expected 2"),
            ("price\n1,2\n", "line 2: 2 cells, expected 1"),
            ("price,price\n1,2\n", "two columns `price`"),
            ("ts_event,price,ts_event\n1,2,3\n", "two columns `ts_event`"),
            ("price;volume\n1;2\n", "separated by ';'"),
            ("# c\n\nprice\n1\n\n\"1,5\"\n", "line 6: `1,5` is no number"),
            ("price\n\"1\n2\n", "is no number"),
        ] {
            let message = format!("{:#}", Columns::parse(text.as_bytes()).unwrap_err());
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    /// One table as every program writes it.
    #[test]
    fn marks_quotes_and_line_ends_are_no_part_of_a_cell() {
        let plain = "ts_event,price,note,volume\n5,1.5,a,2\n,2.5,b,\n";
        let quoted = "\"ts_event\",\"price\",\"note\",\"volume\"\n\
                      \"5\",\"1.5\",\"a, \"\"b\"\"\nc\",\"2\"\n\"\",\"2.5\",\"b\",\"\"\n";
        let spaced = " ts_event , price ,note, volume\n 5 , 1.5 ,a, 2 \n , 2.5,b, \n";
        for text in [plain, quoted, spaced] {
            for mark in ["", "\u{feff}"] {
                for end in ["\n", "\r\n", "\r"] {
                    let text = format!("{mark}{}", text.replace('\n', end));
                    let table = Columns::parse(text.as_bytes()).unwrap();
                    assert_eq!(table.ticks().price, [1.5, 2.5], "{text:?}");
                    assert_eq!(table.ticks().volume[..1], [2.0]);
                    assert!(table.ticks().volume[1].is_nan());
                    assert_eq!(table.kept, [("ts_event", Kept::Numbers(vec![Some(5), None]))]);
                    assert_eq!(table.ignored, ["note"]);
                }
            }
        }
        let utf16: Vec<u8> =
            "\u{feff}price\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(format!("{:#}", Columns::parse(&utf16).unwrap_err()).contains("UTF-16"));
    }

    #[test]
    fn what_tells_rows_apart_is_passed_on_as_it_is() {
        let text = "time,price,symbol\n2024-04-01T00:00:00Z,1,\"ES, M4\"\n,2,7\n";
        let table = Columns::parse(text.as_bytes()).unwrap();
        let texts = |all: [&str; 2]| Kept::Texts(all.map(Arc::from).to_vec());
        let expected =
            [("time", texts(["2024-04-01T00:00:00Z", ""])), ("symbol", texts(["ES, M4", "7"]))];
        assert_eq!(table.kept, expected);
        assert!(table.ignored.is_empty());
    }
}
