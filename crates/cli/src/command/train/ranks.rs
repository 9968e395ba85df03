//! Several processes that train one model.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lob_metrics::shown;
use lob_ranks::{JoinKey, JoinPlan, TcpRanks};

/// The environment variable that holds the secret of the ranks.
const KEY_VARIABLE: &str = "LOB_JOIN_KEY";

#[derive(clap::Args)]
#[command(next_help_heading = "Several ranks")]
pub(super) struct RankArgs {
    /// Which of several processes this is, from 0; each takes batch-size / W pairs of every batch
    #[arg(long, value_name = "R", requires = "world_size")]
    rank: Option<usize>,
    /// How many processes train this model together
    #[arg(long, value_name = "W", requires = "rank")]
    world_size: Option<usize>,
    /// Where rank 0 listens for the others. Other machines need a join key, and a private network:
    /// nothing is encrypted
    #[arg(long, value_name = "ADDR:PORT", requires = "rank", default_value = "127.0.0.1:29400")]
    coordinator: String,
    /// File with the secret that lets a rank in, the same for all; LOB_JOIN_KEY in the environment
    /// by default. At least 16 bytes, as from `openssl rand -hex 32`
    #[arg(long, value_name = "FILE", requires = "rank")]
    join_key_file: Option<PathBuf>,
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
            key: join_key(self.join_key_file.as_deref())?,
            join_timeout: time("--join-timeout", self.join_timeout)?,
            peer_timeout: time("--peer-timeout", self.peer_timeout)?,
        };
        plan.validate()?;
        Ok(Some(plan))
    }
}

/// The secret of the ranks, from a file or the environment: an argument could be read by everybody
/// on the machine. A line end is no part of it.
fn join_key(file: Option<&Path>) -> Result<Option<JoinKey>> {
    let (bytes, from) = match (file, std::env::var_os(KEY_VARIABLE)) {
        (Some(path), _) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read the join key `{}`", shown(path.display())))?;
            (bytes, format!("`{}`", shown(path.display())))
        }
        (None, Some(value)) => (value.into_encoded_bytes(), KEY_VARIABLE.to_owned()),
        (None, None) => return Ok(None),
    };
    let key = JoinKey::new(bytes.trim_ascii_end());
    key.map(Some).with_context(|| format!("cannot use the join key of {from}"))
}

/// Meets the other ranks.
pub(super) fn join(plan: &JoinPlan, quiet: bool) -> Result<TcpRanks> {
    if plan.rank == 0 && !quiet {
        let n_others = plan.world_size - 1;
        eprintln!("waiting for {n_others} more rank(s) at {}", plan.coordinator);
        if plan.key.is_some() {
            eprintln!(
                "note: the join key keeps strangers out, but the ranks' traffic is not encrypted; \
                 keep it in a private network"
            );
        }
    }
    Ok(TcpRanks::join(plan)?)
}
