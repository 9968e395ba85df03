//! Sums over several ranks (processes or threads) that train one model together.
//!
//! A [`Collective`] adds up an array over all ranks and gives everyone the same sum, bit by bit.
//! [`TcpRanks`] does so between processes, [`ThreadRanks`] between threads of one process. Nothing
//! here knows tensors or training.
//!
//! ```
//! use lob_ranks::{Collective, ThreadRanks};
//!
//! let sums = ThreadRanks::group(2).into_iter().map(|mut rank| {
//!     std::thread::spawn(move || {
//!         let mut values = [1.0 + rank.rank() as f32, 10.0];
//!         rank.all_reduce_sum(&mut values).map(|()| values)
//!     })
//! });
//! for sum in sums.collect::<Vec<_>>() {
//!     assert_eq!(sum.join().unwrap().unwrap(), [3.0, 20.0]);
//! }
//! ```
//!
//! Without a [`JoinKey`] the ranks meet on one machine only. With it a stranger who reaches the port
//! cannot join. **What is said afterwards is neither encrypted nor signed**: use a private network.

mod collective;
mod error;
mod key;
mod tcp;
mod threads;

pub use crate::{
    collective::{Collective, InOrder, Reduce},
    error::{Message, RankError, RankList},
    key::JoinKey,
    tcp::{JoinPlan, TcpRanks},
    threads::ThreadRanks,
};
