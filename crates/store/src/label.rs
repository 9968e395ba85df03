//! The labels that rows have, by name.

use std::fmt;

use lob_depth::CLASSES_MAX;
use serde::{Deserialize, Serialize};

/// How price movements and class labels were made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LabelMeta {
    /// Updates averaged before the anchor.
    pub lookback: u64,
    /// Updates averaged after the anchor.
    pub lookforward: u64,
    /// Updates between the anchor and the look-forward window.
    pub offset: u64,
    /// Number of classes, 0 when the file has no labels.
    pub classes: u32,
    /// Ascending class edges, `classes - 1` of them.
    pub edges: Vec<f64>,
    /// What the edges were fitted on, in words.
    pub fitted_on: String,
}

/// What a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelKind {
    /// The mean mid after a row with the mean mid before it, as a fraction of the latter: it says
    /// whether the market turned, and half of it is known at the row. Kept for comparison with
    /// other work; a forecast is measured on the other kinds.
    Reversal,
    /// The mid `horizon` units after the row less the row's own, in half price steps.
    Forward,
    /// Realised volatility of the next `horizon` rows: the root of the sum of the squared changes
    /// of the mid from row to row, in price steps.
    Volatility,
    /// Nanoseconds from the row's last update to the next one with another mid; the class says
    /// where it went: 0 down, 1 up.
    NextChange,
    /// Who took liquidity in the next trade: 0 a seller, 1 a buyer. Value and class are the same.
    NextTradeSide,
    /// The hidden regime of a synthetic market at the row's last update, 0 to 3: calm, normal, busy,
    /// stressed. Value and class are the same.
    TrueRegime,
    /// The hidden pressure of a synthetic market at the row's last update, in per cent, -40 to 40:
    /// above 0 buyers are at work, below 0 sellers.
    TruePressure,
}

impl LabelKind {
    /// How values are stored.
    pub(crate) const fn numbers(self) -> Numbers {
        match self {
            Self::Reversal | Self::Volatility | Self::TruePressure => Numbers::Real,
            Self::Forward | Self::NextChange => Numbers::Whole,
            Self::NextTradeSide | Self::TrueRegime => Numbers::Class,
        }
    }

    /// Whether the label looks at what comes after the row, and at nothing before it.
    #[must_use]
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::Volatility | Self::NextChange | Self::NextTradeSide)
    }
}

/// How the values of a label are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As DOUBLE.
    Real,
    /// As INT64.
    Whole,
    /// As INT32, which is the class too.
    Class,
}

impl fmt::Display for LabelKind {
    /// As in the footer: `forward`, `true_regime`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reversal => "reversal",
            Self::Forward => "forward",
            Self::Volatility => "volatility",
            Self::NextChange => "next_change",
            Self::NextTradeSide => "next_trade_side",
            Self::TrueRegime => "true_regime",
            Self::TruePressure => "true_pressure",
        })
    }
}

/// What a label's horizon counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelUnit {
    /// Book updates.
    Updates,
    /// Rows of a store of bins.
    Bins,
    /// Seconds of exchange time.
    Seconds,
    /// Changes of the mid.
    MidChanges,
    /// Trades.
    Trades,
}

impl fmt::Display for LabelUnit {
    /// In words: `bins`, `mid changes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Updates => "updates",
            Self::Bins => "bins",
            Self::Seconds => "seconds",
            Self::MidChanges => "mid changes",
            Self::Trades => "trades",
        })
    }
}

/// A label that every row has, `None` where it is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedLabel {
    /// What readers ask for it by, and but for [`LabelKind::Reversal`] the name of the column of
    /// values.
    pub name: String,
    /// What it says.
    pub kind: LabelKind,
    /// How far it looks forward; 0 of what is true at the row.
    pub horizon: u64,
    /// In what.
    pub unit: LabelUnit,
    /// Number of classes, 0 where values are not put into any.
    pub classes: u32,
    /// Ascending class edges, `classes - 1` of them, in the unit of the values: a class is the
    /// number of edges not above the value. Empty where edges differ from row to row, or classes
    /// are not of the value; [`rule`](Self::rule) says how then.
    pub edges: Vec<f64>,
    /// What the edges were fitted on, in words.
    pub fitted_on: String,
    /// What the classes are, in words; empty where edges fitted on movements say it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

impl NamedLabel {
    /// Name of the label that files of every version have.
    pub const REVERSAL: &str = "reversal";
    /// Name of its column of values, and an older name of it.
    pub const PRICE_MOVEMENT: &str = "price_movement";
    /// Names of the regimes of [`LabelKind::TrueRegime`], the first of number 0.
    pub const REGIMES: [&str; 4] = ["calm", "normal", "busy", "stressed"];

