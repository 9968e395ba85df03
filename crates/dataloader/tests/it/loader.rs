use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lob_dataloader::{
    Batch, Cells, Dataset, Loader, LoaderConfig, LoaderError, LoaderState, Sampler, Scratch,
    ShardTail, Shuffle, Staging, StagingBuffer, WindowSpec,
};
use lob_depth::{Dtype, NO_PRICE, Normalise, RenderSpec, bf16_bits, f16_bits, quantise};
use lob_store::partition_path;

use crate::made;

const BINS: usize = 10;

fn dataset(folder: &Path) -> Arc<Dataset> {
    made::store(folder);
    let render = RenderSpec { n_bins: BINS, ..RenderSpec::default() };
    let window = WindowSpec { n_bins: BINS, stride: 1 };
    Arc::new(Dataset::open(folder, window, render).unwrap())
}

fn loader(dataset: &Arc<Dataset>, config: LoaderConfig) -> Loader {
    Loader::new(Arc::clone(dataset), config).unwrap()
}

fn indices(epoch: impl Iterator<Item = Result<Batch, LoaderError>>) -> Vec<u64> {
    epoch.flat_map(|batch| batch.unwrap().indices.clone()).collect()
}

#[test]
fn order_and_images_do_not_depend_on_the_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for shuffle in [Shuffle::Sequential, Shuffle::Full, Shuffle::Blocks(16)] {
        let serve = |workers, epoch| {
            let config = LoaderConfig {
                workers,
                batch_size: 7,
                shuffle,
                seed: 5,
                ..LoaderConfig::default()
            };
            let loader = loader(&dataset, config);
            let mut all = Vec::new();
            for batch in loader.epoch(epoch) {
                let batch = batch.unwrap();
                assert_eq!(batch.images().len(), batch.n * dataset.sample_len());
                all.push((batch.indices.clone(), batch.labels.clone(), batch.images().to_vec()));
            }
            assert_eq!(all.len() as u64, loader.n_batches());
            (all, loader.order_sha256(epoch).unwrap())
        };
        let (expected, sha256) = serve(0, 1);
        for workers in [1, 2, 4] {
            let (found, found_sha256) = serve(workers, 1);
            assert!(found == expected, "{workers} workers, {shuffle:?}");
            assert_eq!(found_sha256, sha256);
        }
        let is_same_order = serve(2, 2).1 == sha256;
        assert_eq!(is_same_order, shuffle == Shuffle::Sequential, "{shuffle:?}");
        let mut scratch = Scratch::default();
        let mut image = vec![0.0; dataset.sample_len()];
        for (indices, labels, images) in &expected {
            for ((&index, label), found) in
                indices.iter().zip(labels).zip(images.chunks_exact(image.len()))
            {
                let sample = dataset.get(index, &mut scratch, &mut image).unwrap();
                assert!(found == image && sample.label == *label, "sample {index}");
            }
        }
    }
}

#[test]
fn an_epoch_serves_every_sample_once() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    // 31 + 0 + 21 + 41 windows of 10 bins.
    assert_eq!(dataset.len(), 93);
    let check = |batch_size, drop_last, n_batches, n_samples: usize| {
        let config = LoaderConfig { batch_size, drop_last, ..LoaderConfig::default() };
        let loader = loader(&dataset, config);
        assert_eq!(loader.n_batches(), n_batches, "{batch_size} {drop_last}");
        let sizes: Vec<usize> = loader.epoch(0).map(|batch| batch.unwrap().n).collect();
        assert_eq!(sizes.len() as u64, n_batches);
        let distinct: BTreeSet<u64> = indices(loader.epoch(0)).into_iter().collect();
        assert_eq!(distinct.len(), n_samples);
        assert_eq!(sizes.iter().sum::<usize>(), n_samples);
    };
    check(10, false, 10, 93);
    check(10, true, 9, 90);
    check(93, true, 1, 93);
    check(200, false, 1, 93);
    check(1, false, 93, 93);
}

