//! Two commands in turn.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use lob_metrics::stats::SplitMix64;
use lob_metrics::{AbMetric, AbSamples, BUSY_SHARE, Sitting, against_itself, shown};

use super::launch::{Budget, Launch, Side};
use super::others::Others;
use super::{Args, SideName};

/// Pairs without which no verdict is possible.
const FEWEST: usize = 8;

/// Folders of this process so far: each has its own.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// One sitting: both commands warmed up, then ABBA or BAAB quadruples.
pub(super) struct CommandSitting<'a> {
    baseline: Side<'a>,
    candidate: Side<'a>,
    args: &'a Args,
    budget: &'a Budget,
    /// Whether there is a first sitting already: this one may end without a single pair.
    confirming: bool,
    _folder: Folder,
    rng: SplitMix64,
    /// What both sides report, in the order of the baseline.
    metrics: Vec<AbMetric>,
    /// Values of baseline and candidate by metric.
    pairs: Vec<Vec<(f64, f64)>>,
    others: Others,
    share: &'a Cell<Option<f64>>,
}

/// A temporary folder, removed when it is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(what: &str) -> Result<Self> {
        let n = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("lob-ab-{what}-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // Not one that somebody else has made.
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make `{}`", shown(folder.display())))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl<'a> CommandSitting<'a> {
    /// Runs each command once or more, uncounted: a first run reads what later ones find cached.
    /// What both then report is what will be judged.
    ///
    /// `share` is told what other programs use of the machine.
    pub(super) fn open(
        args: &'a Args,
        budget: &'a Budget,
        nth: u64,
        share: &'a Cell<Option<f64>>,
    ) -> Result<Self> {
        let folder = Folder::new("sitting")?;
        let side = |name: SideName| Side::new(name, args, budget, folder.path().join(name.word()));
        let mut sitting = Self {
            baseline: side(SideName::Baseline),
            candidate: side(SideName::Candidate),
            args,
            budget,
            confirming: nth > 0,
            _folder: folder,
            rng: SplitMix64::new(args.seed.wrapping_add(nth)),
            metrics: Vec::new(),
            pairs: Vec::new(),
            others: Others::start(),
            share,
        };
        if let Some((a, b)) = sitting.warm_up()? {
            sitting.metrics = shared_metrics(args, &a, &b)?;
            sitting.pairs = vec![Vec::new(); sitting.metrics.len()];
        }
        sitting.others = Others::start();
        Ok(sitting)
    }

    /// The last uncounted launch of each side; `None` where a confirmation had no time for it.
    fn warm_up(&self) -> Result<Option<(Launch, Launch)>> {
        let mut last = None;
        for _ in 0..self.args.warmup {
            let mut launches = Vec::new();
            for side in [&self.baseline, &self.candidate] {
                match side.launch()? {
                    Some(launch) => launches.push(launch),
                    None if self.confirming => return Ok(None),
                    None => return Err(side.out_of_time(0)),
                }
            }
            last = launches.pop().and_then(|b| Some((launches.pop()?, b)));
        }
        Ok(last)
    }

    /// Four launches, and the two pairs they make: ABBA and BAAB cancel a drift of the machine; which
    /// comes first is drawn. False where the time was over.
    fn quadruple(&mut self) -> Result<bool> {
        let baseline_first = self.rng.next_u64() & 1 == 0;
        let (first, second) = if baseline_first {
            (&self.baseline, &self.candidate)
        } else {
            (&self.candidate, &self.baseline)
        };
        let mut launches = Vec::with_capacity(4);
        for side in [first, second, second, first] {
            let Some(launch) = side.measure()? else {
                if !self.confirming && self.n_pairs() < FEWEST {
                    return Err(side.out_of_time(self.n_pairs()));
                }
                return Ok(false);
            };
            self.others.add_own(launch.cpu_s);
            launches.push(launch);
        }
        let [outer, inner, inner_again, outer_again] = &launches[..] else { return Ok(false) };
        if baseline_first {
            self.add(outer, inner);
            self.add(outer_again, inner_again);
        } else {
            self.add(inner, outer);
            self.add(inner_again, outer_again);
        }
        Ok(true)
    }

    fn add(&mut self, baseline: &Launch, candidate: &Launch) {
        // A figure a launch does not have is left out of the test, pair and all.
        let value = |launch: &Launch, metric: &AbMetric| {
            let found = launch.figures.iter().find(|(m, _)| m.name == metric.name);
            found.map_or(f64::NAN, |(_, value)| *value)
        };
        for (metric, pairs) in self.metrics.iter().zip(&mut self.pairs) {
            pairs.push((value(baseline, metric), value(candidate, metric)));
        }
    }

    /// What is to be run after the last launch of a side.
    pub(super) fn clean_up(args: &Args, budget: &Budget) -> Result<()> {
        for name in [SideName::Baseline, SideName::Candidate] {
            if let Some(line) = args.cleanup(name) {
                Side::new(name, args, budget, std::env::temp_dir()).help(
                    "--cleanup",
                    line,
                    false,
                )?;
            }
        }
        Ok(())
    }
}

/// What both sides report, of what was asked for.
fn shared_metrics(args: &Args, a: &Launch, b: &Launch) -> Result<Vec<AbMetric>> {
    if a.fingerprint != b.fingerprint && !args.force {
        bail!(
            "the two commands leave Runs of different machines or compilers\nhint: --force compares them all the same"
        );
    }
    let known = |name: &str| a.figures.iter().any(|(m, _)| m.name == name);
    if let Some(unknown) = args.metrics.iter().find(|name| !known(name)) {
        let names: Vec<&str> = a.figures.iter().map(|(m, _)| m.name.as_str()).collect();
        bail!(
            "no metric `{}`\nhint: the baseline reports {}",
            shown(unknown),
            names.iter().map(|n| shown(n).to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    let lost = |name: &&String| !b.figures.iter().any(|(m, _)| m.name == **name);
    if let Some(lost) = args.metrics.iter().find(lost) {
        bail!("the candidate does not report `{lost}`, so nothing can be said about it");
    }
    let wanted = |m: &AbMetric| args.metrics.is_empty() || args.metrics.contains(&m.name);
    let shared = a.figures.iter().map(|(m, _)| m).filter(|m| wanted(m));
    Ok(shared.filter(|m| b.figures.iter().any(|(other, _)| other == *m)).cloned().collect())
}

impl Sitting for CommandSitting<'_> {
    type Error = anyhow::Error;

    /// Adds at least `pairs` pairs, two at a time; fewer once the budget is spent and there are
    /// enough for a verdict.
    fn extend(&mut self, pairs: usize) -> Result<()> {
        for _ in 0..pairs.div_ceil(2) {
            let has_enough = self.n_pairs() >= FEWEST;
            if (self.budget.is_spent() && has_enough) || self.metrics.is_empty() {
                break;
            }
            if !self.quadruple()? {
                break;
            }
        }
        Ok(())
    }

    fn n_pairs(&self) -> usize {
        self.pairs.first().map_or(0, Vec::len)
    }

    fn samples(&self) -> Vec<AbSamples> {
        let all = self.metrics.iter().zip(&self.pairs);
        all.map(|(metric, pairs)| AbSamples {
            metric: metric.clone(),
            // Every pair is of two launches of its own.
            blocks: pairs.iter().map(|pair| vec![*pair]).collect(),
            again: against_itself(pairs),
        })
        .collect()
    }

    fn is_disturbed(&self) -> bool {
        let share = self.others.share();
        self.share.set(share);
        share.is_some_and(|share| share > BUSY_SHARE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // In the system's temporary folder: what cannot be removed there does not matter here.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
