//! Several processes that train one model.

use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::{Result, ensure};
use lob_ranks::{JoinPlan, TcpRanks};

#[derive(clap::Args)]
#[command(next_help_heading = "Several ranks")]
pub(super) struct RankArgs {
    /// Which of several processes this is, from 0; each takes batch-size / W pairs of every batch
    #[arg(long, value_name = "R", requires = "world_size")]
    rank: Option<usize>,
    /// How many processes train this model together
    #[arg(long, value_name = "W", requires = "rank")]
    world_size: Option<usize>,
    /// Where rank 0 listens for the others. No encryption, no passwords: one machine or a private
    /// network only
    #[arg(long, value_name = "ADDR:PORT", requires = "rank", default_value = "127.0.0.1:29400")]
    coordinator: String,
    /// How long to wait until all ranks have come
    #[arg(long, value_name = "SECONDS", requires = "rank", default_value_t = 300.0)]
    join_timeout: f64,
    /// How long to wait for another rank in a step before giving up
    #[arg(long, value_name = "SECONDS", requires = "rank", default_value_t = 120.0)]
    peer_timeout: f64,
}

impl RankArgs {
    /// Whether this process writes and talks: rank 0, or one that is alone.
    pub(super) fn is_leader(&self) -> bool {
        self.rank.unwrap_or(0) == 0
    }

    /// How many processes train together.
    pub(super) fn world_size(&self) -> usize {
        self.world_size.unwrap_or(1)
    }

    /// What was asked for, checked; `None` for a process that is alone.
    pub(super) fn plan(&self) -> Result<Option<JoinPlan>> {
        let Some((rank, world_size)) = self.rank.zip(self.world_size) else { return Ok(None) };
        let time = |name: &str, seconds: f64| {
            let time = Duration::try_from_secs_f64(seconds).ok();
            ensure!(time.is_some(), "`{name}` is {seconds}, expected seconds above 0");
            Ok(time.unwrap_or_default())
        };
        let plan = JoinPlan {
            rank,
            world_size,
            coordinator: self.coordinator.clone(),
            join_timeout: time("--join-timeout", self.join_timeout)?,
            peer_timeout: time("--peer-timeout", self.peer_timeout)?,
        };
        plan.validate()?;
        Ok(Some(plan))
    }
}

/// Meets the other ranks.
pub(super) fn join(plan: &JoinPlan, quiet: bool) -> Result<TcpRanks> {
    if plan.rank == 0 && !quiet {
        let n_others = plan.world_size - 1;
        eprintln!("waiting for {n_others} more rank(s) at {}", plan.coordinator);
        let is_local = plan
            .coordinator
            .to_socket_addrs()
            .is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback()));
        if !is_local {
            eprintln!(
                "note: the ranks' traffic is neither encrypted nor authenticated; \
                 keep it in a private network"
            );
        }
    }
    Ok(TcpRanks::join(plan)?)
}
