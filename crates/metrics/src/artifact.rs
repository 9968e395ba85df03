use serde::{Deserialize, Serialize};

use crate::nan;

/// Small data a report draws: a depth image, an embedding scatter, a loss curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Artifact {
    /// A signed image in -1..=1, row 0 at the top, row-major.
    Heatmap {
        /// Caption.
        title: String,
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
        /// `rows * columns` values.
        #[serde(deserialize_with = "nan::pixels")]
        values: Vec<f32>,
        /// What the rows mean, top to bottom.
        row_label: String,
        /// What the columns mean, left to right.
        column_label: String,
    },
    /// Points of a series.
    Line {
        /// Caption.
        title: String,
        /// Horizontal axis.
        x_label: String,
        /// Vertical axis.
        y_label: String,
        /// Abscissae.
        #[serde(deserialize_with = "nan::numbers")]
        x: Vec<f64>,
        /// Ordinates.
        #[serde(deserialize_with = "nan::numbers")]
        y: Vec<f64>,
    },
    /// A coloured scatter.
    Scatter {
        /// Caption.
        title: String,
        /// What the axes are.
        x_label: String,
        /// What the axes are.
        y_label: String,
        /// Abscissae.
        #[serde(deserialize_with = "nan::numbers")]
        x: Vec<f64>,
        /// Ordinates.
        #[serde(deserialize_with = "nan::numbers")]
        y: Vec<f64>,
        /// Class of each point.
        class: Vec<u32>,
        /// Name of each class.
        class_names: Vec<String>,
    },
    /// Named curves over common axes: label budgets, calibration, the path of a price.
    Curves {
        /// Caption.
        title: String,
        /// Horizontal axis.
        x_label: String,
        /// Vertical axis.
        y_label: String,
        /// Whether the horizontal axis is logarithmic.
        log_x: bool,
        /// The curves in order.
        curves: Vec<NamedCurve>,
    },
    /// Shares by two kinds of classes: a confusion matrix.
    Matrix {
        /// Caption.
        title: String,
        /// What the rows are.
        row_label: String,
        /// What the columns are.
        column_label: String,
        /// Name of each row.
        row_names: Vec<String>,
        /// Name of each column.
        column_names: Vec<String>,
        /// `row_names * column_names` shares in `0..=1`, row-major.
        #[serde(deserialize_with = "nan::numbers")]
        values: Vec<f64>,
    },
    /// Estimates with their intervals, in groups that are read together: an evaluation table.
    Intervals {
        /// Caption.
        title: String,
        /// What the values are, such as an accuracy.
        x_label: String,
        /// Groups in order.
        groups: Vec<IntervalGroup>,
    },
}

/// One curve of an [`Artifact::Curves`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedCurve {
    /// What it is.
    pub name: String,
    /// Abscissae.
    #[serde(deserialize_with = "nan::numbers")]
    pub x: Vec<f64>,
    /// Ordinates.
    #[serde(deserialize_with = "nan::numbers")]
    pub y: Vec<f64>,
    /// 95 % interval of each ordinate; empty where there are none.
    #[serde(default)]
    pub ci95: Vec<Option<[f64; 2]>>,
}

impl NamedCurve {
    /// A curve without intervals.
    #[must_use]
    pub fn plain(name: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        Self { name: name.into(), x, y, ci95: Vec::new() }
    }
}

/// Estimates of an [`Artifact::Intervals`] that are compared with each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalGroup {
    /// Name, such as a task.
    pub name: String,
    /// A value to hold the estimates against, such as chance; `None` for none.
    pub reference: Option<f64>,
    /// Estimates in order.
    pub rows: Vec<IntervalRow>,
}

/// One estimate of an [`IntervalGroup`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalRow {
    /// Name, such as a method.
    pub name: String,
    /// The estimate.
    #[serde(deserialize_with = "nan::number")]
    pub value: f64,
    /// Its 95 % interval; `None` where there is none.
    pub ci95: Option<[f64; 2]>,
}

impl IntervalRow {
    /// The interval, if both of its ends are numbers.
    #[must_use]
    pub fn known_ci95(&self) -> Option<[f64; 2]> {
        self.ci95.filter(|ends| ends.iter().all(|end| end.is_finite()))
    }

    /// The estimate, and its interval in brackets, as tables show it.
    #[must_use]
    pub fn text(&self) -> String {
        match self.known_ci95() {
            _ if !self.value.is_finite() => "unknown".to_owned(),
            Some([low, high]) => format!("{:.3} [{low:.3}, {high:.3}]", self.value),
            None => format!("{:.3}", self.value),
        }
    }
}
