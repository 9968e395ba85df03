//! Inputs that hold the same market: one is taken, the others are named, and a doubt is an error.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dbn::Mbp10Msg;
use lob_convert::{
    ConvertConfig, ConvertError, ConvertSummary, DuplicateKind, Layout, Progress, Shard, convert,
};
use lob_synth::{Schema, SynthConfig};

use crate::{
    made::{DAY_1, Mapped, SECOND_NS, books, updates},
    market, small, tree,
};

/// Bins of 20 updates of files that have a few hundred.
fn tiny(out: PathBuf) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (20, 20, 5);
    config
}

fn left_out(summary: &ConvertSummary) -> Vec<(String, String, DuplicateKind)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let all = summary.duplicates.iter();
    all.map(|found| (name(&found.path), name(&found.of), found.why)).collect()
}

fn names(summary: &ConvertSummary) -> Vec<String> {
    let inputs = summary.inputs.iter();
    inputs.map(|i| i.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn files(out: &Path) -> Vec<(String, Vec<u8>)> {
    let names = tree(out).into_iter().filter(|name| name.ends_with(".parquet"));
    names.map(|name| (name.clone(), fs::read(out.join(&name)).unwrap())).collect()
}

/// Asserts that `paths` in any order give the rows of `taken` alone.
fn check(paths: &[PathBuf], taken: &Path, why: DuplicateKind) {
    for layout in [Layout::Bins, Layout::Ticks] {
        let folder = tempfile::tempdir().unwrap();
        let config = |name: &str| ConvertConfig { layout, ..tiny(folder.path().join(name)) };
        let alone = convert(&[taken.to_owned()], &config("alone"), &()).unwrap();
        for (n, paths) in [paths.to_vec(), paths.iter().rev().cloned().collect()].iter().enumerate()
        {
            let config = config(&format!("out-{n}"));
            let summary = convert(paths, &config, &()).unwrap();
            assert_eq!(summary.rows, alone.rows, "{paths:?}");
            assert_eq!((summary.records, summary.inputs.len()), (alone.records, 1));
            assert_eq!(summary.duplicates.len(), paths.len() - 1);
            for found in &summary.duplicates {
                assert_eq!((&found.of, found.why), (&summary.inputs[0].path, why));
                let warning = summary.warnings.iter().find(|w| w.contains("is left out")).unwrap();
                assert!(warning.contains(summary.inputs[0].path.to_str().unwrap()), "{warning}");
            }
        }
    }
}

fn doubt(paths: &[PathBuf], config: &ConvertConfig) -> String {
    let error = convert(paths, config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::SameMarket { .. }), "{error}");
    assert!(!config.out.exists(), "{:?}", tree(&config.out));
    let text = error.to_string();
    for path in paths {
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
    text
}

#[test]
fn a_day_and_its_copies_are_one_day() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("again")).unwrap();
    for schema in ["mbp-10", "mbo"] {
        let name = |rest: &str| format!("day.{schema}.{rest}");
        let packed = market(folder.path(), &name("dbn.zst"), 3_000, 2, 1);
        let raw = market(folder.path(), &name("dbn"), 3_000, 2, 1);
        let other =
            market(&folder.path().join("again"), &format!("x.{schema}.dbn.zst"), 3_000, 2, 1);
        let paths = [packed.clone(), raw, other];
        // The first one is taken; all have the same rows.
        check(&paths, &packed, DuplicateKind::Copy);
    }
}

#[test]
fn a_part_of_a_day_is_not_taken_beside_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let all = updates(17, DAY_1, 400, 100);
    let write = |name: &str, records: &[Mbp10Msg]| books(folder.path(), name, &[], records);
    let day = write("day.dbn", &all);
    check(&[day.clone(), write("begin.dbn", &all[..150])], &day, DuplicateKind::Part);
    check(&[day.clone(), write("middle.dbn", &all[100..300])], &day, DuplicateKind::Part);
    check(&[day.clone(), write("end.dbn", &all[250..])], &day, DuplicateKind::Part);
    check(&[day.clone(), write("one.dbn", &all[250..251])], &day, DuplicateKind::Part);
    let both: Vec<_> =
        all.iter().zip(updates(18, DAY_1, 400, 90)).flat_map(|(a, b)| [a.clone(), b]).collect();
    let both = write("both.dbn", &both);
    check(&[day, both.clone()], &both, DuplicateKind::Part);
}

