//! Ranks over TCP, each a thread here: what they send is what processes send.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "tests compare exact sums of small numbers"
)]

mod strangers;

use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use lob_ranks::{Collective, JoinPlan, RankError, Reduce, TcpRanks};
use proptest::prelude::*;

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn plan(rank: usize, world_size: usize, coordinator: &str) -> JoinPlan {
    JoinPlan {
        rank,
        world_size,
        coordinator: coordinator.to_owned(),
        key: None,
        join_timeout: Duration::from_secs(60),
        peer_timeout: Duration::from_secs(60),
    }
}

/// Runs `work` on every rank and gives what each returned.
fn on_all<T: Send + 'static>(
    world_size: usize,
    work: impl Fn(TcpRanks) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let address = free_address();
    // The last rank first: it has to wait for rank 0 to listen.
    let started: Vec<JoinHandle<T>> = (0..world_size)
        .rev()
        .map(|rank| {
            let (plan, work) = (plan(rank, world_size, &address), work.clone());
            std::thread::spawn(move || work(TcpRanks::join(&plan).unwrap()))
        })
        .collect();
    started.into_iter().rev().map(|thread| thread.join().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_rank_gets_the_sum_in_the_order_of_the_ranks(
        world_size in 1_usize..5,
        lengths in proptest::collection::vec(0_usize..40_000, 1..4),
        seed in 0_u64..1000,
    ) {
        let value = move |rank: usize, i: usize| {
            let mixed = (i as u64 + 1).wrapping_mul(2_654_435_761 + 97 * rank as u64) + seed;
            (mixed % 100_003) as f32 * 1e-3 - 17.0
        };
        let sums = on_all(world_size, {
            let lengths = lengths.clone();
            move |mut ranks| {
                let rank = ranks.rank();
                lengths.iter().map(|&n| {
                    let mut values: Vec<f32> = (0..n).map(|i| value(rank, i)).collect();
                    ranks.all_reduce_sum(&mut values).unwrap();
                    values
                }).collect::<Vec<_>>()
            }
        });
        for (round, &n) in lengths.iter().enumerate() {
            let expected: Vec<f32> = (0..n)
                .map(|i| (1..world_size).fold(value(0, i), |sum, rank| sum + value(rank, i)))
                .collect();
            for sum in &sums {
                prop_assert!(sum[round] == expected);
            }
        }
    }
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let address = free_address();
    let short =
        |rank| JoinPlan { join_timeout: Duration::from_millis(400), ..plan(rank, 4, &address) };
    let (second, host) = (short(2), short(0));
    let second = std::thread::spawn(move || TcpRanks::join(&second).unwrap_err().to_string());
    let host = TcpRanks::join(&host).unwrap_err().to_string();
    assert!(host.starts_with("waited 0 s at `127.0.0.1:"), "{host}");
    assert!(host.ends_with("for ranks 1, 3 of 4, which did not join"), "{host}");
    // It heard the same, or came too late to hear it.
    let second = second.join().unwrap();
    assert!(second.contains("ranks 1, 3 of 4") || second.contains("was not reached"), "{second}");

    let alone = TcpRanks::join(&short(1)).unwrap_err().to_string();
    assert!(alone.starts_with("rank 0 was not reached at `127.0.0.1:"), "{alone}");
}

#[test]
fn a_lost_rank_ends_the_run_for_all_with_its_name() {
    let messages = on_all(3, |mut ranks| {
        ranks.all_reduce_sum(&mut [1.0]).unwrap();
        if ranks.rank() == 1 {
            return String::new();
        }
        let first = ranks.all_reduce_sum(&mut [1.0]).unwrap_err().to_string();
        // There is no way back, and no wait either.
        assert!(matches!(ranks.all_reduce_sum(&mut [1.0]), Err(RankError::Ended { .. })));
        first
    });
    assert!(messages[0].starts_with("lost rank 1 ("), "{}", messages[0]);
    assert!(messages[2].starts_with("rank 0 ended the run: lost rank 1 ("), "{}", messages[2]);
}

#[test]
fn a_silent_rank_and_one_out_of_step_are_named() {
    let address = free_address();
    let host = JoinPlan { peer_timeout: Duration::from_millis(300), ..plan(0, 2, &address) };
    let guest = plan(1, 2, &address);
    let guest = std::thread::spawn(move || TcpRanks::join(&guest).unwrap());
    let mut host = TcpRanks::join(&host).unwrap();
    let kept = guest.join().unwrap();
    let error = host.all_reduce_sum(&mut [1.0]).unwrap_err().to_string();
    assert!(error.contains("for rank 1, which did not answer"), "{error}");
    drop(kept);

    let messages = on_all(2, |mut ranks| {
        let mut values = vec![1.0; 3 + ranks.rank()];
        ranks.all_reduce_sum(&mut values).unwrap_err().to_string()
    });
    let expected = "rank 1 is at message 0 of 4 values, rank 0 at 0 of 3 values";
    assert!(messages[0].starts_with(expected), "{}", messages[0]);
    assert!(messages[1].contains(expected), "{}", messages[1]);
}

#[test]
fn bad_plans_are_refused_by_name() {
    let check = |change: fn(&mut JoinPlan), expected: &str| {
        let mut plan = plan(0, 2, "127.0.0.1:0");
        change(&mut plan);
        let error = TcpRanks::join(&plan).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(|p| p.world_size = 0, "`world size` is 0");
    check(|p| p.world_size = 5000, "`world size` is 5000, expected 1 to 4096");
    check(|p| p.rank = 2, "`rank` is 2, expected below the world size of 2");
    check(|p| p.join_timeout = Duration::ZERO, "`join timeout` is 0");
    check(|p| p.peer_timeout = Duration::ZERO, "`peer timeout` is 0");
    check(|p| p.coordinator = "nowhere".into(), "rank 0 cannot listen on `nowhere`");
    // Nobody to meet.
    let mut alone = TcpRanks::join(&plan(0, 1, "nowhere")).unwrap();
    let mut values = [4.0];
    alone.all_reduce_sum(&mut values).unwrap();
    assert_eq!(values, [4.0]);
}

#[test]
fn another_way_to_add_is_used_by_rank_0() {
    struct Largest;
    impl Reduce for Largest {
        fn sum(&mut self, parts: Vec<Vec<f32>>) -> Result<Vec<f32>, RankError> {
            let largest =
                |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a.max(*b)).collect();
            Ok(parts.into_iter().reduce(largest).unwrap_or_default())
        }
    }
    let sums = on_all(2, |ranks| {
        let mut values = [ranks.rank() as f32, 5.0];
        ranks.with_reduce(Box::new(Largest)).all_reduce_sum(&mut values).unwrap();
        values
    });
    assert_eq!(sums, [[1.0, 5.0]; 2]);
}
