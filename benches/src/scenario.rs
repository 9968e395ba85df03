//! The scenarios: one name each, with what they need and what they measure.

mod contrastive;
mod convert;
mod dataloader;
mod depth;
mod evaluation;
mod harvest;
mod list;
mod machine;
mod market;
mod memory;
mod quotes;
mod recorder;
mod self_test;
mod signals;
mod store;

use std::path::Path;

use anyhow::{Context, Result};
use lob_metrics::Measurement;
use lob_metrics::stats::SplitMix64;

use crate::fit::Fit;
use crate::options::Options;
use crate::state::State;
pub(crate) use recorder::Recorder;

/// Everything a scenario may look at and change.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) state: &'a mut State,
    pub(crate) work: &'a Path,
    pub(crate) rec: &'a mut Recorder,
}

impl Bench<'_> {
    fn fit(&self) -> Result<Fit> {
        self.state
            .fit
            .clone()
            .context("no bin size was fitted: the `convert.decode` scenario did not run")
    }

    fn store(&self) -> Result<std::path::PathBuf> {
        self.state
            .store
            .clone()
            .context("there is no store: the `convert.bins` scenario did not run")
    }
}

/// Cores this process may use; one where that cannot be found out.
pub(crate) fn cores() -> usize {
    lob_scope::cores().map_or(1, |n| n as usize)
}

/// One scenario of the suite.
pub struct Spec {
    /// Unique name.
    pub id: &'static str,
    /// Suite it belongs to.
    pub suite: &'static str,
    /// Category of the seed suite (training, data, model, scalability, hardware).
    pub test: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// Scenarios that must have run before.
    pub needs: &'static [&'static str],
    /// Seconds after which it is stopped and recorded as timed out.
    pub time_cap_s: u64,
    /// Figures it is there for: where one of them is unavailable it has passed only partly.
    pub main: &'static [&'static str],
    pub(crate) run: fn(&mut Bench<'_>) -> Result<()>,
}

impl Spec {
    /// Which of its main figures are missing among these, each with the reason known; `None` where
    /// all are there.
    pub(crate) fn missing(&self, measured: &[Measurement]) -> Option<String> {
        let why = |metric: &&str| -> Option<String> {
            let found = measured.iter().find(|m| m.metric == **metric);
            match found {
                Some(m) if m.value().is_some() => None,
                Some(m) => {
                    let reason = m.reason().unwrap_or("no reason was given");
                    Some(format!("`{metric}` is unavailable: {reason}"))
                }
                None => Some(format!("`{metric}` was not measured")),
            }
        };
        let missing: Vec<String> = self.main.iter().filter_map(why).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }
}

/// All scenarios, in an order in which each comes after what it needs.
#[must_use]
pub fn scenarios() -> &'static [Spec] {
    &list::SCENARIOS
}

/// The scenario of this name, listed or not.
pub(crate) fn find(id: &str) -> Option<&'static Spec> {
    scenarios().iter().chain([&self_test::LAUNCH]).find(|s| s.id == id)
}

/// What the self-test starts, again and again.
pub(crate) const fn self_test_launch() -> &'static Spec {
    &self_test::LAUNCH
}

/// The names the seed documents use for suites of ours.
const ALIASES: [(&str, &str); 8] = [
    ("features", "signals"),
    ("pipeline", "signals.pipeline"),
    ("throughput", "signals.pipeline"),
    ("conversion", "convert"),
    ("loader", "dataloader"),
    ("images", "depth"),
    ("training", "contrastive"),
    ("profiler", "machine"),
];

/// The scenario whose limits all others are held against: it runs first.
const FIRST: &str = "machine.roof";

