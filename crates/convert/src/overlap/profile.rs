//! What an input holds: instruments, times and a sum over its records, read to its end.

use std::{
    collections::BTreeMap,
    io::Read,
    mem::{offset_of, size_of},
    ops::Range,
    path::Path,
};

use dbn::{MboMsg, Mbp10Msg, flags, rtype};
use rustc_hash::FxHashMap;
use twox_hash::XxHash3_128;

use crate::{
    BookSchema, ConvertError, InputHash, Progress,
    day::DAY_NS,
    decode::{Source, read_header},
    hash::RecordHasher,
    input_file::InputFile,
};

const READ_BYTES: usize = 1 << 18;

/// Times that may be at all: from 1971 to before 2200.
const ERA: Range<u64> = 366 * DAY_NS..230 * 366 * DAY_NS;

/// Times that records of a file may have whose header gives this window: as the conversion has it,
/// within a day of it, or a year where it has no end.
fn plausible((start, end): (u64, u64)) -> Range<u64> {
    if !ERA.contains(&start) {
        return ERA;
    }
    let end = if ERA.contains(&end) { end + DAY_NS } else { start + 366 * DAY_NS };
    start - DAY_NS..end
}

/// An instrument of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) publisher_id: u16,
    pub(super) instrument_id: u32,
}

/// The book records of one instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) records: u64,
    /// Of the hashes of all records, in whatever order they stand.
    sum: u128,
    /// Times of the first and last record that has one of its own; `first > last` if none has.
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Part {
    const EMPTY: Self = Self { records: 0, sum: 0, first: u64::MAX, last: 0 };

    fn add(&mut self, record: &Record) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(record.hash);
        if let Some(ts) = record.ts {
            (self.first, self.last) = (self.first.min(ts), self.last.max(ts));
        }
    }

    /// Whether both cover more than one instant. Files that follow on each other share an instant
    /// at most.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.first < other.last && other.first < self.last
    }

    /// Whether the time of `other` lies within that of this one.
    pub(super) fn spans(&self, other: &Self) -> bool {
        other.first > other.last || (self.first <= other.first && other.last <= self.last)
    }
}

/// All instruments of an input that a conversion takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) schema: BookSchema,
    /// Of any kind.
    pub(super) records: u64,
    /// Of all records as they stand in the file.
    pub(super) fingerprint: String,
    /// Times outside are not the records' own.
    range: Range<u64>,
    pub(super) parts: BTreeMap<Key, Part>,
}

impl Profile {
    /// Reads an input to its end. `None` where that fails, which its conversion will name, and
    /// where it holds no book.
    pub(super) fn read(
        path: &Path,
        window: (u64, u64),
        is_wanted: impl Fn(u32) -> bool,
        progress: &dyn Progress,
    ) -> Result<Option<Self>, ConvertError> {
        let range = plausible(window);
        let mut schema = None;
        let mut records = 0;
        let mut parts: FxHashMap<Key, Part> = FxHashMap::default();
        let mut fingerprint = RecordHasher::new();
        let done = each_record(path, progress, Some(&mut fingerprint), |bytes| {
            records += 1;
            let Some(record) = Record::of(bytes, &range) else { return };
            if *schema.get_or_insert(record.schema) == record.schema {
                parts.entry(record.key).or_insert(Part::EMPTY).add(&record);
            }
        });
        match (done, schema) {
            (Err(ConvertError::Interrupted), _) => Err(ConvertError::Interrupted),
            (Ok(()), Some(schema)) => {
                parts.retain(|key, _| is_wanted(key.instrument_id));
                let (fingerprint, parts) = (fingerprint.finish().hash, parts.into_iter().collect());
                Ok(Some(Self { schema, records, fingerprint, range, parts }))
            }
            _ => Ok(None),
        }
    }

    /// First and last time of all instruments.
    pub(super) fn span(&self) -> (u64, u64) {
        self.parts
            .values()
            .fold((u64::MAX, 0), |(first, last), part| (first.min(part.first), last.max(part.last)))
    }
}

/// Whether every record of `inner` is one of `outer`, whose times span its own: both are read
/// once more.
pub(super) fn holds(
    outer: &Path,
    (inner, profile): (&Path, &Profile),
    progress: &dyn Progress,
) -> Result<bool, ConvertError> {
    let read = |path| {
        let mut cuts: FxHashMap<Key, Cut> = FxHashMap::default();
        let done = each_record(path, progress, None, |bytes| {
            let record = Record::of(bytes, &profile.range);
            let Some(record) = record.filter(|record| record.schema == profile.schema) else {
                return;
            };
            if let Some(part) = profile.parts.get(&record.key) {
                cuts.entry(record.key).or_default().add(&record, part);
            }
        });
        match done {
            Err(ConvertError::Interrupted) => Err(ConvertError::Interrupted),
            done => Ok(done.ok().map(|()| cuts)),
        }
    };
    let (Some(outer), Some(mut inner)) = (read(outer)?, read(inner)?) else { return Ok(false) };
    Ok(inner.iter_mut().all(|(key, cut)| outer.get(key).is_some_and(|all| all.holds(cut))))
}