#[test]
fn an_epoch_continues_where_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for workers in [0, 3] {
        let config = LoaderConfig { workers, batch_size: 8, seed: 9, ..LoaderConfig::default() };
        let whole = indices(loader(&dataset, config.clone()).epoch(4));
        let first = loader(&dataset, config.clone());
        let mut epoch = first.epoch(4);
        let mut served = indices(epoch.by_ref().take(5));
        let saved = epoch.state().to_string();
        let data = dataset.store().fingerprint();
        assert_eq!(saved, format!("epoch=4,position=40,seed=9,data={data}"));
        drop(epoch);
        let second = loader(&dataset, config.clone());
        let state: LoaderState = saved.parse().unwrap();
        served.extend(indices(second.resume(state).unwrap()));
        assert_eq!(served, whole);
        let done = LoaderState { position: 93, ..state };
        assert_eq!(second.resume(done).unwrap().count(), 0);
        let other = second.resume(LoaderState { seed: 1, ..state }).unwrap_err();
        assert!(other.to_string().contains("seed `1`, this loader has `9`"), "{other}");
        let beyond = second.resume(LoaderState { position: 94, ..state }).unwrap_err();
        assert!(matches!(beyond, LoaderError::State { field: "position", .. }), "{beyond}");
        // Other data are refused, whatever the position; a state of before 0.2 does not say.
        let elsewhere = Some("1".repeat(32).parse().unwrap());
        let other = second.resume(LoaderState { data: elsewhere, position: 94, ..state });
        let other = other.unwrap_err();
        assert!(matches!(other, LoaderError::OtherData { .. }), "{other}");
        let old: LoaderState = "epoch=4,position=40,seed=9".parse().unwrap();
        assert_eq!(second.resume(old).unwrap().state().data, Some(data));
    }
    for text in [
        "",
        "epoch=1",
        "epoch=1,position=2,seed=3,x=4",
        "epoch=1,position=2,seed=3,data=4",
        "epoch=1,position=2,seed=3,data=00000000000000000000000000000000,x",
        "epoch=x,position=2,seed=3",
    ] {
        assert!(text.parse::<LoaderState>().is_err(), "{text}");
    }
}

#[test]
fn ranks_share_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let shard = |rank, shard_tail| {
        let config = LoaderConfig {
            rank,
            world_size: 4,
            shard_tail,
            batch_size: 6,
            ..LoaderConfig::default()
        };
        indices(loader(&dataset, config).epoch(0))
    };
    let padded: Vec<_> = (0..4).map(|rank| shard(rank, ShardTail::Pad)).collect();
    let dropped: Vec<_> = (0..4).map(|rank| shard(rank, ShardTail::Drop)).collect();
    assert!(padded.iter().all(|shard| shard.len() == 24));
    assert!(dropped.iter().all(|shard| shard.len() == 23));
    let distinct = |shards: &[Vec<u64>]| shards.iter().flatten().collect::<BTreeSet<_>>().len();
    assert_eq!((distinct(&padded), distinct(&dropped)), (93, 92));
}

#[test]
fn a_tiny_fraction_still_serves_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let config = LoaderConfig { sample_fraction: 1e-6, ..LoaderConfig::default() };
    let loader = loader(&dataset, config);
    assert_eq!((loader.n_samples(), loader.n_batches()), (1, 1));
    assert_eq!(indices(loader.epoch(0)).len(), 1);
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let default = LoaderConfig::default;
    let check = |option: &str, config| {
        let refused = Loader::new(Arc::clone(&dataset), config).unwrap_err().to_string();
        assert!(refused.contains(&format!("option `{option}`")), "{refused}");
    };
    check("batch_size", LoaderConfig { batch_size: 0, ..default() });
    check("workers", LoaderConfig { workers: 1_000_000, ..default() });
    check("sample_fraction", LoaderConfig { sample_fraction: 0.0, ..default() });
    check("sample_fraction", LoaderConfig { sample_fraction: f64::NAN, ..default() });
    check("sample_fraction", LoaderConfig { sample_fraction: 1.5, ..default() });
    check("world_size", LoaderConfig { world_size: 0, ..default() });
    check("rank", LoaderConfig { rank: 2, world_size: 2, ..default() });
    check("shuffle", LoaderConfig { shuffle: Shuffle::Blocks(0), ..default() });
    check("drop_last", LoaderConfig { drop_last: true, batch_size: 94, ..default() });
    let world = LoaderConfig { world_size: 94, shard_tail: ShardTail::Drop, ..default() };
    check("shard_tail", world);
}

#[test]
fn a_bad_page_reaches_the_consumer_as_an_error() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let path = folder.path().join(partition_path("2023-11-14", 2));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 3_000].fill(0x55);
    fs::write(&path, &bytes).unwrap();
    let dataset = dataset(folder.path());
    for workers in [0, 1, 4] {
        let loader =
            loader(&dataset, LoaderConfig { workers, batch_size: 3, ..Default::default() });
        let mut served: Vec<_> = loader.epoch(0).collect();
        let message = served.pop().unwrap().unwrap_err().to_string();
        assert!(message.contains("instrument_id=2") && message.contains("row `"), "{message}");
        assert!(served.iter().all(Result::is_ok));
    }
}