    fn new(name: String, kind: LabelKind, horizon: u64, unit: LabelUnit) -> Self {
        let (edges, fitted_on, rule) = (Vec::new(), String::new(), String::new());
        Self { name, kind, horizon, unit, classes: 0, edges, fitted_on, rule }
    }

    /// The label of [`StoreMeta::label`](crate::StoreMeta::label).
    #[must_use]
    pub fn reversal(label: &LabelMeta) -> Self {
        let name = Self::REVERSAL.to_owned();
        Self {
            classes: label.classes,
            edges: label.edges.clone(),
            fitted_on: label.fitted_on.clone(),
            ..Self::new(name, LabelKind::Reversal, label.lookforward, LabelUnit::Updates)
        }
    }

    /// The label that compares the mid of a row with that so many rows of bins later, without
    /// classes: `forward_10`.
    #[must_use]
    pub fn forward(horizon: u32) -> Self {
        Self::forward_in(horizon, LabelUnit::Bins)
    }

    /// The same with the horizon in another unit: `forward_500u`, `forward_5s`.
    #[must_use]
    pub fn forward_in(horizon: u32, unit: LabelUnit) -> Self {
        let suffix = match unit {
            LabelUnit::Updates => "u",
            LabelUnit::Seconds => "s",
            _ => "",
        };
        let name = format!("forward_{horizon}{suffix}");
        Self::new(name, LabelKind::Forward, horizon.into(), unit)
    }

    /// Realised volatility of that many rows that follow: `volatility_10`.
    #[must_use]
    pub fn volatility(horizon: u32) -> Self {
        let name = format!("volatility_{horizon}");
        Self::new(name, LabelKind::Volatility, horizon.into(), LabelUnit::Bins)
    }

    /// Time to the next change of the mid, and its direction: `next_change`.
    #[must_use]
    pub fn next_change() -> Self {
        let rule = "down, up: the direction of the change; the value is its distance in ns";
        Self {
            classes: 2,
            rule: rule.to_owned(),
            ..Self::new("next_change".to_owned(), LabelKind::NextChange, 1, LabelUnit::MidChanges)
        }
    }

    /// Side of the next trade: `next_trade_side`.
    #[must_use]
    pub fn next_trade_side() -> Self {
        let (name, kind) = ("next_trade_side".to_owned(), LabelKind::NextTradeSide);
        Self {
            classes: 2,
            edges: vec![1.0],
            rule: "sell, buy: who took liquidity".to_owned(),
            ..Self::new(name, kind, 1, LabelUnit::Trades)
        }
    }

    /// The hidden regime of a synthetic market, `true_regime`; `of` says whose truth it is.
    #[must_use]
    pub fn true_regime(of: &str) -> Self {
        let (name, kind) = ("true_regime".to_owned(), LabelKind::TrueRegime);
        Self {
            classes: 4,
            edges: vec![1.0, 2.0, 3.0],
            rule: format!("{}: {of}", Self::REGIMES.join(", ")),
            ..Self::new(name, kind, 0, LabelUnit::Updates)
        }
    }

    /// The hidden pressure of a synthetic market, `true_pressure`, without classes; `of` says whose
    /// truth it is.
    #[must_use]
    pub fn true_pressure(of: &str) -> Self {
        let (name, kind) = ("true_pressure".to_owned(), LabelKind::TruePressure);
        let rule = format!("per cent, above 0 buyers are at work: {of}");
        Self { rule, ..Self::new(name, kind, 0, LabelUnit::Updates) }
    }

    /// Whether readers may ask for it by this name: its own, or an older one.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || (self.kind == LabelKind::Reversal && name == Self::PRICE_MOVEMENT)
    }

    /// Why classes and edges do not go together, if they do not.
    pub(crate) fn odd_edges(&self) -> Option<String> {
        let (n, edges) = (self.classes as usize, &self.edges);
        // Readers make room for the classes.
        let has_rule = edges.is_empty() && !self.rule.is_empty() && self.classes <= CLASSES_MAX;
        let fits = edges.len() == n.saturating_sub(1) || has_rule;
        let is_ascending = edges.is_sorted() && edges.iter().all(|edge| edge.is_finite());
        let is_own = self.kind.numbers() != Numbers::Class || n > 1;
        let odd = || format!("`{n}` classes with edges {edges:?}");
        (!(fits && is_ascending && is_own)).then(odd)
    }
}