/// The records of an instrument within a time.
#[derive(Debug, Default)]
struct Cut {
    records: u64,
    sum: u128,
    /// Hashes of records at its two ends, where a cut may part those of one instant, and of records
    /// without a time of their own.
    edges: FxHashMap<u128, u64>,
}

impl Cut {
    fn add(&mut self, record: &Record, part: &Part) {
        match record.ts {
            Some(ts) if part.first < ts && ts < part.last => {
                self.records += 1;
                self.sum = self.sum.wrapping_add(record.hash);
            }
            Some(ts) if ts != part.first && ts != part.last => {}
            _ => *self.edges.entry(record.hash).or_default() += 1,
        }
    }

    fn holds(&self, part: &Self) -> bool {
        (self.records, self.sum) == (part.records, part.sum)
            && part.edges.iter().all(|(hash, n)| self.edges.get(hash).is_some_and(|all| all >= n))
    }
}

/// What is compared of a record.
struct Record {
    schema: BookSchema,
    key: Key,
    /// When it came; `None` in a snapshot, which says how things were before.
    ts: Option<u64>,
    hash: u128,
}

impl Record {
    /// `None` for what is no record of a book.
    fn of(bytes: &[u8], range: &Range<u64>) -> Option<Self> {
        let (schema, size, flags_at, recv_at) = match *bytes.get(1)? {
            rtype::MBO => (
                BookSchema::Mbo,
                size_of::<MboMsg>(),
                offset_of!(MboMsg, flags),
                offset_of!(MboMsg, ts_recv),
            ),
            rtype::MBP_10 => (
                BookSchema::Mbp10,
                size_of::<Mbp10Msg>(),
                offset_of!(Mbp10Msg, flags),
                offset_of!(Mbp10Msg, ts_recv),
            ),
            _ => return None,
        };
        // Without the length, and without the time it was sent that a live record may end with.
        let bytes = bytes.get(..size)?;
        let hash = XxHash3_128::oneshot(&bytes[1..]);
        let [_, _, p0, p1, i0, i1, i2, i3, ..] = *bytes else { return None };
        let key = Key {
            publisher_id: u16::from_le_bytes([p0, p1]),
            instrument_id: u32::from_le_bytes([i0, i1, i2, i3]),
        };
        let time = |at: usize| {
            let bytes: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes)).filter(|ts| range.contains(ts))
        };
        let flags = *bytes.get(flags_at)?;
        let received = if flags & flags::BAD_TS_RECV == 0 { time(recv_at) } else { None };
        let ts = if flags & flags::SNAPSHOT == 0 { received.or_else(|| time(8)) } else { None };
        Some(Self { schema, key, ts, hash })
    }
}

/// Calls `each` with every record of a file.
fn each_record(
    path: &Path,
    progress: &dyn Progress,
    mut fingerprint: Option<&mut RecordHasher>,
    mut each: impl FnMut(&[u8]),
) -> Result<(), ConvertError> {
    let input = InputFile::open(path)?;
    let mut source = Source::new(&input, InputHash::None)?;
    read_header(&input, &mut source)?;
    let mut buf = vec![0; READ_BYTES];
    let mut filled = 0;
    loop {
        if progress.is_cancelled() {
            return Err(ConvertError::Interrupted);
        }
        let n = match source.read(&mut buf[filled..]) {
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ConvertError::io(path, "read")(error)),
        };
        if let Some(fingerprint) = &mut fingerprint {
            fingerprint.update(&buf[filled..filled + n]);
        }
        filled += n;
        let mut at = 0;
        while at < filled {
            let bytes = usize::from(buf[at]) * 4;
            if bytes < 16 {
                return Err(damaged(path));
            }
            if bytes > filled - at {
                break;
            }
            each(&buf[at..at + bytes]);
            at += bytes;
        }
        buf.copy_within(at..filled, 0);
        filled -= at;
        if n == 0 {
            input.check()?;
            return if filled == 0 { Ok(()) } else { Err(damaged(path)) };
        }
    }
}

/// Named by the conversion, with its place.
fn damaged(path: &Path) -> ConvertError {
    let damaged = std::io::ErrorKind::InvalidData.into();
    ConvertError::io(path, "compare")(damaged)
}
