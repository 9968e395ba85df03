use serde::{Deserialize, Serialize};

use crate::{Unit, nan};

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
    /// What several things did over time, a row each: the threads of a program.
    Lanes {
        /// Caption.
        title: String,
        /// Name of each class.
        class_names: Vec<String>,
        /// The rows in order.
        lanes: Vec<Lane>,
    },
    /// Words and numbers in columns.
    Table {
        /// Caption.
        title: String,
        /// The columns in order.
        headings: Vec<Column>,
        /// Rows in order, a cell a column.
        cells: Vec<Vec<Cell>>,
    },
}

/// One row of an [`Artifact::Lanes`]: stretches of time that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Whose row it is.
    pub name: String,
    /// Seconds from the beginning to the first stretch.
    #[serde(deserialize_with = "nan::number")]
    pub from_s: f64,
    /// Seconds from the beginning to the end of each stretch.
    #[serde(deserialize_with = "nan::numbers")]
    pub to_s: Vec<f64>,
    /// Class of each stretch.
    pub class: Vec<u32>,
}

/// One column of an [`Artifact::Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Unit of its numbers; `None` for a column of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// One cell of an [`Artifact::Table`]; `null` where nothing is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number in the unit of its column.
    Number(f64),
    /// Words.
    Text(String),
    /// Nothing is known.
    Unknown,
}

impl Column {
    /// A column of words, or of numbers in a unit.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: Option<Unit>) -> Self {
        Self { name: name.into(), unit }
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Unknown }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Cell {
    /// The cell as tables show it in the unit of its column.
    #[must_use]
    pub fn text(&self, unit: Option<Unit>) -> String {
        match self {
            Self::Number(number) => unit.unwrap_or(Unit::Dimensionless).format(*number),
            Self::Text(text) => text.clone(),
            Self::Unknown => "\u{2013}".to_owned(),
        }
    }
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
