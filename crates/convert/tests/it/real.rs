//! Recorded files, where the checkout has them.

use lob_convert::{ConvertConfig, ConvertError, Layout, RecordStream, convert, verify};

use crate::{
    evidence::real,
    names::{count, names_of},
};

/// Records and updates of each file of books.
const BOOKS: [(&str, u64, u64); 10] = [
    ("dbn_test_data.mbp-10.dbn", 2, 2),
    ("dbn_test_data.mbp-10.v1.dbn.zst", 2, 2),
    ("dbn_test_data.mbp-10.v2.dbn.zst", 2, 2),
    ("dbn_test_data.mbp-10.v3.dbn.zst", 2, 2),
    ("dbpy_GLBX.MDP3.mbp-10.dbn.zst", 4, 4),
    ("dbpy_IFEU.IMPACT.mbp-10.dbn.zst", 4, 4),
    ("dbpy_NDEX.IMPACT.mbp-10.dbn.zst", 4, 4),
    ("dbpy_XNAS.ITCH.mbp-10.dbn.zst", 4, 4),
    ("nautilus_esh4-20231224.mbo.dbn.zst", 8_725, 73),
    ("nautilus_esh4-20231225.mbo.dbn.zst", 68_792, 43_790),
];

#[test]
fn record_counts() {
    let Some(real) = real("") else { return };
    for (name, records, updates) in BOOKS {
        let mut stream = RecordStream::open(real.join(name)).unwrap();
        while stream.next().unwrap().is_some() {}
        let counts = stream.counts();
        assert_eq!((counts.records, counts.updates), (records, updates), "{name}");
        let report = verify(real.join(name)).unwrap();
        assert!(report.is_sound(), "{name}: {:?}", report.defects);
        assert_eq!((report.records, report.updates), (records, updates), "{name}");
    }
}

#[test]
fn conversion() {
    let Some(real) = real("") else { return };
    for (name, records, updates) in BOOKS {
        let folder = tempfile::tempdir().unwrap();
        let config = ConvertConfig::new(folder.path().join("out"));
        let result = convert(&[real.join(name)], &config, &());
        if name.contains("20231224") {
            let error = result.expect_err("nothing but a snapshot").to_string();
            assert!(error.contains("only a snapshot of the book"), "{error}");
            continue;
        }
        let summary = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((summary.records, summary.updates), (records, updates), "{name}");
        if name.contains("20231225") {
            // The orders of the snapshot are of the 24th, and there is no event before 22:00.
            assert!(summary.outputs.iter().all(|o| o.day == "2023-12-25"));
            let file = lob_store::BinFile::open(&summary.outputs[0].path).unwrap();
            assert!(file.ts_event(0).unwrap() >= 1_703_541_600_000_000_000);
            // A quarter point, and more than one symbol may trade in the file.
            assert!(summary.outputs.iter().all(|o| o.price_step % 50_000_000 == 0));
            assert!(summary.rows >= 437, "{} bins", summary.rows);
            assert!(summary.samples > 0, "{:?}", summary.warnings);
        }
    }
}

#[test]
fn other_schemas_are_refused() {
    let Some(real) = real("") else { return };
    let error =
        RecordStream::open(real.join("nautilus_futures_20240701.mbp-1.dbn.zst")).unwrap_err();
    assert!(matches!(&error, ConvertError::Schema { found, .. } if found == "mbp-1"), "{error}");
    let fragment = real.join("dbn_multi-frame.definition.v1.dbn.frag.zst");
    let error = RecordStream::open(fragment).unwrap_err();
    assert!(matches!(error, ConvertError::NotDbn { .. }), "{error}");
}

#[test]
fn recorded_files_are_found_by_name() {
    let Some(real) = real("") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, symbol) in [
        ("nautilus_esh4-20231224.mbo.dbn.zst", "ESH4"),
        ("nautilus_esh4-20231225.mbo.dbn.zst", "ESH4"),
        ("nautilus_orderbooks_20240508.mbo.dbn.zst", "ESM4"),
    ] {
        let path = real.join(name);
        let names = names_of(&path);
        assert_eq!(count(&names, symbol), names.len(), "{name}");
        let mut config = ConvertConfig::new(folder.path().join(name));
        (config.layout, config.symbols) = (Layout::Ticks, vec![symbol.to_owned()]);
        let result = convert(&[path], &config, &());
        if name.contains("20231224") {
            // Found by its name, but it is only a snapshot.
            let error = result.unwrap_err().to_string();
            assert!(error.contains("only a snapshot of the book"), "{error}");
            continue;
        }
        let summary = result.unwrap();
        let snapshot = summary.skipped["snapshot"];
        assert_eq!(summary.rows + snapshot, names.len() as u64, "{name}");
        assert!(summary.outputs.iter().all(|output| output.symbol == symbol));
    }
}

/// Fault 1 of the review: an add whose type byte turned into that of a status record left 3,231 of
/// 43,790 books wrong, and both commands said nothing.
#[test]
fn an_order_that_turned_into_a_status_record_is_damage() {
    const RECORD: usize = 3_000;
    let Some(real) = real("") else { return };
    let packed = std::fs::read(real.join("nautilus_esh4-20231225.mbo.dbn.zst")).unwrap();
    let mut bytes = zstd::decode_all(&packed[..]).unwrap();
    let at = bytes.len() - (68_792 - RECORD) * 56;
    assert_eq!(bytes[at..at + 2], [14, 0xA0]);
    bytes[at + 1] = 0x12;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.mbo.dbn");
    std::fs::write(&path, bytes).unwrap();
    let report = verify(&path).unwrap();
    assert!(!report.is_sound() && report.defects.len() == 1, "{:?}", report.defects);
    let defect = &report.defects[0];
    assert_eq!((defect.record_index, defect.byte_offset), (Some(RECORD as u64), at as u64));
    let config = ConvertConfig::new(folder.path().join("out"));
    let error = convert(&[path], &config, &()).unwrap_err();
    let found = format!("{error}");
    assert!(matches!(error, ConvertError::BadRecord { record_index: 3_000, .. }), "{found}");
    assert!(found.contains("`0x12` with 56 bytes, expected 40 bytes for `status`"), "{found}");
    assert!(!config.out.exists());
}
