//! What probes see of each window.

use super::baselines::{random_model, statistics, statistics_dim};
use super::whitening::PcaWhitening;
use super::{EvaluateConfig, Evaluated, Features, Rows, Standardiser};
use crate::cpu::{Embedder, not_finite};
use crate::{ContrastiveError, TrainedModel, WindowScratch, WindowSource};

/// Fewest components of the whitened PCA that are tried; the double of it until the most.
const FEWEST_COMPONENTS: usize = 8;

/// The windows that are looked at: numbers of the source, those for training first, then those
/// for validation, then those to test on.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) windows: Vec<usize>,
    n_train: usize,
    n_validation: usize,
}

impl Chosen {
    /// Those of the split that have a class in any task; where there are too many, every so many
    /// of them.
    pub(super) fn of(data: &Evaluated<'_>, config: &EvaluateConfig) -> Self {
        let is_labelled = |idx: &&usize| data.tasks.iter().any(|task| task.labels[**idx].is_some());
        let spread = |part: &[usize], most: usize| -> Vec<usize> {
            let all: Vec<usize> = part.iter().filter(is_labelled).copied().collect();
            let step = all.len().div_ceil(most.max(1)).max(1);
            all.into_iter().step_by(step).collect()
        };
        let split = data.split;
        let mut windows = spread(&split.train, config.max_train);
        let n_train = windows.len();
        windows.extend(spread(&split.validation, config.max_test));
        let n_validation = windows.len() - n_train;
        windows.extend(spread(&split.test, config.max_test));
        Self { windows, n_train, n_validation }
    }

    /// Positions of training, validation and test windows in [`windows`](Self::windows).
    pub(super) fn parts(&self) -> [std::ops::Range<usize>; 3] {
        let test = self.n_train + self.n_validation;
        [0..self.n_train, self.n_train..test, test..self.windows.len()]
    }
}

/// Features of the chosen windows, standardised over the training ones; several of a kind where
/// one is chosen among them (components) or all are averaged over (models, seeds).
#[derive(Debug)]
pub(super) struct Made {
    pub(super) features: Features,
    pub(super) variants: Vec<Rows>,
}

/// Makes all features that are asked for.
pub(super) fn make_all(
    data: &Evaluated<'_>,
    chosen: &Chosen,
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<Vec<Made>, ContrastiveError> {
    let windows = read_windows(data.source, &chosen.windows)?;
    let mut out = Vec::new();
    for features in Features::ALL {
        if features != Features::Contrastive && !config.baselines.contains(&features) {
            continue;
        }
        let variants = make(features, data, (&windows, chosen), models, config)?;
        out.push(Made { features, variants });
    }
    Ok(out)
}

/// These windows of a source.
pub(crate) fn read_windows(
    source: &dyn WindowSource,
    windows: &[usize],
) -> Result<Rows, ContrastiveError> {
    let dim = source.n_inputs();
    let mut scratch = WindowScratch::default();
    let mut values = vec![0.0; windows.len() * dim];
    for (idx, out) in windows.iter().zip(values.chunks_exact_mut(dim.max(1))) {
        source.window(*idx, &mut scratch, out)?;
    }
    Ok(Rows { dim, values })
}

fn make(
    features: Features,
    data: &Evaluated<'_>,
    (windows, chosen): (&Rows, &Chosen),
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<Vec<Rows>, ContrastiveError> {
    let embedded = |model: &TrainedModel| {
        let mut embedder = Embedder::new(model, config.device)?;
        let dim = model.embedding_dim();
        let mut values = vec![0.0; windows.len() * dim];
        embedder.embed_into(&windows.values, &mut values)?;
        Ok::<_, ContrastiveError>(Rows { dim, values })
    };
    let [train, ..] = chosen.parts();
    let layout = data.source.layout();
    let mut variants = match features {
        Features::Contrastive => models.iter().map(embedded).collect::<Result<Vec<_>, _>>()?,
        Features::RandomEncoder => {
            let Some(model) = models.first() else { return Ok(Vec::new()) };
            let random = |seed| random_model(&model.encoder, model.n_inputs, seed as u64);
            (0..config.seeds).map(|seed| embedded(&random(seed))).collect::<Result<_, _>>()?
        }
        Features::Raw => vec![windows.clone()],
        Features::WhitenedPca => {
            let known = windows.select(train.clone());
            let fitted = PcaWhitening::fit(&known, config.components, 0);
            let all = fitted.apply(windows);
            let halves = std::iter::successors(Some(FEWEST_COMPONENTS), |k| Some(2 * k));
            let fewer = halves.take_while(|k| *k < all.dim).map(|k| all.first_columns(k));
            fewer.chain([all.clone()]).collect()
        }
        Features::HandStatistics => {
            let values = windows.iter().flat_map(|row| statistics(&layout, row)).collect();
            vec![Rows { dim: statistics_dim(&layout), values }]
        }
        // Made for each task.
        Features::PastValue | Features::Majority => return Ok(Vec::new()),
    };
    for rows in &mut variants {
        check_finite(rows, features, chosen)?;
        Standardiser::fit(&rows.select(train.clone())).apply(rows);
        check_finite(rows, features, chosen)?;
    }
    Ok(variants)
}

/// Refuses features that are no numbers, by the window they came from.
fn check_finite(rows: &Rows, features: Features, chosen: &Chosen) -> Result<(), ContrastiveError> {
    let Some((row, _, value)) = not_finite(&rows.values, rows.dim) else { return Ok(()) };
    let (features, window) = (features.name(), chosen.windows[row]);
    Err(ContrastiveError::Features { features, window, value })
}
