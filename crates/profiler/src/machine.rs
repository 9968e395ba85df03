//! The measured roof: what one core, the memory and the disk of this machine can do at best.
//!
//! Each probe is warmed up once and then repeated for its share of the budget, in rounds: every
//! probe has a slice of every round, so that a burst of other load does not fall on one of them
//! alone. The best repetition counts. A repetition is about a millisecond or two: long enough to be
//! sustained work rather than a burst, and short enough to fit between the turns of other programs,
//! which can only make it slower; so the best is the nearest to the limit that a busy machine shows. The fsync latency is a median instead:
//! there the typical wait is the limit.

mod bandwidth;
mod decode;
mod disk;
mod gemm;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use lob_metrics::Roof;

use crate::{Unavailable, procfs};

/// Name in [`Roof::more`] of writing a constant into a recycled buffer of one depth image.
const FILL_IMAGE: &str = "fill_804kB_bytes_per_s";
/// Name in [`Roof::more`] of copying one depth image between recycled buffers.
const COPY_IMAGE: &str = "copy_804kB_bytes_per_s";
/// Name in [`Roof::more`] of the matrix product with 256-bit arithmetic, given where the headline
/// figure was reached with 512 bits: most programs are compiled for less.
const GEMM_AVX2: &str = "gemm_avx2_flop_per_s";
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
}

/// Measures the machine's limits with the full budget. `scratch_dir` must exist and be writable
/// for the fsync probe; a small file is made there and removed.
#[must_use]
pub fn measure_roof(scratch_dir: &Path) -> Roof {
    measure_roof_within(scratch_dir, RoofBudget::Full).roof
}

/// Measures the machine's limits within a budget and says what could not be measured.
#[must_use]
pub fn measure_roof_within(scratch_dir: &Path, budget: RoofBudget) -> RoofOutcome {
    let plan = match budget {
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
        let mut missing = Vec::new();
        let mut large = bandwidth::Large::new(self.buffer_bytes);
        let mut image = bandwidth::Recycled::new(IMAGE_VALUES);
        let mut decode = decode::Decode::new(self.decode_bytes);
        let mut gemm = gemm::Gemm::new(self.gemm_edge);
        let mut best = [const { Best::new() }; 8];
        for round in 0..=ROUNDS {
            // Round 0 warms every probe up: one repetition that does not count.
            let slice_s = if round == 0 { 0.0 } else { self.probe_s / f64::from(ROUNDS) };
            let [fill, copy, by_value, by_memset, copy_image, zstd, product, avx2] = &mut best;
            fill.slice(slice_s, large.bytes(), || large.fill());
            copy.slice(slice_s, large.bytes(), || large.copy());
            // Which of the two is faster depends on the CPU's string instructions.
            by_value.slice(slice_s / 2.0, image.bytes(), || image.fill_value());
            by_memset.slice(slice_s / 2.0, image.bytes(), || image.fill_zero());
            copy_image.slice(slice_s, image.bytes(), || image.copy());
            if let Ok(decode) = &mut decode {
                zstd.slice(slice_s, decode.bytes(), || decode.run());
            }
            product.slice(slice_s, gemm.flops(), || gemm.run());
            if gemm::has_avx512() {
                avx2.slice(slice_s, gemm.flops(), || gemm.run_avx2());
            }
            if round == 0 {
                best = [const { Best::new() }; 8];
            }
        }
        let mut keep = |name: &str, value: Result<f64, Unavailable>| {
            value.map_err(|reason| missing.push((name.to_owned(), reason))).ok()
        };
        let [fill, copy, by_value, by_memset, copy_image, zstd, product, avx2] =
            best.map(|best| best.rate);
        let decoded = decode.and_then(|decode| decode.check()).map(|()| zstd);
        let mut more = BTreeMap::from([
            (FILL_IMAGE.to_owned(), by_value.max(by_memset)),
            (COPY_IMAGE.to_owned(), copy_image),
        ]);
        if gemm::has_avx512() {
            more.insert(GEMM_AVX2.to_owned(), avx2);
        }
        let roof = Roof {
            fill_bytes_per_s: Some(fill),
            copy_bytes_per_s: Some(copy),
            zstd_decode_bytes_per_s: keep("zstd_decode_bytes_per_s", decoded),
            gemm_flop_per_s: Some(product),
            fsync_s: keep("fsync_s", disk::fsync_s(scratch_dir, self.probe_s)),
            more,
        };
        RoofOutcome { roof, missing }
    }
}

/// Rounds the probes take turns in. Each makes one repetition a round at least.
const ROUNDS: u32 = 5;

/// The best repetition of one probe so far.
#[derive(Debug, Clone, Copy)]
struct Best {
    /// Amount of work per second.
    rate: f64,
}

impl Best {
    const fn new() -> Self {
        Self { rate: 0.0 }
    }

    /// Repeats `work`, which does `amount` of something, for `seconds`, and once at least.
    fn slice(&mut self, seconds: f64, amount: f64, mut work: impl FnMut()) {
        let start = Instant::now();
        loop {
            let from = Instant::now();
            work();
            // A coarse clock may show no time at all; a nanosecond keeps the rate finite.
            self.rate = self.rate.max(amount / from.elapsed().as_secs_f64().max(1e-9));
            if start.elapsed().as_secs_f64() >= seconds {
                return;
            }
        }
    }
}

/// Size of the largest cache of the first CPU; 32 MiB where the kernel does not tell.
fn last_level_cache_bytes() -> usize {
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
        let RoofOutcome { roof, missing } = TINY.run(&dir);
        assert_eq!(missing, []);
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
    fn cache_sizes_are_read_with_their_unit() {
        assert_eq!(parse_cache_size("32768K"), Some(32 << 20));
        assert_eq!(parse_cache_size("36M"), Some(36 << 20));
        assert_eq!(parse_cache_size("512"), Some(512));
        assert_eq!(parse_cache_size(""), None);
        assert_eq!(parse_cache_size("bigK"), None);
    }
}
