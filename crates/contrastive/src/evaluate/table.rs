use serde::Serialize;

use super::{Score, Task};

/// What the probes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// The trained encoder's embedding.
    Contrastive,
    /// The standardised window itself.
    Raw,
    /// Its leading principal components, scaled to variance 1.
    WhitenedPca,
    /// Mean, deviation, last value, change and mean step of each channel or price row.
    HandStatistics,
    /// The same encoder before any training.
    RandomEncoder,
}

impl Features {
    /// All of them, the trained one first.
    pub const ALL: [Self; 5] = [
        Self::Contrastive,
        Self::Raw,
        Self::WhitenedPca,
        Self::HandStatistics,
        Self::RandomEncoder,
    ];

    /// Name in tables and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contrastive => "contrastive",
            Self::Raw => "raw",
            Self::WhitenedPca => "whitened_pca",
            Self::HandStatistics => "hand_statistics",
            Self::RandomEncoder => "random_encoder",
        }
    }
}

/// How they are read out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Ridge regression on the classes, penalty chosen on validation windows.
    LinearProbe,
    /// Weighted vote of the nearest training windows by cosine.
    Knn,
}

impl Method {
    /// Both.
    pub const ALL: [Self; 2] = [Self::LinearProbe, Self::Knn];

    /// Name in tables and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinearProbe => "linear_probe",
            Self::Knn => "knn",
        }
    }
}

/// One line: how well some features tell the classes of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationRow {
    /// Name of the task.
    pub task: String,
    /// What was read out.
    pub features: Features,
    /// And how.
    pub method: Method,
    /// Training, validation and test windows of one seed.
    pub n_windows: [usize; 3],
    /// Balanced accuracy of each seed, `0..=1`.
    pub scores: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Student's 95 % interval of the mean over the seeds; `None` for one seed.
    pub ci95: Option<[f64; 2]>,
    /// What a guess scores.
    pub chance: f64,
    /// Test windows of all seeds that got no class, because a score was no number; they count as
    /// wrong.
    pub n_unclassed: usize,
}

/// Trained features against the others, for one task and method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval of the difference lies above 0.
    Better,
    /// It contains 0.
    NoDifference,
    /// It lies below 0.
    Worse,
}

/// The whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationTable {
    /// Seeds of each score.
    pub seeds: usize,
    /// Trained models behind them.
    pub n_models: usize,
    /// Lines by task, method and features.
    pub rows: Vec<EvaluationRow>,
    /// Name and description of each task.
    pub tasks: Vec<(String, String)>,
}

