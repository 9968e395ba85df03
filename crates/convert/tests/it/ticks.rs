//! The layout of ticks: nothing of a record is lost, and labels are those of single-update bins.

use lob_convert::{ClassEdges, ConvertConfig, Inspection, Layout, convert, inspect};
use lob_depth::BinRule;
use lob_store::{Store, read_tick_meta};

use crate::{
    evidence::golden,
    made::{DAY_1, SECOND_NS, books, update},
    market, small, tree,
};

#[test]
fn every_update_is_a_row_and_labels_agree_with_bins() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.mbp-10.dbn.zst", "b.mbp-10.dbn", "c.mbo.dbn.zst"] {
        // More rows than one row group of one instrument.
        let input = market(folder.path(), name, 60_000, 2, 2);
        let mut config = small(folder.path().join(name).with_extension("ticks"));
        config.layout = Layout::Ticks;
        let ticks = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let n_snapshot = ticks.skipped["snapshot"];
        assert_eq!(ticks.rows, ticks.updates - n_snapshot, "{name}: one row an update");
        let bins = ConvertConfig {
            layout: Layout::Bins,
            bin_rule: BinRule::Updates(1),
            out: folder.path().join(name).with_extension("bins"),
            ..config.clone()
        };
        let bins_summary = convert(&[input], &bins, &()).unwrap();
        assert_eq!(ticks.samples, bins_summary.samples, "{name}");
        assert_eq!(ticks.outputs.len(), bins_summary.outputs.len());
        let store = Store::open(&bins.out).unwrap();
        for (ticks, bins) in ticks.outputs.iter().zip(&bins_summary.outputs) {
            assert_eq!((ticks.rows, &ticks.class_counts), (bins.rows, &bins.class_counts));
            assert_eq!((&ticks.day, &ticks.symbol), (&bins.day, &bins.symbol));
            let meta = read_tick_meta(&ticks.path).unwrap().unwrap();
            let file = store.files().iter().find(|file| file.path() == bins.path).unwrap();
            assert_eq!(meta.label, file.meta().label, "same windows, edges and training part");
        }
        let Inspection::Store(found) = inspect(&config.out).unwrap() else { panic!("a store") };
        assert_eq!((found.rows, found.samples), (ticks.rows, ticks.samples));
        assert!(tree(&config.out).iter().all(|name| !name.contains("spool")));
    }
}

#[test]
fn labels_of_ticks_equal_the_reference() {
    let golden = golden("represent");
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(folder.path().join("out"));
    config.layout = Layout::Ticks;
    (config.label.lookback, config.label.lookforward, config.label.offset) = (200, 150, 20);
    config.label.classes = 13;
    let summary = convert(&[golden.join("cls.mbp-10.dbn.zst")], &config, &()).unwrap();
    assert_eq!((summary.rows, summary.samples), (3_000, 2_630));
    let bytes = std::fs::read(golden.join("cls_labels_13.npy")).unwrap();
    let mut counts = vec![0_u64; 13];
    let (labels, _) = bytes[bytes.len() - 2_630 * 4..].as_chunks();
    for label in labels {
        counts[usize::try_from(i32::from_le_bytes(*label)).unwrap()] += 1;
    }
    assert_eq!(summary.outputs[0].class_counts, counts);
}

#[test]
fn volatility_scales_the_edges() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 5_000, 1, 1);
    let multiples = vec![-1.0, -0.25, 0.25, 1.0];
    let mut config = small(folder.path().join("out"));
    config.class_edges = ClassEdges::Volatility(multiples.clone());
    convert(&[input], &config, &()).unwrap();
    let store = Store::open(&config.out).unwrap();
    let label = &store.files()[0].meta().label;
    let deviation = label.edges[3];
    assert!(deviation > 0.0 && label.fitted_on.contains("standard deviation"));
    for (edge, multiple) in label.edges.iter().zip(&multiples) {
        assert!((edge - multiple * deviation).abs() < 1e-15);
    }
}

#[test]
fn many_instruments_share_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (n, each) = (200, 30);
    let mut records = Vec::new();
    for i in 0..each {
        for id in 0..n {
            let ts = DAY_1 + (u64::from(i * n + id)) * SECOND_NS / 100;
            records.push(update(id, ts, 100 + i64::from((i * 7 + id) % 5)));
        }
    }
    let input = books(folder.path(), "a.dbn", &[], &records);
    let mut config = small(folder.path().join("out"));
    config.layout = Layout::Ticks;
    (config.label.lookback, config.label.lookforward, config.label.offset) = (5, 5, 1);
    let summary = convert(&[input], &config, &()).unwrap();
    assert_eq!(summary.outputs.len(), n as usize);
    assert!(summary.outputs.iter().all(|output| output.rows == u64::from(each)));
    assert!(summary.outputs.iter().all(|output| output.samples == u64::from(each) - 11));
}
