//! `lob-cluster`: `lob convert` over very many files on many machines, by Ballista.
//!
//! A scheduler hands groups of files to executors; an executor runs one `lob convert` process for
//! each file. What the processes write into the shared store is what one machine would write.

mod attempts;
mod bucket;
mod check;
mod codec;
mod executor;
mod inputs;
mod job;
mod one;
mod place;
mod plan;
mod progress;
mod row;
mod scheduler;
mod scratch;
mod store;
mod submit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Convert very many DBN files on a cluster
#[derive(Parser)]
#[command(name = "lob-cluster", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples, each in its own terminal:
  lob-cluster scheduler
  lob-cluster executor --slots 8
  lob-cluster submit /data/dbn --out /data/store -- --preset EURUSD
  lob-cluster submit s3://ticks/dbn --out s3://ticks/store
  lob-cluster check /data/store

Inputs and the store lie on a path that all machines see under the same name, or in a bucket of an
S3-compatible store: `s3://bucket/prefix`, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT and AWS_ALLOW_HTTP set for `submit`, `check` and each executor. `lob` is looked for
beside `lob-cluster`, then in PATH.

There is no authentication and no encryption: whoever reaches a port can read results and start
conversions. Everything binds to 127.0.0.1 unless told otherwise; beyond that, a private network or
a TLS tunnel is your duty.

Exit codes: 0 good, 2 failed";

#[derive(Subcommand)]
enum Command {
    /// Hand out work; one for each cluster
    Scheduler(scheduler::Args),
    /// Do work; one for each machine
    Executor(executor::Args),
    /// Convert files on the cluster and see to it that none is missing
    Submit(submit::Args),
    /// Check a store against its journals: whole files, nothing left over
    Check(check::Args),
    /// Convert one file as an executor does, and print its row
    One(one::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let outcome = match Cli::parse().command {
        Command::Scheduler(args) => scheduler::run(args).await,
        Command::Executor(args) => executor::run(args).await,
        Command::Submit(args) => submit::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::One(args) => one::run(args).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Says loudly what an open port means.
fn warn_if_open(host: &str) {
    if !matches!(host, "127.0.0.1" | "::1" | "localhost") {
        eprintln!(
            "WARNING: listening on {host} without authentication or encryption. Whoever reaches \
             this port can start conversions and read results. Use a private network or a TLS \
             tunnel."
        );
    }
}
