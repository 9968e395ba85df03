//! One task: fits, predictions, scores.

use super::blocks::{Blocks, Scored};
use super::calibration::calibration;
use super::features::{Chosen, Made};
use super::knn::knn_predict;
use super::logistic::{Logistic, Weighting};
use super::network::Network;
use super::score::Confusion;
use super::table::{AddedValue, Comparison, Difference, EvaluationRow};
use super::{
    Budget, Calibration, EvaluateConfig, Evaluated, Features, Method, Rows, Standardiser, Task,
    Verdict, student,
};
use crate::{ContrastiveError, Rng};

/// What a task adds to the table.
#[derive(Debug, Default)]
pub(super) struct Studied {
    pub(super) rows: Vec<EvaluationRow>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) added: Vec<AddedValue>,
    pub(super) calibration: Option<Calibration>,
}

/// A task's windows by position among the chosen ones.
struct Study<'a> {
    task: &'a Task,
    config: &'a EvaluateConfig,
    /// Training, validation and test windows that have a class.
    parts: [Vec<usize>; 3],
    /// Class of each chosen window.
    classes: Vec<Option<u32>>,
    blocks: Blocks,
}

/// Predictions of one kind of features and read-out, by model, seed or drawing.
struct Found {
    features: Features,
    method: Method,
    scored: Vec<Scored>,
    /// Mean score on the validation windows, where a fit chooses by it.
    validation: f64,
    /// The first regression there is.
    probe: Option<Logistic>,
}

/// What one fit or vote says.
struct Predicted {
    /// Class of each test window.
    classes: Vec<Option<u32>>,
    /// Score on the validation windows, where the fit was chosen by it.
    validation: f64,
    probe: Option<Logistic>,
}

impl Predicted {
    fn plain(classes: Vec<Option<u32>>) -> Self {
        Self { classes, validation: f64::NAN, probe: None }
    }
}

impl Found {
    /// Mean balanced accuracy, each block counted so often.
    #[expect(clippy::cast_precision_loss, reason = "a few scores")]
    fn mean(&self, weights: &[f32]) -> f64 {
        let sum = |all: f64, scored: &Scored| all + scored.balanced_accuracy(weights);
        self.scored.iter().fold(0.0, sum) / self.scored.len().max(1) as f64
    }
}

pub(super) fn study(
    data: &Evaluated<'_>,
    task: &Task,
    chosen: &Chosen,
    made: &[Made],
    config: &EvaluateConfig,
) -> Result<Studied, ContrastiveError> {
    let study = Study::new(data, task, chosen, config)?;
    let past = study.past(chosen, made);
    let all: Vec<&Made> = made.iter().chain(&past).collect();
    let mut out = Studied::default();
    let n_train = study.parts[0].len();
    let fewer = config.budgets.iter().filter(|&&n| n < n_train).map(|&n| Budget::Labels(n));
    for labels in fewer.chain([Budget::All]) {
        study.with_labels(labels, &all, &mut out);
    }
    Ok(out)
}

impl<'a> Study<'a> {
    fn new(
        data: &Evaluated<'_>,
        task: &'a Task,
        chosen: &Chosen,
        config: &'a EvaluateConfig,
    ) -> Result<Self, ContrastiveError> {
        let classes: Vec<Option<u32>> =
            chosen.windows.iter().map(|&idx| task.labels[idx]).collect();
        let parts = chosen
            .parts()
            .map(|part| part.filter(|&at| classes[at].is_some()).collect::<Vec<usize>>());
        for (name, part) in ["training", "validation", "test"].into_iter().zip(&parts) {
            let found: std::collections::BTreeSet<_> = part.iter().map(|&at| classes[at]).collect();
            if found.len() < 2 {
                return Err(ContrastiveError::NotEnoughData {
                    reason: format!(
                        "the {name} part has {} windows of {} classes for `{}`",
                        part.len(),
                        found.len(),
                        task.name
                    ),
                    hint: "use a shorter window, smaller bins or a longer recording",
                });
            }
        }
        let places: Vec<_> = parts[2].iter().map(|&at| data.places[chosen.windows[at]]).collect();
        let blocks = Blocks::cut(&places, data.window, task.reach, 0);
        Ok(Self { task, config, parts, classes, blocks })
    }

    /// The one number of each window's past, and the features that are none.
    fn past(&self, chosen: &Chosen, made: &[Made]) -> Vec<Made> {
        let n = chosen.windows.len();
        let wanted = |features| self.config.baselines.contains(&features) && !made.is_empty();
        let mut out = Vec::new();
        if wanted(Features::PastValue) && !self.task.past.is_empty() {
            let known = |&idx: &usize| self.task.past[idx].filter(|x| x.is_finite());
            // Whether there is a number is one as well.
            let values = chosen.windows.iter().flat_map(|idx| {
                [known(idx).unwrap_or(0.0), f32::from(u8::from(known(idx).is_none()))]
            });
            let mut rows = Rows { dim: 2, values: values.collect() };
            Standardiser::fit(&rows.select(chosen.parts()[0].clone())).apply(&mut rows);
            out.push(Made { features: Features::PastValue, variants: vec![rows] });
        }
        if wanted(Features::Majority) {
            let rows = Rows { dim: 1, values: vec![0.0; n] };
            out.push(Made { features: Features::Majority, variants: vec![rows] });
        }
        out
    }

