//! The measured roof: what one core, the memory and the disk of this machine can do at best.
//!
//! Each probe is warmed up once and then repeated for its share of the budget, in rounds: every
//! probe has a slice of every round, so that a burst of other load does not fall on one of them
//! alone. A repetition is about a millisecond or two: long enough to be sustained work rather than a
//! burst, and short enough to fit between the turns of other programs, which can only make it
//! slower. So the best repetition of a round counts, and the median of the rounds: a single lucky
//! repetition, served by a cache it should not have found warm, moves it as little as a round that
//! another program spoiled. Where a repetition covers a part of the work only (a stretch of a large
//! buffer, one of several targets or frames), this is done for each part and the parts are added
//! up, since where its pages lie makes one part faster than another, and another one in the next
//! run. How far the rounds lie apart is reported beside the figure.
//!
//! The fsync latency is taken in the same way, with the median and the ninth decile of all beside
//! it. With other programs busy the median has been seen to jump while the best stayed. That
//! the call waits for its turn on the core would explain it; the probe does not tell that apart from
//! a disk that is busy itself.

mod bandwidth;
mod decode;
mod disk;
mod gemm;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use lob_metrics::Roof;
use lob_scope::{Unavailable, procfs};

use crate::CpuTimes;

/// Name in [`Roof::more`] of writing a constant into a recycled buffer of one depth image.
const FILL_IMAGE: &str = "fill_804kB_bytes_per_s";
/// Name in [`Roof::more`] of copying one depth image between recycled buffers.
const COPY_IMAGE: &str = "copy_804kB_bytes_per_s";
/// Name in [`Roof::more`] of the matrix product with 256-bit arithmetic, given where the headline
/// figure was reached with 512 bits: most programs are compiled for less.
const GEMM_AVX2: &str = "gemm_avx2_flop_per_s";
/// Name in [`Roof::more`] of the typical fsync, with what other programs do to it.
const FSYNC_MEDIAN: &str = "fsync_median_s";
/// Name in [`Roof::more`] of the ninth decile of the fsyncs.
const FSYNC_P90: &str = "fsync_p90_s";
/// f32 values of a 402 x 500 depth image: 804,000 bytes, which fit the L2 or L3 cache.
const IMAGE_VALUES: usize = 402 * 500;

/// How long [`measure_roof_within`] may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoofBudget {
    /// About 3 seconds: fewer repetitions, so a busy machine shows more in the figures.
    Quick,
    /// About 13 seconds.
    #[default]
    Full,
}

/// A measured roof and the reasons for what is missing from it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoofOutcome {
    /// The limits that could be measured.
    pub roof: Roof,
    /// Name of each limit that could not, with the reason.
    pub missing: Vec<(String, Unavailable)>,
    /// Spread of each limit: the distance between the quartiles of its rounds (of all syncs, for
    /// fsync) over the figure.
    pub spread: BTreeMap<String, f64>,
    /// Share of all cores that other programs used meanwhile, 0..=1. Above a tenth the figures are
    /// rather lower bounds.
    pub others_cpu: Result<f64, Unavailable>,
}

/// Measures the machine's limits within a budget and says what could not be measured.
/// `scratch_dir` must exist and be writable for the fsync probe; a small file is made there and
/// removed.
#[must_use]
pub fn measure_roof_within(scratch_dir: &Path, budget: RoofBudget) -> RoofOutcome {
    let plan = match budget {
        // Unoptimised probes say nothing about a machine; tests only want them to end.
        RoofBudget::Quick if cfg!(debug_assertions) => {
            Plan { probe_s: 0.02, buffer_bytes: 16 << 20, decode_bytes: 4 << 20, gemm_edge: 96 }
        }
        RoofBudget::Quick => Plan { probe_s: 0.22, ..Plan::full(last_level_cache_bytes()) },
        RoofBudget::Full => Plan::full(last_level_cache_bytes()),
    };
    plan.run(scratch_dir)
}

/// Sizes of the probes' work.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Seconds each probe repeats for, over all rounds.
    probe_s: f64,
    /// Bytes of each large buffer.
    buffer_bytes: usize,
    /// Decompressed bytes of the zstd probe.
    decode_bytes: usize,
    /// Edge of the matrices.
    gemm_edge: usize,
}

