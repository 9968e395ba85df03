//! Store files of earlier versions against a conversion of the same records today.

use std::path::{Path, PathBuf};

use lob_convert::{ConvertConfig, Inspection, convert, inspect};
use lob_depth::{BinColumns, BinRule};
use lob_store::Store;

fn formats(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/formats").join(name)
}

#[test]
fn a_store_of_version_1_holds_what_a_conversion_writes_today() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ConvertConfig::new(folder.path().join("out"));
    config.bin_rule = BinRule::Updates(10);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (40, 30, 5);
    config.label.classes = 5;
    convert(&[formats("source.mbp-10.dbn.zst")], &config, &()).unwrap();
    let stores = [formats("store-v1/bins"), config.out].map(|path| Store::open(path).unwrap());
    let [old, new] = [&stores[0].files()[0], &stores[1].files()[0]].map(|file| {
        let mut bins = BinColumns::default();
        file.read(0..file.len(), &mut bins).unwrap();
        let labels = file.labels(0..file.len()).unwrap();
        (bins, labels.ts_event, labels.segment, labels.movement, labels.label)
    });
    assert!(old == new, "to the last bit");
    assert_eq!(stores[0].files()[0].meta().label, stores[1].files()[0].meta().label);
}

#[test]
fn a_journal_of_version_1_is_read() {
    for (layout, rows) in [("bins", 80), ("ticks", 800)] {
        let found = inspect(formats("store-v1").join(layout)).unwrap();
        let Inspection::Store(found) = found else { panic!("a store") };
        let [journal] = &found.journals[..] else { panic!("one journal in {layout}") };
        assert_eq!((journal.writer.as_str(), journal.inputs), ("alone", 1));
        assert_eq!((journal.records, journal.rows), (800, rows));
        assert!(found.health.is_empty(), "{:?}", found.health);
    }
}
