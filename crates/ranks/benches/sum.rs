//! Sums of a gradient over two ranks, in threads and over TCP on this machine.
//!
//! A slowdown is a slower step of every training with several ranks. `add` is the bound: the same
//! additions with nobody to wait for.

#![allow(missing_docs, reason = "bench")]

use std::hint::black_box;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_ranks::{Collective, InOrder, JoinPlan, Reduce, TcpRanks, ThreadRanks};

/// Values of the gradients of a small and a large encoder.
const LENGTHS: [usize; 2] = [10_000, 1_000_000];

/// Two ranks over TCP.
fn tcp() -> Vec<TcpRanks> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let coordinator = listener.local_addr().expect("its address").to_string();
    drop(listener);
    let join = |rank| {
        let timeout = Duration::from_secs(60);
        let plan = JoinPlan {
            rank,
            world_size: 2,
            coordinator: coordinator.clone(),
            join_timeout: timeout,
            peer_timeout: timeout,
            key: None,
        };
        thread::spawn(move || TcpRanks::join(&plan).expect("both ranks come"))
    };
    let joining = [join(1), join(0)];
    joining.into_iter().map(|rank| rank.join().expect("a rank")).collect()
}

/// Time of `n` sums on both ranks.
fn sums<R: Collective + Send>(ranks: &mut [R], length: usize, n: u64) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for rank in ranks {
            scope.spawn(move || {
                let mut values = vec![0.5_f32; length];
                for _ in 0..n {
                    rank.all_reduce_sum(&mut values).expect("the other rank is there");
                    values.fill(0.5);
                }
                black_box(values);
            });
        }
    });
    begun.elapsed()
}

fn sum(c: &mut Criterion) {
    let mut group = c.benchmark_group("all_reduce_sum");
    group.sample_size(10);
    for length in LENGTHS {
        group.throughput(Throughput::Elements(length as u64));
        let (mut threads, mut processes) = (ThreadRanks::group(2), tcp());
        group.bench_function(BenchmarkId::new("threads", length), |b| {
            b.iter_custom(|n| sums(&mut threads, length, n));
        });
        group.bench_function(BenchmarkId::new("tcp", length), |b| {
            b.iter_custom(|n| sums(&mut processes, length, n));
        });
        group.bench_function(BenchmarkId::new("add", length), |b| {
            let parts = || vec![vec![0.5_f32; length], vec![0.5; length]];
            b.iter_batched(parts, |parts| InOrder.sum(parts), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, sum);
criterion_main!(benches);
