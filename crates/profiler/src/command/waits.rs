//! What the threads of a program were found doing.

use std::collections::BTreeMap;

use super::doing::Doing;
use super::lanes::Lane;

/// One thread.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Name and number.
    pub(super) name: String,
    /// Seconds by what it did, which add up to the time it was seen.
    pub(super) seconds: BTreeMap<Doing, f64>,
    /// Its longest wait in words; empty if it never waited.
    pub(super) most: String,
    pub(super) lane: Lane,
}

impl Row {
    pub(super) fn lived_s(&self) -> f64 {
        self.seconds.values().sum()
    }

    fn ran_s(&self) -> f64 {
        let of = |doing| self.seconds.get(&doing).copied().unwrap_or(0.0);
        of(Doing::Running) + of(Doing::Ready)
    }
}

/// Seconds the program as a whole spent on something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reason {
    pub(super) doing: Doing,
    pub(super) what: String,
    pub(super) s: f64,
}

/// All threads, and the program as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Waits {
    /// Times all threads were looked at.
    pub(super) passes: usize,
    /// Seconds by what the program as a whole did.
    pub(super) seconds: BTreeMap<Doing, f64>,
    /// Longest first.
    pub(super) reasons: Vec<Reason>,
    /// Those first that ran longest, then those that lived longest.
    pub(super) rows: Vec<Row>,
    /// Threads that are not among the rows.
    pub(super) forgotten: usize,
}

impl Waits {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is found there"))]
    pub(super) fn sorted(mut self) -> Self {
        self.reasons.sort_by(|a, b| b.s.total_cmp(&a.s));
        self.rows.sort_by(|a, b| {
            b.ran_s().total_cmp(&a.ran_s()).then(b.lived_s().total_cmp(&a.lived_s()))
        });
        self
    }

    /// Share of the time the program as a whole did something; the shares add up to 1.
    pub(super) fn share(&self, doing: Doing) -> f64 {
        let whole: f64 = self.seconds.values().sum();
        self.seconds.get(&doing).copied().unwrap_or(0.0) / whole.max(1e-12)
    }

    /// What most of a kind of time was spent on, in words.
    pub(super) fn reason(&self, doing: Doing) -> Option<&str> {
        let found = self.reasons.iter().find(|reason| reason.doing == doing && reason.s > 0.0)?;
        Some(&found.what)
    }
}