    fn rows(&self, rows: &Rows, part: usize) -> Rows {
        rows.select(self.parts[part].iter().copied())
    }

    fn classes_at(&self, at: &[usize]) -> Vec<u32> {
        at.iter().filter_map(|&at| self.classes[at]).collect()
    }

    fn classes_of(&self, part: usize) -> Vec<u32> {
        self.classes_at(&self.parts[part])
    }

    /// The training windows of each drawing.
    fn draws(&self, labels: Budget) -> Vec<Vec<usize>> {
        let Budget::Labels(n) = labels else { return vec![self.parts[0].clone()] };
        let draw = |seed: usize| {
            let mut rng = Rng::at(seed as u64, 17, 0, 0);
            let mut all = self.parts[0].clone();
            for i in 0..n.min(all.len()) {
                let other = i + rng.below(all.len() - i);
                all.swap(i, other);
            }
            all.truncate(n);
            all
        };
        (0..self.config.seeds).map(draw).collect()
    }

    fn probe(&self, rows: &Rows, train: &[usize]) -> Option<Logistic> {
        let known = rows.select(train.iter().copied());
        let (validation, chosen_on) = (self.rows(rows, 1), self.classes_of(1));
        let n_classes = self.task.n_classes;
        let classes = self.classes_at(train);
        Logistic::fit(&known, &classes, (&validation, &chosen_on), n_classes, Weighting::Balanced)
    }

    /// Classes of the test windows by a fit or vote on some of the training windows.
    fn predict(
        &self,
        candidates: &[&Rows],
        method: Method,
        train: &[usize],
        seed: usize,
    ) -> Predicted {
        let n_test = self.parts[2].len();
        let none = || Predicted::plain(vec![None; n_test]);
        let n_classes = self.task.n_classes;
        let classes = self.classes_at(train);
        let Some(first) = candidates.first() else { return none() };
        match method {
            Method::Logistic => {
                let mut best: Option<(Logistic, &Rows)> = None;
                for rows in candidates {
                    let Some(probe) = self.probe(rows, train) else { continue };
                    if best.as_ref().is_none_or(|(old, _)| probe.validation > old.validation) {
                        best = Some((probe, rows));
                    }
                }
                best.map_or_else(none, |(probe, rows)| {
                    let classes = probe.predict(&self.rows(rows, 2));
                    Predicted { classes, validation: probe.validation, probe: Some(probe) }
                })
            }
            Method::Knn => {
                // No choice to make: the most components of several.
                let rows = candidates.last().copied().unwrap_or(first);
                let known = rows.select(train.iter().copied());
                let (test, k) = (self.rows(rows, 2), self.config.neighbours);
                Predicted::plain(knn_predict(&known, &classes, &test, k, n_classes))
            }
            Method::Network => {
                let known = first.select(train.iter().copied());
                let (validation, chosen_on) = (self.rows(first, 1), self.classes_of(1));
                let chosen = (&validation, &*chosen_on);
                let network = Network::fit(&known, &classes, chosen, n_classes, seed as u64);
                let predict = |network: Network| network.predict(&self.rows(first, 2));
                network.map_or_else(none, |network| Predicted::plain(predict(network)))
            }
            Method::Majority => {
                let mut counts = vec![0.0; n_classes];
                classes.iter().for_each(|&class| counts[class as usize] += 1.0);
                Predicted::plain(vec![super::knn::largest(&counts); n_test])
            }
        }
    }

    /// Predictions for every model, seed or drawing of labels.
    fn found(
        &self,
        features: Features,
        method: Method,
        variants: &[&Rows],
        draws: &[Vec<usize>],
    ) -> Found {
        let truth = self.classes_of(2);
        // One of several models or untrained encoders a time, all components at a time.
        let is_one = matches!(features, Features::Contrastive | Features::RandomEncoder);
        let n = if is_one { draws.len().max(variants.len()) } else { draws.len() };
        let (mut scored, mut validation, mut probe) = (Vec::new(), 0.0, None);
        for i in 0..n {
            let candidates = if is_one { &variants[i % variants.len()..][..1] } else { variants };
            let found = self.predict(candidates, method, &draws[i % draws.len()], i);
            validation += found.validation / f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            scored.push(self.blocks.scored(&truth, &found.classes, self.task.n_classes));
            probe = probe.or(found.probe);
        }
        Found { features, method, scored, validation, probe }
    }

