//! The table of an evaluation.

use serde::{Serialize, Serializer};

use crate::ContrastiveError;

/// What the probes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// The trained encoder's embedding.
    Contrastive,
    /// The standardised window itself.
    Raw,
    /// Its leading principal components, scaled to variance 1; how many is chosen on validation
    /// windows.
    WhitenedPca,
    /// Mean, deviation, last value, change, mean step and the means of the last 2, 4, 8 and 16
    /// bins of each channel or price row.
    HandStatistics,
    /// The same encoder before any training.
    RandomEncoder,
    /// One number of the window's own past, see [`Task::past`](super::Task::past).
    PastValue,
    /// Nothing: the class most frequent in training.
    Majority,
}

impl Features {
    /// All of them, the trained one first.
    pub const ALL: [Self; 7] = [
        Self::Contrastive,
        Self::Raw,
        Self::WhitenedPca,
        Self::HandStatistics,
        Self::RandomEncoder,
        Self::PastValue,
        Self::Majority,
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
            Self::PastValue => "past_value",
            Self::Majority => "majority",
        }
    }

    /// How they are read out.
    #[must_use]
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::HandStatistics => &[Method::Logistic, Method::Knn, Method::Network],
            Self::PastValue => &[Method::Logistic],
            Self::Majority => &[Method::Majority],
            _ => &[Method::Logistic, Method::Knn],
        }
    }
}

impl std::str::FromStr for Features {
    type Err = ContrastiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|features| features.name() == text);
        let names = "contrastive, raw, whitened_pca, hand_statistics, random_encoder, past_value \
                     or majority";
        found.ok_or_else(|| ContrastiveError::config("features", names, text))
    }
}

/// How they are read out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Multinomial logistic regression, penalty chosen on validation windows.
    Logistic,
    /// Weighted vote of the nearest training windows by cosine.
    Knn,
    /// A network of one hidden layer, trained on the labels, penalty chosen on validation windows.
    Network,
    /// The class most frequent in training.
    Majority,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Logistic, Self::Knn, Self::Network, Self::Majority];

    /// Name in tables and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Knn => "knn",
            Self::Network => "network",
            Self::Majority => "majority",
        }
    }
}

/// How many training windows have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// So many, drawn at random several times. The penalty is chosen on all validation windows
    /// for every kind of features.
    Labels(usize),
    /// All of them.
    All,
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Labels(n) => write!(f, "{n}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One line: how well some features tell the classes of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationRow {
    /// Name of the task.
    pub task: String,
    /// Training windows with a label.
    pub labels: Budget,
    /// What was read out.
    pub features: Features,
    /// And how.
    pub method: Method,
    /// Training, validation and test windows.
    pub n_windows: [usize; 3],
    /// Test windows that share no bin with each other.
    pub n_independent: usize,
    /// Blocks of time that the interval draws from.
    pub n_blocks: usize,
    /// Balanced accuracy of each model, seed or drawing of labels, `0..=1`.
    pub scores: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// 95 % interval of the mean: blocks of the test part drawn anew, and the spread of
    /// [`scores`](Self::scores) on top; `None` for too few blocks.
    pub ci95: Option<[f64; 2]>,
    /// What a guess scores.
    pub chance: f64,
    /// Mean F1 over the classes, all scores together.
    pub macro_f1: f64,
    /// Matthews' correlation, likewise; `None` where only one class occurs or is predicted.
    pub mcc: Option<f64>,
    /// Share of each class that was found; `None` for one that does not occur.
    pub recalls: Vec<Option<f64>>,
    /// Test windows by true class (outer) and predicted class (inner), over all scores.
    pub confusion: Vec<Vec<u64>>,
    /// Test windows that got no class, because a score was no number; they count as wrong.
    pub n_unclassed: u64,
}

/// Trained features against others, for one task, method and budget.
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

