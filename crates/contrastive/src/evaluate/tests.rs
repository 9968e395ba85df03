//! What an evaluation must not say: that noise tells something, or that one noise beats another.

use super::baselines::random_model;
use super::*;
use crate::{EncoderConfig, Layout, PairKey, Rng, WindowScratch};

const WINDOW: usize = 8;
const CHANNELS: usize = 2;
const STRIDE: usize = 4;
const ROWS: usize = 4000;

/// Windows over a series, with classes that a hidden state of its own pace decides.
struct Noise {
    rows: Vec<f32>,
    places: Vec<Origin>,
    split: TimeSplit,
    task: Task,
}

/// Values of a stationary process that forgets with a half-life of a few rows, as market features
/// do: neighbouring windows say nearly the same.
fn persistent(rng: &mut Rng, keep: f32, n: usize) -> Vec<f32> {
    let mut x = rng.normal_f32();
    let mut next = || {
        x = keep * x + (1.0 - keep * keep).sqrt() * rng.normal_f32();
        x
    };
    (0..n).map(|_| next()).collect()
}

impl Noise {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::at(seed, 5, 0, 0);
        let channels: Vec<Vec<f32>> =
            (0..CHANNELS).map(|_| persistent(&mut rng, 0.8, ROWS)).collect();
        let rows = (0..ROWS).flat_map(|row| channels.iter().map(move |c| c[row])).collect();
        let state = persistent(&mut rng, 0.8, ROWS);
        let starts: Vec<usize> = (0..=ROWS - WINDOW).step_by(STRIDE).collect();
        let class = |&start: &usize| {
            let x = state[start + WINDOW - 1];
            Some(u32::from(x > -0.43) + u32::from(x > 0.43))
        };
        let n = starts.len();
        let cuts = [n * 7 / 10, n * 8 / 10];
        // As far apart as a window.
        let gap = WINDOW / STRIDE;
        Self {
            rows,
            places: starts.iter().map(|&row| place(row as u64)).collect(),
            split: TimeSplit {
                train: (0..cuts[0]).collect(),
                validation: (cuts[0] + gap..cuts[1]).collect(),
                test: (cuts[1] + gap..n).collect(),
            },
            task: Task {
                name: "state".into(),
                description: "third of a hidden state".into(),
                n_classes: 3,
                labels: starts.iter().map(class).collect(),
                reach: 0,
                past: starts.iter().map(|&start| Some(channels[0][start + WINDOW - 1])).collect(),
                past_description: "the last value".into(),
            },
        }
    }

    fn table(&self, seed: u64) -> EvaluationTable {
        let encoder =
            EncoderConfig { hidden: vec![16], embedding_dim: 8, ..EncoderConfig::simple() };
        let model = random_model(&encoder, WINDOW * CHANNELS, 1000 + seed);
        let config = EvaluateConfig {
            seeds: 3,
            budgets: vec![],
            baselines: vec![
                Features::Raw,
                Features::HandStatistics,
                Features::PastValue,
                Features::Majority,
            ],
            device: Device::Cpu,
            ..EvaluateConfig::default()
        };
        let data = Evaluated {
            source: self,
            places: &self.places,
            window: WINDOW,
            split: &self.split,
            tasks: std::slice::from_ref(&self.task),
        };
        evaluate(&data, &[model], &config).unwrap()
    }
}

fn place(row: u64) -> Origin {
    Origin { file: 0, row, ts_first: None, ts_event: Some(1000 * row), instrument_id: None }
}

impl WindowSource for Noise {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn n_inputs(&self) -> usize {
        WINDOW * CHANNELS
    }

    fn layout(&self) -> Layout {
        Layout::series(WINDOW, CHANNELS)
    }

    fn window(
        &self,
        idx: usize,
        _: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        let first = idx * STRIDE * CHANNELS;
        out.copy_from_slice(&self.rows[first..first + WINDOW * CHANNELS]);
        Ok(())
    }

    fn pairs(
        &self,
        _: &mut WindowScratch,
        _: &mut Rng,
        _: &mut [f32],
        _: &mut [f32],
        _: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        unreachable!("nothing is trained")
    }
}

/// The right outcome: a 95 % interval of a difference of nothing lies beside 0 in 5 % of cases,
/// and an interval of a score lies above chance in 2.5 %.
#[test]
fn noise_is_said_to_differ_in_at_most_one_of_twenty() {
    const SEEDS: u64 = 200;
    let (mut compared, mut differ, mut above, mut rows, mut adds) = (0, 0, 0, 0, 0);
    for seed in 0..SEEDS {
        let table = Noise::new(seed).table(seed);
        for comparison in &table.comparisons {
            compared += 1;
            differ += u32::from(comparison.difference.verdict != Some(Verdict::NoDifference));
        }
        for row in table.rows.iter().filter(|row| row.features != Features::Majority) {
            rows += 1;
            above += u32::from(row.ci95.unwrap()[0] > row.chance);
        }
        let added = table.added_value("state", Budget::All).unwrap();
        adds += u32::from(added.difference.verdict != Some(Verdict::NoDifference));
    }
    eprintln!("{differ} of {compared} differ, {above} of {rows} above chance, {adds} add or take");
    assert!(f64::from(differ) <= 0.05 * f64::from(compared), "{differ} of {compared}");
    assert!(f64::from(above) <= 0.05 * f64::from(rows), "{above} of {rows}");
    assert!(adds <= 10, "{adds} of {SEEDS} add or take");
}

/// Classes of real features dealt anew in blocks of time keep their persistence and lose what they
/// had to do with the features.
#[test]
fn classes_shuffled_in_blocks_make_no_difference() {
    let mut noise = Noise::new(7);
    // Classes that the last value decides: raw windows tell them all.
    let thirds = |x: f32| u32::from(x > -0.43) + u32::from(x > 0.43);
    noise.task.labels = noise.task.past.iter().map(|x| x.map(thirds)).collect();
    let told = noise.table(7);
    assert!(told.row("state", Features::Raw, Method::Logistic).unwrap().mean > 0.9);
    let past = told.against("state", Features::PastValue, Method::Logistic).unwrap();
    assert_eq!(past.verdict, Some(Verdict::Worse), "{past:?}");

    let blocks: Vec<Vec<Option<u32>>> = noise.task.labels.chunks(10).map(<[_]>::to_vec).collect();
    let (mut compared, mut differ) = (0, 0);
    for seed in 0..20 {
        let (mut rng, mut blocks) = (Rng::new(seed), blocks.clone());
        for i in (1..blocks.len()).rev() {
            blocks.swap(i, rng.below(i + 1));
        }
        noise.task.labels = blocks.concat();
        for comparison in noise.table(seed).comparisons {
            compared += 1;
            differ += u32::from(comparison.difference.verdict != Some(Verdict::NoDifference));
        }
    }
    // One in twenty is what the level allows; comparisons of one shuffle go together.
    assert!(f64::from(differ) <= 0.08 * f64::from(compared), "{differ} of {compared}");
}
