//! `cargo xtask check`: what CI runs, cheapest first, with an account of what ran and what did not.

mod account;
mod deny;
mod floors;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use account::{Account, Fate};
use steps::STEPS;

const USAGE: &str = "usage: cargo xtask check [--ci] [--budget-s SECONDS]";

/// A check by its name.
struct Step {
    name: &'static str,
    run: fn() -> Result<Ran>,
    /// Seconds it takes where no earlier launch has said.
    guess_s: f64,
    /// Minutes of building: only with `--ci`, and only where the budget has room for it.
    is_extra: bool,
}

/// What came of a check that did not fail.
enum Ran {
    Passed,
    /// It did not run, and why.
    LeftOut(String),
}

#[derive(Debug, PartialEq)]
struct Args {
    ci: bool,
    budget_s: f64,
}

/// Runs every check in turn and stops at the first that fails. A table at the end says what ran and
/// what was left out; a check that did not run has not passed.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let args = parse(args)?;
    let memory = process::target_folder()?.join("xtask-check.json");
    let mut account = Account::open(&memory);
    let skipped = process::target_folder()?.join("xtask-check-skipped.log");
    forget(&skipped)?;
    steps::log_skipped_tests_to(&skipped);

    let chosen: Vec<&Step> = STEPS.iter().filter(|step| args.ci || !step.is_extra).collect();
    let started = Instant::now();
    let mut failure = None;
    for step in in_order(&chosen, account.left_out_before()) {
        if failure.is_some() {
            account.add(step.name, Fate::NotReached);
            continue;
        }
        let elapsed_s = started.elapsed().as_secs_f64();
        let expected_s = account.expected_s(step.name).unwrap_or(step.guess_s);
        if step.is_extra && elapsed_s + expected_s > args.budget_s {
            account.add(step.name, Fate::NoTime { expected_s, left_s: args.budget_s - elapsed_s });
            continue;
        }
        eprintln!("==> {}", step.name);
        let begun = Instant::now();
        let outcome = (step.run)();
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("    {}: {seconds:.1} s", step.name);
        account.add(
            step.name,
            match outcome {
                Ok(Ran::Passed) => Fate::Passed { seconds },
                Ok(Ran::LeftOut(reason)) => Fate::LeftOut { reason },
                Err(error) => {
                    failure = Some(error);
                    Fate::Failed { seconds }
                }
            },
        );
    }
    for step in STEPS.iter().filter(|step| !args.ci && step.is_extra) {
        account.add(step.name, Fate::LeftOut { reason: "only with --ci".to_owned() });
    }
    account.save(&memory)?;
    println!("{}", account.table(&read_lines(&skipped)?, started.elapsed().as_secs_f64()));
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn parse(args: &[String]) -> Result<Args> {
    let mut parsed = Args { ci: false, budget_s: f64::INFINITY };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--ci" => parsed.ci = true,
            "--budget-s" => {
                let seconds = args.next().and_then(|text| text.parse::<f64>().ok());
                parsed.budget_s = seconds.context(USAGE)?;
                ensure!(parsed.budget_s > 0.0, "{USAGE}");
            }
            other => bail!("`check` does not take `{other}`\n{USAGE}"),
        }
    }
    Ok(parsed)
}

/// What had no time before comes first; the rest stays in its order.
fn in_order<'a>(steps: &[&'a Step], left_out_before: &[String]) -> Vec<&'a Step> {
    let waited = |step: &&&Step| left_out_before.iter().any(|name| name == step.name);
    let (first, rest): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|step| waited(step));
    first.into_iter().chain(rest).collect()
}

fn forget(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot clear `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// The lines of a file, sorted, each once; none where there is no file.
fn read_lines(path: &std::path::Path) -> Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_time_before_comes_first() {
        let step =
            |name| Step { name, run: || Ok(Ran::Passed), guess_s: 1.0, is_extra: name == "c" };
        let steps = [step("a"), step("b"), step("c")];
        let chosen: Vec<&Step> = steps.iter().collect();
        let names = |before: &[&str]| -> Vec<&str> {
            let before: Vec<String> = before.iter().map(|s| (*s).to_owned()).collect();
            in_order(&chosen, &before).iter().map(|s| s.name).collect()
        };
        assert_eq!(names(&[]), ["a", "b", "c"]);
        assert_eq!(names(&["c"]), ["c", "a", "b"]);
        assert_eq!(names(&["gone"]), ["a", "b", "c"]);
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let read = |args: &[&str]| parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&[]).unwrap(), Args { ci: false, budget_s: f64::INFINITY });
        let both = read(&["--ci", "--budget-s", "90"]).unwrap();
        assert_eq!(both, Args { ci: true, budget_s: 90.0 });
        for wrong in [&["--budget-s"][..], &["--budget-s", "-1"], &["--budget-s", "NaN"], &["all"]]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
