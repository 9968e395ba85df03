//! Blocks of time, and intervals from drawing them anew.
//!
//! Windows overlap, and labels look beyond them, so neighbours say nearly the same thing: what is
//! drawn with replacement are stretches of time that are long enough to be nearly independent
//! (Künsch, 1989), the same ones for both sides of a comparison.

use lob_metrics::stats::quantile;

use super::{kernels, score::Confusion, student};
use crate::{Origin, Rng};

/// Drawings of each interval.
const DRAWS: usize = 1000;
/// Blocks below which an interval would say more about the drawing than about the data.
const FEWEST: usize = 6;
/// A block is as long as a window and the reach of the label, this many times: in simulations of
/// persistent noise, one or two of them let 6 to 18 % of differences of nothing stand out.
const LENGTHS: usize = 4;

/// What intervals are widened by on top: without it 4 to 6 % of differences of nothing stood out in
/// simulations, by how long features and classes persist, and it should be at most 5.
const MARGIN: f64 = 1.1;

/// The block of each test window, and how the blocks are drawn.
#[derive(Debug)]
pub(super) struct Blocks {
    /// By position among the test windows.
    pub(super) of: Vec<usize>,
    pub(super) n: usize,
    /// Test windows that share no bin with each other, at most.
    pub(super) n_independent: usize,
    /// How often each block is drawn: drawings x blocks.
    draws: Vec<f32>,
}

impl Blocks {
    /// Cuts windows in order of time into blocks that span at least `LENGTHS` times `window + reach`
    /// bins of the instruments that have half of the windows in it. What is left at the end goes
    /// to the block before.
    pub(super) fn cut(places: &[Origin], window: usize, reach: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..places.len()).collect();
        let is_timed = places.iter().all(|place| place.ts_event.is_some());
        order.sort_by_key(|&at| {
            let place = &places[at];
            (if is_timed { place.ts_event } else { None }, place.file, place.row)
        });
        let length = (LENGTHS * (window + reach)).max(1) as u64;
        let mut of = vec![0; places.len()];
        let mut open = Open::default();
        let mut n = 0;
        for &at in &order {
            let place = &places[at];
            // Without times, files have nothing to do with each other.
            if open.is_whole(length) || (!is_timed && open.is_other(place.file)) {
                (n, open) = (n + 1, Open::default());
            }
            open.push(place);
            of[at] = n;
        }
        let n_all = if order.is_empty() { 0 } else { n + 1 };
        let n = if n_all > 1 && !open.is_whole(length) && is_timed {
            of.iter_mut().for_each(|block| *block = (*block).min(n_all - 2));
            n_all - 1
        } else {
            n_all
        };
        let n_independent = independent(places, &order, window as u64);
        Self { of, n, n_independent, draws: drawn(n, seed) }
    }

    /// What predictions of the test windows are worth, block by block.
    pub(super) fn scored(&self, truth: &[u32], found: &[Option<u32>], n_classes: usize) -> Scored {
        let mut out = Scored {
            right: vec![vec![0.0; self.n]; n_classes],
            of: vec![vec![0.0; self.n]; n_classes],
            confusion: Confusion::count(truth, found, n_classes),
        };
        for ((&block, &truth), &found) in self.of.iter().zip(truth).zip(found) {
            let class = truth as usize;
            out.of[class][block] += 1.0;
            out.right[class][block] += f32::from(u8::from(found == Some(truth)));
        }
        out
    }

    /// The 95 % interval of a statistic of the blocks' weights; `None` for too
    /// few blocks.
    ///
    /// Percentiles of the drawings, moved outwards as the quantile of Student's t for this many
    /// blocks lies outside that of the normal distribution (Hesterberg, 2015: the expanded
    /// percentile interval), and by what neighbouring blocks still have in common (the first term
    /// of Newey and West's variance, 1987, where it is positive).
    pub(super) fn interval(&self, statistic: impl Fn(&[f32]) -> f64) -> Option<[f64; 2]> {
        if self.n < FEWEST {
            return None;
        }
        let values: Vec<f64> = self.draws.chunks_exact(self.n).map(&statistic).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let tail = expanded_tail(self.n);
        let [low, high] = [tail, 1.0 - tail].map(|q| quantile(&values, q));
        let at = statistic(&self.all());
        let wider = MARGIN * self.inflation(&statistic);
        Some([at - wider * (at - low?), at + wider * (high? - at)])
    }

    /// Root of one plus twice the correlation of neighbouring blocks, by what the statistic loses
    /// without each of them; at least 1.
    #[expect(clippy::cast_precision_loss, reason = "a few blocks")]
    fn inflation(&self, statistic: &impl Fn(&[f32]) -> f64) -> f64 {
        let mut weights = self.all();
        let mut without = |block: usize| {
            weights[block] = 0.0;
            let value = statistic(&weights);
            weights[block] = 1.0;
            value
        };
        let values: Vec<f64> = (0..self.n).map(&mut without).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let square: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let product: f64 = values.windows(2).map(|x| (x[0] - mean) * (x[1] - mean)).sum();
        if square > 0.0 { (1.0 + 2.0 * product / square).max(1.0).sqrt() } else { 1.0 }
    }

    /// Every block once.
    pub(super) fn all(&self) -> Vec<f32> {
        vec![1.0; self.n]
    }
}

