//! One input on its way into the store.

mod finish;
mod forward;
mod lane;
mod moved;
mod segment;
mod spool;
mod ticks;
mod touch;
mod track;
mod write;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lob_depth::DepthError;
use lob_store::{
    TickEncoder,
    fs::{SharedFs, make_folders},
};

pub use self::segment::Breaks;
use self::{
    lane::{Lane, open_lane},
    spool::Spool,
    ticks::{Encoding, FIT_ALL_MAX, Ticking},
    track::Track,
};
pub(crate) use self::{
    moved::{MovedPart, movements_of},
    write::standard_deviation,
};
use crate::{
    Clock, ConvertConfig, ConvertError, Instrument, Layout, Progress, RecordStream,
    decode::Located, increments::Increments, inputs::Input, progress::go_on, summary::InputOutcome,
};

/// Updates of all instruments together that may wait for a price step: 32 MiB of records.
const HELD_UPDATES_MAX: usize = 90_000;
/// Updates between two reports of progress.
const PROGRESS_UPDATES: u32 = 1 << 14;
/// Size of a file from which on a thread that reads ahead pays.
const READ_AHEAD_BYTES_MIN: u64 = 1 << 20;

/// What the conversions of all inputs share.
pub(crate) struct Shared<'a> {
    pub(crate) config: &'a ConvertConfig,
    pub(crate) progress: &'a dyn Progress,
    /// Of files of definitions; records in the input itself come first.
    pub(crate) increments: &'a Increments,
    /// Where the store is written.
    pub(crate) fs: &'a SharedFs,
    /// Whether this is the only input, and there are cores for threads that help with it.
    pub(crate) is_helped: bool,
}

/// Converts one input into files below `folder`, which is made and belongs to it alone. The paths
/// of the outcome are relative to it.
pub(crate) fn convert_input(
    input: &Input,
    folder: &Path,
    shared: &Shared<'_>,
) -> Result<InputOutcome, ConvertError> {
    let _scope = lob_scope::scope("convert_input");
    let pipeline = read_input(input, folder, shared)?;
    let spool_path = pipeline.spool.path().to_owned();
    let bytes = pipeline.stream.input_bytes();
    let outcome = pipeline.write(folder, bytes, shared.progress)?;
    remove_spool(&spool_path, shared).map(|()| outcome)
}

fn remove_spool(path: &Path, shared: &Shared<'_>) -> Result<(), ConvertError> {
    match shared.fs.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ConvertError::io(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

/// Reads one input to its end: all of its bins or ticks wait for their labels.
fn read_input<'a>(
    input: &'a Input,
    folder: &Path,
    shared: &Shared<'a>,
) -> Result<Pipeline<'a>, ConvertError> {
    let Shared { config, progress, .. } = *shared;
    let path = &*input.path;
    progress.input_started(path, input.bytes);
    let mut stream =
        RecordStream::open_with(path, input.hash(config), true, &|| progress.is_cancelled())?
            .with_batch(input.symbols.clone());
    let bytes = stream.input_bytes();
    if bytes != input.bytes {
        let found = format!("it had {} bytes when it was found, now {bytes}", input.bytes);
        return Err(ConvertError::Changed { path: path.to_owned(), found });
    }
    let is_helped = shared.is_helped && config.read_ahead && bytes >= READ_AHEAD_BYTES_MIN;
    if is_helped {
        stream = stream.read_ahead()?;
    }
    make_folders(&**shared.fs, folder, |_| ())
        .map_err(|(folder, source)| ConvertError::io(&folder, "make")(source))?;
    let encoding = match config.layout {
        Layout::Bins => None,
        Layout::Ticks => {
            let encoder = TickEncoder::new(path, config.tick_writer)?;
            let encoding = Encoding::new(encoder, is_helped);
            Some(encoding.map_err(ConvertError::io(path, "start a thread that encodes"))?)
        }
    };
    let mut pipeline = Pipeline {
        config,
        increments: shared.increments,
        path,
        stream,
        lanes: Vec::new(),
        spool: Spool::new(SharedFs::clone(shared.fs), folder.join("spool")),
        encoding,
        skipped: BTreeMap::new(),
        oddities: BTreeMap::new(),
        warnings: Vec::new(),
        n_held: 0,
        span: None,
    };
    pipeline.read(progress)?;
    Ok(pipeline)
}

struct Pipeline<'a> {
    config: &'a ConvertConfig,
    increments: &'a Increments,
    path: &'a Path,
    stream: RecordStream,
    /// What becomes of each instrument, in the order in which the stream numbers them.
    lanes: Vec<Lane>,
    spool: Spool,
    /// For the layout of ticks only.
    encoding: Option<Encoding>,
    skipped: BTreeMap<String, u64>,
    /// Updates kept although something about them was odd, by reason.
    oddities: BTreeMap<String, u64>,
    warnings: Vec<String>,
    /// Updates of all tracks that wait for a price step.
    n_held: usize,
    /// Times of the first and last update that was placed.
    span: Option<(u64, u64)>,
}

