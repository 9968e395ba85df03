//! From encoded row groups to the files of a store.

use std::collections::VecDeque;

use lob_store::{TickMeta, TickWriter};

use super::{
    super::{
        edges::Edges,
        output::{Output, count_class},
        track::Part,
    },
    TickRows,
    encoding::Encoding,
};
use crate::{ConvertError, Instrument, OutputSummary};

/// Writes the file of one instrument and day, all of whose rows have been flushed.
pub(super) fn write_part(
    instrument: &Instrument,
    part: Part<TickRows>,
    edges: &Edges,
    encoding: &mut Encoding,
    out: &mut Output<'_, '_>,
) -> Result<(), ConvertError> {
    let _scope = lob_scope::scope("write");
    let Output { folder, meta: input, config, ref mut spool, .. } = *out;
    let day = part.day.to_string();
    let ticks = part.rows;
    let relative = input.file_path("ticks", &day, instrument);
    let mut writer =
        TickWriter::create_staged(spool.fs(), folder.join(&relative), config.tick_writer)?;
    let mut class_counts = edges.counters(config);
    let mut blocks = ticks.spooled.into_iter();
    let mut movements = VecDeque::new();
    for ticket in ticks.groups {
        let (group, block) = encoding.take(ticket, spool)?;
        while movements.len() < group.rows() {
            let Some(block) = blocks.next() else { break };
            let bytes = spool.get(block)?;
            let (numbers, _) = bytes.as_chunks();
            movements.extend(numbers.iter().map(|number| f64::from_le_bytes(*number)));
        }
        let known = group.rows().min(movements.len());
        let labels: Vec<_> = movements
            .drain(..known)
            .map(|movement| {
                let label = edges.class(movement);
                count_class(&mut class_counts, label);
                let movement = movement.is_finite().then(|| edges.shortened(movement, label));
                (movement, label)
            })
            .collect();
        let bytes = spool.get(block)?;
        writer.push(group, bytes.into(), &labels)?;
    }
    let file = writer.finish(TickMeta {
        dataset: input.dataset.clone(),
        source_schema: input.schema.to_owned(),
        publisher_id: instrument.publisher_id,
        instrument_id: instrument.instrument_id,
        symbol: ticks.symbol.clone(),
        day: day.clone(),
        label: edges.meta(config),
        class_counts: class_counts.clone(),
        sources: vec![input.source.clone()],
        ts_event_range: ticks.ts_event_range,
        skipped: input.skipped.clone(),
        ..TickMeta::default()
    })?;
    out.files.push(OutputSummary {
        path: relative,
        instrument_id: instrument.instrument_id,
        symbol: ticks.symbol,
        day,
        price_step: 1,
        price_step_from: None,
        rows: file.rows,
        samples: class_counts.iter().sum(),
        bytes: file.bytes,
        sha256: file.sha256,
        edges: edges.id(),
        class_counts,
    });
    Ok(())
}
