//! `lob bench --self-test`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use lob_bench::{Options, Rates, SelfTestConfig};
use lob_metrics::shown;

use crate::output;

/// Runs the self-test, prints its table and writes `self_test.json`. Exit code 1 when the counts
/// contradict the promised rates, 2 when it was interrupted.
pub(super) fn run(
    executable: &Path,
    options: Options,
    trials: Option<u32>,
    quiet: bool,
    stop: &AtomicBool,
) -> Result<ExitCode> {
    let mut config = SelfTestConfig::new(options);
    if let Some(trials) = trials {
        config.trials = trials as usize;
        config.simulated_trials = config.simulated_trials.min(10 * config.trials);
    }
    if !quiet {
        eprintln!(
            "{} comparisons of each slow-down on this machine, {} on made-up ones",
            config.trials, config.simulated_trials
        );
    }
    output::print_line(&format!(
        "{:<26}{:>9}{:>8}{:>12}{:>13}{:>12}{:>14}{:>8}",
        "machine",
        "slower",
        "trials",
        "regression",
        "improvement",
        "equivalent",
        "inconclusive",
        "pairs"
    ))?;
    let mut said = Ok(());
    let mut tell = |rates: &Rates| {
        if said.is_ok() {
            said = output::print_line(&row(rates));
        }
    };
    let found = lob_bench::self_test(executable, &config, &mut tell, stop)?;
    said?;
    let path = config.options.out.join("self_test.json");
    let text = serde_json::to_vec_pretty(&found).context("cannot encode JSON")?;
    output::write_file(&path, &text)?;
    for rates in found.rates.iter().filter(|r| r.breaks_promise()) {
        let what = if rates.slow_down > 0.0 { "found too seldom" } else { "too many false alarms" };
        eprintln!("{}, {:.0} % slower: {what}", rates.machine, rates.slow_down * 100.0);
    }
    output::print_line(&shown(path.display()).to_string())?;
    Ok(ExitCode::from(if found.interrupted { 2 } else { u8::from(!found.holds()) }))
}

fn row(rates: &Rates) -> String {
    let share = |n: usize| match rates.trials {
        0 => "-".to_owned(),
        trials => format!("{:.1} %", 100.0 * n as f64 / trials as f64),
    };
    format!(
        "{:<26}{:>7.0} %{:>8}{:>12}{:>13}{:>12}{:>14}{:>8.0}",
        rates.machine,
        rates.slow_down * 100.0,
        rates.trials,
        share(rates.regressions),
        share(rates.improvements),
        share(rates.equivalent),
        share(rates.inconclusive),
        rates.mean_pairs
    )
}
