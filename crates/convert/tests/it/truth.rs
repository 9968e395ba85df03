//! The truth of a synthetic market, joined to bins.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dbn::{
    MboMsg, Mbp10Msg,
    decode::{DecodeRecord, DynDecoder},
};
use lob_book::Replayer;
use lob_convert::{ConvertConfig, ConvertError, Layout, TruthCounts, convert};
use lob_depth::BinRule;
use lob_store::{LabelKind, Store, StoreError, Truth, TruthKey, TruthWriter};
use lob_synth::{Schema, SynthConfig};

use crate::{small, tree};

fn push(writer: &mut TruthWriter, of: &lob_synth::Truth<'_>) -> std::io::Result<()> {
    let key = TruthKey {
        instrument_id: of.instrument_id,
        sequence: of.sequence,
        ts_event: of.ts_event,
        ts_recv: of.ts_recv,
    };
    let truth = Truth { regime: of.regime, pressure: of.pressure_percent.into() };
    writer.push(of.symbol, key, truth).map_err(std::io::Error::other)
}

/// Writes a market of one file and its truth; what the simulator said of each record.
fn synth(path: &Path, truth: &Path, seed: u64) -> Vec<(u8, i32)> {
    let schema = if path.to_string_lossy().contains("mbo") { Schema::Mbo } else { Schema::Mbp10 };
    let config = SynthConfig { records: 30_000, instruments: 3, sessions: 2, seed, schema };
    let (mut writer, mut said) = (TruthWriter::create(truth).unwrap(), Vec::new());
    lob_synth::write_file_with_truth(&config, path, &|| false, &mut |of| {
        said.push((of.regime, of.pressure_percent));
        push(&mut writer, of)
    })
    .unwrap();
    writer.finish().unwrap();
    said
}

/// The truth behind each update that becomes part of a bin, by its place in the file alone.
fn by_place(path: &Path, said: &[(u8, i32)]) -> BTreeMap<u32, Vec<(u8, i32)>> {
    let mut decoder = DynDecoder::from_file(path, dbn::VersionUpgradePolicy::default()).unwrap();
    let mut replayer = Replayer::new();
    let mut all: BTreeMap<u32, Vec<(u8, i32)>> = BTreeMap::new();
    let mut of_update = |update: &Mbp10Msg, said| {
        if !update.flags.is_snapshot() {
            all.entry(update.hd.instrument_id).or_default().push(said);
        }
    };
    let is_mbo = path.to_string_lossy().contains("mbo");
    for said in said {
        if is_mbo {
            let order = decoder.decode_record::<MboMsg>().unwrap().unwrap();
            if let Some(update) = replayer.push_ref(order).unwrap() {
                of_update(update, *said);
            }
        } else {
            of_update(decoder.decode_record::<Mbp10Msg>().unwrap().unwrap(), *said);
        }
    }
    all
}

fn config(folder: &Path, truth: &Path) -> ConvertConfig {
    ConvertConfig { truth: Some(truth.to_owned()), ..small(folder.join("out")) }
}

