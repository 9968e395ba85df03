use std::net::SocketAddr;

/// Everything that can go wrong between ranks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// A rank, a world size or a timeout that makes no sense.
    #[error("`{name}` is {found}, expected {expected}")]
    Plan {
        /// Which setting.
        name: &'static str,
        /// What would be accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Rank 0 cannot listen.
    #[error("rank 0 cannot listen on `{address}`: {source}; use another --coordinator")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Other machines could reach the address, and nothing would keep strangers out.
    #[error(
        "`{address}` can be reached from other machines, and there is no join key; set \
         LOB_JOIN_KEY or --join-key-file on all ranks, or use 127.0.0.1"
    )]
    NoKey {
        /// Where rank 0 listens.
        address: String,
    },
    /// Whoever listens where rank 0 should does not behave like it.
    #[error("whoever listens at `{address}` is not rank 0 of this run or has another join key")]
    Stranger {
        /// Where.
        address: String,
    },
    /// The system has no random numbers.
    #[error("cannot draw a random number: {reason}")]
    Random {
        /// Why not.
        reason: String,
    },
    /// Rank 0 was not to be found in time.
    #[error("rank 0 was not reached at `{address}` within {waited_s:.0} s: {reason}")]
    NoCoordinator {
        /// Where it should listen.
        address: String,
        /// Seconds waited.
        waited_s: f64,
        /// What happened last.
        reason: String,
    },
    /// Some ranks did not come in time.
    #[error(
        "waited {waited_s:.0} s at `{address}` for {ranks} of {world_size}, which did not join"
    )]
    NotJoined {
        /// Where they should have come.
        address: SocketAddr,
        /// Which ones.
        ranks: RankList,
        /// How many there should be.
        world_size: usize,
        /// Seconds waited.
        waited_s: f64,
    },
    /// Rank 0 did not let this rank in.
    #[error("rank 0 refused rank {rank}: {reason}")]
    Refused {
        /// This rank.
        rank: usize,
        /// Why.
        reason: String,
    },
    /// A rank ended or its connection broke.
    #[error("lost rank {rank} ({reason}); see what it said, then resume all ranks")]
    Lost {
        /// Which one.
        rank: usize,
        /// What the connection says.
        reason: String,
    },
    /// A rank sent nothing for too long.
    #[error("waited {waited_s:.0} s for rank {rank}, which did not answer; see --peer-timeout")]
    Silent {
        /// Which one.
        rank: usize,
        /// Seconds waited.
        waited_s: f64,
    },
    /// Ranks do not do the same.
    #[error("rank {rank} is at message {found}, rank 0 at {expected}; start all ranks alike")]
    OutOfStep {
        /// Which one differs.
        rank: usize,
        /// Number and length of rank 0's message.
        expected: Message,
        /// Number and length of the other's.
        found: Message,
    },
    /// Another rank failed, and rank 0 says how.
    #[error("rank 0 ended the run: {reason}")]
    Ended {
        /// What rank 0 said.
        reason: String,
    },
    /// The sum itself failed.
    #[error("cannot add up the ranks' values: {reason}")]
    Reduce {
        /// Why.
        reason: String,
    },
}

/// Some ranks, as a sentence names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankList(pub Vec<usize>);

impl std::fmt::Display for RankList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.len() == 1 { "rank " } else { "ranks " })?;
        for (i, rank) in self.0.iter().enumerate() {
            write!(f, "{}{rank}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// One of the messages of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Counted from 0.
    pub number: u64,
    /// Values in it.
    pub n_values: u64,
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} values", self.number, self.n_values)
    }
}
