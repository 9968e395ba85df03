//! Labels that look forward, against the mids of the rows themselves.

use lob_convert::{ConvertError, ForwardClasses, Horizon, Layout, convert};
use lob_depth::BinRule;
use lob_store::{LabelKind, LabelUnit, Store, StoredBin};

use crate::{market, small};

/// Twice the mid in steps.
fn mid(row: &StoredBin) -> Option<i64> {
    row.bin.has_mid().then(|| i64::from(row.bin.last_bid) + i64::from(row.bin.last_ask))
}

#[test]
fn values_are_the_mids_of_later_rows_of_the_segment() {
    let folder = tempfile::tempdir().unwrap();
    let horizons = [7, 1, 40];
    for (name, rule) in [
        ("a.mbp-10.dbn.zst", BinRule::Updates(10)),
        ("b.mbo.dbn", BinRule::Updates(3)),
        ("c.mbp-10.dbn", BinRule::TimeNs(500_000_000)),
    ] {
        let input = market(folder.path(), name, 6_000, 2, 2);
        let mut config = small(folder.path().join(format!("out-{name}")));
        config.bin_rule = rule;
        config.horizons = Some(horizons.map(Horizon::Bins).to_vec());
        config.forward_classes = ForwardClasses::None;
        convert(&[input], &config, &()).unwrap();
        let store = Store::open(&config.out).unwrap();
        assert!(store.files().len() >= 4, "two instruments on two days");
        let (mut known, mut cut) = (0, 0);
        for file in store.files() {
            let rows = file.rows(0..file.len()).unwrap();
            for (at, horizon) in horizons.into_iter().enumerate() {
                let label = &file.meta().labels[at + 1];
                assert_eq!(label.name, format!("forward_{horizon}"));
                assert_eq!((label.kind, label.unit), (LabelKind::Forward, LabelUnit::Bins));
                assert_eq!((label.horizon, label.classes), (u64::from(horizon), 0));
                for (i, row) in rows.iter().enumerate() {
                    let later = rows.get(i + horizon as usize);
                    let later = later.filter(|later| later.segment == row.segment);
                    let expected = later.and_then(mid).zip(mid(row)).map(|(b, a)| (b - a) as f64);
                    assert_eq!(row.others[at].value, expected, "{name}, row {i}, {horizon}");
                    known += u32::from(expected.is_some());
                    cut += u32::from(later.is_none());
                }
                let by_name = file.label_values(&label.name, 0..file.len()).unwrap().value;
                let values = rows.iter().map(|row| row.others[at].value);
                assert_eq!(by_name, values.collect::<Vec<_>>());
            }
        }
        assert!(known > 200 && cut > 100, "{name}: {known} {cut}");
    }
}

#[test]
fn horizons_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn", 500, 1, 1);
    let many: Vec<_> = (1..34).map(Horizon::Bins).collect();
    for (horizons, layout) in [
        (vec![Horizon::Bins(0)], Layout::Bins),
        (vec![Horizon::Seconds(3), Horizon::Seconds(3)], Layout::Bins),
        (many, Layout::Bins),
        (vec![Horizon::Updates(3)], Layout::Ticks),
    ] {
        let mut config = small(folder.path().join("out"));
        (config.horizons, config.layout) = (Some(horizons.clone()), layout);
        let refused = convert(std::slice::from_ref(&input), &config, &()).unwrap_err();
        let is_named = matches!(refused, ConvertError::Config { setting: "horizons", .. });
        assert!(is_named, "{horizons:?}: {refused}");
        assert!(!config.out.exists());
    }
}

/// Rows with other columns do not mix.
#[test]
fn a_store_of_other_horizons_is_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn", 3_000, 1, 1);
    let mut config = small(folder.path().join("out"));
    convert(std::slice::from_ref(&input), &config, &()).unwrap();
    config.horizons = Some(vec![Horizon::Bins(1)]);
    let refused = convert(std::slice::from_ref(&input), &config, &()).unwrap_err();
    assert!(matches!(refused, ConvertError::OtherSettings { .. }), "{refused}");
}
