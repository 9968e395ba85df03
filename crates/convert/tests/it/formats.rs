//! Journals of earlier versions.

use std::path::{Path, PathBuf};

use lob_convert::{Inspection, inspect};

fn formats(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/formats").join(name)
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
