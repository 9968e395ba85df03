//! A stop is heard in every loop that a large data set can fill.

use std::path::Path;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lob_dataloader::{
    Dataset, Loader, LoaderConfig, LoaderError, Sampler, Shuffle, Stop, WindowSpec,
};
use lob_depth::{NO_PRICE, RenderSpec};
use lob_store::partition_path;

use crate::made;

const BINS: usize = 10;

/// Asked for from the poll of this number on, counted from 0; and how often it was asked about.
fn polls(until: u64) -> (Stop, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    (Stop::when(move || counted.fetch_add(1, Ordering::Relaxed) >= until), asked)
}

fn open(folder: &Path) -> Arc<Dataset> {
    let render = RenderSpec { n_bins: BINS, ..RenderSpec::default() };
    let window = WindowSpec { n_bins: BINS, stride: 1 };
    Arc::new(Dataset::open(folder, window, render).unwrap())
}

fn loader(dataset: &Arc<Dataset>, config: LoaderConfig, stop: Stop) -> Loader {
    Loader::new(Arc::clone(dataset), config).unwrap().with_stop(stop)
}

#[test]
fn one_large_batch_asks_between_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let dataset = open(folder.path());
    for workers in [0, 1] {
        let config = LoaderConfig { workers, batch_size: 93, ..LoaderConfig::default() };
        let (stop, asked) = polls(u64::MAX);
        let whole = loader(&dataset, config.clone(), stop);
        assert_eq!(whole.epoch(0).map(|batch| batch.unwrap().n).sum::<usize>(), 93);
        assert!(asked.load(Ordering::Relaxed) >= 93, "{asked:?}");
        for until in [0, 1, 40, 92] {
            let stopped = loader(&dataset, config.clone(), polls(until).0);
            let mut epoch = stopped.epoch(0);
            let error = epoch.next().unwrap().unwrap_err();
            assert!(matches!(error, LoaderError::Stopped), "{error}");
            assert!(epoch.next().is_none() && epoch.state().position == 0);
        }
    }
}

#[test]
fn windows_that_are_skipped_are_asked_between() {
    let folder = tempfile::tempdir().unwrap();
    // Not one bin has an ask.
    let path = folder.path().join(partition_path("2023-11-14", 1));
    made::file_with(&path, &[60], 1, |_, bin| {
        bin.px[10..].fill(NO_PRICE);
        bin.last_ask = NO_PRICE;
    });
    let dataset = open(folder.path());
    for workers in [0, 2] {
        let config = LoaderConfig { workers, batch_size: 5, ..LoaderConfig::default() };
        let (stop, asked) = polls(u64::MAX);
        assert!(loader(&dataset, config.clone(), stop).epoch(0).next().is_none());
        // 51 windows in eleven batches.
        assert!(asked.load(Ordering::Relaxed) >= 51 + 11, "{asked:?}");
        let stopped = loader(&dataset, config, polls(30).0);
        let mut epoch = stopped.epoch(0);
        let error = epoch.next().unwrap().unwrap_err();
        assert!(matches!(error, LoaderError::Stopped), "{error}");
        let position = epoch.state().position;
        assert!(position < 51 && position.is_multiple_of(5), "{position}");
    }
}

#[test]
fn a_long_order_is_hashed_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let dataset = open(folder.path());
    let config = LoaderConfig {
        sampler: Sampler::Subset(vec![7; 3 << 16].into()),
        shuffle: Shuffle::Sequential,
        ..LoaderConfig::default()
    };
    let (stop, asked) = polls(u64::MAX);
    let whole = loader(&dataset, config.clone(), stop).order_sha256(0).unwrap();
    assert_eq!((whole.len(), asked.load(Ordering::Relaxed)), (64, 3));
    for until in 0..3 {
        let error = loader(&dataset, config.clone(), polls(until).0).order_sha256(0).unwrap_err();
        assert!(matches!(error, LoaderError::Stopped), "{error}");
    }
    let again = loader(&dataset, config, polls(3).0).order_sha256(0).unwrap();
    assert_eq!(again, whole);
}
