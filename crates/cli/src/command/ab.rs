//! `lob ab`: two commands, run in turn in one sitting, and a verdict that can be believed.

mod export;
mod instructions;
mod launch;
mod others;
mod profiled;
mod sitting;
mod stderr_tail;
mod words;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use lob_metrics::stats::{PairedConfig, PairedVerdict};
use lob_metrics::{AbConfig, AbLook, AbOutcome, run_ab};

use super::difference;
use crate::{interrupt, output};
use launch::Budget;
use sitting::CommandSitting;

/// Run two commands in turn and say whether the second is slower
///
/// The commands run in ABBA order with the start drawn at random. Wall time, CPU time and peak
/// memory are compared pair by pair, each with a verdict of its own, and every metric of a Run
/// document that the commands leave in the folder $LOB_AB_OUT. An open verdict doubles the pairs
/// until --max-pairs or the budget is spent, or until more pairs would hardly settle it; a regression
/// counts only if a fresh sitting finds it again; many metrics are adjusted for being many.
///
/// Where other programs use more than 10 % of the machine, a wall time that stays open is left out
/// of the overall verdict once the CPU time is settled: `equivalent after 20 pairs: CPU time equal;
/// wall time cannot be judged here (load 9.1)`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob ab --baseline 'old/lob convert day.dbn.zst --out \"$LOB_AB_OUT/store\" --quiet' \\
         --candidate 'new/lob convert day.dbn.zst --out \"$LOB_AB_OUT/store\" --quiet'
  lob ab --baseline 'old/lob bench --quick --suite depth --quiet --out \"$LOB_AB_OUT\"' \\
         --candidate 'new/lob bench --quick --suite depth --quiet --out \"$LOB_AB_OUT\"' \\
         --metrics wall_time,render.volume
  lob ab --baseline 'sort' --candidate 'sort --parallel 1' --input words.txt \\
         --prepare 'sync' --export times.json --export times.md
  lob ab --baseline old/tool --candidate new/tool --profile=10

Commands run through `sh -c`; $LOB_AB_OUT is a folder of their own, empty at every launch. A command
that ends with 1 (a missed target) is no failure if it leaves a Run. Standard input is empty, standard
output goes nowhere, the end of standard error is shown where a command fails. Nothing samples them,
but launches of --profile.

The last line holds the verdict: regression or improvement if any metric has one; equivalent if all
that can be judged are; inconclusive if the CPU time, or a metric that other programs do not move,
is open, or a wall time on a quiet machine.
Exit codes follow what could be judged: 0 no regression, 1 regression (with --strict also any metric
without a verdict), 2 a command failed, there was no time for a verdict, or it was interrupted")]
pub(crate) struct Args {
    /// Shell command to compare with
    #[arg(long, value_name = "CMD", value_parser = words::command_line)]
    baseline: String,
    /// Shell command to judge
    #[arg(long, value_name = "CMD", value_parser = words::command_line)]
    candidate: String,
    /// Pairs of the first look
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pairs: u32,
    /// Pairs of a sitting after which an open verdict stays open
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    max_pairs: u32,
    /// Uncounted launches of each command before each sitting
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    warmup: u32,
    /// Smallest change worth a verdict, as a share
    #[arg(long, default_value_t = 0.03)]
    threshold: f64,
    /// Seconds after which no further pairs are begun; a launch that still runs at twice as many is
    /// ended
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    budget_s: u64,
    /// Comma-separated metrics to judge: wall_time, cpu_time, peak_rss, names of a Run's metrics;
    /// all of them unless given
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    metrics: Vec<String>,
    /// Shell command before every launch, unmeasured; given twice, the first is the baseline's
    #[arg(long, value_name = "CMD", value_parser = words::command_line)]
    prepare: Vec<String>,
    /// Shell command after the last launch; given twice, the first is the baseline's
    #[arg(long, value_name = "CMD", value_parser = words::command_line)]
    cleanup: Vec<String>,
    /// File for the commands' standard input, from its beginning at every launch
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Show what the commands print, all of it on standard error
    #[arg(long)]
    show_output: bool,
    /// Compare commands that fail, too; the last lines say how many launches did
    #[arg(long)]
    ignore_failure: bool,
    /// Write the launches' times: FILE.json (keys as hyperfine's, and the comparison), FILE.md or
    /// FILE.csv; may be given more than once
    #[arg(long, value_name = "FILE", value_parser = export::Target::parse)]
    export: Vec<export::Target>,
    /// Then profile N launches of each command, 5 unless given, and say which functions took the
    /// extra CPU time: own code, libraries and the kernel apart
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "5",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    profile: Option<u32>,
    /// Also count instructions, once a side, under valgrind
    #[arg(long)]
    instructions: bool,
    /// Compare also when the Runs name different machines or compilers
    #[arg(long)]
    force: bool,
    /// Exit with 1 also when a metric is left without a verdict
    #[arg(long)]
    strict: bool,
    /// Seed of the order and of the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// One of the two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SideName {
    Baseline,
    Candidate,
}