    fn with_labels(&self, labels: Budget, all: &[&Made], out: &mut Studied) {
        let draws = self.draws(labels);
        let mut founds: Vec<Found> = Vec::new();
        for made in all {
            let variants: Vec<&Rows> = made.variants.iter().collect();
            let methods = made.features.methods().iter().copied();
            // A vote of twenty needs more than fifty.
            let methods = methods.filter(|&m| labels == Budget::All || m != Method::Knn);
            for method in methods.filter(|_| !variants.is_empty()) {
                founds.push(self.found(made.features, method, &variants, &draws));
            }
        }
        out.rows.extend(founds.iter().map(|found| self.row(labels, &draws, found)));
        let is_own = |found: &&Found| found.features == Features::Contrastive;
        for own in founds.iter().filter(is_own) {
            for other in founds.iter().filter(|found| !is_own(found)) {
                // Votes are held against votes, fits against fits.
                if (own.method == Method::Knn) != (other.method == Method::Knn) {
                    continue;
                }
                out.comparisons.push(Comparison {
                    task: self.task.name.clone(),
                    labels,
                    own: own.method,
                    features: other.features,
                    method: other.method,
                    difference: self.difference(own, other),
                });
            }
        }
        out.added.extend(self.added(labels, &draws, all, &founds));
        if labels == Budget::All {
            out.calibration = self.calibration(all, &founds);
        }
    }

    /// Whether the probabilities of the first model's regression come true.
    fn calibration(&self, all: &[&Made], founds: &[Found]) -> Option<Calibration> {
        let is_own = |features| features == Features::Contrastive;
        let made = all.iter().find(|made| is_own(made.features))?;
        let found = founds.iter().find(|f| is_own(f.features) && f.method == Method::Logistic)?;
        let test = self.rows(made.variants.first()?, 2);
        Some(calibration(&self.task.name, found.probe.as_ref()?, &test, &self.classes_of(2)))
    }

    /// What the embedding adds to the hand-made features that score best on validation windows.
    fn added(
        &self,
        labels: Budget,
        draws: &[Vec<usize>],
        all: &[&Made],
        founds: &[Found],
    ) -> Option<AddedValue> {
        let is_hand = |features| {
            matches!(features, Features::Raw | Features::WhitenedPca | Features::HandStatistics)
        };
        let hand = founds.iter().filter(|f| f.method == Method::Logistic && is_hand(f.features));
        let best = hand.max_by(|a, b| a.validation.total_cmp(&b.validation))?;
        let of = |features| all.iter().find(|made| made.features == features);
        let (own, other) = (of(Features::Contrastive)?, of(best.features)?);
        // Of several numbers of components the most: the penalty chooses among them.
        let other = other.variants.last()?;
        let both: Vec<Rows> = own.variants.iter().map(|own| other.beside(own)).collect();
        let both: Vec<&Rows> = both.iter().collect();
        let together = self.found(Features::Contrastive, Method::Logistic, &both, draws);
        Some(AddedValue {
            task: self.task.name.clone(),
            labels,
            over: best.features,
            together: mean(&self.scores(&together)),
            difference: self.difference(&together, best),
        })
    }

    /// Balanced accuracy of each model, seed or drawing.
    fn scores(&self, found: &Found) -> Vec<f64> {
        let all = self.blocks.all();
        found.scored.iter().map(|scored| scored.balanced_accuracy(&all)).collect()
    }

    fn difference(&self, own: &Found, other: &Found) -> Difference {
        let (a, b) = (self.scores(own), self.scores(other));
        let spread = if a.len() == b.len() {
            student::half_width(&a.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<_>>())
        } else {
            student::half_width(&a).hypot(student::half_width(&b))
        };
        let at = mean(&a) - mean(&b);
        let interval = self.blocks.interval(|weights| own.mean(weights) - other.mean(weights));
        let ci95 = interval.map(|interval| widened(at, interval, spread));
        Difference { mean: at, ci95, verdict: ci95.and_then(Verdict::of) }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few classes")]
    fn row(&self, labels: Budget, draws: &[Vec<usize>], found: &Found) -> EvaluationRow {
        let scores = self.scores(found);
        let at = mean(&scores);
        let interval = self.blocks.interval(|weights| found.mean(weights));
        let mut sum = Confusion::new(self.task.n_classes);
        found.scored.iter().for_each(|scored| sum.add(&scored.confusion));
        let [_, validation, test] = &self.parts;
        EvaluationRow {
            task: self.task.name.clone(),
            labels,
            features: found.features,
            method: found.method,
            n_windows: [draws[0].len(), validation.len(), test.len()],
            n_independent: self.blocks.n_independent,
            n_blocks: self.blocks.n,
            mean: at,
            ci95: interval.map(|i| widened(at, i, student::half_width(&scores))),
            chance: 1.0 / sum.recalls().iter().flatten().count().max(1) as f64,
            macro_f1: sum.macro_f1(),
            mcc: sum.mcc(),
            recalls: sum.recalls(),
            n_unclassed: sum.n_unclassed(),
            confusion: sum.rows(),
            scores,
        }
    }
}

/// An interval with another, independent half width on top of it.
fn widened(at: f64, [low, high]: [f64; 2], spread: f64) -> [f64; 2] {
    [at - (at - low).max(0.0).hypot(spread), at + (high - at).max(0.0).hypot(spread)]
}

#[expect(clippy::cast_precision_loss, reason = "a few scores")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
