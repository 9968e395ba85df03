//! Developer tasks for loblab. Light on purpose: it spawns children and reads JSON.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod ab;
mod bench;
mod bundle;
mod check;
mod cluster;
mod dist;
mod fixtures;
mod fuzz;
mod packing;
mod peers;
mod process;
mod simulate;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
Developer tasks for loblab

Usage: cargo xtask <TASK> [OPTIONS]

Tasks:
  bench [--quick] [--input FILE...] [--out DIR] [...]
              build `lob` in release mode and run the suite; unknown flags go to `lob bench`
  bench --criterion [-p CRATE...] [--out DIR] [-- CRITERION OPTIONS]
              run the micro-benches of every crate (or some) and harvest their estimates
  ab REV [REV2] [--scenario convert|signals|verify] [-- LOB AB OPTIONS]
              build REV and the working tree (or REV2) and run the paired regression test
  bundle [--features cuda] [--out DIR] [--binary LOB]
              lay out a folder that runs on a host with neither Rust nor a network
  dist [--features cuda] [--out DIR] [--binary LOB]
              pack a release: archive, checksums, manual, completions, notices, bill of materials
  check       what CI runs: format, clippy, tidy, tests, doctests, docs
  tidy        prove the crate graph and the house rules from `cargo metadata`
  peers [NAME...] [-- ...]
              measure the pinned Python peers beside `lob`, in turn, in one run
  fuzz [TARGET...] [--seconds N]
              run the fuzz targets of `fuzz/` for a bounded time each
  simulate [--seeds N] [--from S] | --seed S
              convert over a disk in memory that fails, tears and forgets by a seed; --seed
              replays one and prints each operation
  cluster-test [TEST...]
              build `lob` and `cluster/`, and test a cluster of processes with faults
  fixtures    regenerate fixtures/ and its metadata.json

Examples:
  cargo xtask bench --quick
  cargo xtask bench --quick --input day.mbo.dbn.zst --out results/mine
  cargo xtask check

Exit codes: 0 good, 1 regression or missed target, 2 failed
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match task.as_deref() {
        Some("ab") => ab::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("bundle") => bundle::run(&rest),
        Some("dist") => dist::run(&rest),
        Some("check") => check::run(&rest),
        Some("cluster-test") => cluster::run(&rest),
        Some("tidy") => tidy::run(),
        Some("fixtures") => fixtures::run(&rest),
        Some("peers") => peers::run(&rest),
        Some("fuzz") => fuzz::run(&rest),
        Some("simulate") => simulate::run(&rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(anyhow::anyhow!("unknown task `{other}`\nhint: see `cargo xtask help`")),
        None => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
