//! One input on its way into the store.

mod spool;
mod ticks;
mod track;
mod write;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lob_depth::DepthError;
use lob_store::TickEncoder;
use rustc_hash::FxHashMap;

use self::{
    spool::Spool,
    ticks::write_ticks,
    track::{Key, Track, order_ts},
    write::{Edges, InputMeta, write_part},
};
use crate::{
    ConvertConfig, ConvertError, InputSummary, Layout, OutputSummary, Progress, RecordStream,
    summary::InputOutcome,
};

/// Updates of all instruments together that may wait for a price step: 32 MiB of records.
const HELD_UPDATES_MAX: usize = 90_000;
/// Updates between two reports of progress.
const PROGRESS_UPDATES: u32 = 1 << 14;

/// Converts one input into files below `folder`, which is made and belongs to it alone. The paths
/// of the outcome are relative to it.
pub(crate) fn convert_input(
    path: &Path,
    folder: &Path,
    config: &ConvertConfig,
    progress: &dyn Progress,
) -> Result<InputOutcome, ConvertError> {
    let _scope = lob_profiler::scope("convert_input");
    let bytes = fs::metadata(path).map_err(ConvertError::io(path, "open"))?.len();
    progress.input_started(path, bytes);
    let stream = if config.hash_inputs {
        RecordStream::open(path)?
    } else {
        RecordStream::open_unhashed(path)?
    };
    fs::create_dir_all(folder).map_err(ConvertError::io(folder, "make"))?;
    let spool_path = folder.join("spool");
    let mut pipeline = Pipeline {
        config,
        path,
        stream,
        tracks: Vec::new(),
        index: FxHashMap::default(),
        last: None,
        spool: Spool::new(spool_path.clone()),
        encoder: match config.layout {
            Layout::Bins => None,
            Layout::Ticks => Some(TickEncoder::new(path, config.tick_writer)?),
        },
        skipped: BTreeMap::new(),
        warnings: Vec::new(),
        n_held: 0,
    };
    pipeline.read(progress)?;
    let outcome = pipeline.write(folder, bytes)?;
    match fs::remove_file(&spool_path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ConvertError::io(&spool_path, "remove")(error))
        }
        _ => Ok(outcome),
    }
}

struct Pipeline<'a> {
    config: &'a ConvertConfig,
    path: &'a Path,
    stream: RecordStream,
    tracks: Vec<Track>,
    index: FxHashMap<Key, usize>,
    /// The track of the last update: instruments come in runs.
    last: Option<(Key, usize)>,
    spool: Spool,
    /// For the layout of ticks only.
    encoder: Option<TickEncoder>,
    skipped: BTreeMap<String, u64>,
    warnings: Vec<String>,
    /// Updates of all tracks that wait for a price step.
    n_held: usize,
}

