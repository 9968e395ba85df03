//! Deliveries that are converted, disturbed, and converted again.

use std::{fmt, sync::Arc};

use lob_convert::{ConvertSummary, Layout};
use lob_metrics::stats::SplitMix64;

use crate::{
    counts::Counts,
    machine::{Ignored, Machine, Trouble},
    market::{Delivery, Market, deliveries},
    run::{Manner, run},
    verdict,
};

/// Something that must not be, and the seed that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// What was found.
    pub found: String,
    /// What happened until then, if it was asked for: one operation a line.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.found)
    }
}

impl std::error::Error for Violation {}

/// Runs what follows from a seed. With `is_traced` a violation tells all operations before it.
///
/// # Errors
/// The first thing that must not be.
pub fn simulate(
    seed: u64,
    market: &mut Market,
    ignored: Ignored,
    is_traced: bool,
) -> Result<Counts, Violation> {
    let mut rng = SplitMix64::new(seed);
    let machine = Machine::new(rng.next_u64(), Market::root(), ignored, Arc::clone(&market.known));
    machine.prepare(rng.below(2) == 0);
    machine.lock().trace = is_traced.then(Vec::new);
    let layout = if rng.below(4) == 0 { Layout::Ticks } else { Layout::Bins };
    let n_writers = if rng.below(3) == 0 { 2 } else { 1 };
    let mut scenario = Scenario { rng, machine, market, layout, n_writers };
    let played = scenario.play();
    let mut state = scenario.machine.lock();
    let found = state.violation.clone().or(played.err());
    state.counts.seeds = 1;
    match found {
        None => Ok(state.counts),
        Some(found) => {
            Err(Violation { seed, found, trace: state.trace.take().unwrap_or_default() })
        }
    }
}

struct Scenario<'a> {
    rng: SplitMix64,
    machine: Arc<Machine>,
    market: &'a mut Market,
    layout: Layout,
    n_writers: usize,
}

