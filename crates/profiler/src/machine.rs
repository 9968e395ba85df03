//! The measured roof: what one core, all cores, the memory and the disk of this machine can do at
//! best.
//!
//! Each probe is warmed up once and then repeated for its share of the budget, in rounds: every
//! probe has a slice of every round, so that a burst of other load does not fall on one of them
//! alone. Memory is written and copied by every method the CPU has, and the best one counts; so does
//! the best round, since a limit is a maximum and other programs can only hide it. On all cores each
//! thread has work of its own, and the sum of it is divided by the time all of them took. How far
//! the rounds lie apart is reported beside the figure, and what other programs used meanwhile.
//!
//! The fsync latency is taken in the same way, with the median and the ninth decile of all beside
//! it. With other programs busy the median has been seen to jump while the best stayed. That
//! the call waits for its turn on the core would explain it; the probe does not tell that apart from
//! a disk that is busy itself.

mod bandwidth;
mod decode;
mod disk;
mod gemm;
mod load;
mod rounds;

use std::collections::BTreeMap;
use std::path::Path;

use lob_metrics::Roof;
use lob_scope::{Unavailable, procfs};

pub use bandwidth::Method;
pub use load::MachineLoad;

use bandwidth::{Act, Stretch};
use rounds::{Best, Probe, ROUNDS};

/// Name in [`Roof::more`] of writing a constant into a recycled buffer of one depth image.
const FILL_IMAGE: &str = "fill_804kB_bytes_per_s";
/// Name in [`Roof::more`] of copying one depth image between recycled buffers.
const COPY_IMAGE: &str = "copy_804kB_bytes_per_s";
/// Name in [`Roof::more`] of the matrix product with 256-bit arithmetic, given where there is wider:
/// most programs are compiled for less.
const GEMM_AVX2: &str = "gemm_avx2_flop_per_s";
/// Names in [`Roof::more`] of what all cores do together.
const FILL_ALL: &str = "fill_all_cores_bytes_per_s";
const COPY_ALL: &str = "copy_all_cores_bytes_per_s";
const FILL_IMAGE_ALL: &str = "fill_804kB_all_cores_bytes_per_s";
const COPY_IMAGE_ALL: &str = "copy_804kB_all_cores_bytes_per_s";
const ZSTD_ALL: &str = "zstd_decode_all_cores_bytes_per_s";
const GEMM_ALL: &str = "gemm_all_cores_flop_per_s";
/// Name in [`Roof::more`] of the typical fsync, with what other programs do to it.
const FSYNC_MEDIAN: &str = "fsync_median_s";
/// Name in [`Roof::more`] of the ninth decile of the fsyncs.
const FSYNC_P90: &str = "fsync_p90_s";
/// A 402 x 500 depth image of f32, which fits the L2 or L3 cache.
const IMAGE_BYTES: usize = 402 * 500 * size_of::<f32>();

/// How long [`measure_roof_within`] may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoofBudget {
    /// About 4 seconds: fewer repetitions, so a busy machine shows more in the figures.
    Quick,
    /// About 15 seconds.
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
    /// How each memory limit was reached.
    pub methods: BTreeMap<String, &'static str>,
    /// Share of all cores that other programs used meanwhile, 0..=1. Above [`lob_metrics::BUSY_SHARE`] the
    /// figures are lower bounds.
    pub others_cpu: Result<f64, Unavailable>,
}

