use std::{collections::BTreeMap, fs::File, path::Path};

use crate::{StoreError, footer};

/// What the footer of a table says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFacts {
    /// Rows.
    pub rows: u64,
    /// Names of the columns, in their order.
    pub columns: Vec<String>,
    /// Entries of the key-value metadata, see [`TableWriter::describe`](crate::TableWriter::describe).
    pub described: BTreeMap<String, String>,
}

/// Reads the footer of any Parquet file.
///
/// # Errors
/// The file cannot be read, or is not Parquet.
pub fn read_table_facts(path: impl AsRef<Path>) -> Result<TableFacts, StoreError> {
    let path = path.as_ref();
    let io = |source| StoreError::Io { path: path.to_owned(), action: "open", source };
    let damaged = |found: String| StoreError::Damaged {
        path: path.to_owned(),
        what: "footer".to_owned(),
        expected: "Parquet metadata".to_owned(),
        found,
    };
    let mut file = File::open(path).map_err(io)?;
    let parquet = footer::read(&mut file).map_err(io)?.map_err(damaged)?;
    let meta = parquet.file_metadata();
    let entries = meta.key_value_metadata().into_iter().flatten();
    Ok(TableFacts {
        rows: u64::try_from(meta.num_rows()).unwrap_or(0),
        columns: meta.schema_descr().columns().iter().map(|c| c.name().to_owned()).collect(),
        described: entries
            .filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?)))
            .collect(),
    })
}