impl Plan {
    /// Buffers of eight times the last-level cache, so that at most an eighth can be served by it.
    fn full(last_level_cache_bytes: usize) -> Self {
        let buffer_bytes = last_level_cache_bytes.saturating_mul(8).clamp(64 << 20, 512 << 20);
        Self { probe_s: 1.5, buffer_bytes, decode_bytes: 32 << 20, gemm_edge: 480 }
    }

    fn run(&self, scratch_dir: &Path) -> RoofOutcome {
        let before = Load::read();
        let probed = self.probe(scratch_dir);
        let others_cpu = before.others_since();
        RoofOutcome { others_cpu, ..probed.outcome() }
    }

    fn probe(&self, scratch_dir: &Path) -> Probed {
        let mut large = bandwidth::Large::new(self.buffer_bytes);
        let mut image = bandwidth::Recycled::new(IMAGE_VALUES);
        let mut decode = decode::Decode::new(self.decode_bytes);
        let mut gemm = gemm::Gemm::new(self.gemm_edge);
        let mut syncs = disk::Syncs::new(scratch_dir);
        let (stretches, targets) = (large.parts(), image.parts());
        let frames = decode.as_ref().map_or(1, decode::Decode::parts);
        let mut best = [
            Rounds::new(large.bytes(), stretches),
            Rounds::new(large.bytes(), stretches),
            Rounds::new(image.bytes(), targets),
            Rounds::new(image.bytes(), targets),
            Rounds::new(image.bytes(), targets),
            Rounds::new(decode.as_ref().map_or(0.0, decode::Decode::bytes), frames),
            Rounds::new(gemm.flops(), 1),
            Rounds::new(gemm.flops(), 1),
        ];
        for round in 0..=ROUNDS {
            // Round 0 warms every probe up: one repetition that does not count.
            let slice_s = if round == 0 { 0.0 } else { self.probe_s / f64::from(ROUNDS) };
            let [fill, copy, by_value, by_memset, copy_image, zstd, product, avx2] = &mut best;
            fill.slice(slice_s, || large.fill());
            copy.slice(slice_s, || large.copy());
            // Which of the two is faster depends on the CPU's string instructions.
            by_value.slice(slice_s / 2.0, || image.fill_value());
            by_memset.slice(slice_s / 2.0, || image.fill_zero());
            copy_image.slice(slice_s, || image.copy());
            if let Ok(decode) = &mut decode {
                zstd.slice(slice_s, || decode.run());
            }
            product.slice(slice_s, || gemm.run());
            if gemm::has_avx512() {
                avx2.slice(slice_s, || gemm.run_avx2());
            }
            let outcome = syncs.as_mut().map(|syncs| syncs.slice(slice_s));
            if let Ok(Err(why)) = outcome {
                syncs = Err(why);
            }
            if round == 0 {
                best.iter_mut().for_each(Rounds::restart);
            }
        }
        let decoded = decode.and_then(|decode| decode.check());
        Probed { best, decoded, syncs: syncs.and_then(disk::Syncs::finish) }
    }
}

/// What the probes found, in the order of their turns.
struct Probed {
    best: [Rounds; 8],
    /// Whether zstd gave back what went in.
    decoded: Result<(), Unavailable>,
    syncs: Result<disk::SyncTimes, Unavailable>,
}