impl SideName {
    const fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        }
    }
}

impl std::fmt::Display for SideName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

fn of_side(lines: &[String], side: SideName) -> Option<&str> {
    match (lines, side) {
        ([only], _) | ([only, _], SideName::Baseline) | ([_, only], SideName::Candidate) => {
            Some(only)
        }
        _ => None,
    }
}

impl Args {
    fn command(&self, side: SideName) -> &str {
        match side {
            SideName::Baseline => &self.baseline,
            SideName::Candidate => &self.candidate,
        }
    }

    fn prepare(&self, side: SideName) -> Option<&str> {
        of_side(&self.prepare, side)
    }

    /// A single command runs once, in the candidate's turn, which is the last.
    fn cleanup(&self, side: SideName) -> Option<&str> {
        let is_shared = self.cleanup.len() == 1;
        of_side(&self.cleanup, side).filter(|_| !is_shared || side == SideName::Candidate)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.threshold.is_finite() && self.threshold > 0.0,
            "threshold `{}` is not a share above 0\nhint: 0.03 means 3 %",
            self.threshold
        );
        for (flag, lines) in [("--prepare", &self.prepare), ("--cleanup", &self.cleanup)] {
            if lines.len() > 2 {
                bail!("`{flag}` was given {} times, expected once or twice", lines.len());
            }
        }
        if let Some(path) = &self.input {
            launch::open_input(path)?;
        }
        Ok(())
    }

    fn config(&self) -> AbConfig {
        let paired =
            PairedConfig { min_effect: self.threshold, seed: self.seed, ..PairedConfig::default() };
        AbConfig {
            paired,
            first_pairs: self.pairs as usize,
            max_pairs: self.max_pairs.max(self.pairs) as usize,
        }
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    args.check()?;
    interrupt::watch();
    let budget = Budget::new(args.budget_s);
    let compared = compare(args, &budget, quiet);
    let profiled = match (&compared, args.profile) {
        (Ok(_), Some(count)) => Some(profiled::launches(args, count)),
        _ => None,
    };
    // Also after a failure, as hyperfine does not: what --prepare left is not left for ever. An
    // interrupt ends it all.
    let cleaned =
        if interrupt::requested() { Ok(()) } else { CommandSitting::clean_up(args, &budget) };
    let (outcome, machine) = compared?;
    cleaned?;
    let records = budget.records.into_inner();
    for target in &args.export {
        target.write(args, &outcome, &records)?;
    }
    match profiled {
        Some(Ok([base, candidate])) => difference::show(base, candidate, None, !args.json)?,
        // The verdict stands without a cause.
        Some(Err(error)) => eprintln!("note: no profile: {}", output::in_one_line(&error)),
        None => {}
    }
    words::report(args, &outcome, &machine, &words::Failures::of(&records))?;
    let is_open = |m: &lob_metrics::AbResult| m.verdict == PairedVerdict::Inconclusive;
    let is_bad = outcome.verdict == PairedVerdict::Regression
        || (args.strict && outcome.metrics.iter().any(is_open));
    Ok(ExitCode::from(u8::from(is_bad)))
}

/// The comparison, and the machine in words.
fn compare(args: &Args, budget: &Budget, quiet: bool) -> Result<(AbOutcome, words::Machine)> {
    let share = Cell::new(None);
    let open = |nth: u64| CommandSitting::open(args, budget, nth, &share);
    let look = |look: &AbLook<'_>| {
        if !quiet {
            words::progress(look);
        }
        !budget.is_spent() && !budget.cut_short.get()
    };
    let mut outcome = run_ab(&args.config(), open, look)?;
    let machine = words::Machine::now(share.get());
    ensure!(!outcome.metrics.is_empty(), "no metric is left to judge\nhint: see --metrics");
    if args.instructions {
        if !quiet {
            eprintln!("counting instructions; this takes tens of times as long as a run");
        }
        outcome.add(instructions::compare(args)?);
    }
    Ok((outcome, machine))
}
