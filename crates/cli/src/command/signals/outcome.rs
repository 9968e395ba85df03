//! What came of the signals: stances, how many of each, and what trades bring against what they cost.

use std::sync::Arc;

use lob_signals::{Edge, Signal, Stance};
use serde_json::{Value, json};

use super::sheet::Sheet;

/// The words for the stances, shared by all rows.
pub(super) struct Stances {
    flat: Arc<str>,
    long: Arc<str>,
    short: Arc<str>,
}

impl Default for Stances {
    fn default() -> Self {
        Self { flat: "flat".into(), long: "long".into(), short: "short".into() }
    }
}

impl Stances {
    pub(super) fn write(&self, sheet: &mut Sheet, signal: Signal) {
        sheet.f32(signal.probability);
        sheet.text(match signal.stance {
            Stance::Flat => &self.flat,
            Stance::Long => &self.long,
            Stance::Short => &self.short,
        });
        sheet.i64(i64::from(signal.trade));
        sheet.i64(i64::from(signal.position));
    }
}

/// How many rows were long, flat and short.
#[derive(Debug, Default)]
pub(super) struct Counts {
    long: u64,
    flat: u64,
    short: u64,
}

impl Counts {
    pub(super) fn add(&mut self, signal: Signal) {
        match signal.stance {
            Stance::Long => self.long += 1,
            Stance::Flat => self.flat += 1,
            Stance::Short => self.short += 1,
        }
    }

    pub(super) fn facts(&self) -> Value {
        json!({ "long": self.long, "flat": self.flat, "short": self.short })
    }

    pub(super) fn words(&self) -> String {
        format!("long {}, flat {}, short {}", self.long, self.flat, self.short)
    }
}

/// What trades bring and cost, for programs. A mean of nothing is null.
pub(super) fn edge_facts(edge: &Edge, fee_ticks: f64, (horizon, unit): (usize, &str)) -> Value {
    json!({
        "horizon": horizon,
        "unit": unit,
        "trades": edge.n_trades,
        "scored": edge.n_scored,
        "gross_ticks": edge.gross_ticks,
        "gross_ci95": edge.ci95,
        "half_spread_ticks": edge.half_spread_ticks,
        "fee_ticks": fee_ticks,
        "net_ticks": net(edge, fee_ticks),
    })
}

fn net(edge: &Edge, fee_ticks: f64) -> f64 {
    edge.gross_ticks - edge.half_spread_ticks - fee_ticks
}

/// The same for people.
pub(super) fn edge_words(edge: &Edge, fee_ticks: f64, (horizon, unit): (usize, &str)) -> String {
    if edge.n_scored == 0 {
        return format!("{} trades, none with a mid {horizon} {unit} later", edge.n_trades);
    }
    let interval = edge.ci95.map_or_else(
        || ", too few for an interval".to_owned(),
        |[low, high]| format!(" [{low:+.3}, {high:+.3}]"),
    );
    let fee = if fee_ticks == 0.0 {
        "no fee (--fee-ticks)".to_owned()
    } else {
        format!("a fee of {fee_ticks}")
    };
    format!(
        "{} trades: gross edge {:+.3} ticks each after {horizon} {unit}{interval}, against a \
         half-spread of {:.3} and {fee}: net {:+.3}",
        edge.n_trades,
        edge.gross_ticks,
        edge.half_spread_ticks,
        net(edge, fee_ticks)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_not_taken_for_profit() {
        let edge = Edge {
            n_trades: 40,
            n_scored: 38,
            gross_ticks: 0.4,
            ci95: Some([0.1, 0.7]),
            half_spread_ticks: 0.5,
        };
        let words = edge_words(&edge, 0.0, (50, "updates"));
        assert_eq!(
            words,
            "40 trades: gross edge +0.400 ticks each after 50 updates [+0.100, +0.700], against a \
             half-spread of 0.500 and no fee (--fee-ticks): net -0.100"
        );
        assert!(edge_words(&edge, 0.2, (50, "updates")).ends_with("a fee of 0.2: net -0.300"));
        let none = Edge { n_trades: 3, n_scored: 0, gross_ticks: f64::NAN, ..edge };
        assert_eq!(edge_words(&none, 0.0, (10, "bins")), "3 trades, none with a mid 10 bins later");
        assert!(edge_facts(&none, 0.0, (10, "bins"))["net_ticks"].is_null());
    }
}
