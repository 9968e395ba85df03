//! `lob ab`: two commands, run in turn in one sitting, and a verdict that can be believed.

mod instructions;
mod launch;
mod sitting;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lob_metrics::stats::{PairedConfig, PairedVerdict};
use lob_metrics::{AbConfig, AbLook, AbOutcome, AbResult, run_ab};

use crate::{interrupt, output};
use sitting::CommandSitting;

/// Run two commands in turn and say whether the second is slower
///
/// The commands run in ABBA order with the start drawn at random. Wall time, CPU time and peak
/// memory are compared pair by pair, and every metric of a Run document that the commands leave in
/// the folder $LOB_AB_OUT. The noise floor is how far the baseline differs from itself in the same
/// sitting. An open verdict doubles the pairs until --max-pairs or the budget is spent; a regression
/// counts only if a fresh sitting finds it again; many metrics are adjusted for being many.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob ab --baseline 'old/lob convert day.dbn.zst --out \"$LOB_AB_OUT/store\" --quiet' \\
         --candidate 'new/lob convert day.dbn.zst --out \"$LOB_AB_OUT/store\" --quiet'
  lob ab --baseline 'old/lob bench --quick --suite depth --quiet --out \"$LOB_AB_OUT\"' \\
         --candidate 'new/lob bench --quick --suite depth --quiet --out \"$LOB_AB_OUT\"' \\
         --metrics wall_time,render.volume

Commands run through `sh -c`; $LOB_AB_OUT is a folder of their own, empty at every launch. A command
that ends with 1 (a missed target) is no failure if it leaves a Run.
Exit codes: 0 no regression, 1 regression, 2 a command failed")]
pub(crate) struct Args {
    /// Shell command to compare with
    #[arg(long, value_name = "CMD")]
    baseline: String,
    /// Shell command to judge
    #[arg(long, value_name = "CMD")]
    candidate: String,
    /// Pairs of the first look
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pairs: u32,
    /// Pairs of a sitting after which an open verdict stays open
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    max_pairs: u32,
    /// Smallest change worth a verdict, as a share
    #[arg(long, default_value_t = 0.03)]
    threshold: f64,
    /// Seconds after which no further pairs are begun
    #[arg(long, default_value_t = 600)]
    budget_s: u64,
    /// Comma-separated metrics to judge: wall_time, cpu_time, peak_rss, names of a Run's metrics;
    /// all of them unless given
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    metrics: Vec<String>,
    /// Also count instructions, once a side, under valgrind
    #[arg(long)]
    instructions: bool,
    /// Compare also when the Runs name different machines or compilers
    #[arg(long)]
    force: bool,
    /// Exit with 1 also when the verdict stays open
    #[arg(long)]
    strict: bool,
    /// Seed of the order and of the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    ensure!(
        args.threshold.is_finite() && args.threshold > 0.0,
        "threshold `{}` is not a share above 0\nhint: 0.03 means 3 %",
        args.threshold
    );
    interrupt::watch();
    let deadline = Instant::now() + Duration::from_secs(args.budget_s);
    let paired =
        PairedConfig { min_effect: args.threshold, seed: args.seed, ..PairedConfig::default() };
    let config = AbConfig {
        paired,
        first_pairs: args.pairs as usize,
        max_pairs: args.max_pairs.max(args.pairs) as usize,
    };
    let open = |n: u64| CommandSitting::open(args, args.seed.wrapping_add(n));
    let look = |look: &AbLook<'_>| {
        if !quiet {
            progress(look);
        }
        Instant::now() < deadline
    };
    let mut outcome = run_ab(&config, open, look)?;
    ensure!(!outcome.metrics.is_empty(), "no metric is left to judge\nhint: see --metrics");
    if args.instructions {
        if !quiet {
            eprintln!("counting instructions; this takes tens of times as long as a run");
        }
        outcome.add(instructions::compare(&args.baseline, &args.candidate)?);
    }
    report(args, &outcome)?;
    let is_bad = match outcome.verdict {
        PairedVerdict::Regression => true,
        PairedVerdict::Inconclusive => args.strict,
        PairedVerdict::Improvement | PairedVerdict::Equivalent => false,
    };
    Ok(ExitCode::from(u8::from(is_bad)))
}

fn progress(look: &AbLook<'_>) {
    let what = if look.confirming { "confirming, " } else { "" };
    let clear = look.results.iter().filter(|r| r.verdict != PairedVerdict::Inconclusive).count();
    let first = look.results.first().map_or_else(String::new, |r| format!("; {}", line(r)));
    eprintln!("{what}{} pairs: {clear} of {} verdicts{first}", look.pairs, look.results.len());
}

fn line(result: &AbResult) -> String {
    let [low, high] = result.interval;
    let unit = result.metric.unit;
    format!(
        "{:<13}{:<28}{:>12} -> {:<12}{:+.1} % [{:+.1}, {:+.1}], up to {:.1} % does not count",
        format!("{:?}", result.verdict).to_lowercase(),
        result.metric.name,
        unit.format(result.baseline),
        unit.format(result.candidate),
        result.effect * 100.0,
        low * 100.0,
        high * 100.0,
        result.min_effect * 100.0
    )
}

fn report(args: &Args, outcome: &AbOutcome) -> Result<()> {
    if args.json {
        return output::print_json(outcome);
    }
    for result in &outcome.metrics {
        output::print_line(&line(result))?;
    }
    let confirmed = match outcome.confirmed {
        Some(true) => ", found again in a fresh sitting",
        Some(false) => ", a regression was not found again in a fresh sitting",
        None => "",
    };
    let verdict = format!("{:?}", outcome.verdict).to_lowercase();
    output::print_line(&format!("{verdict} after {} pairs{confirmed}", outcome.pairs))
}
