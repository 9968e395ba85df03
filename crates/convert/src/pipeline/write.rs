//! From spooled bins to the files of a store.

use std::{collections::BTreeMap, path::Path};

use lob_depth::{PriceStep, class_edges, classify, train_prefix};
use lob_store::{
    BinWriter, FORMAT_VERSION, LabelMeta, SourceMeta, StoreMeta, StoredBin, partition_path,
};

use super::{
    spool::Spool,
    track::{Key, Part},
};
use crate::{ClassEdges, ConvertConfig, ConvertError, OutputSummary};

/// What all files of an input have in common.
pub(super) struct InputMeta<'a> {
    pub(super) path: &'a Path,
    pub(super) dataset: String,
    pub(super) schema: &'static str,
    pub(super) sha256: Option<String>,
    pub(super) records: u64,
    pub(super) skipped: BTreeMap<String, u64>,
}

/// Class edges of an instrument, outermost ones included, and what they are fitted on.
pub(super) struct Edges {
    edges: Option<Vec<f64>>,
    fitted_on: String,
}

impl Edges {
    /// The edges for the movements of an instrument.
    pub(super) fn of(
        parts: &[Part],
        config: &ConvertConfig,
    ) -> Result<Self, lob_depth::DepthError> {
        let classes = config.label.classes;
        if let ClassEdges::Fixed(inner) = &config.class_edges {
            let ends = (f64::NEG_INFINITY, f64::INFINITY);
            let edges = std::iter::once(ends.0).chain(inner.iter().copied()).chain([ends.1]);
            return Ok(Self { edges: Some(edges.collect()), fitted_on: "given".to_owned() });
        }
        let mut by_day: Vec<&Part> = parts.iter().collect();
        by_day.sort_by_key(|part| part.day);
        let movements: Vec<f64> = by_day
            .iter()
            .flat_map(|part| part.movements.iter().copied())
            .filter(|movement| movement.is_finite())
            .collect();
        if movements.is_empty() {
            return Ok(Self { edges: None, fitted_on: "no movement".to_owned() });
        }
        let train = train_prefix(&movements, classes);
        let fitted_on = format!(
            "first {} of {} movements of the instrument in this input",
            train.len(),
            movements.len()
        );
        Ok(Self { edges: Some(class_edges(train, classes)?), fitted_on })
    }

    fn class(&self, movement: f64) -> Option<i32> {
        let edges = self.edges.as_ref()?;
        movement.is_finite().then(|| classify(movement, edges))
    }

    fn meta(&self, config: &ConvertConfig) -> LabelMeta {
        let edges = self.edges.as_deref().unwrap_or_default();
        let inner = edges.get(1..edges.len().saturating_sub(1)).unwrap_or_default();
        LabelMeta {
            lookback: config.label.lookback.into(),
            lookforward: config.label.lookforward.into(),
            offset: config.label.offset.into(),
            classes: if edges.is_empty() { 0 } else { config.label.classes },
            edges: inner.to_vec(),
            fitted_on: self.fitted_on.clone(),
        }
    }
}

/// Writes the file of one instrument and day below `folder`; the summary's path is relative to it.
pub(super) fn write_part(
    folder: &Path,
    input: &InputMeta<'_>,
    config: &ConvertConfig,
    instrument: (Key, PriceStep, String),
    part: Part,
    edges: &Edges,
    spool: &mut Spool,
) -> Result<OutputSummary, ConvertError> {
    let _scope = lob_profiler::scope("write");
    let (key, step, symbol) = instrument;
    let day = part.day.to_string();
    let relative = partition_path(&day, key.instrument_id).with_file_name(file_name(
        key,
        input.sha256.as_deref(),
        input.path,
    ));
    let mut writer = BinWriter::create(folder.join(&relative), step.get(), config.writer)?;
    let mut class_counts =
        vec![0_u64; if edges.edges.is_some() { config.label.classes as usize } else { 0 }];
    let mut movements = part.movements.into_iter();
    spool.drain(part.bins, |bin, segment| {
        let movement = movements.next().unwrap_or(f64::NAN);
        let label = edges.class(movement);
        if let Some(count) = label
            .and_then(|label| usize::try_from(label).ok())
            .and_then(|label| class_counts.get_mut(label))
        {
            *count += 1;
        }
        let movement = movement.is_finite().then_some(movement);
        Ok(writer.push(&StoredBin { bin, segment, movement, label })?)
    })?;
    let file = writer.finish(StoreMeta {
        format_version: FORMAT_VERSION,
        dataset: input.dataset.clone(),
        source_schema: input.schema.to_owned(),
        publisher_id: Some(key.publisher_id),
        instrument_id: key.instrument_id,
        symbol: symbol.clone(),
        day: day.clone(),
        price_step: step.get(),
        bin_rule: config.bin_rule,
        size_aggregate: config.size_aggregate,
        label: edges.meta(config),
        sources: vec![SourceMeta {
            path: input.path.display().to_string(),
            sha256: input.sha256.clone().unwrap_or_default(),
            records: input.records,
        }],
        updates: part.updates,
        skipped: input.skipped.clone(),
        segments: Vec::new(),
    })?;
    Ok(OutputSummary {
        path: relative,
        instrument_id: key.instrument_id,
        symbol,
        day,
        price_step: step.get(),
        rows: file.rows,
        samples: class_counts.iter().sum(),
        bytes: file.bytes,
        sha256: file.sha256,
        class_counts,
    })
}

/// The file's name within its partition: two publishers or two inputs of one day never collide,
/// and the same input gives the same name again.
fn file_name(key: Key, sha256: Option<&str>, path: &Path) -> String {
    let stem = match sha256 {
        Some(hash) => hash.get(..12).unwrap_or(hash).to_owned(),
        None => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
        }
    };
    format!("bins-{}-{stem}.parquet", key.publisher_id)
}
