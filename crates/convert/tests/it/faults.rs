//! Workers that panic, more instruments than a process has file handles, and names that are paths.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use lob_convert::{ConvertConfig, ConvertError, InputSummary, Layout, Progress, convert};
use lob_store::Store;

use crate::{
    made::{DAY_1, Mapped, SECOND_NS, books, update, updates},
    market, several, small, tree,
};

/// Panics when the second of the inputs begins.
struct Panics;

impl Progress for Panics {
    fn input_started(&self, path: &Path, _: u64) {
        assert!(!path.ends_with("1.mbp-10.dbn.zst"), "a made-up fault");
    }
}

struct Counts(std::sync::atomic::AtomicU64);

impl Progress for Counts {
    fn input_done(&self, input: &InputSummary) {
        self.0.fetch_add(u64::from(input.resumed), std::sync::atomic::Ordering::Relaxed);
    }
}

/// The run ends, with the panic; what other workers had finished is whole, and a second run takes
/// it over.
#[test]
fn a_panicking_worker_ends_the_run_and_leaves_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let names = [0, 1, 2].map(|n| format!("{n}.mbp-10.dbn.zst"));
    let inputs = [0, 1, 2].map(|n| market(folder.path(), &names[n], 2_000 + n as u64, 1, 1));
    let whole = several(folder.path().join("whole"));
    convert(&inputs, &whole, &()).unwrap();
    for jobs in [1, 3] {
        let out = folder.path().join(format!("out-{jobs}"));
        let config = ConvertConfig { jobs, resume: true, ..several(out) };
        let run = || convert(&inputs, &config, &Panics);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let files = tree(&config.out);
        assert!(
            !files.iter().any(|name| name.contains("tmp") || name.contains("lock")),
            "{files:?}"
        );
        let resumed = Counts(0.into());
        convert(&inputs, &config, &resumed).unwrap();
        let finished = files.iter().filter(|name| name.ends_with(".parquet")).count();
        assert_eq!(resumed.0.into_inner(), finished as u64);
        let parquet = |root: &Path| {
            let all = tree(root).into_iter().filter(|name| name.ends_with(".parquet"));
            all.map(|name| std::fs::read(root.join(name)).unwrap()).collect::<Vec<_>>()
        };
        assert!(parquet(&config.out) == parquet(&whole.out), "{jobs} jobs");
    }
}

/// Found by the target `config_toml`: a journal stayed, which bound the folder to settings that had
/// made nothing.
#[test]
fn a_run_without_a_bin_leaves_nothing_whatever_it_may_keep() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1);
    let plain = small(folder.path().join("out"));
    let nothing = ConvertConfig { instrument_ids: vec![1], ..plain.clone() };
    for (resume, keep_going) in [(false, false), (true, false), (false, true), (true, true)] {
        let config = ConvertConfig { resume, keep_going, ..nothing.clone() };
        let error = convert(std::slice::from_ref(&input), &config, &()).unwrap_err();
        assert!(matches!(error, ConvertError::NoBins { .. }), "{error}");
        assert!(!config.out.exists(), "{:?}", tree(&config.out));
    }
    convert(std::slice::from_ref(&input), &plain, &()).unwrap();
}

/// A file a partition, but never all of them open: memory and handles stay bounded. A release build
/// with `LOBLAB_INSTRUMENTS=100000` gives the figure of docs/RELIABILITY.md.
#[test]
fn many_instruments_are_many_files_and_few_handles() {
    let asked = std::env::var("LOBLAB_INSTRUMENTS").ok().and_then(|n| n.parse().ok());
    let n: u32 = asked.unwrap_or(400);
    let folder = tempfile::tempdir().unwrap();
    let mut records: Vec<_> = (0..2_u64)
        .flat_map(|round| {
            (0..n).map(move |id| {
                update(id + 1, DAY_1 + round * SECOND_NS + u64::from(id), 10 + i64::from(id % 7))
            })
        })
        .collect();
    records.sort_by_key(|record| record.hd.ts_event);
    let input = books(folder.path(), "many.mbp-10.dbn", &[], &records);
    let mut config = small(folder.path().join("out"));
    config.bin_rule = lob_depth::BinRule::Updates(1);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (1, 1, 0);
    let start = std::time::Instant::now();
    let summary = convert(&[input], &config, &Handles).unwrap();
    println!("{n} instruments in {:.1} s", start.elapsed().as_secs_f64());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    }
    assert_eq!((summary.outputs.len() as u32, summary.rows), (n, 2 * u64::from(n)));
    assert_eq!(Store::open(&config.out).unwrap().total_bins(), 2 * u64::from(n));
}