#[test]
fn a_store_that_changes_while_it_is_served_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    // On the calling thread: no other one may be reading while the file is cut.
    let loader = loader(&dataset, LoaderConfig { workers: 0, batch_size: 3, ..Default::default() });
    let mut epoch = loader.epoch(0);
    assert_eq!(epoch.next().unwrap().unwrap().n, 3);
    for instrument in 1..=3 {
        let path = folder.path().join(partition_path("2023-11-14", instrument));
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(64).unwrap();
    }
    let message = epoch.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("instrument_id=") && message.contains("row `"), "{message}");
    assert!(message.contains("changed while it was open"), "{message}");
    assert!(epoch.next().is_none());
}

#[test]
fn the_prefetch_budget_bounds_the_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let batch_bytes = 4 * dataset.sample_len() * 4;
    for (prefetch_bytes, slots) in [(0, 1), (batch_bytes, 1), (3 * batch_bytes + 5, 3)] {
        let config =
            LoaderConfig { batch_size: 4, workers: 4, prefetch_bytes, ..Default::default() };
        assert_eq!(config.prefetch_batches(dataset.sample_len()), slots);
        let loader = loader(&dataset, config);
        for epoch in 0..3 {
            for batch in loader.epoch(epoch) {
                drop(batch.unwrap());
            }
        }
        let stats = loader.stats();
        // Those made ahead, and the one in the consumer's hands.
        assert!(stats.buffers <= slots as u64 + 1, "{} buffers, {slots} slots", stats.buffers);
        assert_eq!((stats.samples, stats.batches), (3 * 93, 3 * 24));
        assert!(stats.bytes_read > 0 && stats.cache_hits > 0, "{stats:?}");
        assert!(stats.queue_depth_mean <= slots as f64, "{stats:?}");
        assert!(stats.wait_max_s <= stats.wait_s, "{stats:?}");
    }
}

#[test]
fn a_consumer_may_keep_all_batches() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let config = LoaderConfig { batch_size: 4, prefetch_bytes: 0, ..LoaderConfig::default() };
    let loader = loader(&dataset, config);
    let kept: Vec<Batch> = loader.epoch(0).map(Result::unwrap).collect();
    assert_eq!(kept.len(), 24);
    let distinct: BTreeSet<u64> = kept.iter().flat_map(|batch| batch.indices.clone()).collect();
    assert_eq!(distinct.len(), 93);
}

#[test]
fn epochs_may_be_left_early_and_served_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for persistent_workers in [false, true] {
        let config = LoaderConfig {
            batch_size: 4,
            persistent_workers,
            prefetch_bytes: 0,
            ..Default::default()
        };
        let loader = loader(&dataset, config);
        for epoch in 0..20 {
            let mut left = loader.epoch(epoch);
            assert_eq!(left.next().unwrap().unwrap().n, 4);
        }
        let expected = (indices(loader.epoch(0)), indices(loader.epoch(1)));
        let (mut first, mut second) = (loader.epoch(0), loader.epoch(1));
        let mut found = (Vec::new(), Vec::new());
        while let (Some(a), Some(b)) = (first.next(), second.next()) {
            found.0.extend_from_slice(&a.unwrap().indices);
            found.1.extend_from_slice(&b.unwrap().indices);
        }
        assert_eq!(found, expected);
        let mut survivor = loader.epoch(2);
        drop(loader);
        assert_eq!(survivor.by_ref().count(), 24);
    }
}

#[test]
fn presets_are_those_of_the_documentation() {
    let check = |config: LoaderConfig, expected: (usize, usize, f64, bool, bool)| {
        let LoaderConfig { batch_size, workers, sample_fraction, drop_last, .. } = config;
        let found = (batch_size, workers, sample_fraction, drop_last, config.persistent_workers);
        assert_eq!(found, expected);
    };
    check(LoaderConfig::optimal_8gb(), (32, 4, 0.1, false, true));
    check(LoaderConfig::throughput(), (64, 8, 1.0, true, true));
    check(LoaderConfig::low_memory(), (16, 2, 0.05, false, false));
}