impl Verdict {
    /// What an interval of a difference says.
    #[must_use]
    pub fn of([low, high]: [f64; 2]) -> Option<Self> {
        // Comparisons with NaN would all fail and call it no difference.
        (low.is_finite() && high.is_finite()).then_some(match (low > 0.0, high < 0.0) {
            (true, _) => Self::Better,
            (_, true) => Self::Worse,
            _ => Self::NoDifference,
        })
    }
}

/// A difference of balanced accuracies on the same test windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Mean difference.
    pub mean: f64,
    /// Its paired 95 % interval; `None` for too few blocks.
    pub ci95: Option<[f64; 2]>,
    /// What that says.
    pub verdict: Option<Verdict>,
}

/// The trained features less some others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the task.
    pub task: String,
    /// Training windows with a label.
    pub labels: Budget,
    /// How the trained features are read out.
    pub own: Method,
    /// The others.
    pub features: Features,
    /// How they are.
    pub method: Method,
    /// The difference.
    pub difference: Difference,
}

/// What the embedding adds to the best hand-made features: both together less the latter alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddedValue {
    /// Name of the task.
    pub task: String,
    /// Training windows with a label.
    pub labels: Budget,
    /// The hand-made features that score best on the validation windows.
    pub over: Features,
    /// Balanced accuracy of both together.
    pub together: f64,
    /// That less the hand-made ones alone.
    pub difference: Difference,
}

/// How often the trained features' probabilities come true, over windows of one range of the
/// largest probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Mean probability given to the predicted class.
    pub probability: f64,
    /// Share of them that were right.
    pub right: f64,
    /// Test windows.
    pub n: usize,
}

/// Calibration of a task's logistic regression on trained features with all labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Name of the task.
    pub task: String,
    /// Ranges of probability that occur, ascending.
    pub bins: Vec<CalibrationBin>,
    /// Mean of `|probability - right|`, weighted by windows (expected calibration error).
    pub error: f64,
}

/// What a task of the table is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskNote {
    /// Its name.
    pub name: String,
    /// What the classes are, and where they come from.
    pub description: String,
    /// What the number of [`Features::PastValue`] is.
    pub past: String,
}

/// The whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationTable {
    /// Drawings of labels and untrained encoders.
    pub seeds: usize,
    /// Trained models behind it.
    pub n_models: usize,
    /// The tasks in order.
    pub tasks: Vec<TaskNote>,
    /// Lines by task, budget, features and method.
    pub rows: Vec<EvaluationRow>,
    /// The trained features against each of the others.
    pub comparisons: Vec<Comparison>,
    /// What they add to the best of the hand-made ones.
    pub added: Vec<AddedValue>,
    /// Whether their probabilities come true.
    pub calibration: Vec<Calibration>,
}

impl EvaluationTable {
    /// The line of these features with all labels.
    #[must_use]
    pub fn row(&self, task: &str, features: Features, method: Method) -> Option<&EvaluationRow> {
        self.row_of(task, Budget::All, features, method)
    }

    /// The line of these features with so many labels.
    #[must_use]
    pub fn row_of(
        &self,
        task: &str,
        labels: Budget,
        features: Features,
        method: Method,
    ) -> Option<&EvaluationRow> {
        self.rows.iter().find(|row| {
            row.task == task && (row.labels, row.features, row.method) == (labels, features, method)
        })
    }

    /// The trained features less others, with all labels and read out by `method`; the others by
    /// the same where there is such a line.
    #[must_use]
    pub fn against(&self, task: &str, other: Features, method: Method) -> Option<&Difference> {
        let found = self.comparisons.iter().filter(|c| {
            c.task == task && c.labels == Budget::All && c.features == other && c.own == method
        });
        found.min_by_key(|c| c.method != method).map(|c| &c.difference)
    }

    /// What the embedding adds with so many labels.
    #[must_use]
    pub fn added_value(&self, task: &str, labels: Budget) -> Option<&AddedValue> {
        self.added.iter().find(|added| added.task == task && added.labels == labels)
    }
}