/// A cut may part the records of one instant.
#[test]
fn a_part_that_ends_within_an_instant_is_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = updates(17, DAY_1, 300, 100);
    for (n, record) in all.iter_mut().enumerate() {
        record.ts_recv = DAY_1 + (n as u64 / 7) * SECOND_NS;
        record.sequence = n as u32;
    }
    let day = books(folder.path(), "day.dbn", &[], &all);
    let part = books(folder.path(), "part.dbn", &[], &all[10..100]);
    check(&[day.clone(), part], &day, DuplicateKind::Part);
    // One record that the day does not have.
    let mut other = all[10..100].to_vec();
    other[50].size += 1;
    let other = books(folder.path(), "other.dbn", &[], &other);
    doubt(&[day.clone(), other], &tiny(folder.path().join("out")));
    let mut edge = all[10..100].to_vec();
    edge[0].size += 1;
    let edge = books(folder.path(), "edge.dbn", &[], &edge);
    doubt(&[day, edge], &tiny(folder.path().join("out")));
}

#[test]
fn mbp_10_is_taken_beside_mbo_unless_it_covers_less() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, schema, records| {
        let path = folder.path().join(name);
        let config = SynthConfig { records, instruments: 2, sessions: 1, seed: 3, schema };
        lob_synth::write_file(&config, &path).unwrap();
        path
    };
    let mbo = write("day.mbo.dbn.zst", Schema::Mbo, 4_000);
    let mbp = write("day.mbp-10.dbn.zst", Schema::Mbp10, 4_000);
    check(&[mbo, mbp.clone()], &mbp, DuplicateKind::OtherSchema);
    let mbo = write("days.mbo.dbn.zst", Schema::Mbo, 60_000);
    let mbp = write("hour.mbp-10.dbn.zst", Schema::Mbp10, 3_000);
    check(&[mbo.clone(), mbp], &mbo, DuplicateKind::OtherSchema);
}

#[test]
fn other_records_at_the_same_time_are_a_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, id, from: u64, n, steps| {
        books(
            folder.path(),
            name,
            &[Mapped("ESM4", id, 1, 2)],
            &updates(id, DAY_1 + from * SECOND_NS, n, steps),
        )
    };
    let config = tiny(folder.path().join("out"));
    let first = write("a.dbn", 17, 0, 300, 100);
    // Overlapping ends, with the same records and with others; the whole time, with others.
    for second in [
        write("b.dbn", 17, 150, 300, 100),
        write("c.dbn", 17, 299 - 1, 300, 100),
        write("d.dbn", 17, 0, 300, 200),
        write("e.dbn", 17, 100, 50, 200),
    ] {
        let text = doubt(&[first.clone(), second.clone()], &config);
        assert!(text.contains("ESM4 (id 17)") && text.contains("--keep-duplicates"), "{text}");
        doubt(&[second.clone(), first.clone()], &config);
        let kept = ConvertConfig { keep_duplicates: true, ..tiny(folder.path().join("kept")) };
        let summary = convert(&[first.clone(), second], &kept, &()).unwrap();
        assert_eq!((summary.inputs.len(), summary.duplicates.len()), (2, 0));
        fs::remove_dir_all(&kept.out).unwrap();
    }
}

#[test]
fn a_run_that_keeps_going_converts_what_is_in_no_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, id, steps| books(folder.path(), name, &[], &updates(id, DAY_1, 300, steps));
    let paths = [
        write("a.dbn", 17, 100),
        write("b.dbn", 17, 200),
        write("c.dbn", 18, 100),
        write("d.dbn", 18, 100),
    ];
    let config = ConvertConfig { keep_going: true, ..tiny(folder.path().join("out")) };
    let error = convert(&paths, &config, &()).unwrap_err();
    let ConvertError::SomeFailed { failures, done, .. } = error else { panic!("{error}") };
    assert_eq!((failures.len(), names(&done)), (1, vec!["c.dbn".to_owned()]));
    assert_eq!(left_out(&done), [("d.dbn".into(), "c.dbn".into(), DuplicateKind::Copy)]);
    assert_eq!(files(&config.out).len(), 1);
}

