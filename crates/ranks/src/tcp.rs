//! Ranks that are processes, around rank 0: everyone sends it its values, it sends back the sum.

mod find;
mod greeting;
mod join;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::Message;
use crate::{Collective, InOrder, JoinKey, RankError, Reduce};
use wire::Peer;

/// How much longer than rank 0 the others wait, so that it can tell them what went wrong.
const GRACE: Duration = Duration::from_secs(5);

/// Most ranks around one; long before that a ring would be better.
const MAX_WORLD_SIZE: usize = 4096;

/// How a rank finds the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPlan {
    /// Which rank this is, `0..world_size`.
    pub rank: usize,
    /// How many ranks there are, 1 to 4096.
    pub world_size: usize,
    /// Where rank 0 listens, `ADDRESS:PORT`: one of this machine alone where there is no key.
    pub coordinator: String,
    /// The secret that lets a rank in; the same on all ranks.
    pub key: Option<JoinKey>,
    /// How long to wait for all ranks to come.
    pub join_timeout: Duration,
    /// How long to wait for another rank's values. Whatever one rank does alone between two sums
    /// must be done in that time: evaluating, writing a checkpoint.
    pub peer_timeout: Duration,
}

impl JoinPlan {
    /// Checks that the numbers make sense, before anything is opened.
    ///
    /// # Errors
    /// [`RankError::Plan`] names the one that does not.
    pub fn validate(&self) -> Result<(), RankError> {
        let wrong =
            |name, expected: String, found: String| Err(RankError::Plan { name, expected, found });
        if !(1..=MAX_WORLD_SIZE).contains(&self.world_size) {
            let expected = format!("1 to {MAX_WORLD_SIZE}");
            return wrong("world size", expected, self.world_size.to_string());
        }
        if self.rank >= self.world_size {
            let expected = format!("below the world size of {}", self.world_size);
            return wrong("rank", expected, self.rank.to_string());
        }
        for (name, time) in
            [("join timeout", self.join_timeout), ("peer timeout", self.peer_timeout)]
        {
            if time.is_zero() {
                return wrong(name, "above 0 s".into(), "0".into());
            }
        }
        Ok(())
    }
}

/// A rank that reaches the others over TCP.
///
/// Each sum costs two messages for every rank but 0, of four bytes a value; rank 0 receives and
/// sends those of all the others. The values are added in the order of the ranks.
pub struct TcpRanks {
    rank: usize,
    world_size: usize,
    peer_timeout: Duration,
    /// Rank 0 has all others here, in order; the others have rank 0 alone.
    peers: Vec<Peer>,
    address: Option<SocketAddr>,
    reduce: Box<dyn Reduce>,
    /// Messages so far.
    number: u64,
    /// Why there can be no further message.
    broken: Option<String>,
}

impl std::fmt::Debug for TcpRanks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpRanks")
            .field("rank", &self.rank)
            .field("world_size", &self.world_size)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl TcpRanks {
    /// Meets the other ranks: rank 0 listens, the others look for it until it does. Returns once
    /// all are there.
    ///
    /// # Errors
    /// [`RankError::Plan`], [`RankError::NoKey`], or the ranks did not come together in time.
    pub fn join(plan: &JoinPlan) -> Result<Self, RankError> {
        plan.validate()?;
        let (peers, address) = match (plan.rank, plan.world_size) {
            (_, 1) => (Vec::new(), None),
            (0, _) => {
                let listener = join::listen(plan)?;
                let address = listener.local_addr().ok();
                (join::welcome(plan, &listener)?, address)
            }
            _ => (vec![find::find(plan)?], None),
        };
        Ok(Self {
            rank: plan.rank,
            world_size: plan.world_size,
            peer_timeout: plan.peer_timeout,
            peers,
            address,
            reduce: Box::new(InOrder),
            number: 0,
            broken: None,
        })
    }

    /// The same rank with another way to add up; it matters on rank 0 only.
    #[must_use]
    pub fn with_reduce(mut self, reduce: Box<dyn Reduce>) -> Self {
        self.reduce = reduce;
        self
    }

    /// Collects everyone's values, adds them up and sends the sum around.
    fn sum_as_host(&mut self, values: &mut [f32]) -> Result<(), RankError> {
        let begun = Instant::now();
        let deadline = begun + self.peer_timeout;
        let expected = Message { number: self.number, n_values: values.len() as u64 };
        let mut parts = Vec::with_capacity(self.world_size);
        parts.push(values.to_vec());
        for peer in &mut self.peers {
            let mut part = vec![0.0; values.len()];
            peer.receive(expected, &mut part, (begun, deadline))?;
            parts.push(part);
        }
        let sum = self.reduce.sum(parts)?;
        if sum.len() != values.len() {
            let reason = format!("{} values became {}", values.len(), sum.len());
            return Err(RankError::Reduce { reason });
        }
        let begun = Instant::now();
        for peer in &mut self.peers {
            peer.send(self.number, &sum, (begun, begun + self.peer_timeout))?;
        }
        values.copy_from_slice(&sum);
        Ok(())
    }

    fn sum_as_guest(&mut self, values: &mut [f32]) -> Result<(), RankError> {
        let begun = Instant::now();
        let deadline = begun + self.peer_timeout + GRACE;
        let expected = Message { number: self.number, n_values: values.len() as u64 };
        let Some(host) = self.peers.first_mut() else { return Ok(()) };
        if let Err(error) = host.send(self.number, values, (begun, deadline)) {
            // Rank 0 may have said why it went before it did.
            let last_word = host.receive(expected, values, (begun, Instant::now() + GRACE));
            return Err(match last_word {
                Err(ended @ RankError::Ended { .. }) => ended,
                _ => error,
            });
        }
        host.receive(expected, values, (begun, deadline))
    }
}

impl Collective for TcpRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn all_reduce_sum(&mut self, values: &mut [f32]) -> Result<(), RankError> {
        if let Some(reason) = &self.broken {
            return Err(RankError::Ended { reason: reason.clone() });
        }
        let outcome =
            if self.rank == 0 { self.sum_as_host(values) } else { self.sum_as_guest(values) };
        self.number += 1;
        if let Err(error) = &outcome {
            let reason = error.to_string();
            if self.rank == 0 {
                for peer in &mut self.peers {
                    peer.send_failure(&reason);
                }
            }
            self.broken = Some(reason);
        }
        outcome
    }
}