/// Measures the machine's limits within a budget and says what could not be measured.
/// `scratch_dir` must exist and be writable for the fsync probe; a small file is made there and
/// removed.
#[must_use]
pub fn measure_roof_within(scratch_dir: &Path, budget: RoofBudget) -> RoofOutcome {
    let plan = match budget {
        // Unoptimised probes say nothing about a machine; tests only want them to end.
        RoofBudget::Quick if cfg!(debug_assertions) => Plan {
            probe_s: 0.02,
            buffer_bytes: 16 << 20,
            decode_bytes: 4 << 20,
            gemm_edge: 96,
            image_bytes: 8192,
        },
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
    /// Bytes of each recycled buffer.
    image_bytes: usize,
}

impl Plan {
    /// Buffers of eight times the last-level cache, so that at most an eighth can be served by it.
    fn full(last_level_cache_bytes: usize) -> Self {
        let buffer_bytes = last_level_cache_bytes.saturating_mul(8).clamp(64 << 20, 512 << 20);
        Self {
            probe_s: 1.5,
            buffer_bytes,
            decode_bytes: 32 << 20,
            gemm_edge: 480,
            image_bytes: IMAGE_BYTES,
        }
    }

    fn run(&self, scratch_dir: &Path) -> RoofOutcome {
        let before = MachineLoad::read();
        let probed = self.probe(scratch_dir);
        let others_cpu = before.others_since();
        RoofOutcome { others_cpu, ..probed.outcome() }
    }

    fn probe(&self, scratch_dir: &Path) -> Probed {
        let threads = lob_scope::cores().map_or(1, |cores| cores as usize);
        let methods = Method::all();
        let memory = |stretches: Vec<Stretch>| {
            let bytes = stretches.first().map_or(0.0, Stretch::bytes);
            Probe::new(stretches, bytes, &methods)
        };
        let mut fill = memory(Stretch::large(self.buffer_bytes, threads));
        let mut fill_image = memory(Stretch::recycled(self.image_bytes, threads)).alike();
        // The same buffers, a probe of its own.
        let (mut copy, mut copy_image) = (memory(Vec::new()), memory(Vec::new()));
        copy.take_amount(&fill);
        copy_image.take_amount(&fill_image);
        let decoders: Result<Vec<decode::Decode>, _> =
            (0..threads).map(|_| decode::Decode::new(self.decode_bytes / threads)).collect();
        let mut decoded = decoders.map(|decoders| {
            let bytes = decoders.first().map_or(0.0, decode::Decode::bytes);
            Probe::new(decoders, bytes, &[()])
        });
        let products: Vec<gemm::Gemm> =
            (0..threads).map(|_| gemm::Gemm::new(self.gemm_edge)).collect();
        let flops = products.first().map_or(0.0, gemm::Gemm::flops);
        let mut product = Probe::new(products, flops, gemm::Width::all());
        let mut syncs = disk::Syncs::new(scratch_dir);
        for round in 0..=ROUNDS {
            // Round 0 warms every probe up: one repetition of each method that does not count.
            let slice_s = if round == 0 { 0.0 } else { self.probe_s / ROUNDS as f64 };
            let both_s = slice_s * 0.6;
            for (fill, copy) in [(&mut fill, &mut copy), (&mut fill_image, &mut copy_image)] {
                let (filling, copying) = (
                    |stretch: &mut Stretch, method| stretch.run(Act::Fill, method),
                    |stretch: &mut Stretch, method| stretch.run(Act::Copy, method),
                );
                fill.one_thread(slice_s, filling);
                fill.all_threads(threads, both_s, filling);
                copy.borrow_pieces(fill);
                copy.one_thread(slice_s, copying);
                copy.all_threads(threads, both_s, copying);
                fill.borrow_pieces(copy);
            }
            if let Ok(decoded) = &mut decoded {
                decoded.one_thread(slice_s, |decode, ()| decode.run());
                decoded.all_threads(threads, both_s, |decode, ()| decode.run());
            }
            product.one_thread(slice_s, gemm::Gemm::run);
            product.all_threads(threads, both_s, gemm::Gemm::run);
            let outcome = syncs.as_mut().map(|syncs| syncs.slice(slice_s));
            if let Ok(Err(why)) = outcome {
                syncs = Err(why);
            }
            if round == 0 {
                [&mut fill, &mut copy, &mut fill_image, &mut copy_image]
                    .into_iter()
                    .for_each(Probe::restart);
                product.restart();
                decoded.iter_mut().for_each(Probe::restart);
            }
        }
        Probed::new([fill, copy, fill_image, copy_image], decoded, &product, syncs)
    }
}

/// The rate, the spread and the method's name.
type Found = Result<(f64, f64, &'static str), Unavailable>;

/// What the probes found.
struct Probed {
    /// By the limit's name.
    limits: Vec<(&'static str, Found)>,
    syncs: Result<disk::SyncTimes, Unavailable>,
}

impl Probed {
    fn new(
        memory: [Probe<Stretch, Method>; 4],
        decoded: Result<Probe<decode::Decode, ()>, Unavailable>,
        product: &Probe<gemm::Gemm, gemm::Width>,
        syncs: Result<disk::Syncs, Unavailable>,
    ) -> Self {
        let nothing = || Unavailable::new("no round was finished");
        let mut limits = Vec::new();
        let names = [
            ("fill_bytes_per_s", FILL_ALL),
            ("copy_bytes_per_s", COPY_ALL),
            (FILL_IMAGE, FILL_IMAGE_ALL),
            (COPY_IMAGE, COPY_IMAGE_ALL),
        ];
        for (probe, (alone, together)) in memory.iter().zip(names) {
            let figures = |best: Best<Method>| (best.rate, best.spread, best.method.name());
            let [one, all] = probe.both().map(|best| best.map(figures).ok_or_else(nothing));
            limits.extend([(alone, one), (together, all)]);
        }
        let [alone, together] = match decoded {
            Ok(probe) => {
                let both = probe.both().map(|best| best.map(|b| (b.rate, b.spread, "")));
                let checked: Result<(), _> =
                    probe.pieces().into_iter().try_for_each(decode::Decode::check);
                both.map(|found| checked.clone().and_then(|()| found.ok_or_else(nothing)))
            }
            Err(why) => [Err(why.clone()), Err(why)],
        };
        limits.extend([("zstd_decode_bytes_per_s", alone), (ZSTD_ALL, together)]);
        let width = |best: Option<Best<gemm::Width>>| {
            best.map(|b| (b.rate, b.spread, b.method.name())).ok_or_else(nothing)
        };
        let [alone, together] = product.both().map(width);
        limits.extend([("gemm_flop_per_s", alone), (GEMM_ALL, together)]);
        if gemm::Width::all().contains(&gemm::Width::Avx512) {
            limits.push((GEMM_AVX2, width(product.alone_by(gemm::Width::Avx2))));
        }
        Self { limits, syncs: syncs.and_then(disk::Syncs::finish) }
    }

    fn outcome(self) -> RoofOutcome {
        let (mut missing, mut spread, mut methods) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut roof = Roof::default();
        for (name, found) in self.limits {
            let rate = match found {
                Ok((rate, apart, method)) => {
                    spread.insert(name.to_owned(), apart);
                    if !method.is_empty() {
                        methods.insert(name.to_owned(), method);
                    }
                    rate
                }
                Err(why) => {
                    missing.push((name.to_owned(), why));
                    continue;
                }
            };
            match name {
                "fill_bytes_per_s" => roof.fill_bytes_per_s = Some(rate),
                "copy_bytes_per_s" => roof.copy_bytes_per_s = Some(rate),
                "zstd_decode_bytes_per_s" => roof.zstd_decode_bytes_per_s = Some(rate),
                "gemm_flop_per_s" => roof.gemm_flop_per_s = Some(rate),
                name => drop(roof.more.insert(name.to_owned(), rate)),
            }
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
        RoofOutcome { roof, missing, spread, methods, others_cpu }
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

    const TINY: Plan = Plan {
        probe_s: 0.0,
        buffer_bytes: 1 << 20,
        decode_bytes: 1 << 20,
        gemm_edge: 48,
        image_bytes: 8192,
    };

    #[test]
    fn every_limit_is_measured_and_plausible() {
        let dir = std::env::temp_dir();
        let RoofOutcome { roof, missing, spread, methods, others_cpu } = TINY.run(&dir);
        assert_eq!(missing, []);
        assert!(spread.len() >= 7 && spread.values().all(|s| s.is_finite() && *s >= 0.0));
        assert!(others_cpu.is_err() || others_cpu.is_ok_and(|share| (0.0..=1.0).contains(&share)));
        let (median, p90) = (roof.more[FSYNC_MEDIAN], roof.more[FSYNC_P90]);
        assert!(roof.fsync_s.unwrap() <= median && median <= p90);
        let image = |name| roof.more.get(name).copied();
        assert!(methods.contains_key("copy_bytes_per_s") && methods.contains_key(GEMM_ALL));
        for rate in [
            roof.fill_bytes_per_s,
            roof.copy_bytes_per_s,
            roof.zstd_decode_bytes_per_s,
            roof.gemm_flop_per_s,
            image(FILL_IMAGE),
            image(COPY_IMAGE),
            image(FILL_ALL),
            image(COPY_ALL),
            image(FILL_IMAGE_ALL),
            image(COPY_IMAGE_ALL),
            image(ZSTD_ALL),
            image(GEMM_ALL),
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