impl Pipeline<'_> {
    /// Reads all updates and bins them.
    fn read(&mut self, progress: &dyn Progress) -> Result<(), ConvertError> {
        let _scope = lob_scope::scope("decode_and_bin");
        let config = self.config;
        let mut clock = Clock::new(self.stream.metadata());
        let (mut filtered, mut snapshots) = (0_u64, 0_u64);
        let (mut first, mut last) = (u64::MAX, 0);
        let mut reporter = Reporter { progress, path: self.path, bytes: 0, records: 0, left: 1 };
        while let Some(located) = self.stream.next_located(progress)? {
            let Located { record, at, quiet, instruments } = located;
            let Some(ts) = clock.place(record) else {
                clock.note_place(self.stream.position());
                continue;
            };
            (first, last) = (first.min(ts), last.max(ts));
            let index = at.index as usize;
            if !matches!(self.lanes.get(index), Some(Lane::Filtered | Lane::Open(_))) {
                open_lane(&mut self.lanes, index, ts, config, instruments, self.increments)
                    .map_err(|source| depth_error(self.path, &instruments.seen()[index], source))?;
            }
            if let Lane::Open(track) = &mut self.lanes[index] {
                snapshots += u64::from(record.flags.is_snapshot());
                let n_held = track.n_held();
                track
                    .push((record, quiet), ts, at.stretch, config, &mut self.spool)
                    .map_err(|source| depth_error(self.path, &track.instrument, source))?;
                self.n_held = self.n_held + track.n_held() - n_held;
            } else {
                filtered += 1;
            }
            reporter.left -= 1;
            if reporter.left == 0 {
                reporter.report(&self.stream)?;
                self.relieve_memory()?;
            }
        }
        reporter.report(&self.stream)?;
        self.span = (first <= last).then_some((first, last));
        self.skipped.clone_from(&self.stream.counts().skipped);
        count(&mut self.skipped, [("filtered", filtered), ("snapshot", snapshots)]);
        self.note_times(clock);
        self.finish_tracks()
    }

    /// Takes over what was odd about times.
    fn note_times(&mut self, clock: Clock) {
        if let Some((index, byte)) = clock.places.first() {
            let n = clock.n_unplaced();
            let more: Vec<_> = clock.places[1..].iter().map(|place| place.0.to_string()).collect();
            let more =
                if more.is_empty() { more.concat() } else { format!(", {}", more.join(", ")) };
            self.warnings.push(format!(
                "{n} updates have no usable time and are left out: record {index} (byte {byte} \
                 of the decoded stream){more}"
            ));
        }
        count(&mut self.skipped, clock.unplaced);
        count(&mut self.oddities, clock.oddities);
    }

    /// Keeps what waits in memory within its limits.
    fn relieve_memory(&mut self) -> Result<(), ConvertError> {
        if self.n_held > HELD_UPDATES_MAX {
            self.n_held = 0;
            self.settle_steps()?;
        }
        self.flush_ticks()?;
        self.thin_fits();
        if self.spool.is_full() {
            for part in self.lanes.iter_mut().filter_map(Lane::track_mut).flat_map(|t| &mut t.parts)
            {
                self.spool.flush(&mut part.bins)?;
            }
        }
        Ok(())
    }

    /// Encodes rows of the layout of ticks where there are enough of them.
    fn flush_ticks(&mut self) -> Result<(), ConvertError> {
        let Some(encoding) = &mut self.encoding else { return Ok(()) };
        let parts = self.lanes.iter().filter_map(Lane::track).flat_map(|track| &track.parts);
        let held = parts.map(|part| part.ticks.held_bytes());
        let (all, n_parts) =
            held.filter(|n| *n > 0).fold((0, 0), |(sum, parts), n| (sum + n, parts + 1));
        for track in self.lanes.iter_mut().filter_map(Lane::track_mut) {
            for part in &mut track.parts {
                if part.ticks.is_due(all, n_parts) {
                    let symbol = || track.instrument.name();
                    part.ticks.flush(encoding, symbol, &mut self.spool, false)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the movements that classes of ticks are fitted on within their limit.
    fn thin_fits(&mut self) {
        let n_fit = |track: &Track| track.ticking().map_or(0, Ticking::n_fit);
        let mut n_all: usize = self.lanes.iter().filter_map(Lane::track).map(n_fit).sum();
        while n_all > FIT_ALL_MAX {
            let tracks = self.lanes.iter_mut().filter_map(Lane::track_mut);
            let Some(largest) = tracks.max_by_key(|track| n_fit(track)) else {
                return;
            };
            let before = n_fit(largest);
            if let Some(ticking) = largest.ticking_mut() {
                ticking.thin_fit();
            }
            n_all -= before - n_fit(largest);
        }
    }

    /// Ends all segments.
    fn finish_tracks(&mut self) -> Result<(), ConvertError> {
        self.settle_steps()?;
        for track in self.lanes.iter_mut().filter_map(Lane::track_mut) {
            track.finish(&mut self.spool);
        }
        Ok(())
    }

    /// Gives every instrument a price step, if need be a guess.
    fn settle_steps(&mut self) -> Result<(), ConvertError> {
        for track in self.lanes.iter_mut().filter_map(Lane::track_mut) {
            track
                .start(self.config, &mut self.spool)
                .map_err(|source| depth_error(self.path, &track.instrument, source))?;
        }
        Ok(())
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
        go_on(self.progress)
    }
}

/// Adds counts that are not 0.
fn count(to: &mut BTreeMap<String, u64>, counts: impl IntoIterator<Item = (&'static str, u64)>) {
    for (reason, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
        *to.entry(reason.to_owned()).or_default() += n;
    }
}

fn depth_error(path: &Path, instrument: &Instrument, source: DepthError) -> ConvertError {
    let (path, instrument) = (PathBuf::from(path), instrument.to_string());
    ConvertError::Depth { path, instrument, source }
}
