//! A run held against an earlier one, for the page, the log and the comparison.

use lob_metrics::{Change, ChangeVerdict, CompareConfig, MetricsError, Run, compare};

/// Tolerance of the seed documents 000 and 002.
pub(crate) const TIGHT: f64 = 0.10;
/// Tolerance of seed document 003.
pub(crate) const LOOSE: f64 = 0.20;

/// An earlier run and what became of its metrics.
pub(crate) struct Baseline<'a> {
    pub(crate) run: &'a Run,
    pub(crate) changes: Vec<Change>,
    pub(crate) same_machine: bool,
}

impl<'a> Baseline<'a> {
    /// Compares at the tight tolerance. A baseline of another machine is compared all the same;
    /// every face says so.
    pub(crate) fn new(base: &'a Run, current: &Run) -> Result<Self, MetricsError> {
        let changes = compare(base, current, &CompareConfig { threshold: TIGHT, force: true })?;
        let same_machine = base.host.fingerprint == current.host.fingerprint;
        Ok(Self { run: base, changes, same_machine })
    }

    pub(crate) fn count(&self, verdict: ChangeVerdict) -> usize {
        self.changes.iter().filter(|c| c.verdict == verdict).count()
    }

    /// What is not as it was, what got worse first, larger changes before smaller ones.
    pub(crate) fn loud(&self) -> Vec<&Change> {
        let mut loud: Vec<&Change> =
            self.changes.iter().filter(|c| c.verdict.rank() < ChangeVerdict::New.rank()).collect();
        let size = |c: &Change| c.relative.map_or(f64::INFINITY, f64::abs);
        loud.sort_by(|a, b| {
            // Figures of whole processes depend on what else they did: they come after the rest.
            let rank = |c: &Change| (c.verdict.rank(), c.role.is_process());
            rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a)))
        });
        loud
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let worse = match self.count(ChangeVerdict::Regression) {
            0 => "no metric is worse".to_owned(),
            1 => "1 metric is worse".to_owned(),
            n => format!("{n} metrics are worse"),
        };
        format!(
            "{worse} by more than 10 %, {} better, {} lost, {} new, {} unchanged",
            self.count(ChangeVerdict::Improvement),
            self.count(ChangeVerdict::Lost),
            self.count(ChangeVerdict::New),
            self.count(ChangeVerdict::Unchanged)
        )
    }
}

/// A relative change with its sign, such as `+12.3 %`; from ten times on as a factor.
pub(crate) fn signed(relative: Option<f64>) -> String {
    match relative.filter(|r| r.is_finite()) {
        None => "–".to_owned(),
        Some(r) if r >= 9.0 => format!("× {:.0}", 1.0 + r),
        Some(r) => format!("{:+.1} %", 100.0 * r),
    }
}