/// Files that share a header's window and instruments but no time, and those that share a time but
/// no instrument.
#[test]
fn what_follows_or_stands_beside_is_no_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let mapped = [Mapped("ESM4", 17, 1, 2), Mapped("NQM4", 18, 1, 2)];
    let all = updates(17, DAY_1, 400, 100);
    let write = |name: &str, records: &[Mbp10Msg]| books(folder.path(), name, &mapped, records);
    // One instant on both sides of the cut.
    let mut touching = all[200..].to_vec();
    touching[0].ts_recv = all[199].ts_recv;
    // A stamp the vendor marks as bad, a day off.
    let mut marked = all[200..].to_vec();
    marked[7].ts_recv = DAY_1 + 10 * SECOND_NS;
    marked[7].flags.set_bad_ts_recv();
    // A snapshot of what was before.
    let mut snapshot = all[200..].to_vec();
    snapshot[0].ts_recv = DAY_1;
    snapshot[0].flags.set_snapshot();
    // Times that cannot be, before and after.
    let mut odd = all[200..].to_vec();
    (odd[3].ts_recv, odd[3].hd.ts_event) = (5, 6);
    (odd[9].ts_recv, odd[9].hd.ts_event) = (u64::MAX - 1, u64::MAX - 1);
    let mut venue = all.clone();
    venue.iter_mut().for_each(|record| record.hd.publisher_id = 2);
    let first = write("1.dbn", &all[..200]);
    let cases = [
        vec![first.clone(), write("2.dbn", &all[200..])],
        vec![first.clone(), write("3.dbn", &touching)],
        vec![first.clone(), write("4.dbn", &marked)],
        vec![first.clone(), write("5.dbn", &snapshot)],
        vec![first.clone(), write("odd.dbn", &odd)],
        vec![write("6.dbn", &all), write("7.dbn", &updates(18, DAY_1, 400, 100))],
        vec![write("8.dbn", &all), write("9.dbn", &venue)],
    ];
    for (n, paths) in cases.iter().enumerate() {
        let summary = convert(paths, &tiny(folder.path().join(format!("out-{n}"))), &()).unwrap();
        assert_eq!((summary.inputs.len(), summary.duplicates.len()), (paths.len(), 0), "{n}");
        let said: Vec<_> = summary.warnings.iter().filter(|w| w.contains("is left out:")).collect();
        assert!(said.is_empty(), "{n}: {said:?}");
    }
}

#[test]
fn filters_part_what_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, ids: [u32; 2], steps| {
        let names = ["ESM4", "NQM4", "CLM4"];
        let mapped = ids.map(|id| Mapped(names[id as usize - 17], id, 1, 2));
        let records: Vec<_> = ids.iter().flat_map(|id| updates(*id, DAY_1, 300, steps)).collect();
        books(folder.path(), name, &mapped, &records)
    };
    let paths = [write("a.dbn", [17, 18], 100), write("b.dbn", [18, 19], 200)];
    let config = tiny(folder.path().join("out"));
    assert!(doubt(&paths, &config).contains("NQM4 (id 18)"));
    let symbols = ["ESM4", "CLM4"].map(str::to_owned).to_vec();
    let summary = convert(&paths, &ConvertConfig { symbols, ..config.clone() }, &()).unwrap();
    assert_eq!((summary.inputs.len(), summary.outputs.len()), (2, 2));
    fs::remove_dir_all(&config.out).unwrap();
    let ids = ConvertConfig { instrument_ids: vec![18], ..config };
    assert!(doubt(&paths, &ids).contains("NQM4"));
}