impl Pipeline<'_> {
    /// Reads all updates and bins them.
    fn read(&mut self, progress: &dyn Progress) -> Result<(), ConvertError> {
        let _scope = lob_profiler::scope("decode_and_bin");
        let config = self.config;
        let has_filter = !(config.symbols.is_empty() && config.instrument_ids.is_empty());
        let (mut filtered, mut untimed) = (0_u64, 0_u64);
        let mut reporter = Reporter { progress, path: self.path, bytes: 0, records: 0, left: 1 };
        while let Some((record, symbols)) = self.stream.next_with_symbols()? {
            let key = Key {
                publisher_id: record.hd.publisher_id,
                instrument_id: record.hd.instrument_id,
            };
            let at = match self.last {
                Some((last, at)) if last == key => at,
                _ => find_track(key, &mut self.index, &mut self.tracks, config)
                    .map_err(|source| depth_error(self.path, key, source))?,
            };
            self.last = Some((key, at));
            let track = &mut self.tracks[at];
            let Some(ts) = order_ts(record) else {
                untimed += 1;
                continue;
            };
            let symbol = || symbols.get_for_ts(ts, key.instrument_id).map(String::as_str);
            if has_filter && !track.is_wanted(ts, config, || is_wanted(config, key, symbol())) {
                filtered += 1;
            } else {
                let n_held = track.n_held();
                track
                    .push(record, ts, config, &mut self.spool)
                    .map_err(|source| depth_error(self.path, key, source))?;
                self.n_held = self.n_held + track.n_held() - n_held;
            }
            reporter.left -= 1;
            if reporter.left == 0 {
                reporter.report(&self.stream)?;
                self.relieve_memory()?;
            }
        }
        reporter.report(&self.stream)?;
        self.skipped.clone_from(&self.stream.counts().skipped);
        for (reason, n) in [("filtered", filtered), ("no_timestamp", untimed)] {
            self.skip(reason, n);
        }
        self.finish_tracks()
    }

    fn skip(&mut self, reason: &str, n: u64) {
        if n > 0 {
            *self.skipped.entry(reason.to_owned()).or_default() += n;
        }
    }

    /// Keeps what waits in memory within its limits.
    fn relieve_memory(&mut self) -> Result<(), ConvertError> {
        if self.n_held > HELD_UPDATES_MAX {
            self.n_held = 0;
            self.settle_steps()?;
        }
        self.flush_ticks(false)?;
        if self.spool.is_full() {
            for part in self.tracks.iter_mut().flat_map(|track| &mut track.parts) {
                self.spool.flush(&mut part.bins)?;
            }
        }
        Ok(())
    }

    /// Encodes rows of the layout of ticks: those of full row groups, or all.
    fn flush_ticks(&mut self, all: bool) -> Result<(), ConvertError> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let held = self.tracks.iter().flat_map(|track| &track.parts).map(|p| p.ticks.n_held());
        let (n_all, n_parts) =
            held.filter(|n| *n > 0).fold((0, 0), |(sum, parts), n| (sum + n, parts + 1));
        for track in &mut self.tracks {
            let id = track.key.instrument_id;
            for part in &mut track.parts {
                if all || part.ticks.is_due(n_all, n_parts) {
                    let symbol = self.stream.symbol(id, part.ts);
                    let symbol = || symbol.map_or_else(|| id.to_string(), str::to_owned);
                    part.ticks.flush(encoder, symbol, &mut self.spool)?;
                }
            }
        }
        Ok(())
    }

    /// Ends all segments.
    fn finish_tracks(&mut self) -> Result<(), ConvertError> {
        self.settle_steps()?;
        for track in &mut self.tracks {
            track.finish(&mut self.spool);
        }
        self.flush_ticks(true)
    }

    /// Gives every instrument a price step, if need be a guess.
    fn settle_steps(&mut self) -> Result<(), ConvertError> {
        for track in &mut self.tracks {
            track
                .start(true, self.config, &mut self.spool)
                .map_err(|source| depth_error(self.path, track.key, source))?;
        }
        Ok(())
    }

    /// Labels the bins and writes one file for each instrument and day.
    fn write(mut self, folder: &Path, bytes: u64) -> Result<InputOutcome, ConvertError> {
        let _scope = lob_profiler::scope("label_and_write");
        let mut tracks = std::mem::take(&mut self.tracks);
        tracks.sort_by_key(|track| (track.key.instrument_id, track.key.publisher_id));
        let schema = self.stream.schema().map_or("none", |schema| schema.as_str());
        let meta = InputMeta {
            path: self.path,
            dataset: self.stream.metadata().dataset.clone(),
            schema,
            sha256: self.stream.sha256(),
            records: self.stream.counts().records,
            skipped: self.skipped.clone(),
        };
        let mut outputs = Vec::new();
        for track in tracks {
            self.write_track(track, folder, &meta, &mut outputs)?;
        }
        self.warn_of_replay();
        if outputs.is_empty() {
            let updates = self.stream.counts().updates;
            let path = self.path.display();
            self.warnings.push(format!("`{path}`: no bin came out of {updates} updates"));
        }
        Ok(InputOutcome {
            input: InputSummary {
                path: self.path.to_owned(),
                sha256: meta.sha256,
                records: meta.records,
                bytes,
                schema: schema.to_owned(),
                updates: self.stream.counts().updates,
                resumed: false,
            },
            outputs,
            skipped: self.skipped,
            warnings: self.warnings,
        })
    }

    fn write_track(
        &mut self,
        track: Track,
        folder: &Path,
        meta: &InputMeta<'_>,
        outputs: &mut Vec<OutputSummary>,
    ) -> Result<(), ConvertError> {
        let key = track.key;
        if let Some(ticking) = track.ticking() {
            let edges =
                ticking.edges(self.config).map_err(|source| depth_error(self.path, key, source))?;
            let mut parts = track.parts;
            parts.sort_by_key(|part| part.day);
            for part in parts {
                let spool = &mut self.spool;
                outputs.push(write_ticks(folder, meta, self.config, key, part, &edges, spool)?);
            }
            return Ok(());
        }
        let Some((step, off_step)) = track.step() else { return Ok(()) };
        let edges = Edges::of(&track.parts, self.config)
            .map_err(|source| depth_error(self.path, key, source))?;
        let mut parts = track.parts;
        parts.sort_by_key(|part| part.day);
        for part in parts {
            let id = key.instrument_id;
            let symbol =
                self.stream.symbol(id, part.ts).map_or_else(|| id.to_string(), str::to_owned);
            let instrument = (key, step, symbol);
            let output =
                write_part(folder, meta, self.config, instrument, part, &edges, &mut self.spool)?;
            outputs.push(output);
        }
        if track.guessed_step.is_some() {
            self.warnings.push(format!(
                "`{}`: instrument `{}` shows too few prices to be sure of its price step; `{step}` \
                 was taken; give it with --price-step",
                self.path.display(),
                key.instrument_id
            ));
        }
        if off_step > 0 {
            self.warnings.push(format!(
                "`{}`: instrument `{}`: {off_step} best prices are no multiple of the price step \
                 `{step}` and were rounded; give a finer one with --price-step",
                self.path.display(),
                key.instrument_id
            ));
        }
        Ok(())
    }

    /// A sound feed replays without any of these.
    fn warn_of_replay(&mut self) {
        let stats = self.stream.replay_stats();
        for (n, what) in [
            (stats.unknown_cancels, "cancels of unknown orders"),
            (stats.unknown_modifies, "modifies of unknown orders"),
            (stats.duplicate_adds, "adds of orders that rest already"),
            (stats.oversized_cancels, "cancels of more than an order has"),
        ] {
            if n > 0 {
                let path = self.path.display();
                self.warnings.push(format!("`{path}`: the replay met {n} {what}"));
            }
        }
    }
}

