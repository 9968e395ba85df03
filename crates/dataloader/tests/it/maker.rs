//! Loaders of something else than depth images.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use lob_dataloader::{Buffer, Counts, Loader, LoaderError, Make, Prefetch, Stop};

/// Makes batch `n` of the numbers `n`, `n + 1`, ... in single precision; every seventh is empty.
struct Numbers {
    fails_at: u64,
    panics_at: u64,
    made: Arc<AtomicU64>,
}

const N: usize = 5;

impl Numbers {
    fn sound() -> Self {
        Self { fails_at: u64::MAX, panics_at: u64::MAX, made: Arc::default() }
    }
}

#[derive(Debug)]
struct Batch {
    number: u64,
    buffer: Buffer,
}

#[derive(Debug, PartialEq)]
enum Failure {
    Loader(String),
    Made(u64),
    Panicked(u64, String),
}

impl From<LoaderError> for Failure {
    fn from(error: LoaderError) -> Self {
        Self::Loader(error.to_string())
    }
}

impl Make for Numbers {
    type Batch = Batch;
    type Scratch = Vec<f32>;
    type Error = Failure;

    fn batch_bytes(&self) -> usize {
        4 * N
    }

    fn make(
        &self,
        number: u64,
        mut buffer: Buffer,
        scratch: &mut Vec<f32>,
        _: &Stop,
    ) -> Result<Batch, Failure> {
        self.made.fetch_add(1, Ordering::Relaxed);
        assert_ne!(number, self.panics_at, "a made-up fault");
        if number == self.fails_at {
            return Err(Failure::Made(number));
        }
        scratch.clear();
        scratch.extend((0..N).map(|i| value(number, i)));
        buffer.values_mut(N).copy_from_slice(scratch);
        Ok(Batch { number, buffer })
    }

    fn panicked(&self, number: u64, _: &Vec<f32>, message: String) -> Failure {
        Failure::Panicked(number, message)
    }

    fn counts(batch: &Batch) -> Counts {
        if batch.number % 7 == 6 {
            Counts { samples: 0, skipped: N }
        } else {
            Counts { samples: N, skipped: 0 }
        }
    }
}

/// Value `i` of a batch.
fn value(number: u64, i: usize) -> f32 {
    (number + i as u64) as f32
}

fn prefetch(workers: usize, bytes: usize) -> Prefetch {
    Prefetch { workers, bytes, ..Prefetch::default() }
}

#[test]
fn any_maker_is_served_in_order_within_its_budget() {
    for workers in [0, 1, 3] {
        for (bytes, slots) in [(0, 1), (4 * N * 4 + 1, 4), (1 << 20, 4096)] {
            let plan = prefetch(workers, bytes);
            assert_eq!(plan.batches(4 * N), slots);
            let loader = Loader::of(Numbers::sound(), plan).unwrap();
            // Twice: the workers of the first range serve the second.
            for range in [3..40, 100..110] {
                let expected: Vec<u64> = range.clone().filter(|n| n % 7 != 6).collect();
                let mut batches = loader.batches(range);
                let mut found = Vec::new();
                for batch in batches.by_ref() {
                    let batch = batch.unwrap();
                    let last = batch.buffer.values(N)[N - 1];
                    assert_eq!(last.to_bits(), value(batch.number, N - 1).to_bits());
                    found.push(batch.number);
                }
                assert_eq!(found, expected, "{workers} workers, {bytes} bytes");
                assert!(batches.next().is_none() && batches.n_left() == 0);
            }
            let stats = loader.stats();
            assert!(stats.buffers <= slots as u64 + 1, "{stats:?}");
            assert_eq!((stats.batches, stats.samples), (41, 41 * N as u64));
            assert_eq!(stats.skipped, 6 * N as u64, "five and one of the two ranges");
        }
    }
    let nothing = Loader::of(Numbers::sound(), prefetch(2, 0)).unwrap();
    assert!(nothing.batches(7..7).next().is_none());
    let refused = Loader::of(Numbers::sound(), prefetch(1025, 0)).unwrap_err().to_string();
    assert!(refused.contains("option `workers` is `1025`, expected at most `1024`"), "{refused}");
}

#[test]
fn an_error_or_a_panic_comes_in_the_turn_of_its_batch_and_ends_the_range() {
    for workers in [0, 1, 3] {
        for is_panic in [false, true] {
            let (fails_at, panics_at) = if is_panic { (99, 11) } else { (11, 99) };
            let maker = Numbers { fails_at, panics_at, ..Numbers::sound() };
            let loader = Loader::of(maker, prefetch(workers, 1 << 10)).unwrap();
            for _ in 0..2 {
                let mut found: Vec<_> = loader.batches(8..20).collect();
                let error = found.pop().unwrap().unwrap_err();
                match error {
                    Failure::Panicked(11, message) if is_panic => {
                        assert!(message.contains("a made-up fault"), "{message}");
                    }
                    error => assert_eq!((error, is_panic), (Failure::Made(11), false)),
                }
                let numbers: Vec<u64> = found.into_iter().map(|b| b.unwrap().number).collect();
                assert_eq!(numbers, [8, 9, 10]);
            }
        }
    }
}

#[test]
fn a_consumer_that_leaves_early_leaves_no_thread_at_work() {
    for persistent_workers in [false, true] {
        let plan = Prefetch { persistent_workers, factor: Some(2), ..prefetch(2, 1 << 20) };
        let maker = Numbers::sound();
        let made = Arc::clone(&maker.made);
        let loader = Loader::of(maker, plan).unwrap();
        for _ in 0..50 {
            let mut batches = loader.batches(0..u64::MAX);
            assert_eq!(batches.next().unwrap().unwrap().number, 0);
        }
        drop(loader);
        // No more than were asked for and may be made ahead: four, and the one handed out.
        let n = made.load(Ordering::Relaxed);
        assert!((50..=50 * 5).contains(&n), "{n}");
        assert_eq!(Arc::strong_count(&made), 1, "a worker still holds its maker");
    }
}

/// Never comes back by itself.
struct Stuck {
    asked: Arc<AtomicBool>,
    release: Arc<Barrier>,
}

impl Make for Stuck {
    type Batch = Buffer;
    type Scratch = ();
    type Error = LoaderError;

    fn batch_bytes(&self) -> usize {
        1
    }

    fn make(&self, _: u64, buffer: Buffer, (): &mut (), _: &Stop) -> Result<Buffer, LoaderError> {
        self.asked.store(true, Ordering::Relaxed);
        self.release.wait();
        Ok(buffer)
    }

    fn panicked(&self, _: u64, (): &(), message: String) -> LoaderError {
        panic!("{message}")
    }

    fn counts(_: &Buffer) -> Counts {
        Counts { samples: 1, skipped: 0 }
    }
}

#[test]
fn a_stop_is_heard_while_a_worker_is_waited_for() {
    let (asked, release) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
    let maker = Stuck { asked: Arc::clone(&asked), release: Arc::clone(&release) };
    let loader = Loader::of(maker, prefetch(1, 0)).unwrap();
    // Asked for only once the worker hangs.
    let loader = loader.with_stop(Stop::when(move || asked.load(Ordering::Relaxed)));
    let mut batches = loader.batches(0..9);
    let error = batches.next().unwrap().unwrap_err();
    assert!(matches!(error, LoaderError::Stopped), "{error}");
    assert!(batches.next().is_none());
    release.wait();
}