#[test]
fn a_second_run_knows_what_the_store_holds() {
    let folder = tempfile::tempdir().unwrap();
    let all = updates(17, DAY_1, 400, 100);
    let write = |name: &str, records: &[Mbp10Msg]| books(folder.path(), name, &[], records);
    let day = write("day.dbn", &all);
    for (is_there, layout) in
        [(true, Layout::Bins), (false, Layout::Bins), (true, Layout::Ticks), (false, Layout::Ticks)]
    {
        write("day.dbn", &all);
        let out = folder.path().join(format!("out-{is_there}-{layout:?}"));
        let config = ConvertConfig { layout, ..tiny(out) };
        let first = convert(std::slice::from_ref(&day), &config, &()).unwrap();
        let before = files(&config.out);
        let copy = write("copy.dbn", &all);
        if !is_there {
            fs::remove_file(&day).unwrap();
        }
        // The same under another name: the store stays, and what it holds is what is counted.
        let again = convert(&[copy], &config, &()).unwrap();
        assert_eq!((again.rows, again.records), (first.rows, first.records));
        assert_eq!(left_out(&again), [("copy.dbn".into(), "day.dbn".into(), DuplicateKind::Copy)]);
        assert!(again.duplicates[0].in_store && again.inputs[0].resumed);
        assert_eq!(files(&config.out), before);
        // A part: known as such while the day can be read, in doubt when it is gone.
        let part = write("part.dbn", &all[100..200]);
        match convert(std::slice::from_ref(&part), &config, &()) {
            Ok(summary) if is_there => assert_eq!(summary.duplicates[0].why, DuplicateKind::Part),
            Err(ConvertError::SameMarket { .. }) if !is_there => {}
            other => panic!("{other:?}"),
        }
        // More than the store has is no duplicate, and not to be told from what it has.
        let more = write("more.dbn", &updates(17, DAY_1, 800, 100));
        let error = convert(&[more], &config, &()).unwrap_err();
        assert!(error.to_string().contains("in the store"), "{error}");
        assert_eq!(files(&config.out), before, "a doubt leaves the store as it was");
        // The next hours come as they did.
        let next = write("next.dbn", &updates(17, DAY_1 + 400 * SECOND_NS, 300, 100));
        let summary = convert(&[next, part], &config, &());
        if is_there {
            let summary = summary.unwrap();
            assert_eq!((summary.duplicates.len(), files(&config.out).len()), (1, before.len() + 1));
        }
        // And the day itself again is the day.
        write("day.dbn", &all);
        let summary = convert(std::slice::from_ref(&day), &config, &()).unwrap();
        assert_eq!((summary.rows, summary.duplicates.len()), (first.rows, 0));
    }
}

/// A source delivered again under its own name is no duplicate of what it was.
#[test]
fn a_redelivery_is_no_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(folder.path().join("out"));
    for steps in [100, 200, 100] {
        let day = books(folder.path(), "day.dbn", &[], &updates(17, DAY_1, 400, steps));
        let summary = convert(&[day], &config, &()).unwrap();
        assert_eq!((summary.duplicates.len(), files(&config.out).len()), (0, 1));
    }
}

#[test]
fn shards_leave_out_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..6)
        .map(|n| {
            let records = updates(17 + n / 2, DAY_1, 300, 100);
            books(folder.path(), &format!("{n}.dbn"), &[], &records)
        })
        .collect();
    let alone = tiny(folder.path().join("alone"));
    convert(&paths, &alone, &()).unwrap();
    let shared = tiny(folder.path().join("shared"));
    for index in 0..4 {
        let shard = Some(Shard { index, count: 4 });
        let summary = convert(&paths, &ConvertConfig { shard, ..shared.clone() }, &()).unwrap();
        assert_eq!(summary.duplicates.len(), 3, "each names all");
    }
    assert_eq!(files(&alone.out), files(&shared.out));
    assert_eq!(files(&alone.out).len(), 3);
}

#[test]
fn a_damaged_copy_is_named_for_its_damage() {
    let folder = tempfile::tempdir().unwrap();
    let whole = market(folder.path(), "a.mbp-10.dbn.zst", 3_000, 1, 1);
    let cut = folder.path().join("b.mbp-10.dbn.zst");
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let config = small(folder.path().join("out"));
    let error = convert(&[whole, cut], &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Truncated { .. }), "{error}");
}

/// Asks to stop at the `n`th question.
struct StopsAt(std::sync::atomic::AtomicU64);

impl Progress for StopsAt {
    fn started(&self, _: usize, _: u64) {
        panic!("the comparison did not look at the signal");
    }

    fn is_cancelled(&self) -> bool {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 1
    }
}

#[test]
fn a_comparison_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let paths =
        ["a", "b"].map(|name| market(folder.path(), &format!("{name}.mbp-10.dbn"), 3_000, 1, 1));
    // While headers are read, while the first file is, and while the second is.
    for n in [1, 4, 9] {
        let config = small(folder.path().join("out"));
        let error = convert(&paths, &config, &StopsAt(n.into())).unwrap_err();
        assert!(matches!(error, ConvertError::Interrupted), "{error}");
        assert!(!config.out.exists());
    }
}
