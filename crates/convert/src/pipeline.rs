//! One input on its way into the store.

mod bins;
mod edges;
mod finish;
mod lane;
mod moved;
mod notes;
mod output;
mod segment;
mod spool;
mod ticks;
mod touch;
mod track;

use std::path::Path;

use lob_store::fs::{SharedFs, make_folders};

pub use self::segment::Breaks;
use self::{
    bins::Bins,
    lane::{Lane, open_lane},
    notes::{Notes, count},
    output::depth_error,
    spool::Spool,
    ticks::Ticks,
    track::{Placed, RowLayout, Unrelieved},
};
pub(crate) use self::{
    edges::standard_deviation,
    moved::{MovedPart, movements_of},
};
use crate::{
    Clock, ConvertConfig, ConvertError, Layout, Progress, RecordStream, decode::Located,
    increments::Increments, inputs::Input, progress::go_on, summary::InputOutcome,
    truth::TruthSource,
};

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
    /// The truth that bins are joined with.
    pub(crate) truth: Option<&'a TruthSource>,
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
    match shared.config.layout {
        Layout::Bins => convert_rows(input, folder, shared, |_| Ok(Bins::default())),
        Layout::Ticks => convert_rows(input, folder, shared, |is_helped| {
            Ticks::new(&input.path, shared.config, is_helped)
        }),
    }
}

/// Converts one input into rows of a layout; `begin` is told whether threads may help.
fn convert_rows<L: RowLayout>(
    input: &Input,
    folder: &Path,
    shared: &Shared<'_>,
    begin: impl FnOnce(bool) -> Result<L, ConvertError>,
) -> Result<InputOutcome, ConvertError> {
    let _scope = lob_scope::scope("convert_input");
    let pipeline = read_input(input, folder, shared, begin)?;
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

/// Reads one input to its end: all of its rows wait for their labels.
fn read_input<'a, L: RowLayout>(
    input: &'a Input,
    folder: &Path,
    shared: &Shared<'a>,
    begin: impl FnOnce(bool) -> Result<L, ConvertError>,
) -> Result<Pipeline<'a, L>, ConvertError> {
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
    let mut pipeline = Pipeline {
        config,
        increments: shared.increments,
        truth: shared.truth,
        path,
        stream,
        lanes: Vec::new(),
        spool: Spool::new(SharedFs::clone(shared.fs), folder.join("spool")),
        layout: begin(is_helped)?,
        notes: Notes::default(),
        span: None,
    };
    pipeline.read(progress)?;
    Ok(pipeline)
}

struct Pipeline<'a, L: RowLayout> {
    config: &'a ConvertConfig,
    increments: &'a Increments,
    truth: Option<&'a TruthSource>,
    path: &'a Path,
    stream: RecordStream,
    /// What becomes of each instrument, in the order in which the stream numbers them.
    lanes: Vec<Lane<L>>,
    spool: Spool,
    layout: L,
    notes: Notes,
    /// Times of the first and last update that was placed.
    span: Option<(u64, u64)>,
}

impl<L: RowLayout> Pipeline<'_, L> {
    /// Reads all updates and makes rows of them.
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
                track
                    .push(
                        Placed { record, quiet, ts, stretch: at.stretch },
                        config,
                        &mut self.layout,
                    )
                    .map_err(|source| depth_error(self.path, &track.instrument, source))?;
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
        self.notes.skipped.clone_from(&self.stream.counts().skipped);
        count(&mut self.notes.skipped, [("filtered", filtered), ("snapshot", snapshots)]);
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
            self.notes.warnings.push(format!(
                "{n} updates have no usable time and are left out: record {index} (byte {byte} \
                 of the decoded stream){more}"
            ));
        }
        count(&mut self.notes.skipped, clock.unplaced);
        count(&mut self.notes.oddities, clock.oddities);
    }

    /// Keeps what waits in memory within its limits.
    fn relieve_memory(&mut self) -> Result<(), ConvertError> {
        let mut tracks: Vec<_> = self.lanes.iter_mut().filter_map(Lane::track_mut).collect();
        self.layout.relieve(&mut tracks, self.config, &mut self.spool).map_err(
            |error| match error {
                Unrelieved::Depth(instrument, source) => {
                    depth_error(self.path, &instrument, source)
                }
                Unrelieved::Other(error) => error,
            },
        )
    }

    /// Ends all segments.
    fn finish_tracks(&mut self) -> Result<(), ConvertError> {
        for track in self.lanes.iter_mut().filter_map(Lane::track_mut) {
            track
                .finish(self.config, &mut self.layout)
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