impl Scenario<'_> {
    fn play(&mut self) -> Result<(), String> {
        let n_deliveries = 1 + self.rng.below(3);
        let all: Vec<Delivery> = deliveries().collect();
        for n in 0..n_deliveries {
            let delivery = all[self.rng.below(all.len())];
            self.market.deliver(delivery).map_err(|error| error.to_string())?;
            self.note(format!("delivery {delivery:?}"));
            let mut is_done = false;
            for _ in 0..self.rng.below(4) {
                is_done = self.disturbed(delivery)?;
                if is_done {
                    break;
                }
            }
            // The next delivery may come before this one was converted.
            if !is_done && (n + 1 == n_deliveries || self.rng.below(4) > 0) {
                let resume = self.rng.below(2) == 0;
                self.undisturbed(delivery, resume)?;
                is_done = true;
            }
            if is_done && self.rng.below(2) == 0 {
                self.machine.crash();
                self.compare(delivery, "after a loss of power that followed its success")?;
            }
            if n + 1 == n_deliveries {
                let summaries = self.undisturbed(delivery, true)?;
                let mut inputs = summaries.iter().flat_map(|summary| &summary.inputs);
                if let Some(input) = inputs.find(|input| !input.resumed) {
                    return Err(format!(
                        "`{}` was finished and is not known",
                        input.path.display()
                    ));
                }
                let state = self.machine.lock();
                if let Some(path) = verdict::left_over(&state.files()) {
                    return Err(format!("`{}` stays", path.display()));
                }
            }
        }
        Ok(())
    }

    fn note(&self, text: String) {
        self.machine.lock().note(text);
    }

    fn manner(&mut self, resume: bool) -> Manner {
        let keep_going = self.rng.below(3) == 0;
        Manner { n_writers: self.n_writers, resume, keep_going }
    }

    /// Converts without trouble, which must succeed.
    fn undisturbed(
        &mut self,
        delivery: Delivery,
        resume: bool,
    ) -> Result<Vec<ConvertSummary>, String> {
        let manner = self.manner(resume);
        self.note(format!("undisturbed {manner:?}"));
        self.machine.begin(Trouble::default());
        let outcomes =
            run(&self.machine, &self.market.inputs(), &Market::config(self.layout), manner);
        let summaries = outcomes
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("an undisturbed run fails: {error}"))?;
        self.compare(delivery, "after an undisturbed run")?;
        Ok(summaries)
    }

    /// Converts with trouble; whether it succeeds all the same.
    fn disturbed(&mut self, delivery: Delivery) -> Result<bool, String> {
        let n_ops = self.market.expected(self.layout, delivery).n_ops;
        let after = 1 + self.rng.below(usize::try_from(n_ops * 3 / 2).unwrap_or(1)) as u64;
        let what = self.rng.below(6);
        let trouble = Trouble {
            crash_after: (what < 4).then_some(after),
            is_kill: what == 0,
            fail_one_of: if what >= 3 { 1 + self.rng.below(60) } else { 0 },
            fail_max: if self.rng.below(2) == 0 { 1 } else { 5 },
        };
        let resume = self.rng.below(2) == 0;
        let manner = self.manner(resume);
        self.note(format!("{trouble:?} {manner:?}"));
        let before = self.visible();
        let had_left_over = verdict::left_over(&self.machine.lock().files()).is_some();
        self.machine.begin(trouble);
        let outcomes =
            run(&self.machine, &self.market.inputs(), &Market::config(self.layout), manner);
        let (n_ops, failed) = {
            let mut state = self.machine.lock();
            state.read();
            (state.n_ops, state.failed.clone())
        };
        let is_crashed = trouble.crash_after.is_some_and(|after| n_ops >= after);
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            self.note(format!("fails: {error}"));
        }
        if is_crashed && !trouble.is_kill {
            self.machine.crash();
            self.machine.lock().read();
            return Ok(false);
        }
        let warnings = outcomes.iter().flatten().flat_map(|summary| &summary.warnings);
        let is_whole = !warnings.clone().any(|w| w.contains("cannot be removed"));
        if outcomes.iter().all(Result::is_ok) && is_whole {
            self.compare(delivery, "after a run that succeeded in spite of failures")?;
            return Ok(true);
        }
        let is_taken_back = self.n_writers == 1
            && outcomes.iter().any(Result::is_err)
            && !manner.resume
            && !manner.keep_going;
        if is_taken_back && !is_crashed && !failed.iter().any(|op| op.is_of_cleaning()) {
            let after = self.visible();
            if after != before {
                let what = verdict::difference(&after.0, &before.0);
                let what = what.unwrap_or_else(|| "its journal differs".to_owned());
                return Err(format!("a run that failed by {failed:?} is not taken back: {what}"));
            }
            let left_over = verdict::left_over(&self.machine.lock().files());
            if let Some(path) = left_over.filter(|_| !had_left_over) {
                return Err(format!("a run that failed by {failed:?} leaves `{}`", path.display()));
            }
        }
        Ok(false)
    }

    /// What readers and later runs go by.
    fn visible(&self) -> (verdict::Tree, std::collections::BTreeSet<Vec<u8>>) {
        let state = self.machine.lock();
        let files = state.files();
        (verdict::data(&files), verdict::journal_lines(&files))
    }

    /// Holds the store against that of an undisturbed run.
    fn compare(&self, delivery: Delivery, when: &str) -> Result<(), String> {
        let mut state = self.machine.lock();
        state.read();
        if let Some(violation) = &state.violation {
            return Err(violation.clone());
        }
        let found = verdict::data(&state.files());
        let expected = &self.market.expected(self.layout, delivery).data;
        match verdict::difference(&found, expected) {
            None => Ok(()),
            Some(difference) => Err(format!("{difference} {when}")),
        }
    }
}