/// Predictions of the test windows by class and block.
#[derive(Debug)]
pub(super) struct Scored {
    /// Windows of each true class that were found, by block.
    right: Vec<Vec<f32>>,
    /// Windows of each true class, by block.
    of: Vec<Vec<f32>>,
    /// All blocks together.
    pub(super) confusion: Confusion,
}

impl Scored {
    /// Mean recall over the classes that occur in the blocks, each counted so often.
    pub(super) fn balanced_accuracy(&self, weights: &[f32]) -> f64 {
        let (mut sum, mut n) = (0.0, 0.0);
        for (right, of) in self.right.iter().zip(&self.of) {
            let all = kernels::dot(of, weights);
            if all > 0.0 {
                sum += f64::from(kernels::dot(right, weights)) / f64::from(all);
                n += 1.0;
            }
        }
        if n > 0.0 { sum / n } else { 0.0 }
    }
}

/// The block that is being filled: first and last row, and windows, of each file.
#[derive(Debug, Default)]
struct Open {
    files: Vec<(usize, u64, u64, usize)>,
}

impl Open {
    fn push(&mut self, place: &Origin) {
        match self.files.iter_mut().find(|file| file.0 == place.file) {
            Some(file) => (file.2, file.3) = (place.row, file.3 + 1),
            None => self.files.push((place.file, place.row, place.row, 1)),
        }
    }

    fn is_other(&self, file: usize) -> bool {
        self.files.first().is_some_and(|first| first.0 != file)
    }

    fn is_whole(&self, length: u64) -> bool {
        let n: usize = self.files.iter().map(|file| file.3).sum();
        let long = self.files.iter().filter(|file| file.2.saturating_sub(file.1) >= length);
        n > 0 && 2 * long.map(|file| file.3).sum::<usize>() >= n
    }
}

/// Windows that share no bin, taken greedily in order.
fn independent(places: &[Origin], order: &[usize], window: u64) -> usize {
    let mut ends: Vec<(usize, u64)> = Vec::new();
    let mut n = 0;
    for &at in order {
        let (file, row) = (places[at].file, places[at].row);
        match ends.iter_mut().find(|end| end.0 == file) {
            Some(end) if row < end.1 => continue,
            Some(end) => end.1 = row + window,
            None => ends.push((file, row + window)),
        }
        n += 1;
    }
    n
}

fn drawn(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::at(seed, 41, 0, 0);
    let mut out = vec![0.0_f32; n * DRAWS];
    for draw in out.chunks_exact_mut(n.max(1)) {
        for _ in 0..n {
            draw[rng.below(n)] += 1.0;
        }
    }
    out
}

/// Share of the drawings beyond each end: `Phi(-sqrt(n / (n - 1)) t)`, t being the 97.5 % quantile
/// of Student's distribution with n - 1 degrees of freedom.
#[expect(clippy::cast_precision_loss, reason = "a few blocks")]
fn expanded_tail(n: usize) -> f64 {
    normal_tail((n as f64 / (n - 1) as f64).sqrt() * student::quantile_975(n - 1))
}

