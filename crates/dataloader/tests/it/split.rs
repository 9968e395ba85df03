use std::collections::BTreeSet;

use lob_dataloader::{Dataset, LoaderError, Scratch, SplitSpec, WindowSpec};
use lob_depth::RenderSpec;

use crate::made;

fn dataset(folder: &std::path::Path, stride: usize) -> Dataset {
    made::file(&folder.join("a.parquet"), &[400, 100, 500], 1);
    made::file(&folder.join("b.parquet"), &[700], 2);
    let render = RenderSpec { n_bins: 10, ..RenderSpec::default() };
    Dataset::open(folder, WindowSpec { n_bins: 10, stride }, render).unwrap()
}

/// File and first row of every window.
fn windows(part: &Dataset) -> Vec<(usize, u64)> {
    let mut bins = lob_depth::BinColumns::default();
    (0..part.len()).map(|index| part.bins(index, &mut bins).unwrap()).collect()
}

#[test]
fn parts_are_apart_in_time_and_share_no_bin() {
    let folder = tempfile::tempdir().unwrap();
    let whole = dataset(folder.path(), 3);
    let embargo_ns = 20 * made::BIN_NS;
    let spec = SplitSpec { train: 0.6, validation: 0.2, embargo_ns };
    let splits = whole.split(spec).unwrap();
    let all: BTreeSet<_> = windows(&whole).into_iter().collect();
    let (train, validation, test) =
        (windows(&splits.train), windows(&splits.validation), windows(&splits.test));
    // Row r of either file ends at the same moment: rows stand for times.
    let first = |part: &[(usize, u64)]| part.iter().map(|w| w.1).min().unwrap();
    let last = |part: &[(usize, u64)]| part.iter().map(|w| w.1 + 9).max().unwrap();
    assert!(first(&validation) >= last(&train) + 20, "{} {}", last(&train), first(&validation));
    assert!(first(&test) >= last(&validation) + 20);
    assert!(train.iter().chain(&validation).chain(&test).all(|window| all.contains(window)));
    let share = train.len() as f64 / all.len() as f64;
    assert!((share - 0.6).abs() < 0.02, "{share}");
    let left_out = all.len() - train.len() - validation.len() - test.len();
    assert!(left_out > 0 && left_out < all.len() / 10, "{left_out}");
    // The parts can be loaded.
    let mut image = vec![0.0; splits.test.sample_len()];
    splits.test.get(0, &mut Scratch::default(), &mut image).unwrap();
}

#[test]
fn a_split_without_embargo_loses_only_windows_across_a_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = dataset(folder.path(), 1);
    let spec = SplitSpec { train: 0.5, validation: 0.0, embargo_ns: 0 };
    let splits = whole.split(spec).unwrap();
    assert!(splits.validation.is_empty());
    let n = splits.train.len() + splits.test.len();
    // Nine windows of ten bins lie across a cut in each of the two files.
    assert_eq!(whole.len() - n, 18);
    let again = whole.split(spec).unwrap();
    assert_eq!(again.cuts_ns, splits.cuts_ns);
}

#[test]
fn impossible_splits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = dataset(folder.path(), 1);
    for (train, validation, embargo_ns) in [
        (0.0, 0.5, 0),
        (1.0, 0.0, 0),
        (0.5, 0.5, 0),
        (0.5, -0.1, 0),
        (f64::NAN, 0.1, 0),
        (0.5, 0.2, u64::MAX),
    ] {
        let refused = whole.split(SplitSpec { train, validation, embargo_ns }).unwrap_err();
        assert!(matches!(refused, LoaderError::Config { option: "split", .. }), "{refused}");
    }
}
