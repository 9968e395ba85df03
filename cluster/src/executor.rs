//! `lob-cluster executor`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};

use crate::{codec::Codec, one, scratch, warn_if_open};

/// Do work; one for each machine
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lob-cluster executor --scheduler 10.0.0.1:7050 --bind 10.0.0.2 --slots 8

The client and the other executors reach both ports: --port for results, --grpc-port for tasks.
SIGTERM lets running files end first. Start it under a supervisor that starts it again.")]
pub(crate) struct Args {
    /// Address of the scheduler
    #[arg(long, default_value = "127.0.0.1:7050", value_name = "HOST:PORT")]
    scheduler: String,
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1")]
    bind: String,
    /// Name under which the others reach this machine [default: the address of --bind]
    #[arg(long)]
    external_host: Option<String>,
    /// Port for results
    #[arg(long, default_value_t = 7051)]
    port: u16,
    /// Port for tasks
    #[arg(long, default_value_t = 7052)]
    grpc_port: u16,
    /// Files converted at the same time [default: the number of cores]
    #[arg(long)]
    slots: Option<usize>,
    /// Folder for the engine's own small files [default: a new temporary one]
    #[arg(long)]
    work_dir: Option<PathBuf>,
    /// Local disk for objects on their way: for each slot the largest input and what becomes of
    /// it [default: the system's temporary folder]
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Seconds between signs of life
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat: u64,
    /// The `lob` command [default: beside this one, then in PATH]
    #[arg(long)]
    lob: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    warn_if_open(&args.bind);
    let (host, port) = args
        .scheduler
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
        .with_context(|| format!("scheduler `{}`, expected `HOST:PORT`", args.scheduler))?;
    let name = args.external_host.clone().unwrap_or_else(|| args.bind.clone());
    // Found out at the start and not with the first file.
    one::set_up(args.lob.as_deref(), format!("{name}:{}", args.port))?;
    scratch::set_up(&args.scratch.unwrap_or_else(std::env::temp_dir))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A process id makes the folder new: an executor's id must be new at each start as well.
    let default_dir = || std::env::temp_dir().join(format!("lob-cluster-{}", std::process::id()));
    let work_dir = args.work_dir.clone().unwrap_or_else(default_dir);
    std::fs::create_dir_all(&work_dir).with_context(|| format!("make `{}`", work_dir.display()))?;
    let config = ExecutorProcessConfig {
        bind_host: args.bind.clone(),
        external_host: Some(name),
        port: args.port,
        grpc_port: args.grpc_port,
        scheduler_host: host,
        scheduler_port: port,
        // Executors may start before the scheduler.
        scheduler_connect_timeout_seconds: 60,
        vcores: args.slots.unwrap_or(cores),
        work_dir: Some(work_dir.to_string_lossy().into_owned()),
        executor_heartbeat_interval_seconds: args.heartbeat,
        // Only text passes through the engine, so it needs no share of the memory.
        memory_pool_size: Some(0),
        override_physical_codec: Some(Arc::new(Codec::default())),
        ..ExecutorProcessConfig::default()
    };
    eprintln!("executor at {}:{}, {} slots", args.bind, args.port, config.vcores);
    let ended = start_executor_process(Arc::new(config)).await;
    scratch::clear();
    if args.work_dir.is_none() {
        drop(std::fs::remove_dir_all(&work_dir));
    }
    ended.with_context(|| format!("executor at {}:{}", args.bind, args.port))?;
    Ok(ExitCode::SUCCESS)
}