/// Counts the open files while a run goes on.
struct Handles;

impl Progress for Handles {
    fn advanced(&self, _: &Path, _: u64, _: u64) {
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            assert!(open.count() < 256, "open files must not grow with instruments");
        }
    }
}

/// Stops at the given question.
struct StopsAt(u64, AtomicU64);

impl Progress for StopsAt {
    fn is_cancelled(&self) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed) + 1 >= self.0
    }
}

#[test]
fn a_run_stops_between_the_files_of_one_input() {
    let n = 40_u32;
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..n).map(|id| update(id + 1, DAY_1 + u64::from(id), 10)).collect();
    let input = books(folder.path(), "many.mbp-10.dbn", &[], &records);
    for layout in [Layout::Bins, Layout::Ticks] {
        let mut config = small(folder.path().join(format!("{layout:?}")));
        config.layout = layout;
        config.bin_rule = lob_depth::BinRule::Updates(1);
        (config.label.lookback, config.label.lookforward, config.label.offset) = (1, 1, 0);
        let all = StopsAt(u64::MAX, 0.into());
        convert(std::slice::from_ref(&input), &config, &all).unwrap();
        let all = all.1.into_inner();
        assert!(all > u64::from(n), "asked {all} times");
        std::fs::remove_dir_all(&config.out).unwrap();
        // Near the last file: what was read and written by then is taken away again.
        let error = convert(std::slice::from_ref(&input), &config, &StopsAt(all - 2, 0.into()));
        assert!(matches!(error, Err(ConvertError::Interrupted)), "{error:?}");
        assert!(!config.out.exists(), "{:?}", tree(&config.out));
    }
}

/// A symbol is text of whoever made the file: it names no path and comes back as it went in. DBN has
/// room for ASCII only.
#[test]
fn symbols_with_slashes_dots_and_line_ends_are_only_text() {
    let symbols = ["../../../up", "a/b\\c", "new\nline", "..", "\u{1b}[2J", "<b>&", " "];
    let folder = tempfile::tempdir().unwrap();
    let mapped: Vec<_> = (1..).zip(symbols).map(|(id, symbol)| Mapped(symbol, id, 1, 2)).collect();
    let mut records: Vec<_> =
        mapped.iter().flat_map(|m| updates(m.1, DAY_1 + u64::from(m.1), 60, 100)).collect();
    records.sort_by_key(|record| record.hd.ts_event);
    let input = books(folder.path(), "odd.mbp-10.dbn", &mapped, &records);
    for layout in [Layout::Bins, Layout::Ticks] {
        let mut config = small(folder.path().join(format!("{layout:?}")));
        config.layout = layout;
        (config.label.lookback, config.label.lookforward, config.label.offset) = (5, 5, 1);
        let before = tree(folder.path()).len();
        let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let mut found: Vec<_> = summary.outputs.iter().map(|o| o.symbol.as_str()).collect();
        let mut expected = symbols.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        // Everything is inside the store.
        assert_eq!(tree(folder.path()).len(), before + 1 + tree(&config.out).len());
        if layout == Layout::Bins {
            let store = Store::open(&config.out).unwrap();
            let mut kept: Vec<_> =
                store.files().iter().map(|file| file.meta().symbol.clone()).collect();
            kept.sort_unstable();
            assert_eq!(kept, expected);
        }
        // A filter by such a name finds its instrument.
        let mut one = small(folder.path().join(format!("one-{layout:?}")));
        (one.layout, one.symbols) = (layout, vec!["../../../up".to_owned()]);
        one.label = config.label;
        assert_eq!(convert(std::slice::from_ref(&input), &one, &()).unwrap().outputs.len(), 1);
    }
}