/// Probability of a standard normal number above `x >= 0`, to 7.5e-8 (Abramowitz and Stegun,
/// 26.2.17).
fn normal_tail(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let polynomial = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    polynomial * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: usize, row: u64, ts: Option<u64>) -> Origin {
        Origin { file, row, ts_first: None, ts_event: ts, instrument_id: None }
    }

    #[test]
    fn blocks_span_windows_and_reach() {
        // Every fourth row of 200; blocks of 4 * (3 + 2) = 20 rows, so 5 windows and a step.
        let places: Vec<Origin> = (0..50).map(|i| at(0, 4 * i, Some(i))).collect();
        let blocks = Blocks::cut(&places, 3, 2, 1);
        assert_eq!(blocks.of[..7], [0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(blocks.n, 8);
        assert_eq!(blocks.of[49], 7, "what is left belongs to the last whole block");
        assert_eq!(blocks.n_independent, 50, "windows of 3 rows, 4 apart");
        assert_eq!(Blocks::cut(&places, 6, 0, 1).n_independent, 25, "every second one");
        // Two instruments at the same times are in the same blocks.
        let both: Vec<Origin> =
            (0..100).map(|i| at(i % 2, 4 * (i as u64 / 2), Some(i as u64))).collect();
        let two = Blocks::cut(&both, 3, 2, 1);
        assert_eq!(two.of[0], two.of[1]);
        assert!((7..=9).contains(&two.n), "{}", two.n);
        assert_eq!(two.n_independent, 100);
    }

    #[test]
    fn files_without_times_are_blocks_of_their_own() {
        let places: Vec<Origin> = (0..30).map(|i| at(i / 3, (i % 3) as u64 * 8, None)).collect();
        let blocks = Blocks::cut(&places, 32, 0, 1);
        assert_eq!(blocks.n, 10);
        assert!((0..30).all(|i| blocks.of[i] == i / 3));
        assert_eq!(Blocks::cut(&[], 3, 3, 1).n, 0);
    }

    /// The interval of a mean of independent blocks is Student's, nearly.
    #[test]
    fn the_interval_of_a_mean_is_students() {
        let n = 20;
        let places: Vec<Origin> = (0..n).map(|i| at(i, 0, None)).collect();
        let blocks = Blocks::cut(&places, 1, 0, 3);
        let mut rng = Rng::new(8);
        let values: Vec<f64> = (0..n).map(|_| f64::from(rng.normal_f32())).collect();
        let mean = values.iter().sum::<f64>() / 20.0;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 19.0;
        let half = 2.093 * (variance / 20.0).sqrt();
        let statistic = |weights: &[f32]| {
            values.iter().zip(weights).map(|(x, &w)| x * f64::from(w)).sum::<f64>() / 20.0
        };
        let [low, high] = blocks.interval(statistic).unwrap();
        let wider = MARGIN * blocks.inflation(&statistic);
        let ratio = (high - low) / (2.0 * half * wider);
        assert!((1.0..1.6).contains(&wider) && ratio > 0.9 && ratio < 1.1, "{wider} {ratio}");
        assert!(low < mean && mean < high);
        assert!(Blocks::cut(&places[..5], 1, 0, 3).interval(|_| 0.0).is_none(), "too few blocks");
    }

    #[test]
    fn blocks_add_up_to_the_whole() {
        let places: Vec<Origin> = (0..6).map(|i| at(i / 2, 0, None)).collect();
        let blocks = Blocks::cut(&places, 1, 0, 3);
        let (truth, found) =
            ([0, 1, 1, 1, 2, 0], [Some(0), None, Some(1), Some(0), Some(2), Some(1)]);
        let scored = blocks.scored(&truth, &found, 3);
        let whole = scored.confusion.balanced_accuracy();
        assert!((scored.balanced_accuracy(&blocks.all()) - whole).abs() < 1e-12);
        // The first block twice, the last not at all: class 0 right, 1 of 4 of class 1.
        assert!((scored.balanced_accuracy(&[2.0, 1.0, 0.0]) - 0.625).abs() < 1e-12);
    }

    #[test]
    fn tails_of_the_normal_distribution() {
        assert!((normal_tail(1.959_964) - 0.025).abs() < 1e-6);
        assert!((normal_tail(0.0) - 0.5).abs() < 1e-6);
        // sqrt(20 / 19) * 2.093 = 2.147
        assert!(expanded_tail(20) < 0.0165 && expanded_tail(20) > 0.0150, "{}", expanded_tail(20));
    }
}
