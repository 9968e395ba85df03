//! Two commands in turn.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use lob_metrics::stats::SplitMix64;
use lob_metrics::{AbMetric, AbSamples, Sitting, shown};

use super::Args;
use super::launch::{Launch, Side};

/// Pairs of a block: the hierarchical bootstrap resamples blocks, then pairs inside them.
const BLOCK: usize = 4;

/// Folders of this process so far: every sitting has its own.
static SITTINGS: AtomicU32 = AtomicU32::new(0);

/// One sitting: both commands warmed up, then ABBA or BAAB quadruples.
pub(super) struct CommandSitting {
    baseline: Side,
    candidate: Side,
    folder: PathBuf,
    rng: SplitMix64,
    /// What both sides report, in the order of the baseline.
    metrics: Vec<AbMetric>,
    /// Values of baseline and candidate by metric.
    pairs: Vec<Vec<(f64, f64)>>,
}

impl CommandSitting {
    /// Runs each command once, uncounted: a first run reads what later ones find cached. What both
    /// then report is what will be judged.
    pub(super) fn open(args: &Args, seed: u64) -> Result<Self> {
        let n = SITTINGS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("lob-ab-{}-{n}", std::process::id()));
        // Removed at the end: not one that somebody else has made.
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make `{}`", shown(folder.display())))?;
        let mut sitting = Self {
            baseline: Side::new(&args.baseline, folder.join("baseline")),
            candidate: Side::new(&args.candidate, folder.join("candidate")),
            folder,
            rng: SplitMix64::new(seed),
            metrics: Vec::new(),
            pairs: Vec::new(),
        };
        let (a, b) = (sitting.baseline.launch()?, sitting.candidate.launch()?);
        if a.fingerprint != b.fingerprint && !args.force {
            bail!(
                "the two commands leave Runs of different machines or compilers\nhint: --force compares them all the same"
            );
        }
        let known = |name: &str| a.figures.iter().any(|(m, _)| m.name == name);
        if let Some(unknown) = args.metrics.iter().find(|name| !known(name)) {
            let names: Vec<&str> = a.figures.iter().map(|(m, _)| m.name.as_str()).collect();
            bail!("no metric `{unknown}`\nhint: the baseline reports {}", names.join(", "));
        }
        let lost = |name: &&String| !b.figures.iter().any(|(m, _)| m.name == **name);
        if let Some(lost) = args.metrics.iter().find(lost) {
            bail!("the candidate does not report `{lost}`, so nothing can be said about it");
        }
        let wanted = |m: &AbMetric| args.metrics.is_empty() || args.metrics.contains(&m.name);
        let shared = a.figures.iter().map(|(m, _)| m).filter(|m| wanted(m));
        sitting.metrics =
            shared.filter(|m| b.figures.iter().any(|(other, _)| other == *m)).cloned().collect();
        sitting.pairs = vec![Vec::new(); sitting.metrics.len()];
        Ok(sitting)
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
}

impl Sitting for CommandSitting {
    type Error = anyhow::Error;

    /// Adds at least `pairs` pairs, two at a time.
    fn extend(&mut self, pairs: usize) -> Result<()> {
        for _ in 0..pairs.div_ceil(2) {
            // ABBA and BAAB cancel a drift of the machine; which comes first is drawn.
            if self.rng.next_u64() & 1 == 0 {
                let a1 = self.baseline.launch()?;
                let (b1, b2) = (self.candidate.launch()?, self.candidate.launch()?);
                let a2 = self.baseline.launch()?;
                self.add(&a1, &b1);
                self.add(&a2, &b2);
            } else {
                let b1 = self.candidate.launch()?;
                let (a1, a2) = (self.baseline.launch()?, self.baseline.launch()?);
                let b2 = self.candidate.launch()?;
                self.add(&a1, &b1);
                self.add(&a2, &b2);
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
            blocks: pairs.chunks(BLOCK).map(<[(f64, f64)]>::to_vec).collect(),
            // The two baseline runs of each quadruple.
            again: pairs.chunks_exact(2).map(|two| (two[0].0, two[1].0)).collect(),
        })
        .collect()
    }
}

impl Drop for CommandSitting {
    fn drop(&mut self) {
        // In the system's temporary folder: what cannot be removed there does not matter here.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