#[test]
fn windows_without_a_mid_are_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(partition_path("2023-11-14", 1));
    // Rows 20..45 have no ask: of the windows of 10, those from 20 to 35 have no mid.
    made::file_with(&path, &[60], 1, |row, bin| {
        if (20..45).contains(&row) {
            bin.px[10..].fill(NO_PRICE);
            bin.last_ask = NO_PRICE;
        }
    });
    let render = RenderSpec { n_bins: BINS, ..RenderSpec::default() };
    let window = WindowSpec { n_bins: BINS, stride: 1 };
    let dataset = Arc::new(Dataset::open(folder.path(), window, render).unwrap());
    assert_eq!(dataset.len(), 51);
    let mut image = vec![0.0; dataset.sample_len()];
    let error = dataset.get(25, &mut Scratch::default(), &mut image).unwrap_err();
    assert!(error.is_empty_book(), "{error}");
    for (workers, shuffle) in [(0, Shuffle::Sequential), (2, Shuffle::Full)] {
        let config = LoaderConfig { workers, shuffle, batch_size: 5, ..LoaderConfig::default() };
        let loader = loader(&dataset, config);
        let mut epoch = loader.epoch(0);
        let mut served = BTreeSet::new();
        for batch in epoch.by_ref() {
            let batch = batch.unwrap();
            assert!(batch.n > 0 && batch.indices.len() == batch.n);
            assert_eq!(batch.images().len(), batch.n * dataset.sample_len());
            served.extend(batch.indices.iter().copied());
        }
        assert_eq!(epoch.state().position, 51);
        assert!(served.into_iter().eq((0..20).chain(36..51)));
        let stats = loader.stats();
        assert_eq!((stats.samples, stats.skipped), (35, 16));
    }
}

#[test]
fn samplers_choose_what_an_epoch_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let serve = |sampler: Sampler| {
        let loader = loader(&dataset, LoaderConfig { sampler, ..LoaderConfig::default() });
        let mut served = indices(loader.epoch(1));
        assert_eq!(served.len() as u64, loader.n_samples());
        served.sort_unstable();
        served
    };
    assert_eq!(serve(Sampler::Subset([7, 90, 7].into())), [7, 7, 90]);
    let only_five: Vec<f64> = (0..93).map(|at| f64::from(u8::from(at == 5))).collect();
    assert_eq!(serve(Sampler::Weighted(only_five.into())), [5; 93]);
    let mut classes = [0; 3];
    for index in serve(Sampler::Balanced) {
        let label = dataset.label(index).unwrap().unwrap();
        classes[usize::try_from(label).unwrap()] += 1;
    }
    assert!(classes[0] >= 31 && classes.iter().all(|n| *n == classes[0]), "{classes:?}");
    for bad in [
        Sampler::Subset([].into()),
        Sampler::Subset([93].into()),
        Sampler::Weighted([1.0].into()),
        Sampler::Weighted(vec![0.0; 93].into()),
        Sampler::Weighted(vec![f64::NAN; 93].into()),
    ] {
        let config = LoaderConfig { sampler: bad.clone(), ..LoaderConfig::default() };
        assert!(Loader::new(Arc::clone(&dataset), config).is_err(), "{bad:?}");
    }
}

#[test]
fn a_prefetch_factor_bounds_the_batches_made_ahead() {
    let config = LoaderConfig { workers: 3, batch_size: 2, ..LoaderConfig::default() };
    let ahead = |factor, bytes| {
        let prefetch =
            LoaderConfig { prefetch_factor: factor, prefetch_bytes: bytes, ..config.clone() };
        prefetch.prefetch_batches(100)
    };
    // A batch of two samples of 100 values has 800 bytes.
    assert_eq!((ahead(Some(2), 1 << 20), ahead(Some(2), 1_600), ahead(None, 8_000)), (6, 2, 10));
}