#[test]
fn bins_have_the_truth_of_their_last_update() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rule) in [
        ("a.mbp-10.dbn.zst", BinRule::Updates(20)),
        ("b.mbo.dbn", BinRule::Updates(7)),
        ("c.mbp-10.dbn", BinRule::TimeNs(900_000_000)),
        ("d.mbp-10.dbn", BinRule::Volume(50)),
    ] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let (input, truth) = (folder.join(name), folder.join("truth.parquet"));
        let said = by_place(&input, &synth(&input, &truth, 5));
        let config = ConvertConfig { bin_rule: rule, ..config(&folder, &truth) };
        let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let all = TruthCounts { joined: summary.rows, missing: 0 };
        assert_eq!(
            (summary.truth, summary.warnings.len()),
            (Some(all), 0),
            "{:?}",
            summary.warnings
        );
        assert_eq!(summary.labels.last().unwrap().name, "true_pressure");
        let store = Store::open(&config.out).unwrap();
        let mut regimes = [0; 4];
        for file in store.files() {
            let said = &said[&file.meta().instrument_id];
            let rows = file.rows(0..file.len()).unwrap();
            let values = |name| file.label_values(name, 0..file.len()).unwrap();
            let (regime, pressure) = (values("true_regime"), values("true_pressure"));
            for (i, row) in rows.iter().enumerate() {
                let (expected, percent) = said[row.bin.last_update as usize];
                assert_eq!(regime.class[i], Some(i32::from(expected)), "{name}, row {i}");
                assert_eq!(regime.value[i], Some(f64::from(expected)));
                assert_eq!(
                    (pressure.value[i], pressure.class[i]),
                    (Some(f64::from(percent)), None)
                );
                regimes[usize::from(expected)] += 1;
            }
            let label = file.meta().labels.iter().find(|of| of.kind == LabelKind::TrueRegime);
            let label = label.unwrap();
            assert_eq!((label.classes, label.horizon), (4, 0));
            assert!(label.rule.starts_with("calm, normal, busy, stressed: truth of XXH3-128 "));
        }
        assert!(regimes.iter().filter(|n| **n > 0).count() > 1, "{name}: {regimes:?}");
    }
}

/// A folder of days has one truth, and neither jobs nor the choice of instruments change a value.
#[test]
fn folders_jobs_and_filters_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (days, truth) = (folder.path().join("days"), folder.path().join("truth.parquet"));
    let synth =
        SynthConfig { records: 30_000, instruments: 3, sessions: 3, ..SynthConfig::default() };
    let mut writer = TruthWriter::create(&truth).unwrap();
    lob_synth::write_sessions_with_truth(&synth, &days, &|| false, &mut |of| push(&mut writer, of))
        .unwrap();
    writer.finish().unwrap();
    let bytes = |config: &ConvertConfig| {
        let summary = convert(std::slice::from_ref(&days), config, &()).unwrap();
        assert_eq!(summary.truth, Some(TruthCounts { joined: summary.rows, missing: 0 }));
        let store = Store::open(&config.out).unwrap();
        let file = |file: &std::sync::Arc<lob_store::BinFile>| {
            let path = file.path().strip_prefix(&config.out).unwrap().to_owned();
            (path, std::fs::read(file.path()).unwrap())
        };
        store.files().iter().map(file).collect::<BTreeMap<PathBuf, _>>()
    };
    let out = |name: &str| ConvertConfig {
        truth: Some(truth.clone()),
        ..small(folder.path().join(name))
    };
    let one = bytes(&out("one"));
    assert_eq!(one.len(), 9);
    assert!(one == bytes(&ConvertConfig { jobs: 3, ..out("jobs") }));
    let some = bytes(&ConvertConfig { symbols: vec!["ESM4".to_owned()], ..out("some") });
    assert_eq!(some.len(), 3);
    // The name of the truth file is in no byte of the store.
    std::fs::rename(&truth, folder.path().join("moved.parquet")).unwrap();
    let moved = ConvertConfig {
        truth: Some(folder.path().join("moved.parquet")),
        ..small(folder.path().join("moved"))
    };
    assert!(one == bytes(&moved));
    // A finished store goes on with the same truth, and with no other.
    let again = ConvertConfig { resume: true, ..moved.clone() };
    let summary = convert(std::slice::from_ref(&days), &again, &()).unwrap();
    assert!(summary.inputs.iter().all(|input| input.resumed));
    assert_eq!(summary.truth, Some(TruthCounts { joined: summary.rows, missing: 0 }));
    let none = ConvertConfig { truth: None, ..again };
    let refused = convert(std::slice::from_ref(&days), &none, &()).unwrap_err();
    assert!(matches!(refused, ConvertError::OtherSettings { .. }), "{refused}");
}

