//! Columns of a CSV table, read by name.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
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

/// The columns of a table.
#[derive(Debug, Default)]
pub(super) struct Columns {
    values: BTreeMap<&'static str, Vec<f64>>,
    /// Columns nobody asked for, left out.
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// Reads a comma-separated table with a header line. Lines that begin with `#` are comments; an
    /// empty cell is null.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::parse(&text).with_context(|| format!("`{}` is no table of numbers", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let is_comment = |line: &&str| line.starts_with('#') || line.is_empty();
        let mut lines = text.lines().enumerate().filter(|(_, line)| !is_comment(line));
        let (_, header) = lines.next().context("there is no header line")?;
        let mut columns = Self::default();
        let mut slots = Vec::new();
        for name in header.split(',').map(str::trim) {
            let known = NAMES.iter().find(|known| **known == name).copied();
            if known.is_none() {
                columns.ignored.push(name.to_owned());
            }
            slots.push((known, Vec::new()));
        }
        for (number, line) in lines {
            let mut n_cells = 0;
            for cell in line.split(',') {
                let Some((known, values)) = slots.get_mut(n_cells) else { break };
                n_cells += 1;
                let cell = cell.trim();
                if known.is_none() {
                    continue;
                }
                values.push(match cell.parse::<f64>() {
                    Ok(value) => value,
                    Err(_) if cell.is_empty() => f64::NAN,
                    Err(_) => bail!("line {}: `{cell}` is no number", number + 1),
                });
            }
            ensure!(
                n_cells == slots.len() && line.split(',').count() == n_cells,
                "line {}: {} cells, expected {}",
                number + 1,
                line.split(',').count(),
                slots.len()
            );
        }
        for (known, values) in slots {
            if let Some(name) = known {
                ensure!(columns.values.insert(name, values).is_none(), "two columns `{name}`");
            }
        }
        ensure!(
            !columns.values.is_empty(),
            "none of its columns is known\nhint: name them {}",
            NAMES.join(", ")
        );
        Ok(columns)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_bad_ones_named() {
        let table = Columns::parse("# made by hand\nprice,note,volume\n1.5,a,2\n,b,3\n").unwrap();
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
        ] {
            let message = format!("{:#}", Columns::parse(text).unwrap_err());
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
