//! Verdicts on made-up programs of which the truth is known, over many seeds.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use lob_metrics::stats::SplitMix64;

use super::{LeakConfig, leak_report};

const MIB: f64 = 1024.0 * 1024.0;

/// What memory does over the run (`u` from 0 to 1), in units of the size drawn for it. `k` is
/// uniform in 0..1 and stays the same for a run.
type Shape = fn(u: f64, k: f64) -> f64;

/// Programs that keep what they took but stop taking, give it back, or take it by large steps.
const INNOCENT: [(&str, Shape); 17] = [
    ("flat", |_, _| 0.0),
    ("warm-up, then flat", |u, k| (u / (0.05 + 0.15 * k)).min(1.0)),
    ("flat from 65 %", |u, _| u.min(0.65)),
    ("flat from 80 %", |u, _| u.min(0.8)),
    ("flat from 90 %", |u, _| u.min(0.9)),
    ("late burst, then flat", |u, _| ((u - 0.6) / 0.3).clamp(0.0, 1.0)),
    ("cache, tau a fifth", |u, _| 1.0 - (-5.0 * u).exp()),
    ("cache, tau a third", |u, _| 1.0 - (-3.0 * u).exp()),
    ("cache, tau a half", |u, _| 1.0 - (-2.0 * u).exp()),
    ("saw of any period", |u, k| (u / (0.03 + 0.7 * k) + 7.0 * k).fract()),
    ("saw, period 0.6 of the run", |u, _| (u / 0.6).fract()),
    ("saw of long teeth at the end", |u, k| (u / (0.34 + 0.05 * k)).fract()),
    ("ramp, then a drop", |u, k| if u < 0.5 + 0.47 * k { u } else { 0.1 }),
    ("steps of a fifth", |u, k| (u / 0.2 + k).floor() * 0.2),
    ("doubling tables", |u, k| (2.0 + k + 60.0 * u).log2().floor().exp2() / 64.0),
    ("day and night", |u, k| (TAU * (u / (0.1 + 0.6 * k) + k)).sin()),
    ("shrinking", |u, _| 1.0 - u),
];

/// Programs that leak.
const LEAKING: [(&str, Shape); 9] = [
    ("line", |u, _| u),
    ("line after a warm-up", |u, _| 3.0 * (u / 0.1).min(1.0) + u),
    ("from 40 % on", |u, _| ((u - 0.4) / 0.6).max(0.0)),
    ("from 60 % on", |u, _| ((u - 0.6) / 0.4).max(0.0)),
    ("ever faster", |u, _| u * u),
    ("40 steps", |u, k| (u * 40.0 + k).floor() / 40.0),
    ("under small teeth", |u, k| u + 0.2 * (u / 0.02 + k).fract()),
    ("under teeth as large", |u, k| 1.5 * u + (u / 0.02 + k).fract()),
    ("under waves", |u, k| u + 0.1 * (TAU * (u / 0.04 + k)).sin()),
];

struct Run {
    random: SplitMix64,
}

impl Run {
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    /// A sum of twelve uniform numbers (Irwin-Hall), close enough to the normal distribution.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Readings of one program: times in seconds, bytes.
    fn readings(&mut self, shape: Shape, sizes: &[usize], noise: f64) -> (Vec<f64>, Vec<f64>) {
        let n = self.pick(sizes);
        let length_s = self.pick(&[5.0, 30.0, 120.0]);
        let size = MIB * 10_f64.powf(1.3 + 1.7 * self.uniform());
        let (k, kind) = (self.uniform(), self.pick(&[0, 1, 2]));
        let mut wander = self.normal();
        let mut read = |at: usize| {
            let u = (at as f64 + 0.6 * (self.uniform() - 0.5)).max(0.0) / (n - 1) as f64;
            wander = 0.9 * wander + (1.0_f64 - 0.81).sqrt() * self.normal();
            let stray = match kind {
                0 => self.normal(),
                1 => wander,
                _ if self.uniform() < 0.05 => 5.0 * self.uniform(),
                _ => 0.0,
            };
            (u * length_s, 50.0 * MIB + size * (shape(u, k) + noise * stray))
        };
        (0..n).map(&mut read).unzip()
    }
}

/// Verdicts on runs of every shape.
fn verdicts(
    shapes: &[(&'static str, Shape)],
    seeds: u64,
    sizes: &[usize],
    noises: &[f64],
) -> BTreeMap<&'static str, BTreeMap<String, u32>> {
    let mut table = BTreeMap::new();
    for (name, shape) in shapes {
        let row: &mut BTreeMap<String, u32> = table.entry(*name).or_default();
        for seed in 0..seeds {
            let mut run = Run { random: SplitMix64::new(seed) };
            let noise = run.pick(noises);
            let (x, y) = run.readings(*shape, sizes, noise);
            let verdict = leak_report(&x, &y, LeakConfig::default()).verdict;
            *row.entry(format!("{verdict:?}")).or_default() += 1;
        }
    }
    table
}

fn leaks(row: &BTreeMap<String, u32>) -> u32 {
    row.get("Leak").copied().unwrap_or(0)
}

#[test]
fn nobody_is_accused_who_does_not_leak() {
    let table = verdicts(&INNOCENT, 150, &[40, 100, 250, 750], &[0.0, 0.005, 0.02]);
    let accused: Vec<_> = table.iter().filter(|(_, row)| leaks(row) > 0).collect();
    assert!(accused.is_empty(), "{accused:?}");
    // Those that have grown are told from those that have not.
    for name in ["flat from 80 %", "flat from 90 %", "late burst, then flat"] {
        assert!(table[name]["LevelsOff"] > 100, "{name}: {:?}", table[name]);
    }
    for name in ["flat", "warm-up, then flat", "shrinking"] {
        assert_eq!(table[name].get("LevelsOff"), None, "{name}");
    }
}

#[test]
fn leaks_are_found() {
    let table = verdicts(&LEAKING, 60, &[250, 750], &[0.0, 0.005, 0.02]);
    for (name, row) in &table {
        // Teeth may hide it where a run has few readings of each: those say that memory grew.
        let least = match *name {
            "under teeth as large" => 20,
            "under small teeth" => 36,
            _ => 48,
        };
        assert!(leaks(row) >= least, "{name}: {row:?}");
    }
}

#[test]
fn few_readings_and_much_noise_accuse_hardly_anybody() {
    let table = verdicts(&INNOCENT, 100, &[12, 20, 40, 250], &[0.03, 0.06]);
    let accused: u32 = table.values().map(leaks).sum();
    assert!(accused <= 5, "{accused} of {}: {table:?}", 100 * table.len());
    let few = verdicts(&LEAKING[..2], 50, &[12, 20], &[0.0, 0.002]);
    for (name, row) in &few {
        assert!(leaks(row) >= 40, "{name}: {row:?}");
    }
}
