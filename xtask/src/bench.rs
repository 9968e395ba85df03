//! `cargo xtask bench`: builds `lob` and hands over to `lob bench`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process;

/// What was asked for, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Args {
    criterion: bool,
    features: Vec<String>,
    packages: Vec<String>,
    /// For `lob bench`.
    suite: Vec<String>,
    /// For criterion, after `--`.
    benches: Vec<String>,
}

/// Runs the suite. `--features X` goes to cargo. With `--criterion` the micro-benches run first and
/// their estimates are part of the Run; alone, they are the whole of it.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let mut args = parse(args)?;
    if args.criterion {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let home = process::target_folder()?.join("criterion");
        micro_benches(&args, &home)?;
        let selects = ["--suite", "--type", "--test", "--quick"];
        let is_alone = !args.suite.iter().any(|a| selects.iter().any(|s| a.starts_with(s)));
        if is_alone {
            args.suite.extend(["--suite".to_owned(), "criterion".to_owned()]);
        }
        args.suite.extend(["--criterion".to_owned(), home.display().to_string()]);
        args.suite.extend(["--criterion-since-s".to_owned(), since.to_string()]);
    }
    let lob = process::build_lob(&args.features)?;
    let mut command = Command::new(lob);
    command.arg("bench").args(&args.suite);
    Ok(process::exit_code(process::status(&mut command)?))
}

fn parse(args: &[String]) -> Result<Args> {
    let mut parsed = Args::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--criterion" => parsed.criterion = true,
            "--features" => parsed.features.extend(args.next().cloned()),
            "-p" | "--package" => {
                parsed.packages.push(args.next().context("`-p` needs a package")?.clone());
            }
            "--" => parsed.benches.extend(args.by_ref().cloned()),
            _ => parsed.suite.push(arg.clone()),
        }
    }
    if !parsed.criterion && (!parsed.packages.is_empty() || !parsed.benches.is_empty()) {
        bail!("`-p` and `--` are for `--criterion`");
    }
    Ok(parsed)
}

/// `cargo bench` of every library (or of those named), with its results below `home`.
fn micro_benches(args: &Args, home: &Path) -> Result<()> {
    let home: PathBuf = home.to_owned();
    let mut command = process::cargo();
    command.arg("bench").env("CRITERION_HOME", &home);
    if args.packages.is_empty() {
        command.arg("--workspace");
    }
    for package in &args.packages {
        command.args(["--package", package]);
    }
    // Only our own benches: the test harness of a library knows no option of criterion.
    command.args(["--bench", "*"]);
    if !args.benches.is_empty() {
        command.arg("--").args(&args.benches);
    }
    process::must(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str]) -> Result<Args> {
        parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<String>>())
    }

    #[test]
    fn unknown_flags_go_to_lob_bench() {
        let parsed = check(&["--quick", "--features", "cuda", "--out", "x"]).unwrap();
        assert_eq!(parsed.suite, ["--quick", "--out", "x"]);
        assert_eq!(parsed.features, ["cuda"]);
        let parsed = check(&["--criterion", "-p", "lob-depth", "--", "--quick", "render"]).unwrap();
        assert_eq!((parsed.packages.len(), parsed.benches.len()), (1, 2));
        assert!(parsed.criterion && parsed.suite.is_empty());
        assert!(check(&["-p", "lob-depth"]).is_err());
    }
}
