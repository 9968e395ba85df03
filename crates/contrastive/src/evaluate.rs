mod baselines;
mod knn;
mod linear;
mod probe;
mod score;
mod table;

pub use table::{EvaluationRow, EvaluationTable, Features, Method, Verdict};

use crate::cpu::{Embedder, not_finite};
use crate::{ContrastiveError, Device, Layout, Rng, TrainedModel, WindowScratch, WindowSource};
use baselines::{PcaWhitening, random_model, statistics, statistics_dim};
use knn::knn_predict;
use probe::Probe;
use score::balanced_accuracy;

/// What the features are asked to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Name in the table.
    pub name: String,
    /// What the classes are, and where they come from.
    pub description: String,
    /// Number of classes, at least 2.
    pub n_classes: usize,
    /// Class of each window of the source; `None` where there is none.
    pub labels: Vec<Option<u32>>,
}

/// Windows in time order, cut so that nothing of the future reaches the training part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSplit {
    /// Windows to fit probes on.
    pub train: Vec<usize>,
    /// Windows to choose their penalty on.
    pub validation: Vec<usize>,
    /// Windows to score on.
    pub test: Vec<usize>,
}

/// Settings of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluateConfig {
    /// Seeds, each with its own sample of windows and its own random encoder; at least 3 for an
    /// interval worth the name.
    pub seeds: usize,
    /// Most training windows of one seed.
    pub max_train: usize,
    /// Most test windows of one seed, and most validation windows.
    pub max_test: usize,
    /// Neighbours of the kNN vote.
    pub neighbours: usize,
    /// Components of the whitened PCA.
    pub components: usize,
    /// Where the encoders run.
    pub device: Device,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            seeds: 5,
            max_train: 2000,
            max_test: 2000,
            neighbours: 20,
            components: 32,
            device: Device::Auto,
        }
    }
}

/// Holds what frozen features tell about each task against what is there without training: the
/// raw window, its whitened principal components, hand statistics and an untrained encoder.
///
/// `models` are trained encoders of the same shape, used in turn by seed: with one model the
/// interval holds the sampling of windows alone, with one a seed that of training too. Scores are
/// balanced accuracies (mean recall), so that a guess scores one over the number of classes
/// whatever the shares of the classes.
///
/// # Errors
/// [`ContrastiveError::Config`] for settings out of range, [`ContrastiveError::NotEnoughData`]
/// when a part of the split is empty or has one class only, [`ContrastiveError::Features`] when a
/// feature is no finite number, and whatever the source reports.
pub fn evaluate(
    source: &dyn WindowSource,
    split: &TimeSplit,
    tasks: &[Task],
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<EvaluationTable, ContrastiveError> {
    check(source, tasks, models, config)?;
    let mut table = EvaluationTable::new(config.seeds, models.len());
    for seed in 0..config.seeds {
        let model = &models[seed % models.len()];
        for task in tasks {
            let sample = Sample::draw(split, task, config, seed)?;
            let windows = Windows::read(source, &sample)?;
            for features in Features::ALL {
                let made = make(features, &windows, source.layout(), model, config, seed)?;
                made.check_finite(features, &sample)?;
                let made = made.standardised();
                made.check_finite(features, &sample)?;
                for method in Method::ALL {
                    let score = made.score(method, &sample, task, config);
                    table.add(task, features, method, &sample.sizes(), score);
                }
            }
        }
    }
    Ok(table)
}

fn check(
    source: &dyn WindowSource,
    tasks: &[Task],
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<(), ContrastiveError> {
    for (name, value) in [
        ("seeds", config.seeds),
        ("neighbours", config.neighbours),
        ("components", config.components),
        ("models", models.len()),
        ("tasks", tasks.len()),
    ] {
        if value == 0 {
            return Err(ContrastiveError::config(name, "at least 1", value));
        }
    }
    for model in models {
        if model.n_inputs != source.n_inputs() {
            let (expected, found) = (model.n_inputs, source.n_inputs());
            return Err(ContrastiveError::Shape { what: "a window", expected, found });
        }
    }
    for task in tasks {
        if task.labels.len() != source.len() {
            let (expected, found) = (source.len(), task.labels.len());
            return Err(ContrastiveError::Shape { what: "the list of classes", expected, found });
        }
    }
    Ok(())
}

/// The windows of one seed with their classes.
struct Sample {
    parts: [Vec<(usize, u32)>; 3],
}

impl Sample {
    fn draw(
        split: &TimeSplit,
        task: &Task,
        config: &EvaluateConfig,
        seed: usize,
    ) -> Result<Self, ContrastiveError> {
        let mut rng = Rng::at(seed as u64, 17, 0, 0);
        let mut part = |name: &str, windows: &[usize], most: usize| {
            let mut labelled: Vec<(usize, u32)> = windows
                .iter()
                .filter_map(|&idx| task.labels[idx].map(|class| (idx, class)))
                .collect();
            // A random four fifths, so that every seed sees another sample.
            shuffle(&mut labelled, &mut rng);
            labelled.truncate((labelled.len() * 4).div_ceil(5).min(most));
            let n_classes = labelled.iter().map(|l| l.1).collect::<std::collections::BTreeSet<_>>();
            if n_classes.len() < 2 {
                return Err(ContrastiveError::NotEnoughData {
                    reason: format!(
                        "the {name} part has {} windows of {} classes for `{}`",
                        labelled.len(),
                        n_classes.len(),
                        task.name
                    ),
                    hint: "use a shorter window, smaller bins or a longer recording",
                });
            }
            Ok(labelled)
        };
        Ok(Self {
            parts: [
                part("training", &split.train, config.max_train)?,
                part("validation", &split.validation, config.max_test)?,
                part("test", &split.test, config.max_test)?,
            ],
        })
    }

    fn sizes(&self) -> [usize; 3] {
        [0, 1, 2].map(|i| self.parts[i].len())
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.below(i + 1));
    }
}

/// Flattened windows of the three parts.
struct Windows {
    parts: [Rows; 3],
}

/// Rows of numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) dim: usize,
    pub(crate) values: Vec<f32>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }
}

