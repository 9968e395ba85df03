use std::fs;

use lob_dataloader::{Dataset, LoaderError, Scratch, WindowSpec};
use lob_depth::{BinColumns, Feature, RenderSpec, Renderer};
use lob_store::{Store, partition_path};

use crate::made;

fn render(n_bins: usize, features: &[Feature]) -> RenderSpec {
    RenderSpec { n_bins, features: features.to_vec(), ..RenderSpec::default() }
}

#[test]
fn windows_cover_every_segment_and_cross_none() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let check = |n_bins, stride, expected: &[(usize, u64)]| {
        let spec = render(n_bins, &[Feature::Volume]);
        let dataset = Dataset::open(folder.path(), WindowSpec { n_bins, stride }, spec).unwrap();
        let mut scratch = Scratch::default();
        let mut image = vec![0.0; dataset.sample_len()];
        let found: Vec<_> = (0..dataset.len())
            .map(|index| {
                let sample = dataset.get(index, &mut scratch, &mut image).unwrap();
                let last = sample.row + n_bins as u64 - 1;
                assert_eq!(sample.movement, Some(last as f64));
                assert_eq!(sample.label, Some(i32::try_from(last % 3).unwrap()));
                assert_eq!(sample.ts_event, made::START_NS + last * made::BIN_NS + 900);
                (sample.file, sample.row)
            })
            .collect();
        assert_eq!(found, expected, "{n_bins} bins, stride {stride}");
    };
    // File 0: rows 0..40, 40..45, 45..75. File 1: rows 0..50. File 2: rows 0..3.
    check(40, 1, &[(0, 0)].into_iter().chain((0..=10).map(|r| (1, r))).collect::<Vec<_>>());
    check(30, 10, &[(0, 0), (0, 10), (0, 45), (1, 0), (1, 10), (1, 20)]);
    check(50, 7, &[(1, 0)]);
    let short: Vec<(usize, u64)> = [(0, 0..36), (0, 40..41), (0, 45..71), (1, 0..46)]
        .into_iter()
        .flat_map(|(file, rows)| rows.map(move |row| (file, row)))
        .collect();
    check(5, 1, &short);
}

#[test]
fn images_equal_those_of_the_rows_read_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let store = Store::open(folder.path()).unwrap();
    for features in [&[Feature::Volume][..], &[Feature::Variance], &Feature::ALL] {
        let spec = render(12, features);
        let window = WindowSpec { n_bins: 12, stride: 1 };
        let dataset = Dataset::open(folder.path(), window, spec.clone()).unwrap();
        let uncached = dataset.clone().with_cache_bytes(0);
        let (mut scratch, mut renderer) = (Scratch::default(), Renderer::default());
        let mut image = vec![f32::NAN; dataset.sample_len()];
        let mut expected = image.clone();
        // Three passes: not cached, being cached, cached.
        for _ in 0..3 {
            for index in 0..dataset.len() {
                let sample = dataset.get(index, &mut scratch, &mut image).unwrap();
                let mut bins = BinColumns::default();
                let rows = sample.row..sample.row + 12;
                store.files()[sample.file].read(rows, &mut bins).unwrap();
                renderer.render(&spec, bins.as_slice(0..12), &mut expected).unwrap();
                assert!(image == expected, "sample {index}");
                uncached.get(index, &mut scratch, &mut image).unwrap();
                assert!(image == expected, "sample {index}, no cache");
            }
        }
        let (hits, misses) = dataset.cache_hits_and_misses();
        assert!(hits > misses && misses > 0, "{hits} hits, {misses} misses");
        assert_eq!(uncached.cache_hits_and_misses().0, 0);
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let open = |n_bins, stride, spec: RenderSpec| {
        Dataset::open(folder.path(), WindowSpec { n_bins, stride }, spec)
    };
    let refused = open(51, 1, render(51, &[Feature::Volume])).unwrap_err().to_string();
    assert!(refused.contains("no window of `51` bins: its longest run has `50`"), "{refused}");
    for (n_bins, stride, spec) in [
        (5, 0, render(5, &[Feature::Volume])),
        (5, 1, render(6, &[Feature::Volume])),
        (5, 1, render(5, &[])),
        (0, 1, render(0, &[Feature::Volume])),
    ] {
        let refused = open(n_bins, stride, spec).unwrap_err();
        assert!(matches!(refused, LoaderError::Config { .. }), "{refused}");
    }
    let dataset = open(50, 1, render(50, &[Feature::Volume])).unwrap();
    let mut image = vec![0.0; dataset.sample_len()];
    let refused = dataset.get(1, &mut Scratch::default(), &mut image).unwrap_err();
    assert!(matches!(refused, LoaderError::OutOfRange { index: 1, len: 1 }), "{refused}");
    let short = dataset.get(0, &mut Scratch::default(), &mut image[1..]).unwrap_err();
    assert!(short.to_string().contains("cannot load the window at row `0`"), "{short}");
}

#[test]
fn a_damaged_page_names_file_and_row() {
    let folder = tempfile::tempdir().unwrap();
    made::store(folder.path());
    let path = folder.path().join(partition_path("2023-11-14", 2));
    let mut bytes = fs::read(&path).unwrap();
    // The values of the first page of `bid_px_00` lie behind its dictionary, after the columns
    // before it: damage a stretch in the middle of the pages.
    let middle = bytes.len() / 4;
    bytes[middle..middle + 3_000].fill(0x55);
    fs::write(&path, &bytes).unwrap();
    let window = WindowSpec { n_bins: 10, stride: 1 };
    let dataset = Dataset::open(folder.path(), window, render(10, &Feature::ALL)).unwrap();
    let mut scratch = Scratch::default();
    let mut image = vec![0.0; dataset.sample_len()];
    let mut failed = 0;
    for index in 0..dataset.len() {
        if let Err(refused) = dataset.get(index, &mut scratch, &mut image) {
            let message = refused.to_string();
            assert!(message.contains("instrument_id=2"), "{message}");
            assert!(message.contains("cannot load the window at row"), "{message}");
            assert!(message.contains("is damaged: column `"), "{message}");
            failed += 1;
        }
    }
    assert!(failed > 0, "the damage lies in the first pages of some columns");
}
