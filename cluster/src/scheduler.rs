//! `lob-cluster scheduler`.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use ballista_core::utils::default_config_producer;
use ballista_scheduler::{
    cluster::BallistaCluster,
    config::{SchedulerConfig, TaskDistributionPolicy},
    scheduler_process,
};

use crate::{codec::Codec, warn_if_open};

/// Hand out work; one for each cluster
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lob-cluster scheduler --bind 127.0.0.1:7050

The state of a job lives in memory: if the scheduler dies, `submit` waits for a new one at the same
address and submits what is missing.")]
pub(crate) struct Args {
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:7050")]
    bind: SocketAddr,
    /// Name under which the others reach this machine [default: the address of --bind]
    #[arg(long)]
    external_host: Option<String>,
    /// Seconds without a sign of life after which an executor counts as lost
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    executor_timeout: u64,
    /// Seconds between looks for lost executors
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    check_interval: u64,
    /// Seconds a job waits for an executor while there is none
    #[arg(long, default_value_t = 60)]
    grace: u64,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let host = args.bind.ip().to_string();
    warn_if_open(&host);
    let config = SchedulerConfig {
        external_host: args.external_host.unwrap_or_else(|| host.clone()),
        bind_host: host,
        bind_port: args.bind.port(),
        // The default fills one executor before the next.
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: args.executor_timeout,
        expire_dead_executor_interval_seconds: args.check_interval,
        no_executors_grace_period_seconds: args.grace,
        override_physical_codec: Some(Arc::new(Codec::default())),
        override_config_producer: Some(Arc::new(default_config_producer)),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await.context("start a cluster")?;
    eprintln!("scheduler at {}", args.bind);
    tokio::select! {
        ended = scheduler_process::start_server(cluster, args.bind, Arc::new(config)) => {
            ended.with_context(|| format!("scheduler at {}", args.bind))?;
        }
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            eprintln!("scheduler stopped; its jobs are lost, `submit` submits them again");
        }
    }
    Ok(ExitCode::SUCCESS)
}
