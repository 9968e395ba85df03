//! A made-up run with every kind of content, for tests and documentation of the crates above.

mod pictures;

use std::collections::BTreeMap;

use serde_json::json;

use crate::stats::SplitMix64;
use crate::{
    Artifact, Axis, Bound, Direction, Finding, Host, Input, Means, Measurement, Overhead,
    Recommendation, Role, Roof, Run, SCHEMA_VERSION, Scenario, ScopeStat, Severity, Status, Target,
    Timeline, Tool, Unit, judge_all,
};

use Direction::{HigherIsBetter as Higher, LowerIsBetter as Lower, Neutral};

impl Run {
    /// A made-up run: its figures come from a seeded generator, not from a machine. It holds all
    /// kinds of measurement, artifact and status, and misses one target.
    #[doc(hidden)]
    #[must_use]
    pub fn sample() -> Self {
        let mut run = Self {
            schema_version: SCHEMA_VERSION,
            id: "20261121T041500Z-sample".to_owned(),
            started_at: "2026-11-21T04:15:00Z".to_owned(),
            elapsed_s: 48.5,
            title: "Quick run on a synthetic market".to_owned(),
            tool: tool(),
            host: host(),
            roof: roof(),
            inputs: vec![Input {
                path: "results/synthetic.mbo.dbn.zst".to_owned(),
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
                fingerprint: None,
                bytes: 4_718_592,
                records: 250_000,
                schema: "mbo".to_owned(),
                mbp10_updates: Some(159_120),
            }],
            settings: BTreeMap::from([("quick".to_owned(), json!(true)), ("order_seed".to_owned(), json!(7))]),
            scenarios: vec![convert(), render(), load(), train(), gpu(), verify()],
            targets: Vec::new(),
            recommendations: vec![
                Recommendation {
                    text: "Train with a larger batch or on a GPU: the backward pass holds the whole run back"
                        .to_owned(),
                    evidence: "`train/step/backward` takes 11.9 s of 20.4 s in `train.infonce`".to_owned(),
                },
                Recommendation {
                    text: "Give the converter a second job: decoding and binning run on one core".to_owned(),
                    evidence: "`convert.cpu_share` is 98.7 % of one core of two".to_owned(),
                },
            ],
            overhead: Overhead { profiler_share: Some(0.0021), scope_cost_s: Some(2.6e-8) },
            notes: vec![
                "bin size fitted to the input: 20 updates a bin instead of 100, so that one window of 500 bins exists"
                    .to_owned(),
            ],
        };
        run.targets = judge_all(&targets(), &run);
        run
    }
}

/// `n` values around `centre`, at most `spread` (a share) away from it.
fn around(centre: f64, spread: f64, n: usize, seed: u64) -> Vec<f64> {
    let mut rng = SplitMix64::new(seed);
    (0..n).map(|_| centre * (1.0 + spread * (2.0 * rng.next_f64() - 1.0))).collect()
}

fn tool() -> Tool {
    Tool {
        name: "lob".to_owned(),
        version: "0.1.0".to_owned(),
        revision: Some("0123abc".to_owned()),
        revision_unknown: None,
        features: vec![],
        command: ["lob", "bench", "--quick"].map(str::to_owned).to_vec(),
    }
}

fn host() -> Host {
    Host {
        cpu: Some("Example CPU 9000".to_owned()),
        cores: Some(2),
        memory_bytes: Some(25_769_803_776),
        kernel: Some("Linux 6.18.0".to_owned()),
        governor: None,
        compiler: Some("rustc 1.95.0".to_owned()),
        gpu: vec![],
        fingerprint: "5f3c9a1e".to_owned(),
    }
}

fn roof() -> Roof {
    Roof {
        fill_bytes_per_s: Some(17.2e9),
        copy_bytes_per_s: Some(8.4e9),
        zstd_decode_bytes_per_s: Some(1.15e9),
        gemm_flop_per_s: Some(92.0e9),
        fsync_s: Some(0.0018),
        more: BTreeMap::new(),
    }
}

fn targets() -> Vec<Target> {
    let target = |metric: &str, unit, direction, hard_limit, goal, source: &str| Target {
        metric: metric.to_owned(),
        unit,
        direction,
        hard_limit: Some(hard_limit),
        goal: Some(goal),
        floor: None,
        required: metric != "gpu.step_s",
        source: source.to_owned(),
    };
    vec![
        target("convert.samples_per_s", Unit::SamplesPerSecond, Higher, 500.0, 1000.0, "A2, A3"),
        target("render.sample_s", Unit::Seconds, Lower, 0.010, 0.002, "B1"),
        target("load.samples_per_s", Unit::SamplesPerSecond, Higher, 1000.0, 10_000.0, "B5"),
        target("load.peak_rss_bytes", Unit::Bytes, Lower, 4_294_967_296.0, 1_073_741_824.0, "B4"),
        target("train.backward_s", Unit::Seconds, Lower, 0.100, 0.050, "D2"),
        target("gpu.step_s", Unit::Seconds, Lower, 0.050, 0.010, "D5"),
    ]
}