#[test]
fn updates_that_the_truth_does_not_have_are_null_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (input, truth) = (folder.path().join("a.mbp-10.dbn"), folder.path().join("t.parquet"));
    synth(&input, &truth, 5);
    // The truth of the first 12,000 records of the same market.
    let mut left = 12_000;
    let mut writer = TruthWriter::create(&truth).unwrap();
    let config_of = SynthConfig {
        records: 30_000,
        instruments: 3,
        sessions: 2,
        seed: 5,
        ..SynthConfig::default()
    };
    lob_synth::write_file_with_truth(
        &config_of,
        &folder.path().join("b.dbn"),
        &|| false,
        &mut |of| {
            let key = TruthKey {
                instrument_id: of.instrument_id,
                sequence: of.sequence,
                ts_event: of.ts_event,
                ts_recv: of.ts_recv,
            };
            left -= 1;
            let truth = Truth { regime: of.regime, pressure: of.pressure_percent.into() };
            if left >= 0 {
                writer.push(of.symbol, key, truth).map_err(std::io::Error::other)
            } else {
                Ok(())
            }
        },
    )
    .unwrap();
    writer.finish().unwrap();
    let config = config(folder.path(), &truth);
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let TruthCounts { joined, missing } = summary.truth.unwrap();
    assert_eq!(joined + missing, summary.rows);
    assert!(joined > 100 && missing > 100, "{joined} {missing}");
    let warned = summary.warnings.concat();
    assert!(warned.contains(&format!("{missing} of {} bins", summary.rows)), "{warned}");
    let (mut known, mut unknown) = (0, 0);
    for file in Store::open(&config.out).unwrap().files() {
        let regime = file.label_values("true_regime", 0..file.len()).unwrap();
        let pressure = file.label_values("true_pressure", 0..file.len()).unwrap();
        for (regime, pressure) in regime.class.iter().zip(&pressure.value) {
            assert_eq!(regime.is_some(), pressure.is_some());
            *(if regime.is_some() { &mut known } else { &mut unknown }) += 1;
        }
    }
    assert_eq!((known, unknown), (joined, missing));
}

#[test]
fn a_truth_of_another_market_and_damaged_ones_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, truth) = (folder.path().join("a.mbp-10.dbn"), folder.path().join("t.parquet"));
    synth(&input, &truth, 5);
    let other = folder.path().join("other.parquet");
    synth(&folder.path().join("o.mbp-10.dbn"), &other, 6);
    let convert_with = |config: &ConvertConfig| {
        let refused = convert(std::slice::from_ref(&input), config, &()).unwrap_err();
        let left = tree(&config.out).into_iter().filter(|name| name.contains("parquet"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "{refused}");
        refused
    };
    for keep_going in [false, true] {
        let config = ConvertConfig { keep_going, ..config(folder.path(), &other) };
        let refused = convert_with(&config);
        assert!(matches!(refused, ConvertError::OtherTruth { bins: 100.., .. }), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("other.parquet") && said.contains("lob synth --truth"), "{said}");
    }
    let bytes = std::fs::read(&truth).unwrap();
    let cut = folder.path().join("cut.parquet");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let refused = convert_with(&config(folder.path(), &cut)).to_string();
    assert!(refused.contains("cut.parquet"), "{refused}");
    // A flipped bit in the middle is found where the page is read.
    let mut flipped = bytes;
    let at = flipped.len() / 3;
    flipped[at] ^= 0x10;
    std::fs::write(&cut, &flipped).unwrap();
    let refused = convert_with(&config(folder.path(), &cut));
    let is_damage = matches!(&refused, ConvertError::Store(StoreError::Damaged { .. }));
    assert!(is_damage, "{refused:?}");
    let absent = convert_with(&config(folder.path(), &folder.path().join("absent.parquet")));
    assert!(absent.to_string().contains("absent.parquet"), "{absent}");
    let refused = convert_with(&config(folder.path(), folder.path())).to_string();
    assert!(refused.contains("it is no regular file"), "{refused}");
    let ticks = ConvertConfig { layout: Layout::Ticks, ..config(folder.path(), &truth) };
    let refused = convert_with(&ticks);
    assert!(matches!(refused, ConvertError::Config { setting: "truth", .. }), "{refused}");
}
