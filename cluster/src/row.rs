//! What came of one file: a row of the job's result. A failure is a row too, because an error
//! would have the scheduler repeat the task and then give up the whole job.

use std::sync::Arc;

use anyhow::{Context, Result};
use datafusion::arrow::{
    array::{Array, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use serde::{Deserialize, Serialize};

/// What came of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The input as submitted.
    pub(crate) path: String,
    /// Why it failed; `None` if it is converted.
    pub(crate) error: Option<String>,
    /// Whether another attempt may help: the file itself was not at fault.
    pub(crate) is_worth_a_retry: bool,
    /// Whether an earlier attempt had converted it.
    pub(crate) resumed: bool,
    /// SHA-256 of the input.
    pub(crate) sha256: Option<String>,
    /// Records read.
    pub(crate) records: u64,
    /// Rows written.
    pub(crate) rows: u64,
    /// Files of the store, relative to it; objects likewise.
    pub(crate) outputs: Vec<String>,
    /// Warnings of the conversion.
    pub(crate) warnings: Vec<String>,
    /// Bytes fetched from a bucket.
    pub(crate) downloaded_bytes: u64,
    /// Bytes written to a bucket.
    pub(crate) uploaded_bytes: u64,
    /// Wall time in seconds.
    pub(crate) elapsed_s: f64,
    /// Executor that converted it.
    pub(crate) worker: String,
}

const INPUT_COLUMN: &str = "path";
const OUTPUT_COLUMN: &str = "row";

fn schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)]))
}

/// Schema of the plan's input: one path a row.
pub(crate) fn input_schema() -> SchemaRef {
    schema(INPUT_COLUMN)
}

/// Schema of the plan's result: one [`Row`] as JSON a row. Only text crosses the border between
/// our code and the engine's, so its version of Arrow is its own affair.
pub(crate) fn output_schema() -> SchemaRef {
    schema(OUTPUT_COLUMN)
}

/// A batch of paths.
pub(crate) fn paths_batch(paths: &[String]) -> datafusion::error::Result<RecordBatch> {
    Ok(RecordBatch::try_new(input_schema(), vec![Arc::new(StringArray::from(paths.to_vec()))])?)
}

/// The batch of one row.
pub(crate) fn row_batch(row: &Row) -> datafusion::error::Result<RecordBatch> {
    let text = serde_json::to_string(row)
        .map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
    Ok(RecordBatch::try_new(output_schema(), vec![Arc::new(StringArray::from(vec![text]))])?)
}

/// The texts of a batch of either schema.
pub(crate) fn texts(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column(0);
    // The engine may hand strings over as views.
    let column = datafusion::arrow::compute::cast(column, &DataType::Utf8);
    let strings = column.ok().and_then(|c| c.as_any().downcast_ref::<StringArray>().cloned());
    strings.iter().flatten().flatten().map(str::to_owned).collect()
}

/// The rows of a result batch.
pub(crate) fn rows(batch: &RecordBatch) -> Result<Vec<Row>> {
    let texts = texts(batch);
    anyhow::ensure!(
        texts.len() == batch.num_rows(),
        "a result batch with {} rows holds {} texts",
        batch.num_rows(),
        texts.len()
    );
    texts
        .iter()
        .map(|text| serde_json::from_str(text).with_context(|| format!("result row `{text}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_paths_survive_a_batch() {
        let row = Row {
            path: "/a \"b\"\n.dbn".to_owned(),
            error: Some("bad".to_owned()),
            records: u64::MAX,
            ..Row::default()
        };
        assert_eq!(rows(&row_batch(&row).unwrap()).unwrap(), [row]);
        let paths = ["x".to_owned(), "y z".to_owned()];
        assert_eq!(texts(&paths_batch(&paths).unwrap()), paths);
    }
}