impl Windows {
    fn read(source: &dyn WindowSource, sample: &Sample) -> Result<Self, ContrastiveError> {
        let dim = source.n_inputs();
        let mut scratch = WindowScratch::default();
        let mut read = |part: &[(usize, u32)]| {
            let mut values = vec![0.0; part.len() * dim];
            for ((idx, _), out) in part.iter().zip(values.chunks_exact_mut(dim)) {
                source.window(*idx, &mut scratch, out)?;
            }
            Ok::<_, ContrastiveError>(Rows { dim, values })
        };
        let [train, validation, test] = &sample.parts;
        Ok(Self { parts: [read(train)?, read(validation)?, read(test)?] })
    }
}

/// Features of the three parts.
struct Made {
    parts: [Rows; 3],
}

fn make(
    features: Features,
    windows: &Windows,
    layout: Layout,
    model: &TrainedModel,
    config: &EvaluateConfig,
    seed: usize,
) -> Result<Made, ContrastiveError> {
    let each = |of: &mut dyn FnMut(&Rows) -> Result<Rows, ContrastiveError>| {
        let [a, b, c] = &windows.parts;
        Ok::<_, ContrastiveError>([of(a)?, of(b)?, of(c)?])
    };
    let embedded = |model: &TrainedModel| {
        let mut embedder = Embedder::new(model, config.device)?;
        each(&mut |rows| {
            let dim = model.embedding_dim();
            let mut values = vec![0.0; rows.len() * dim];
            embedder.embed_into(&rows.values, &mut values)?;
            Ok(Rows { dim, values })
        })
    };
    let parts = match features {
        Features::Contrastive => embedded(model)?,
        Features::RandomEncoder => {
            embedded(&random_model(&model.encoder, model.n_inputs, seed as u64))?
        }
        Features::Raw => windows.parts.clone(),
        Features::WhitenedPca => {
            let fitted = PcaWhitening::fit(&windows.parts[0], config.components, seed as u64);
            each(&mut |rows| Ok(fitted.apply(rows)))?
        }
        Features::HandStatistics => {
            let dim = statistics_dim(&layout);
            each(&mut |rows| {
                let values = rows.iter().flat_map(|row| statistics(&layout, row)).collect();
                Ok(Rows { dim, values })
            })?
        }
    };
    Ok(Made { parts })
}

/// Balanced accuracy, and the test windows that got no class.
type Score = (f64, usize);

impl Made {
    /// Refuses features that are no numbers, by the window they came from.
    fn check_finite(&self, features: Features, sample: &Sample) -> Result<(), ContrastiveError> {
        for (rows, windows) in self.parts.iter().zip(&sample.parts) {
            if let Some((row, _, value)) = not_finite(&rows.values, rows.dim) {
                let (features, window) = (features.name(), windows[row].0);
                return Err(ContrastiveError::Features { features, window, value });
            }
        }
        Ok(())
    }

    /// Shifts and scales each feature to mean 0 and deviation 1 over the training part.
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn standardised(self) -> Self {
        let mut parts = self.parts;
        let dim = parts[0].dim;
        let n = parts[0].len().max(1) as f64;
        let mut moments = vec![(0.0_f64, 0.0_f64); dim];
        for row in parts[0].iter() {
            for ((sum, squares), &x) in moments.iter_mut().zip(row) {
                *sum += f64::from(x);
                *squares += f64::from(x) * f64::from(x);
            }
        }
        for part in &mut parts {
            for row in part.values.chunks_exact_mut(dim.max(1)) {
                for (x, (sum, squares)) in row.iter_mut().zip(&moments) {
                    let mean = sum / n;
                    let std = (squares / n - mean * mean).max(0.0).sqrt();
                    let scale = if std > 1e-9 * mean.abs().max(1e-12) { 1.0 / std } else { 0.0 };
                    *x = ((f64::from(*x) - mean) * scale) as f32;
                }
            }
        }
        Self { parts }
    }

    fn score(
        &self,
        method: Method,
        sample: &Sample,
        task: &Task,
        config: &EvaluateConfig,
    ) -> Score {
        let classes =
            |part: usize| -> Vec<u32> { sample.parts[part].iter().map(|l| l.1).collect() };
        let [train, validation, test] = &self.parts;
        let (known, chosen_on) = (classes(0), classes(1));
        let found = match method {
            Method::LinearProbe => {
                let probe = Probe::fit(train, &known, (validation, &chosen_on), task.n_classes);
                probe.map_or_else(|| vec![None; test.len()], |probe| probe.predict(test))
            }
            Method::Knn => knn_predict(train, &known, test, config.neighbours, task.n_classes),
        };
        let n_unclassed = found.iter().filter(|class| class.is_none()).count();
        (balanced_accuracy(&classes(2), &found, task.n_classes), n_unclassed)
    }
}
