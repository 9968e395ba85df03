//! Timed runs of two commands, in turn.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lob_metrics::stats::{SplitMix64, quantile};

use crate::interrupt;

/// One sitting: both commands warmed up, then ABBA or BAAB quadruples.
pub(super) struct Sitting<'a> {
    baseline: &'a str,
    candidate: &'a str,
    rng: SplitMix64,
    /// Seconds of baseline and candidate.
    pairs: Vec<(f64, f64)>,
}

impl<'a> Sitting<'a> {
    /// Runs each command once, untimed: a first run reads what later ones find cached.
    pub(super) fn new(baseline: &'a str, candidate: &'a str, seed: u64) -> Result<Self> {
        timed(baseline)?;
        timed(candidate)?;
        Ok(Self { baseline, candidate, rng: SplitMix64::new(seed), pairs: Vec::new() })
    }

    pub(super) fn n_pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Adds at least `n` pairs, two at a time.
    pub(super) fn run(&mut self, n: usize) -> Result<()> {
        for _ in 0..n.div_ceil(2) {
            // ABBA and BAAB cancel a drift of the machine; which comes first is drawn.
            if self.rng.next_u64() & 1 == 0 {
                let a1 = timed(self.baseline)?;
                let (b1, b2) = (timed(self.candidate)?, timed(self.candidate)?);
                self.pairs.extend([(a1, b1), (timed(self.baseline)?, b2)]);
            } else {
                let b1 = timed(self.candidate)?;
                let (a1, a2) = (timed(self.baseline)?, timed(self.baseline)?);
                self.pairs.extend([(a1, b1), (a2, timed(self.candidate)?)]);
            }
        }
        Ok(())
    }

    /// Pairs in blocks of neighbours.
    pub(super) fn blocks(&self, size: usize) -> Vec<Vec<(f64, f64)>> {
        self.pairs.chunks(size).map(<[(f64, f64)]>::to_vec).collect()
    }

    /// How far the baseline differs from itself: the median ratio of the second to the first
    /// baseline run of each quadruple, as a share.
    pub(super) fn noise_floor(&self) -> f64 {
        let mut ratios: Vec<f64> =
            self.pairs.chunks_exact(2).map(|pair| (pair[1].0 / pair[0].0).ln()).collect();
        ratios.sort_by(f64::total_cmp);
        quantile(&ratios, 0.5).map_or(0.0, |median| median.exp_m1().abs())
    }
}

/// Wall seconds of one run; a command that fails ends everything.
fn timed(command: &str) -> Result<f64> {
    if interrupt::requested() {
        bail!("interrupted");
    }
    let begun = Instant::now();
    let status = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `sh -c '{command}'`"))?;
    let elapsed_s = begun.elapsed().as_secs_f64();
    if !status.success() {
        bail!("`{command}` failed: {status}\nhint: run it by hand to see what it says");
    }
    Ok(elapsed_s)
}
