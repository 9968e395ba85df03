use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use burn_collective::{
    AllReduceStrategy, CollectiveConfig, PeerId, ReduceOperation, all_reduce, finish_collective,
    register,
};

use crate::{RankError, Reduce};

/// Adds up with burn's collective all-reduce, each rank's values being one of its peers.
///
/// The peers are threads of rank 0's process. burn-collective 0.21 can also reduce between
/// processes, but only once: its second call never ends (tracel-ai/burn issue 4549). With three
/// ranks or more the order of the addition is its own, and the last bit may change from run to run;
/// it is still the same on all ranks.
///
/// Its state belongs to the process: one group at a time.
#[derive(Debug)]
pub struct BurnReduce {
    n_peers: usize,
}

impl BurnReduce {
    /// Registers as many peers, which must not be registered yet.
    ///
    /// # Errors
    /// [`RankError::Reduce`] when burn refuses them.
    pub fn new(n_peers: usize) -> Result<Self, RankError> {
        let config = CollectiveConfig::default()
            .with_num_devices(n_peers)
            .with_local_all_reduce_strategy(AllReduceStrategy::Centralized);
        let work = vec![(); n_peers].into_iter().map(|()| {
            let config = config.clone();
            move |peer| register::<Flex>(peer, Default::default(), config).map_err(failed)
        });
        on_peers(work)?;
        Ok(Self { n_peers })
    }
}

impl Reduce for BurnReduce {
    fn sum(&mut self, parts: Vec<Vec<f32>>) -> Result<Vec<f32>, RankError> {
        if parts.len() != self.n_peers {
            let reason = format!("{} ranks instead of {}", parts.len(), self.n_peers);
            return Err(RankError::Reduce { reason });
        }
        let work = parts.into_iter().map(|values| {
            move |peer| {
                let n = values.len();
                let data = TensorData::new(values, [n]);
                let tensor = Tensor::<Flex, 1>::from_data(data, &Default::default());
                let tensor = tensor.into_primitive().tensor();
                all_reduce::<Flex>(peer, tensor, ReduceOperation::Sum).map_err(failed)
            }
        });
        // Every peer has the same sum: that of rank 0 goes round.
        let sum = on_peers(work)?.into_iter().next();
        let sum = sum.ok_or_else(|| failed("there is no rank"))?;
        let sum = Tensor::<Flex, 1>::from_primitive(TensorPrimitive::Float(sum));
        sum.into_data().into_vec::<f32>().map_err(failed)
    }
}

impl Drop for BurnReduce {
    fn drop(&mut self) {
        let work =
            (0..self.n_peers).map(|_| |peer| finish_collective::<Flex>(peer).map_err(failed));
        // Nothing is left to be done about a peer that cannot be taken off the list.
        drop(on_peers(work));
    }
}

/// Does each peer's work on a thread of its own, as burn wants it; a panic in there is an error.
fn on_peers<T: Send, W: FnOnce(PeerId) -> Result<T, RankError> + Send>(
    work: impl Iterator<Item = W>,
) -> Result<Vec<T>, RankError> {
    std::thread::scope(|scope| {
        let started = work.zip(0_u32..).map(|(work, peer)| scope.spawn(move || work(PeerId(peer))));
        let started: Vec<_> = started.collect();
        let ended = started.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(failed("burn's collective gave up")))
        });
        ended.collect()
    })
}

fn failed(reason: impl std::fmt::Debug) -> RankError {
    RankError::Reduce { reason: format!("{reason:?}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests compare exact sums")]
mod tests {
    use super::*;
    use crate::InOrder;

    /// One test for all: the state belongs to the process.
    #[test]
    fn burns_sum_is_the_sum() {
        for n_peers in [1, 2, 4] {
            let mut burn = BurnReduce::new(n_peers).unwrap();
            for round in 0_u8..20 {
                let n = usize::from(round) * 300;
                let value = |peer: usize, i: usize| ((i * 37 + peer * 11) % 101) as f32 - 50.0;
                let part = |peer| (0..n).map(|i| value(peer, i)).collect::<Vec<f32>>();
                let parts: Vec<Vec<f32>> = (0..n_peers).map(part).collect();
                // Small whole numbers: exact in any order.
                assert!(burn.sum(parts.clone()).unwrap() == InOrder.sum(parts).unwrap());
            }
            assert!(burn.sum(vec![vec![1.0]; n_peers + 1]).is_err());
        }
    }
}