impl Probed {
    fn outcome(self) -> RoofOutcome {
        let [fill, copy, by_value, by_memset, copy_image, zstd, product, avx2] = self.best;
        let fill_image = if by_value.rate() > by_memset.rate() { by_value } else { by_memset };
        let (mut missing, mut spread) = (Vec::new(), BTreeMap::new());
        let mut keep = |name: &str, rounds: Result<Rounds, Unavailable>| match rounds {
            Ok(rounds) => {
                spread.insert(name.to_owned(), rounds.spread());
                Some(rounds.rate())
            }
            Err(why) => {
                missing.push((name.to_owned(), why));
                None
            }
        };
        let mut roof = Roof {
            fill_bytes_per_s: keep("fill_bytes_per_s", Ok(fill)),
            copy_bytes_per_s: keep("copy_bytes_per_s", Ok(copy)),
            zstd_decode_bytes_per_s: keep("zstd_decode_bytes_per_s", self.decoded.map(|()| zstd)),
            gemm_flop_per_s: keep("gemm_flop_per_s", Ok(product)),
            ..Roof::default()
        };
        let avx2 = gemm::has_avx512().then_some((GEMM_AVX2, avx2));
        let images = [(FILL_IMAGE, fill_image), (COPY_IMAGE, copy_image)];
        for (name, rounds) in images.into_iter().chain(avx2) {
            roof.more.extend(keep(name, Ok(rounds)).map(|rate| (name.to_owned(), rate)));
        }
        match self.syncs {
            Ok(found) => {
                roof.fsync_s = Some(found.best_s);
                roof.more.insert(FSYNC_MEDIAN.to_owned(), found.median_s);
                roof.more.insert(FSYNC_P90.to_owned(), found.p90_s);
                spread.insert("fsync_s".to_owned(), found.spread);
            }
            Err(why) => missing.push(("fsync_s".to_owned(), why)),
        }
        let others_cpu = Err(Unavailable::new("nobody looked"));
        RoofOutcome { roof, missing, spread, others_cpu }
    }
}

/// Rounds the probes take turns in. Each makes one repetition a round at least.
const ROUNDS: u32 = 9;

/// Parts of a probe's work that are told apart; of more, some share a place.
const MAX_PARTS: usize = 16;

/// The best repetition of each part in each round of one probe, in seconds.
#[derive(Debug, Clone)]
struct Rounds {
    rounds: Vec<[f64; MAX_PARTS]>,
    parts: usize,
    /// Work of a repetition.
    amount: f64,
    next: usize,
}

impl Rounds {
    /// Of a probe whose repetitions do `amount` of something and take `parts` parts in turn.
    fn new(amount: f64, parts: usize) -> Self {
        Self { rounds: Vec::new(), parts: parts.clamp(1, MAX_PARTS), amount, next: 0 }
    }

    /// A round: repeats `work` for `seconds`, and once at least.
    fn slice(&mut self, seconds: f64, mut work: impl FnMut()) {
        let (start, mut best) = (Instant::now(), [f64::INFINITY; MAX_PARTS]);
        loop {
            let from = Instant::now();
            work();
            // A coarse clock may show no time at all; a nanosecond keeps the rate finite.
            let took_s = from.elapsed().as_secs_f64().max(1e-9);
            best[self.next] = best[self.next].min(took_s);
            self.next = (self.next + 1) % self.parts;
            if start.elapsed().as_secs_f64() >= seconds {
                break;
            }
        }
        self.rounds.push(best);
    }

    /// Forgets the rounds so far, which only warmed the probe up.
    fn restart(&mut self) {
        self.rounds.clear();
    }

    /// Amount of work per second: of each part the median of its rounds.
    fn rate(&self) -> f64 {
        let median = |part: usize| {
            let times: Vec<f64> =
                self.rounds.iter().map(|round| round[part]).filter(|s| s.is_finite()).collect();
            disk::quantile(&times, 0.5)
        };
        self.rate_of((0..self.parts).filter_map(median))
    }

    /// Distance between the quartiles of the rounds over the figure.
    fn spread(&self) -> f64 {
        let rate = |round: &[f64; MAX_PARTS]| {
            self.rate_of(round.iter().copied().filter(|seconds| seconds.is_finite()))
        };
        let rates: Vec<f64> = self.rounds.iter().map(rate).collect();
        let at = |q| disk::quantile(&rates, q).unwrap_or(0.0);
        (at(0.75) - at(0.25)) / self.rate()
    }

    fn rate_of(&self, times: impl Iterator<Item = f64>) -> f64 {
        let (n, total_s) = times.fold((0.0, 0.0), |(n, sum), seconds| (n + 1.0, sum + seconds));
        self.amount * n / total_s
    }
}

/// CPU time of the system and of this process at one moment.
struct Load {
    at: Instant,
    system: Result<CpuTimes, Unavailable>,
    own_s: Result<f64, Unavailable>,
}