/// Tells how far the reading is, every now and then.
struct Reporter<'a> {
    progress: &'a dyn Progress,
    path: &'a Path,
    bytes: u64,
    records: u64,
    /// Updates until the next report.
    left: u32,
}

impl Reporter<'_> {
    fn report(&mut self, stream: &RecordStream) -> Result<(), ConvertError> {
        let (bytes, records) = (stream.file_bytes(), stream.counts().records);
        self.progress.advanced(self.path, bytes - self.bytes, records - self.records);
        (self.bytes, self.records, self.left) = (bytes, records, PROGRESS_UPDATES);
        if self.progress.is_cancelled() { Err(ConvertError::Interrupted) } else { Ok(()) }
    }
}

fn find_track(
    key: Key,
    index: &mut FxHashMap<Key, usize>,
    tracks: &mut Vec<Track>,
    config: &ConvertConfig,
) -> Result<usize, DepthError> {
    let next = tracks.len();
    let at = *index.entry(key).or_insert(next);
    if at == next {
        tracks.push(Track::new(key, config)?);
    }
    Ok(at)
}

fn is_wanted(config: &ConvertConfig, key: Key, symbol: Option<&str>) -> bool {
    let by_symbol = symbol.is_some_and(|symbol| config.symbols.iter().any(|s| s == symbol));
    by_symbol || config.instrument_ids.contains(&key.instrument_id)
}

fn depth_error(path: &Path, key: Key, source: DepthError) -> ConvertError {
    let (path, instrument_id) = (PathBuf::from(path), key.instrument_id);
    match source {
        DepthError::TooFewPrices { .. } | DepthError::ImplausibleStep { .. } => {
            ConvertError::PriceStep { path, instrument_id, source }
        }
        _ => ConvertError::Depth { path, instrument_id, source },
    }
}
