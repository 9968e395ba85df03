//! From waiting bins to the files of a store.

use lob_depth::PriceStep;
use lob_store::{BinWriter, StoreMeta, StoredBin};

use super::{
    super::{
        edges::Edges,
        output::{Output, count_class},
        track::Part,
    },
    BinRows, Bins,
    ahead::RowLabels,
};
use crate::{ConvertError, Instrument, OutputSummary, PriceStepSource};

/// What a file of bins is about.
#[derive(Clone, Copy)]
pub(super) struct Stepped<'s> {
    pub(super) instrument: &'s Instrument,
    pub(super) step: PriceStep,
    pub(super) step_from: PriceStepSource,
}

/// Writes the file of one instrument and day.
pub(super) fn write_part(
    bins: &mut Bins,
    Stepped { instrument, step, step_from }: Stepped<'_>,
    part: Part<BinRows>,
    edges: &Edges,
    out: &mut Output<'_, '_>,
) -> Result<(), ConvertError> {
    let _scope = lob_scope::scope("write");
    let Output { folder, meta: input, config, ref mut spool, ref mut truth, .. } = *out;
    let symbol = instrument.name();
    let day = part.day.to_string();
    let relative = input.file_path("bins", &day, instrument);
    let mut labels = config.forward_labels();
    labels.extend(truth.iter().flat_map(|join| join.labels()));
    let mut writer = BinWriter::create_staged(
        spool.fs(),
        folder.join(&relative),
        step.get(),
        config.writer,
        labels,
    )?;
    let mut class_counts = edges.counters(config);
    let mut rows = part.rows;
    let encoded = std::mem::take(&mut rows.encoded);
    let mut movements = rows.movements.iter();
    let mut forward = RowLabels::new(&rows, config);
    let mut truth_keys = rows.truth_keys.iter();
    bins.drain(encoded, spool, |bin, segment| {
        let movement = movements.next().copied().unwrap_or(f64::NAN);
        let label = edges.class(movement);
        count_class(&mut class_counts, label);
        let movement = movement.is_finite().then_some(movement);
        let mut others = forward.next(&bin);
        if let (Some(truth), Some(key)) = (&mut *truth, truth_keys.next()) {
            others.extend(truth.cells(key)?);
        }
        Ok(writer.push(&StoredBin { bin, segment, movement, label, others })?)
    })?;
    let file = writer.finish(StoreMeta {
        dataset: input.dataset.clone(),
        source_schema: input.schema.to_owned(),
        publisher_id: Some(instrument.publisher_id),
        instrument_id: instrument.instrument_id,
        symbol: symbol.clone(),
        day: day.clone(),
        price_step: step.get(),
        bin_rule: config.bin_rule,
        size_aggregate: config.size_aggregate,
        label: edges.meta(config),
        sources: vec![input.source.clone()],
        updates: part.updates,
        skipped: input.skipped.clone(),
        ..StoreMeta::default()
    })?;
    out.files.push(OutputSummary {
        path: relative,
        instrument_id: instrument.instrument_id,
        symbol,
        day,
        price_step: step.get(),
        price_step_from: Some(step_from),
        rows: file.rows,
        samples: class_counts.iter().sum(),
        bytes: file.bytes,
        sha256: file.sha256,
        edges: edges.id(),
        class_counts,
    });
    Ok(())
}