impl Load {
    fn read() -> Self {
        let (system, own_s) = (crate::cpu_times(), lob_scope::process_cpu_time_s());
        Self { at: Instant::now(), system, own_s }
    }

    /// Share of all cores that others used since.
    fn others_since(self) -> Result<f64, Unavailable> {
        let now = Self::read();
        let passed_s = now.at.duration_since(self.at).as_secs_f64();
        let capacity_s = passed_s * f64::from(lob_scope::cores()?);
        let all = now.system?.busy_share_since(&self.system?);
        let all = all.ok_or_else(|| Unavailable::new("no time has passed"))?;
        Ok((all - (now.own_s? - self.own_s?) / capacity_s).clamp(0.0, 1.0))
    }
}

/// Size of the largest cache of the first CPU; 32 MiB where the kernel does not tell.
#[must_use]
pub fn last_level_cache_bytes() -> usize {
    let size = |index: u32| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        parse_cache_size(procfs::read(path).ok()?.trim())
    };
    (0..8).filter_map(size).max().unwrap_or(32 << 20)
}

/// `32768K` or `32M` in bytes.
fn parse_cache_size(text: &str) -> Option<usize> {
    let (digits, scale) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Plan =
        Plan { probe_s: 0.0, buffer_bytes: 1 << 20, decode_bytes: 1 << 20, gemm_edge: 48 };

    #[test]
    fn every_limit_is_measured_and_plausible() {
        let dir = std::env::temp_dir();
        let RoofOutcome { roof, missing, spread, others_cpu } = TINY.run(&dir);
        assert_eq!(missing, []);
        assert!(spread.len() >= 7 && spread.values().all(|s| s.is_finite() && *s >= 0.0));
        assert!(others_cpu.is_err() || others_cpu.is_ok_and(|share| (0.0..=1.0).contains(&share)));
        let (median, p90) = (roof.more[FSYNC_MEDIAN], roof.more[FSYNC_P90]);
        assert!(roof.fsync_s.unwrap() <= median && median <= p90);
        let image = |name| roof.more.get(name).copied();
        assert_eq!(image(GEMM_AVX2).is_some(), gemm::has_avx512());
        for rate in [
            roof.fill_bytes_per_s,
            roof.copy_bytes_per_s,
            roof.zstd_decode_bytes_per_s,
            roof.gemm_flop_per_s,
            image(FILL_IMAGE),
            image(COPY_IMAGE),
        ] {
            let rate = rate.unwrap();
            assert!(rate > 1e4 && rate < 1e13, "{rate}");
        }
        assert!(roof.fsync_s.unwrap() > 0.0);
    }

    #[test]
    fn a_missing_scratch_directory_is_said_so() {
        let outcome = TINY.run(Path::new("no/such/directory"));
        assert_eq!(outcome.roof.fsync_s, None);
        assert_eq!(outcome.missing.len(), 1);
        assert_eq!(outcome.missing[0].0, "fsync_s");
        assert!(outcome.missing[0].1.reason.contains("no/such/directory"));
    }

    #[test]
    fn a_lucky_round_and_a_spoiled_one_move_nothing() {
        let mut rounds = Rounds::new(10.0, 2);
        let rate = |a: f64, b: f64| {
            let mut round = [f64::INFINITY; MAX_PARTS];
            (round[0], round[1]) = (a, b);
            round
        };
        rounds.rounds = vec![rate(1.0, 3.0); 9];
        rounds.rounds[4] = rate(1e-6, 3.0);
        rounds.rounds[6] = rate(50.0, f64::INFINITY);
        // Two repetitions of ten in four seconds.
        assert_eq!((rounds.rate(), rounds.spread()), (5.0, 0.0));
    }

    #[test]
    fn cache_sizes_are_read_with_their_unit() {
        assert_eq!(parse_cache_size("32768K"), Some(32 << 20));
        assert_eq!(parse_cache_size("36M"), Some(36 << 20));
        assert_eq!(parse_cache_size("512"), Some(512));
        assert_eq!(parse_cache_size(""), None);
        assert_eq!(parse_cache_size("bigK"), None);
    }
}
