//! `lob ab`: two commands, run in turn in one sitting, and a verdict that can be believed.

mod sitting;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use lob_metrics::stats::{PairedConfig, PairedResult, PairedVerdict, paired_test};
use serde_json::json;

use crate::{interrupt, output};
use sitting::Sitting;

/// Pairs of a block: the hierarchical bootstrap resamples blocks, then pairs inside them.
const BLOCK: usize = 4;

/// Run two commands in turn and say whether the second is slower
///
/// The commands run in ABBA order with the start drawn at random; wall time is compared pair by
/// pair. The noise floor is how far the baseline differs from itself in the same sitting. An
/// inconclusive result doubles the pairs until the budget is spent; a regression is confirmed by a
/// fresh sitting before it counts.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lob ab --baseline 'old/lob convert day.dbn.zst --out /tmp/a --quiet' \\
         --candidate 'new/lob convert day.dbn.zst --out /tmp/b --quiet'

Commands run through `sh -c`. Exit codes: 0 no regression, 1 regression, 2 a command failed")]
pub(crate) struct Args {
    /// Shell command to compare with
    #[arg(long, value_name = "CMD")]
    baseline: String,
    /// Shell command to judge
    #[arg(long, value_name = "CMD")]
    candidate: String,
    /// Pairs of the first sitting
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pairs: u32,
    /// Smallest change worth a verdict, as a share
    #[arg(long, default_value_t = 0.03)]
    threshold: f64,
    /// Seconds after which no further pairs are begun
    #[arg(long, default_value_t = 600)]
    budget_s: u64,
    /// Seed of the order and of the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    interrupt::watch()?;
    let deadline = Instant::now() + Duration::from_secs(args.budget_s);
    let mut first = Sitting::new(&args.baseline, &args.candidate, args.seed)?;
    let mut result = judge_until_clear(args, &mut first, deadline, quiet)?;
    let mut n_pairs = first.n_pairs();
    let mut is_confirmed = None;
    if result.verdict == PairedVerdict::Regression {
        if !quiet {
            eprintln!("a regression; confirming it in a fresh sitting");
        }
        let mut second = Sitting::new(&args.baseline, &args.candidate, args.seed + 1)?;
        second.run(first.n_pairs())?;
        n_pairs += second.n_pairs();
        let again = judge(args, &second)?;
        is_confirmed = Some(again.verdict == PairedVerdict::Regression);
        if is_confirmed == Some(false) {
            result.verdict = PairedVerdict::Inconclusive;
        }
    }
    report(args, &result, n_pairs, is_confirmed)?;
    Ok(ExitCode::from(u8::from(result.verdict == PairedVerdict::Regression)))
}

/// Doubles the pairs while the verdict is open and the budget lasts.
fn judge_until_clear(
    args: &Args,
    sitting: &mut Sitting<'_>,
    deadline: Instant,
    quiet: bool,
) -> Result<PairedResult> {
    let mut wanted = args.pairs as usize;
    loop {
        sitting.run(wanted)?;
        let result = judge(args, sitting)?;
        if !quiet {
            eprintln!("{} pairs: {}", sitting.n_pairs(), sentence(&result));
        }
        if result.verdict != PairedVerdict::Inconclusive || Instant::now() >= deadline {
            return Ok(result);
        }
        wanted = sitting.n_pairs();
    }
}

fn judge(args: &Args, sitting: &Sitting<'_>) -> Result<PairedResult> {
    let config = PairedConfig {
        min_effect: args.threshold,
        noise_floor: sitting.noise_floor(),
        seed: args.seed,
        ..PairedConfig::default()
    };
    paired_test(&sitting.blocks(BLOCK), &config)
        .ok_or_else(|| anyhow::anyhow!("too few pairs for a verdict\nhint: give more --pairs"))
}

fn sentence(result: &PairedResult) -> String {
    let [low, high] = result.interval;
    format!(
        "{:?}: candidate {:+.1} % [{:+.1}, {:+.1}], effects up to {:.1} % do not count",
        result.verdict,
        result.effect * 100.0,
        low * 100.0,
        high * 100.0,
        result.min_effect * 100.0
    )
}

fn report(
    args: &Args,
    result: &PairedResult,
    pairs: usize,
    is_confirmed: Option<bool>,
) -> Result<()> {
    if args.json {
        return output::print_json(&json!({
            "verdict": format!("{:?}", result.verdict).to_lowercase(),
            "effect": result.effect,
            "interval": result.interval,
            "min_effect": result.min_effect,
            "pairs": pairs,
            "confirmed": is_confirmed,
        }));
    }
    output::print_line(&sentence(result))
}