fn scenario(id: &str, suite: &str, title: &str, elapsed_s: f64) -> Scenario {
    Scenario {
        id: id.to_owned(),
        suite: suite.to_owned(),
        title: title.to_owned(),
        config: BTreeMap::new(),
        status: Status::Passed,
        reason: None,
        elapsed_s,
        measurements: Vec::new(),
        scopes: Vec::new(),
        timeline: Vec::new(),
        findings: Vec::new(),
        artifacts: Vec::new(),
    }
}

fn scope(path: &str, calls: u32, total_s: f64, self_s: f64) -> ScopeStat {
    let mean = total_s / f64::from(calls);
    let spread = |factor: f64| if calls == 1 { mean } else { factor * mean };
    ScopeStat {
        path: path.to_owned(),
        calls: u64::from(calls),
        total_s,
        self_s,
        min_s: spread(0.7),
        max_s: spread(4.0),
        p50_s: spread(0.95),
        p95_s: spread(1.6),
        p99_s: spread(2.2),
    }
}

fn memory(base: f64, growth: f64, seconds: f64) -> Timeline {
    let n = 60_u32;
    let mut rng = SplitMix64::new(17);
    let t_s: Vec<f64> = (0..n).map(|i| seconds * f64::from(i) / f64::from(n - 1)).collect();
    let values = t_s.iter().map(|t| base + growth * (t / seconds).sqrt() + 2e6 * rng.next_f64());
    Timeline { metric: "rss".to_owned(), unit: Unit::Bytes, values: values.collect(), t_s }
}

fn convert() -> Scenario {
    let config = BTreeMap::from([
        ("bin_by".to_owned(), json!("ticks")),
        ("jobs".to_owned(), json!(1)),
        ("ticks_per_bin".to_owned(), json!(20)),
    ]);
    let zstd = "zstd decode 1.15 GB/s";
    Scenario {
        config,
        measurements: vec![
            Measurement::measured("convert.samples_per_s", Unit::SamplesPerSecond, Higher, &around(48_200.0, 0.03, 8, 1)).with_role(Role::Headline),
            Measurement::measured("convert.records_per_s", Unit::RecordsPerSecond, Higher, &around(1_610_000.0, 0.03, 8, 2))
                .with_limit(0.61, zstd),
            Measurement::measured("convert.peak_rss_bytes", Unit::Bytes, Lower, &[92.0e6]).with_role(Role::PeakRss),
            Measurement::measured("convert.cpu_share", Unit::Fraction, Neutral, &[0.987]),
        ],
        scopes: vec![
            scope("convert", 1, 5.90, 0.05),
            scope("convert/decode", 250, 2.10, 2.10),
            scope("convert/replay", 250, 1.90, 1.90),
            scope("convert/bins", 250, 1.25, 1.25),
            scope("convert/write", 12, 0.60, 0.42),
            scope("convert/write/fsync", 12, 0.18, 0.18),
        ],
        timeline: vec![memory(6.0e7, 3.0e7, 5.9)],
        findings: vec![Finding {
            severity: Severity::Info,
            text: "36 % of the time goes into zstd and record decoding, at 61 % of the machine's limit".to_owned(),
        }],
        ..scenario("convert.bins", "convert", "MBO records to tick bins in Parquet", 5.9)
    }
}

fn render() -> Scenario {
    let (rows, columns) = (402_u16, 120_u16);
    let mut rng = SplitMix64::new(23);
    let mut values = vec![0.0_f32; usize::from(rows) * usize::from(columns)];
    let mut mid = 201.0_f32;
    for column in 0..columns {
        mid += 6.0 * (f32::from(u8::from(rng.next_f64() > 0.5)) - 0.5);
        for row in 0..rows {
            let distance = mid - f32::from(row);
            let depth = (1.0 - (-distance.abs() / 45.0).exp()) * distance.signum();
            values[usize::from(row) * usize::from(columns) + usize::from(column)] = depth;
        }
    }
    Scenario {
        config: BTreeMap::from([
            ("bins".to_owned(), json!(columns)),
            ("features".to_owned(), json!(["volume"])),
        ]),
        measurements: vec![
            Measurement::measured(
                "render.sample_s",
                Unit::Seconds,
                Lower,
                &around(0.000_182, 0.08, 40, 3),
            ),
            Measurement::measured(
                "render.values_per_s",
                Unit::ValuesPerSecond,
                Higher,
                &around(1.09e9, 0.08, 40, 4),
            )
            .with_limit(0.25, "fill bandwidth 17.2 GB/s")
            .with_demand(Bound::Memory, 0.25 * 17.2e9),
        ],
        scopes: vec![
            scope("render", 40_000, 7.30, 0.9),
            scope("render/accumulate", 40_000, 3.60, 3.60),
            scope("render/normalise", 40_000, 2.80, 2.80),
        ],
        timeline: vec![memory(7.1e7, 1.0e6, 7.3)],
        artifacts: vec![Artifact::Heatmap {
            title: "Depth image".to_owned(),
            rows: usize::from(rows),
            columns: usize::from(columns),
            values,
            row_label: "price, high to low".to_owned(),
            column_label: "bin".to_owned(),
        }],
        ..scenario("render.volume", "render", "Depth images of one feature", 7.4)
    }
}

