//! Journals and class edges of each version.

use std::path::{Path, PathBuf};

use lob_convert::{ClassEdges, Inspection, inspect};
use lob_depth::LabelSpec;

fn formats(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/formats").join(name)
}

#[test]
fn class_edges_of_version_1_are_read() {
    let label = LabelSpec { lookback: 40, lookforward: 30, offset: 5, classes: 5 };
    let (edges, classes) = ClassEdges::of(formats("edges-v1"), &label).unwrap();
    let ClassEdges::Fitted(all) = edges else { panic!("fitted edges") };
    let [of] = &all[..] else { panic!("one instrument") };
    assert_eq!((classes, &*of.symbol, of.edges.len()), (5, "6AM4", 4));
    assert_eq!(of.fitted_on.days, ["2024-04-01"]);
    assert_eq!(of.fitted_on.inputs[0].fingerprint, "1559feb066c4fd5ceeba5ea787ca4f17");
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
