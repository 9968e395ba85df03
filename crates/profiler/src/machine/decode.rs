//! Decompressing order-book records with zstd on one core.
//!
//! The payload imitates MBP-10 records: 368 bytes, of which one message changes a few, so that it
//! compresses about as well as market data does. Pure noise or zeros would measure something else.

use std::hint::black_box;

use lob_metrics::stats::SplitMix64;

use lob_scope::Unavailable;

const LEVEL: i32 = 3;
const RECORD_BYTES: usize = 368;
const LEVELS: usize = 10;

/// Decompressed bytes of one repetition: a millisecond or two, so that some repetitions fit between
/// the turns of other programs.
const STRETCH_BYTES: usize = (4 << 20) / RECORD_BYTES * RECORD_BYTES;

/// Records in zstd level-3 frames of one stretch each, decoded in turn into a buffer that holds
/// them all, so that the target is not always the same few megabytes of cache.
pub(super) struct Decode {
    records: Vec<u8>,
    frames: Vec<Vec<u8>>,
    target: Vec<u8>,
    decompressor: zstd::bulk::Decompressor<'static>,
    next: usize,
    outcome: std::io::Result<()>,
}

impl Decode {
    /// About `bytes` bytes of records, in whole stretches, one at least.
    pub(super) fn new(bytes: usize) -> Result<Self, Unavailable> {
        let stretches = (bytes / STRETCH_BYTES).max(1);
        let records = records(stretches * STRETCH_BYTES / RECORD_BYTES, 1);
        let compress = |stretch| zstd::bulk::compress(stretch, LEVEL).map_err(failed);
        Ok(Self {
            frames: records.chunks(STRETCH_BYTES).map(compress).collect::<Result<_, _>>()?,
            target: vec![1; records.len()],
            decompressor: zstd::bulk::Decompressor::new().map_err(failed)?,
            next: 0,
            outcome: Ok(()),
            records,
        })
    }

    /// Decompressed bytes of one repetition.
    pub(super) fn bytes(&self) -> f64 {
        STRETCH_BYTES as f64
    }

    pub(super) fn run(&mut self) {
        let stretch = &mut self.target[self.next * STRETCH_BYTES..][..STRETCH_BYTES];
        let frame = black_box(&self.frames[self.next]);
        let written = self.decompressor.decompress_to_buffer(frame, black_box(stretch));
        match written {
            Ok(STRETCH_BYTES) => {}
            Ok(_) => self.outcome = Err(std::io::Error::other("a frame was too short")),
            Err(error) => self.outcome = Err(error),
        }
        self.next = (self.next + 1) % self.frames.len();
    }

    /// Whether every repetition gave the records back.
    pub(super) fn check(mut self) -> Result<(), Unavailable> {
        self.next = 0;
        // Stretches the time did not suffice for are decoded now.
        (0..self.frames.len()).for_each(|_| self.run());
        self.outcome.map_err(failed)?;
        if self.target != self.records {
            return Err(Unavailable::new("zstd did not give back the records it compressed"));
        }
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Unavailable {
    Unavailable::new(format!("zstd failed: {error}"))
}

/// `n` records of a book whose best price wanders, deterministic in `seed`.
fn records(n: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(SplitMix64::new(seed));
    let mut book = Book::new(&mut random);
    let mut out = Vec::with_capacity(n * RECORD_BYTES);
    for sequence in (1_000_000u32..).take(n) {
        book.change(&mut random);
        book.write(sequence, &mut random, &mut out);
    }
    out
}

struct Book {
    ts_ns: u64,
    best_step: i64,
    /// Size and order count of the ten bids, then of the ten asks.
    levels: [(u32, u32); 2 * LEVELS],
    touched: usize,
}

const STEP: i64 = 50_000;

impl Book {
    fn new(random: &mut Random) -> Self {
        let levels = std::array::from_fn(|_| (random.below(200), 1 + random.below(40)));
        Self { ts_ns: 1_700_000_000_000_000_000, best_step: 21_000, levels, touched: 0 }
    }

    /// One message: mostly a size at one level, seldom a move of the whole book by a step.
    fn change(&mut self, random: &mut Random) {
        self.ts_ns += u64::from(random.below(1 << 22));
        self.touched = (random.below(5) * random.below(5)) as usize % (2 * LEVELS);
        let (size, count) = &mut self.levels[self.touched];
        *size = (*size + random.below(9)).saturating_sub(4).max(1);
        *count = (*count + random.below(3)).saturating_sub(1).max(1);
        match random.below(64) {
            0 => self.shift(1),
            1 => self.shift(-1),
            _ => {}
        }
    }

    fn shift(&mut self, by: i64) {
        self.best_step += by;
        if by > 0 {
            self.levels[..LEVELS].rotate_right(1);
            self.levels[LEVELS..].rotate_left(1);
        } else {
            self.levels[..LEVELS].rotate_left(1);
            self.levels[LEVELS..].rotate_right(1);
        }
    }

    fn write(&self, sequence: u32, random: &mut Random, out: &mut Vec<u8>) {
        let side = self.touched / LEVELS;
        out.extend([92, 10, 1, 0]);
        out.extend(4916u32.to_le_bytes());
        out.extend(self.ts_ns.to_le_bytes());
        out.extend(self.price(side, self.touched % LEVELS).to_le_bytes());
        out.extend(self.levels[self.touched].0.to_le_bytes());
        let depth = u8::try_from(self.touched % LEVELS).unwrap_or(0);
        out.extend([if random.below(2) == 0 { b'A' } else { b'C' }, b"BA"[side], 130, depth]);
        out.extend((self.ts_ns + 160_000 + u64::from(random.below(4096))).to_le_bytes());
        out.extend((15_000 + random.below(256)).to_le_bytes());
        out.extend(sequence.to_le_bytes());
        for level in 0..LEVELS {
            let (bid, ask) = (self.levels[level], self.levels[LEVELS + level]);
            out.extend(self.price(0, level).to_le_bytes());
            out.extend(self.price(1, level).to_le_bytes());
            for field in [bid.0, ask.0, bid.1, ask.1] {
                out.extend(field.to_le_bytes());
            }
        }
    }

    fn price(&self, side: usize, level: usize) -> i64 {
        let away = level as i64 + side as i64;
        (if side == 0 { self.best_step - away } else { self.best_step + away }) * STEP
    }
}

/// Small numbers without a pattern.
struct Random(SplitMix64);

impl Random {
    /// A number below `n`, which must not be 0; the bias of the remainder does not matter here.
    fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.0.next_u64() % u64::from(n)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_size_and_follow_the_seed() {
        assert_eq!(records(10, 1).len(), 10 * RECORD_BYTES);
        assert_eq!(records(50, 7), records(50, 7));
        assert_ne!(records(50, 7), records(50, 8));
    }

    #[test]
    fn records_compress_like_market_data() {
        let raw = records(4000, 1);
        let ratio = raw.len() as f64 / zstd::bulk::compress(&raw, LEVEL).unwrap().len() as f64;
        assert!((9.5..13.5).contains(&ratio), "ratio {ratio}");
    }
}
