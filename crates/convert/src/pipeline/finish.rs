//! The end of an input: labels, files, and what is worth a warning.

use std::path::Path;

use lob_store::SourceMeta;

use super::{
    Lane, Pipeline, go_on,
    output::{InputMeta, Output},
    track::{RowLayout, Track},
};
use crate::{
    ConvertError, InputSummary, Progress, TruthCounts,
    hash::Fingerprint,
    summary::{InputOutcome, file_name, source_of},
    truth::TruthJoin,
};

/// Most warnings of an input about what the replay of its books met.
const REPLAY_WARNINGS: usize = 16;

impl<L: RowLayout> Pipeline<'_, L> {
    /// Labels the rows and writes one file for each instrument and day.
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
            skipped: self.notes.skipped.clone(),
        };
        let mut outputs = Vec::new();
        let mut truth = self.truth.map(TruthJoin::new);
        for track in tracks {
            // An input may have as many files as a market has instruments, each of them synced.
            go_on(progress)?;
            let Track { instrument, maker, mut parts, .. } = *track;
            parts.sort_by_key(|part| part.day);
            let mut out = Output {
                path: self.path,
                folder,
                config: self.config,
                meta: &meta,
                spool: &mut self.spool,
                files: &mut outputs,
                notes: &mut self.notes,
                truth: truth.as_mut(),
            };
            self.layout.write(&instrument, maker, parts, &mut out)?;
        }
        let truth = truth.map(|join| join.counts);
        self.warn_of_truth(truth);
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
            skipped: self.notes.skipped,
            oddities: self.notes.oddities,
            truth,
            warnings: self.notes.warnings,
            fingerprint_s,
        })
    }

    /// Why there is not a single row.
    fn warn_of_nothing(&mut self) {
        let updates = self.stream.counts().updates;
        let only_snapshots = updates > 0 && self.notes.skipped.get("snapshot") == Some(&updates);
        self.notes.warnings.push(if only_snapshots {
            format!(
                "holds only a snapshot of the book ({updates} updates), and no event of the market \
                 after it: nothing to make rows of"
            )
        } else {
            format!("no row came out of {updates} updates")
        });
    }

    /// Bins that are not in the truth file.
    fn warn_of_truth(&mut self, truth: Option<TruthCounts>) {
        if let Some(TruthCounts { joined, missing: missing @ 1.. }) = truth {
            self.notes.warnings.push(format!(
                "the last updates of {missing} of {} bins are not in the truth file: their \
                 `true_regime` and `true_pressure` are null",
                joined + missing
            ));
        }
    }

    /// Mappings of symbols in the input that cannot be used.
    fn warn_of_mappings(&mut self) {
        let lines = self.stream.mapping_faults(|symbol| self.config.may_want(symbol));
        self.notes.warnings.extend(lines);
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
        self.notes.warnings.extend(lines);
    }
}