fn load() -> Scenario {
    let batch = |size: u32, rate: f64| {
        let name = format!("load.batch_{size}.samples_per_s");
        Measurement::measured(
            &name,
            Unit::SamplesPerSecond,
            Higher,
            &around(rate, 0.04, 12, u64::from(size)),
        )
        .over("load.samples_per_s", Axis::Batch, size)
    };
    Scenario {
        measurements: vec![
            Measurement::measured(
                "load.samples_per_s",
                Unit::SamplesPerSecond,
                Higher,
                &around(9_850.0, 0.05, 12, 5),
            )
            .with_role(Role::Headline)
            .with_limit(0.46, "fill bandwidth 17.2 GB/s")
            .with_demand(Bound::Memory, 0.46 * 17.2e9),
            batch(16, 9_100.0),
            batch(32, 9_850.0),
            batch(64, 9_930.0),
            Measurement::measured(
                "load.batch_s",
                Unit::Seconds,
                Lower,
                &around(0.003_25, 0.2, 60, 6),
            ),
            Measurement::measured("load.peak_rss_bytes", Unit::Bytes, Lower, &[318.0e6])
                .with_role(Role::PeakRss),
            Measurement::measured("load.data_wait_share", Unit::Fraction, Lower, &[0.034]),
        ],
        scopes: vec![
            scope("load", 313, 6.40, 0.30),
            scope("load/read", 313, 1.90, 1.90),
            scope("load/render", 10_000, 4.20, 4.20),
        ],
        timeline: vec![memory(2.4e8, 7.0e7, 6.4)],
        ..scenario("load.shuffled", "load", "Shuffled batches from the store", 6.5)
    }
}

fn train() -> Scenario {
    Scenario {
        measurements: vec![
            Measurement::measured(
                "train.samples_per_s",
                Unit::SamplesPerSecond,
                Higher,
                &around(62.7, 0.04, 20, 7),
            )
            .with_role(Role::Headline)
            .with_limit(0.38, "matrix product 92.0 GFLOP/s")
            .with_demand(Bound::Arithmetic, 0.38 * 92e9),
            Measurement::measured(
                "train.forward_s",
                Unit::Seconds,
                Lower,
                &around(0.041, 0.05, 20, 8),
            ),
            Measurement::measured(
                "train.backward_s",
                Unit::Seconds,
                Lower,
                &around(0.149, 0.05, 20, 9),
            ),
            Measurement::measured("train.loss", Unit::Dimensionless, Lower, &[1.273]),
            Measurement::estimated(
                "train.flop_per_step",
                Unit::Count,
                Neutral,
                6.6e9,
                "2 x parameters x batch, three passes",
            ),
        ],
        scopes: vec![
            scope("train", 1, 20.40, 0.35),
            scope("train/step", 80, 20.05, 0.75),
            scope("train/step/data", 80, 0.90, 0.90),
            scope("train/step/forward", 80, 4.10, 4.10),
            scope("train/step/backward", 80, 11.90, 11.90),
            scope("train/step/optimise", 80, 2.40, 2.40),
        ],
        timeline: vec![memory(4.0e8, 1.5e8, 20.4)],
        findings: vec![Finding {
            severity: Severity::Critical,
            text: "the backward pass takes 149 ms, its limit is 100 ms".to_owned(),
        }],
        artifacts: pictures::learning(),
        ..scenario("train.infonce", "train", "Contrastive training, simple encoder", 20.6)
    }
}

fn gpu() -> Scenario {
    let reason = "no NVIDIA driver on this machine";
    Scenario {
        status: Status::Skipped,
        reason: Some(reason.to_owned()),
        measurements: vec![
            Measurement::unavailable("gpu.step_s", Unit::Seconds, Lower, reason)
                .by("step_s", Means::Gpu),
        ],
        ..scenario("train.gpu", "train", "The same training on a GPU", 0.0)
    }
}

fn verify() -> Scenario {
    Scenario {
        measurements: vec![Measurement::measured(
            "verify.bytes_per_s",
            Unit::BytesPerSecond,
            Higher,
            &[391.0e6],
        )],
        ..scenario("verify.input", "verify", "Check of the input file", 0.012)
    }
}
