//! The end of an input: labels, files, and what is worth a warning.

use std::path::Path;

use lob_depth::PriceStep;
use lob_store::SourceMeta;

use super::{
    Lane, Pipeline, count, depth_error, go_on,
    ticks::write_ticks,
    track::{LeftOut, Track},
    write::{Edges, InputMeta, Stepped, write_part},
};
use crate::{
    ConvertError, InputSummary, Instrument, OutputSummary, PriceStepSource, Progress,
    hash::Fingerprint,
    summary::{InputOutcome, file_name, source_of},
};

/// Most warnings of an input about what the replay of its books met.
const REPLAY_WARNINGS: usize = 16;

impl Pipeline<'_> {
    /// Labels the bins and writes one file for each instrument and day.
    pub(super) fn write(
        mut self,
        folder: &Path,
        bytes: u64,
        progress: &dyn Progress,
    ) -> Result<InputOutcome, ConvertError> {
        let _scope = lob_scope::scope("label_and_write");
        let lanes = std::mem::take(&mut self.lanes).into_iter();
        let mut tracks: Vec<_> = lanes.filter_map(Lane::into_track).collect();
        tracks.sort_by_key(|track| {
            let of = &track.instrument;
            (of.instrument_id, of.publisher_id, of.nth)
        });
        let schema = self.stream.schema().map_or("none", |schema| schema.as_str());
        let content = self.stream.content();
        let Fingerprint { hash: fingerprint, took_s: fingerprint_s } =
            self.stream.record_fingerprint().unwrap_or_default();
        let meta = InputMeta {
            dataset: self.stream.metadata().dataset.clone(),
            schema,
            source: SourceMeta {
                name: file_name(self.path),
                fingerprint: fingerprint.clone(),
                records: self.stream.counts().records,
                span: self.span,
                ..SourceMeta::default()
            },
            skipped: self.skipped.clone(),
        };
        let mut outputs = Vec::new();
        for track in tracks {
            // An input may have as many files as a market has instruments, each of them synced.
            go_on(progress)?;
            self.write_track(*track, folder, &meta, &mut outputs)?;
        }
        self.warn_of_replay();
        self.warn_of_mappings();
        if outputs.is_empty() {
            self.warn_of_nothing();
        }
        Ok(InputOutcome {
            input: InputSummary {
                path: self.path.to_owned(),
                fingerprint: Some(fingerprint),
                source: Some(source_of(self.path, self.stream.metadata())),
                sha256: content.sha256,
                xxh3: content.xxh3,
                records: meta.source.records,
                span: self.span,
                bytes,
                schema: schema.to_owned(),
                updates: self.stream.counts().updates,
                resumed: false,
                replaces: Vec::new(),
            },
            outputs,
            skipped: self.skipped,
            oddities: self.oddities,
            warnings: self.warnings,
            fingerprint_s,
        })
    }

    fn write_track(
        &mut self,
        track: Track,
        folder: &Path,
        meta: &InputMeta,
        outputs: &mut Vec<OutputSummary>,
    ) -> Result<(), ConvertError> {
        let instrument = track.instrument.clone();
        let symbol = instrument.name();
        if let Some(LeftOut { reason, updates, .. }) = track.left_out() {
            self.warnings.push(format!(
                "{instrument} is left out, with {updates} updates: {reason}; give its price \
                 step, such as --price-step {symbol}=0.25",
            ));
            count(&mut self.skipped, [("no_price_step", *updates)]);
            return Ok(());
        }
        count(&mut self.oddities, track.oddities());
        let depth = |source| depth_error(self.path, &instrument, source);
        let of = (&*meta.dataset, &instrument);
        let edges = match track.ticking() {
            Some(ticking) => ticking.edges(self.config, of),
            None => Edges::of(&track.parts, self.config, of),
        };
        let edges = edges.map_err(depth)?;
        let is_binned = track.step();
        let step_from = track.step_from;
        let mut parts = track.parts;
        let has_parts = !parts.is_empty();
        parts.sort_by_key(|part| part.day);
        if edges.is_missing() && !parts.is_empty() {
            self.warnings.push(format!("no class edges are given for {instrument}"));
        }
        let Some((step, off_step)) = is_binned else {
            for mut part in parts {
                let (config, spool) = (self.config, &mut self.spool);
                // One part after the other: what waits for its file takes memory.
                let Some(encoding) = &mut self.encoding else { continue };
                part.ticks.flush(encoding, || symbol.clone(), spool, true)?;
                outputs.push(write_ticks(
                    folder,
                    meta,
                    config,
                    &instrument,
                    part,
                    &edges,
                    (encoding, spool),
                )?);
            }
            return Ok(());
        };
        for part in parts {
            let stepped = Stepped { instrument: instrument.clone(), step, step_from };
            let output =
                write_part(folder, meta, self.config, stepped, part, &edges, &mut self.spool)?;
            outputs.push(output);
        }
        if has_parts {
            self.warn_of_step(&instrument, step, step_from, off_step);
        }
        Ok(())
    }

    /// Why there is not a single row.
    fn warn_of_nothing(&mut self) {
        let updates = self.stream.counts().updates;
        let only_snapshots = updates > 0 && self.skipped.get("snapshot") == Some(&updates);
        self.warnings.push(if only_snapshots {
            format!(
                "holds only a snapshot of the book ({updates} updates), and no event of the market \
                 after it: nothing to make rows of"
            )
        } else {
            format!("no row came out of {updates} updates")
        });
    }

    fn warn_of_step(
        &mut self,
        instrument: &Instrument,
        step: PriceStep,
        from: PriceStepSource,
        off_step: u64,
    ) {
        if from == PriceStepSource::Guessed {
            self.warnings.push(format!(
                "{instrument} shows too few prices to be sure of its price step; `{step}` \
                 was taken; give it with --price-step SYMBOL=X"
            ));
        }
        if off_step > 0 {
            self.warnings.push(format!(
                "{instrument}: {off_step} best prices are no multiple of the price step \
                 `{step}` and were rounded; give a finer one with --price-step SYMBOL=X"
            ));
        }
    }

    /// Mappings of symbols in the input that cannot be used.
    fn warn_of_mappings(&mut self) {
        let lines = self.stream.mapping_faults(|symbol| self.config.may_want(symbol));
        self.warnings.extend(lines);
    }

    /// A sound feed replays without any of these.
    fn warn_of_replay(&mut self) {
        let mut lines = Vec::new();
        for (key, stats) in self.stream.replay_stats_by_book() {
            let seen = self.stream.instruments().iter();
            let of_key = seen.filter(|i| (i.publisher_id, i.instrument_id) == key);
            let Some(instrument) = of_key.rev().find(|i| self.config.wants(i)) else { continue };
            for (n, what) in [
                (stats.unknown_cancels, "cancels of unknown orders"),
                (stats.unknown_modifies, "modifies of unknown orders"),
                (stats.duplicate_adds, "adds of orders that rest already"),
                (stats.oversized_cancels, "cancels of more than an order has"),
            ] {
                if n > 0 {
                    lines.push(format!("{instrument}: the replay met {n} {what}"));
                }
            }
        }
        let n_more = lines.len().saturating_sub(REPLAY_WARNINGS);
        lines.truncate(REPLAY_WARNINGS);
        if n_more > 0 {
            lines.push(format!("and {n_more} more of these; `lob verify` counts them"));
        }
        self.warnings.extend(lines);
    }
}