#[test]
fn batches_come_in_any_number_format() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let serve = |dtype| {
        let config = LoaderConfig { dtype, batch_size: 6, ..LoaderConfig::default() };
        let loader = loader(&dataset, config);
        let mut epoch = loader.epoch(0);
        let batch = epoch.next().unwrap().unwrap();
        assert_eq!(batch.bytes().len(), 6 * dataset.sample_len() * dtype.size_bytes());
        batch
    };
    let single = serve(Dtype::F32);
    let images = single.images();
    let check = |batch: &Batch, bits: &mut dyn Iterator<Item = u32>| match batch.cells() {
        Cells::F32(found) => assert!(found.iter().map(|x| x.to_bits()).eq(bits)),
        Cells::F16(found) | Cells::Bf16(found) => {
            assert!(found.iter().map(|&x| u32::from(x)).eq(bits));
        }
        Cells::U8(found) => assert!(found.iter().map(|&x| u32::from(x)).eq(bits)),
        other => panic!("{other:?}"),
    };
    check(&single, &mut images.iter().map(|x| x.to_bits()));
    check(&serve(Dtype::F16), &mut images.iter().map(|x| u32::from(f16_bits(*x))));
    check(&serve(Dtype::Bf16), &mut images.iter().map(|x| u32::from(bf16_bits(*x))));
    check(&serve(Dtype::U8), &mut images.iter().map(|x| u32::from(quantise(*x))));
    // Half the bytes a cell: twice the batches in the same budget.
    let ahead = |dtype| LoaderConfig { dtype, prefetch_bytes: 64 << 20, ..Default::default() };
    let n = |dtype| ahead(dtype).prefetch_batches(402 * 500);
    assert_eq!((n(Dtype::F32), n(Dtype::F16), n(Dtype::U8)), (2, 5, 10));
    let raw = RenderSpec { n_bins: BINS, normalise: Normalise::None, ..RenderSpec::default() };
    let window = WindowSpec { n_bins: BINS, stride: 1 };
    let unscaled = Arc::new(Dataset::open(folder.path(), window, raw).unwrap());
    let config = LoaderConfig { dtype: Dtype::U8, ..LoaderConfig::default() };
    let refused = Loader::new(unscaled, config).unwrap_err().to_string();
    assert!(refused.contains("option `dtype` is `u8`") && refused.contains("`none`"), "{refused}");
}

#[test]
#[should_panic(expected = "these images are `f16`, not `f32`")]
fn half_precision_is_not_handed_out_as_single() {
    let folder = tempfile::tempdir().unwrap();
    let config = LoaderConfig { dtype: Dtype::F16, ..LoaderConfig::default() };
    let loader = loader(&dataset(folder.path()), config);
    let batch = loader.epoch(0).next().unwrap().unwrap();
    let _ = batch.images();
}

/// Counts what it hands out; refuses after the first `most`, and may be too small or askew.
#[derive(Debug)]
struct Counting {
    most: usize,
    short: usize,
    made: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Plain(Vec<f32>, usize);

impl StagingBuffer for Plain {
    fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        &bytes[self.1..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.0);
        &mut bytes[self.1..]
    }
}

impl Staging for Counting {
    fn allocate(&self, n_bytes: usize) -> std::io::Result<Box<dyn StagingBuffer>> {
        if self.made.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(std::io::Error::other("no more device memory"));
        }
        Ok(Box::new(Plain(vec![0.0; n_bytes.div_ceil(4)], self.short)))
    }
}

#[test]
fn a_backend_may_provide_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let serve = |most, short| {
        let made = Arc::new(AtomicUsize::new(0));
        let staging = Counting { most, short, made: Arc::clone(&made) };
        let config =
            LoaderConfig { batch_size: 5, prefetch_factor: Some(1), ..LoaderConfig::default() };
        let loader = Loader::with_staging(Arc::clone(&dataset), config, Box::new(staging)).unwrap();
        let mut served = 0;
        for epoch in 0..3 {
            for batch in loader.epoch(epoch) {
                served += batch.map_err(|error| error.to_string())?.n;
            }
        }
        Ok::<_, String>((served, made.load(Ordering::Relaxed)))
    };
    let (served, made) = serve(usize::MAX, 0).unwrap();
    assert_eq!(served, 3 * 93);
    assert!(made <= 3, "two made ahead and one in hand: {made}");
    let refused = serve(0, 0).unwrap_err();
    assert!(
        refused.contains("no more device memory") && refused.contains("ulimit -l"),
        "{refused}"
    );
    let askew = serve(usize::MAX, 1).unwrap_err();
    assert!(askew.contains("cannot get"), "{askew}");
}

#[test]
fn locked_memory_is_page_aligned_or_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let config = LoaderConfig { pin_memory: true, batch_size: 2, ..LoaderConfig::default() };
    let loader = loader(&dataset(folder.path()), config);
    match loader.epoch(0).next().unwrap() {
        Ok(batch) => {
            assert_eq!(batch.bytes().as_ptr().addr() % 4096, 0);
            assert!(batch.images().iter().any(|x| *x != 0.0));
        }
        // A container may allow none.
        Err(refused) => assert!(refused.to_string().contains("ulimit -l"), "{refused}"),
    }
}