impl EvaluationTable {
    pub(super) fn new(seeds: usize, n_models: usize) -> Self {
        Self { seeds, n_models, rows: Vec::new(), tasks: Vec::new() }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few classes")]
    pub(super) fn add(
        &mut self,
        task: &Task,
        features: Features,
        method: Method,
        n_windows: &[usize; 3],
        (score, n_unclassed): Score,
    ) {
        if self.tasks.iter().all(|(name, _)| *name != task.name) {
            self.tasks.push((task.name.clone(), task.description.clone()));
        }
        let at = self.rows.iter().position(|row| {
            row.task == task.name && row.features == features && row.method == method
        });
        let at = at.unwrap_or_else(|| {
            self.rows.push(EvaluationRow {
                task: task.name.clone(),
                features,
                method,
                n_windows: *n_windows,
                scores: Vec::new(),
                mean: 0.0,
                ci95: None,
                chance: 1.0 / task.n_classes as f64,
                n_unclassed: 0,
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.scores.push(score);
        row.n_unclassed += n_unclassed;
        (row.mean, row.ci95) = mean_and_interval(&row.scores);
    }

    /// The line of these features.
    #[must_use]
    pub fn row(&self, task: &str, features: Features, method: Method) -> Option<&EvaluationRow> {
        self.rows
            .iter()
            .find(|row| row.task == task && row.features == features && row.method == method)
    }

    /// Mean difference of the trained features to others by seed, its interval, and what it says.
    /// `None` for fewer than two seeds, or where the interval is no pair of numbers.
    #[must_use]
    pub fn against(
        &self,
        task: &str,
        other: Features,
        method: Method,
    ) -> Option<(f64, [f64; 2], Verdict)> {
        let own = self.row(task, Features::Contrastive, method)?;
        let other = self.row(task, other, method)?;
        let differences: Vec<f64> =
            own.scores.iter().zip(&other.scores).map(|(a, b)| a - b).collect();
        let (mean, interval) = mean_and_interval(&differences);
        // Comparisons with NaN would all fail and call it no difference.
        let interval = interval.filter(|ends| ends.iter().all(|end| end.is_finite()))?;
        let verdict = match interval {
            [low, _] if low > 0.0 => Verdict::Better,
            [_, high] if high < 0.0 => Verdict::Worse,
            _ => Verdict::NoDifference,
        };
        Some((mean, interval, verdict))
    }

    /// What the table says in sentences, losses of the trained features first.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (task, _) in &self.tasks {
            for method in Method::ALL {
                let Some(own) = self.row(task, Features::Contrastive, method) else { continue };
                let by = |wanted: Verdict| -> Vec<String> {
                    let others = Features::ALL.into_iter().skip(1);
                    others
                        .filter_map(|other| {
                            let (difference, _, verdict) = self.against(task, other, method)?;
                            (verdict == wanted)
                                .then(|| format!("{} ({:+.3})", other.name(), difference))
                        })
                        .collect()
                };
                let list = |names: Vec<String>| match names.len() {
                    0 => "none".to_owned(),
                    _ => names.join(", "),
                };
                let chance = match own.ci95 {
                    Some([low, _]) if low > own.chance => "above chance",
                    Some(_) => "not clearly above chance",
                    None => "one seed, no interval",
                };
                out.push(format!(
                    "{task}, {}: trained features score {:.3} ({chance}, {:.3}); they lose to {}; \
                     no clear difference to {}; they beat {}",
                    method.name(),
                    own.mean,
                    own.chance,
                    list(by(Verdict::Worse)),
                    list(by(Verdict::NoDifference)),
                    list(by(Verdict::Better)),
                ));
            }
        }
        for row in self.rows.iter().filter(|row| row.n_unclassed > 0) {
            out.push(format!(
                "{}, {}: {} test windows got no class from {}, since a score was no number; they \
                 count as wrong",
                row.task,
                row.method.name(),
                row.n_unclassed,
                row.features.name()
            ));
        }
        if self.n_models < self.seeds {
            out.push(format!(
                "{} trained model(s) behind {} seeds: the intervals hold the sampling of windows, \
                 and training only as far as the models differ",
                self.n_models, self.seeds
            ));
        }
        out.push(
            "a class that features tell apart is no forecast of prices: costs, latency and other \
             market states are not in this table"
                .to_owned(),
        );
        out
    }
}

/// Two-sided 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
const T_975: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Mean and Student's 95 % interval of it.
#[expect(clippy::cast_precision_loss, reason = "a few seeds")]
fn mean_and_interval(values: &[f64]) -> (f64, Option<[f64; 2]>) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n.max(1) as f64;
    if n < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = T_975.get(n - 2).copied().unwrap_or(1.96);
    let half = t * (variance / n as f64).sqrt();
    (mean, Some([mean - half, mean + half]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(own: &[f64], other: &[f64]) -> EvaluationTable {
        let task = Task {
            name: "regime".into(),
            description: "made up".into(),
            n_classes: 3,
            labels: vec![],
        };
        let mut table = EvaluationTable::new(own.len(), 1);
        for (own, other) in own.iter().zip(other) {
            for method in Method::ALL {
                table.add(&task, Features::Contrastive, method, &[9, 9, 9], (*own, 0));
                table.add(&task, Features::Raw, method, &[9, 9, 9], (*other, 7));
            }
        }
        table
    }

    #[test]
    fn intervals_by_hand() {
        let (mean, interval) = mean_and_interval(&[1.0, 2.0, 3.0]);
        assert_eq!(mean, 2.0);
        // 4.303 / sqrt(3) around 2
        let [low, high] = interval.unwrap();
        assert!((low - (2.0 - 2.484_338)).abs() < 1e-5 && (high - 4.484_338).abs() < 1e-5);
        assert_eq!(mean_and_interval(&[0.5]), (0.5, None));
    }

    #[test]
    fn a_loss_is_called_a_loss() {
        let losing = table(&[0.40, 0.41, 0.39], &[0.60, 0.62, 0.58]);
        let (difference, _, verdict) =
            losing.against("regime", Features::Raw, Method::Knn).unwrap();
        assert_eq!(verdict, Verdict::Worse);
        assert!((difference + 0.2).abs() < 1e-9);
        let findings = losing.findings();
        assert!(findings[0].contains("they lose to raw (-0.200)"), "{findings:?}");
        let unclassed = "regime, knn: 21 test windows got no class from raw";
        assert!(findings.iter().any(|f| f.starts_with(unclassed)), "{findings:?}");
        assert!(findings.last().unwrap().contains("no forecast of prices"));

        let winning = table(&[0.60, 0.62, 0.58], &[0.40, 0.41, 0.39]);
        assert!(winning.findings()[1].contains("they beat raw (+0.200)"));
        let unclear = table(&[0.3, 0.6, 0.4], &[0.4, 0.3, 0.5]);
        let (_, _, verdict) = unclear.against("regime", Features::Raw, Method::Knn).unwrap();
        assert_eq!(verdict, Verdict::NoDifference);
        let odd = table(&[0.3, f64::NAN, 0.4], &[0.4, 0.3, 0.5]);
        assert!(odd.against("regime", Features::Raw, Method::Knn).is_none());
        assert!(table(&[0.5], &[0.4]).against("regime", Features::Raw, Method::Knn).is_none());
    }
}
