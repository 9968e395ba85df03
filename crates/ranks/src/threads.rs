use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Collective, InOrder, RankError, Reduce};

/// Ranks that are threads of one process.
///
/// A rank that is dropped is lost to the others, who get an error and do not wait for ever.
#[derive(Debug)]
pub struct ThreadRanks {
    rank: usize,
    world_size: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What each rank has brought to the sum in progress.
    parts: Vec<Option<Vec<f32>>>,
    /// The last sum made.
    sum: Vec<f32>,
    /// Sums made so far.
    n_sums: u64,
    /// Ranks still to fetch the last sum.
    n_waiting: usize,
    lost: Option<usize>,
}

impl ThreadRanks {
    /// As many ranks, one for each thread.
    #[must_use]
    pub fn group(world_size: usize) -> Vec<Self> {
        let state = State {
            parts: vec![None; world_size],
            sum: Vec::new(),
            n_sums: 0,
            n_waiting: 0,
            lost: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        (0..world_size).map(|rank| Self { rank, world_size, shared: shared.clone() }).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&'s self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(rank: usize) -> RankError {
    RankError::Lost { rank, reason: "its thread has ended".into() }
}

impl Collective for ThreadRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn all_reduce_sum(&mut self, values: &mut [f32]) -> Result<(), RankError> {
        let mut state = self.state();
        // A rank that is slow to fetch the last sum holds up the next one.
        while state.n_waiting > 0 && state.lost.is_none() {
            state = self.wait(state);
        }
        if let Some(rank) = state.lost {
            return Err(lost(rank));
        }
        let own = state.n_sums;
        state.parts[self.rank] = Some(values.to_vec());
        if state.parts.iter().all(Option::is_some) {
            let parts: Vec<Vec<f32>> = state.parts.iter_mut().filter_map(Option::take).collect();
            if let Some(rank) = parts.iter().position(|part| part.len() != values.len()) {
                state.lost = Some(rank);
                self.shared.changed.notify_all();
                return Err(RankError::Lost { rank, reason: "it is at another message".into() });
            }
            state.sum = InOrder.sum(parts)?;
            state.n_sums += 1;
            state.n_waiting = self.world_size;
            self.shared.changed.notify_all();
        }
        while state.n_sums == own {
            if let Some(rank) = state.lost {
                return Err(lost(rank));
            }
            state = self.wait(state);
        }
        values.copy_from_slice(&state.sum);
        state.n_waiting -= 1;
        if state.n_waiting == 0 {
            self.shared.changed.notify_all();
        }
        Ok(())
    }
}

impl Drop for ThreadRanks {
    fn drop(&mut self) {
        let rank = self.rank;
        let mut state = self.state();
        state.lost.get_or_insert(rank);
        drop(state);
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests compare exact sums")]
mod tests {
    use super::*;

    #[test]
    fn many_sums_in_a_row_stay_in_step() {
        let threads = ThreadRanks::group(3).into_iter().map(|mut rank| {
            std::thread::spawn(move || {
                for round in 0_u8..200 {
                    let mut values = vec![f32::from(round); 1 + usize::from(round % 5)];
                    rank.all_reduce_sum(&mut values).unwrap();
                    assert!(values.iter().all(|&x| x == 3.0 * f32::from(round)));
                }
                rank
            })
        });
        // Kept until all are done: a dropped rank is lost to the others.
        let done: Vec<_> = threads.collect::<Vec<_>>().into_iter().map(|t| t.join()).collect();
        assert!(done.iter().all(Result::is_ok));
    }

    #[test]
    fn a_rank_that_ends_is_lost_and_not_waited_for() {
        let mut group = ThreadRanks::group(2);
        drop(group.pop());
        let error = group[0].all_reduce_sum(&mut [1.0]).unwrap_err().to_string();
        assert!(error.starts_with("lost rank 1 (its thread has ended)"), "{error}");
    }
}