/// The scenarios in an order drawn at random, each after what it needs and after the machine's
/// limits: nothing else in a scenario may rest on which one happened to run before it.
pub(crate) fn shuffled(specs: &[&'static Spec], seed: u64) -> Vec<&'static Spec> {
    let mut rng = SplitMix64::new(seed);
    let mut open: Vec<&'static Spec> = specs.to_vec();
    let mut order: Vec<&'static Spec> = Vec::with_capacity(specs.len());
    while !open.is_empty() {
        let is_open = |id: &str| open.iter().any(|o| o.id == id);
        let waits = |s: &Spec| {
            s.needs.iter().any(|need| is_open(need)) || (s.id != FIRST && is_open(FIRST))
        };
        let ready: Vec<usize> = (0..open.len()).filter(|i| !waits(open[*i])).collect();
        // The list holds no circle (a test sees to that), so something is always ready.
        let Some(next) = ready.get(rng.below(ready.len())) else { break };
        order.push(open.remove(*next));
    }
    order
}

/// The scenarios a selection names, with everything they need, in running order.
///
/// # Errors
/// A name that is neither a suite nor a scenario.
pub(crate) fn select(suites: &[String], tests: &[String]) -> Result<Vec<&'static Spec>> {
    let all = scenarios();
    let meant = |name: &String| {
        let known = all.iter().any(|s| s.suite == name || s.id == name);
        let alias = ALIASES.iter().find(|(alias, _)| alias == name).filter(|_| !known);
        alias.map_or_else(|| name.clone(), |(_, ours)| (*ours).to_owned())
    };
    let suites: Vec<String> = suites.iter().map(meant).collect();
    for name in &suites {
        if !all.iter().any(|s| s.suite == name || s.id == name) {
            let known: Vec<&str> = all.iter().map(|s| s.suite).collect();
            anyhow::bail!(
                "unknown suite `{name}`\nhint: known suites are {}; `lob bench --list` shows all",
                dedup(&known)
            );
        }
    }
    for name in tests {
        if !all.iter().any(|s| s.test == name) {
            let known: Vec<&str> = all.iter().map(|s| s.test).collect();
            anyhow::bail!(
                "unknown test category `{name}`\nhint: known categories are {}",
                dedup(&known)
            );
        }
    }
    let wanted = |s: &Spec| {
        (suites.is_empty() || suites.iter().any(|n| n == s.suite || n == s.id))
            && (tests.is_empty() || tests.iter().any(|n| n == s.test))
    };
    let mut chosen: Vec<&str> = all.iter().filter(|s| wanted(s)).map(|s| s.id).collect();
    let mut position = 0;
    while position < chosen.len() {
        let needs = all.iter().find(|s| s.id == chosen[position]).map_or(&[][..], |s| s.needs);
        for need in needs {
            if !chosen.contains(need) {
                chosen.push(need);
            }
        }
        position += 1;
    }
    Ok(all.iter().filter(|s| chosen.contains(&s.id)).collect())
}

fn dedup(names: &[&str]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name);
        }
    }
    seen.join(", ")
}

#[cfg(test)]
mod tests {
    use lob_metrics::{Direction, Unit};

    use super::*;

    #[test]
    fn needs_come_first_and_exist() {
        let all = scenarios();
        for (position, spec) in all.iter().enumerate() {
            for need in spec.needs {
                let at = all.iter().position(|s| s.id == *need);
                assert!(at.is_some_and(|at| at < position), "{} needs {need}", spec.id);
            }
        }
    }

    #[test]
    fn a_main_figure_without_a_value_is_missed() {
        let spec = find("contrastive.hardware").unwrap();
        let [gpu, half] = spec.main else { panic!("two figures") };
        let (unit, better) = (Unit::Dimensionless, Direction::HigherIsBetter);
        let there = |metric: &str| Measurement::measured(metric, unit, better, &[2.0]);
        let gone = Measurement::unavailable(half, unit, better, "no GPU");
        assert_eq!(spec.missing(&[there(gpu), there(half)]), None);
        let why = spec.missing(&[there(gpu), gone]).unwrap();
        assert_eq!(why, format!("`{half}` is unavailable: no GPU"));
        let why = spec.missing(&[there(half)]).unwrap();
        assert_eq!(why, format!("`{gpu}` was not measured"));
        assert_eq!(find("market.records").unwrap().missing(&[]), None);
    }

    #[test]
    fn every_order_respects_the_needs_and_few_are_the_same() {
        let all: Vec<&'static Spec> = scenarios().iter().collect();
        let mut orders = Vec::new();
        for seed in 0..20 {
            let order: Vec<&str> = shuffled(&all, seed).iter().map(|s| s.id).collect();
            assert_eq!(order.len(), all.len());
            for spec in &all {
                let place = |id: &str| order.iter().position(|o| *o == id);
                assert!(spec.needs.iter().all(|need| place(need) < place(spec.id)), "{order:?}");
            }
            orders.push(order);
        }
        assert_eq!(orders[3], shuffled(&all, 3).iter().map(|s| s.id).collect::<Vec<_>>());
        orders.sort();
        orders.dedup();
        assert!(orders.len() >= 18, "{} different orders of 20", orders.len());
    }

    #[test]
    fn seed_names_select_our_suites() {
        for (alias, ours) in ALIASES {
            let ids = |name: &str| -> Vec<&str> {
                select(&[name.to_owned()], &[]).unwrap().iter().map(|s| s.id).collect()
            };
            assert_eq!(ids(alias), ids(ours), "{alias}");
        }
    }

    #[test]
    fn a_selection_brings_what_it_needs() {
        let check = |suites: &[&str], expected: &[&str]| {
            let suites: Vec<String> = suites.iter().map(|s| (*s).to_owned()).collect();
            let ids: Vec<&str> = select(&suites, &[]).unwrap().iter().map(|s| s.id).collect();
            assert_eq!(ids, expected);
        };
        check(&["machine"], &["machine.roof"]);
        check(
            &["depth"],
            &["machine.roof", "market.records", "convert.decode", "convert.bins", "depth.render"],
        );
        assert!(select(&["nonsense".to_owned()], &[]).is_err());
        assert!(select(&[], &["nonsense".to_owned()]).is_err());
        assert_eq!(select(&[], &[]).unwrap().len(), scenarios().len());
    }
}
