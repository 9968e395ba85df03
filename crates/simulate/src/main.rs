//! `lob-simulate --seeds N [--seed S]`: what `cargo xtask simulate` starts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use lob_simulate::{Counts, Ignored, Market, Violation, simulate};

const USAGE: &str = "usage: cargo xtask simulate [--seeds N] [--from S] | --seed S";
const SEEDS: u64 = 10_000;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let (mut seeds, mut from, mut one) = (SEEDS, 0, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().and_then(|value| value.parse::<u64>().ok()).context(USAGE)?;
        match arg.as_str() {
            "--seeds" => seeds = value,
            "--from" => from = value,
            "--seed" => one = Some(value),
            _ => bail!("{USAGE}"),
        }
    }
    if let Some(seed) = one {
        return replay(seed);
    }
    let start = Instant::now();
    let (counts, violations) = run_all(from, seeds)?;
    println!("{}", shown(&counts));
    println!("{:.1} s", start.elapsed().as_secs_f64());
    for violation in violations.iter().take(10) {
        eprintln!("error: {violation}");
    }
    let Some(first) = violations.first() else { return Ok(ExitCode::SUCCESS) };
    eprintln!(
        "{} seeds failed\nhint: cargo xtask simulate --seed {} prints what happens",
        violations.len(),
        first.seed
    );
    Ok(ExitCode::from(1))
}

/// Runs one seed and prints all that happens.
fn replay(seed: u64) -> Result<ExitCode> {
    match simulate(seed, &mut Market::new()?, Ignored::Nothing, true) {
        Ok(counts) => {
            println!("{}", shown(&counts));
            Ok(ExitCode::SUCCESS)
        }
        Err(violation) => {
            for line in &violation.trace {
                println!("{line}");
            }
            eprintln!("error: {violation}");
            Ok(ExitCode::from(1))
        }
    }
}

/// Runs the seeds on all cores; those that failed come in order.
fn run_all(from: u64, seeds: u64) -> Result<(Counts, Vec<Violation>)> {
    let next = AtomicU64::new(from);
    let all = Mutex::new((Counts::default(), Vec::new()));
    let worker = || -> Result<()> {
        let mut market = Market::new()?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(seeds) {
                return Ok(());
            }
            let result = simulate(seed, &mut market, Ignored::Nothing, false);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(counts) => all.0.add(&counts),
                Err(violation) => all.1.push(violation),
            }
        }
    };
    let n = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..n).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    let (counts, mut violations) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    violations.sort_by_key(|violation| violation.seed);
    Ok((counts, violations))
}

fn shown(counts: &Counts) -> String {
    format!(
        "{} seeds, {} conversions, {} operations, {} looks of a reader\n\
         {} operations failed, {} short writes\n\
         {} losses of power, {} kills\n\
         {} writes torn, {} lost, {} names lost, {} of them renames",
        counts.seeds,
        counts.runs,
        counts.operations,
        counts.reads,
        counts.failed,
        counts.short_writes,
        counts.power_losses,
        counts.kills,
        counts.torn_writes,
        counts.lost_writes,
        counts.lost_names,
        counts.lost_renames
    )
}
