//! What a conversion makes of a sound file.

use lob_convert::{
    ClassEdges, ConvertError, Inspection, PriceStepChoice, RecordStream, convert, inspect,
};
use lob_depth::{BinRule, LabelSpec, MovementStream, twice_mid};
use lob_store::Store;

use crate::{market, several, small, tree};

#[test]
fn bins_cover_every_update_once() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 12_000, 3, 2);
    for (n, rule) in [BinRule::Updates(20), BinRule::TimeNs(60_000_000_000), BinRule::Volume(50)]
        .into_iter()
        .enumerate()
    {
        let mut config = small(folder.path().join(n.to_string()));
        config.bin_rule = rule;
        let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        assert_eq!((summary.records, summary.updates), (12_000, 12_000), "{rule}");
        let store = Store::open(&config.out).unwrap();
        let updates: u64 = store.files().iter().map(|file| file.meta().updates).sum();
        assert_eq!(updates + summary.skipped["snapshot"], 12_000, "{rule}");
        assert_eq!(store.total_bins(), summary.rows, "{rule}");
        let days: std::collections::BTreeSet<_> =
            store.files().iter().map(|file| file.meta().day.clone()).collect();
        assert_eq!(days.len(), 2, "{rule}");
        assert_eq!(store.files().len(), summary.outputs.len());
        for output in &summary.outputs {
            let bytes = std::fs::read(&output.path).unwrap();
            assert_eq!(bytes.len() as u64, output.bytes);
            assert_eq!(output.class_counts.iter().sum::<u64>(), output.samples);
        }
    }
}

#[test]
fn the_summary_has_the_keys_of_the_command_contract() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 3_000, 2, 1);
    let summary = convert(&[input], &small(folder.path().join("out")), &()).unwrap();
    let json = serde_json::to_value(&summary).unwrap();
    for key in [
        "records",
        "rows",
        "samples",
        "skipped",
        "outputs",
        "inputs",
        "elapsed_s",
        "cpu_s",
        "peak_rss_bytes",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    for key in ["path", "instrument_id", "symbol", "rows", "sha256"] {
        assert!(json["outputs"][0].get(key).is_some(), "{key}");
    }
    for key in ["path", "sha256", "records", "bytes"] {
        assert!(json["inputs"][0].get(key).is_some(), "{key}");
    }
    assert_eq!(json["outputs"].as_array().unwrap().len(), 2);
    assert!(summary.samples > 0);
}

#[test]
fn movements_are_those_of_the_updates_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 4_000, 1, 1);
    let mut config = small(folder.path().join("out"));
    config.gap_ns = u64::MAX;
    convert(std::slice::from_ref(&input), &config, &()).unwrap();

    // The same by hand: one stream of mids for each stretch between snapshots.
    let LabelSpec { .. } = config.label;
    let mut expected = vec![None; 4_000];
    let mut stream = RecordStream::open(&input).unwrap();
    let mut movements = MovementStream::new(config.label).unwrap();
    let (mut first, mut n) = (0, 0);
    while let Some(update) = stream.next().unwrap() {
        if update.flags.is_snapshot() {
            movements = MovementStream::new(config.label).unwrap();
            first = n;
            continue;
        }
        let touch = &update.levels[0];
        if let Some(m) = movements.push(twice_mid(touch.bid_px, touch.ask_px).unwrap()) {
            expected[first + m.row as usize] = m.value;
        }
        n += 1;
    }
    let store = Store::open(&config.out).unwrap();
    let file = &store.files()[0];
    let columns = file.labels(0..file.len()).unwrap();
    let mut seen = 0;
    let mut last_update = 0;
    for (row, movement) in columns.movement.iter().enumerate() {
        // 20 updates a bin, but for the last one of a segment.
        let is_end = columns.segment.get(row + 1) != Some(&columns.segment[row]);
        last_update += if is_end { 0 } else { 20 };
        if !is_end {
            assert_eq!(*movement, expected[last_update - 1], "row {row}");
            seen += usize::from(movement.is_some());
        } else {
            break;
        }
    }
    assert!(seen > 100, "{seen} movements compared");
}

#[test]
fn conversions_repeat_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = (0..3)
        .map(|n| market(folder.path(), &format!("{n}.mbo.dbn.zst"), 4_000 + n, 2, 1))
        .collect();
    let hashes = |out: &str, jobs| {
        let mut config = several(folder.path().join(out));
        config.jobs = jobs;
        let summary = convert(&inputs, &config, &()).unwrap();
        summary.outputs.iter().map(|o| o.sha256.clone()).collect::<Vec<_>>()
    };
    assert_eq!(hashes("one", 1), hashes("three", 3));
}

#[test]
fn filters_by_symbol_and_id() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 6_000, 3, 1);
    let mut config = small(folder.path().join("es"));
    config.symbols = vec!["ESM4".to_owned()];
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    assert!(summary.outputs.iter().all(|output| output.symbol == "ESM4"));
    let kept: u64 =
        Store::open(&config.out).unwrap().files().iter().map(|f| f.meta().updates).sum();
    assert_eq!(kept + summary.skipped["filtered"] + summary.skipped["snapshot"], 6_000);

    let mut by_id = small(folder.path().join("id"));
    by_id.instrument_ids = vec![summary.outputs[0].instrument_id];
    let same = convert(std::slice::from_ref(&input), &by_id, &()).unwrap();
    assert_eq!(same.rows, summary.rows);

    config.out = folder.path().join("none");
    config.symbols = vec!["ZZZ9".to_owned()];
    let error = convert(&[input], &config, &()).unwrap_err();
    assert!(error.to_string().contains("ZZZ9"), "{error}");
    assert!(!config.out.exists());
}

#[test]
fn price_steps_are_detected_or_given() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 6_000, 2, 1);
    let auto = small(folder.path().join("auto"));
    let summary = convert(std::slice::from_ref(&input), &auto, &()).unwrap();
    let step = |symbol: &str| {
        summary.outputs.iter().find(|output| output.symbol == symbol).unwrap().price_step
    };
    assert_eq!((step("6AM4"), step("ESM4")), (50_000, 250_000_000));

    let mut coarse = small(folder.path().join("coarse"));
    coarse.price_step = PriceStepChoice::Fixed(1_000_000_000);
    let summary = convert(&[input], &coarse, &()).unwrap();
    assert!(summary.outputs.iter().all(|output| output.price_step == 1_000_000_000));
    assert!(summary.warnings.iter().any(|w| w.contains("no multiple of the price step `1`")));
}

#[test]
fn class_edges_can_be_reused() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 6_000, 1, 1);
    let fitted = small(folder.path().join("fitted"));
    let summary = convert(std::slice::from_ref(&input), &fitted, &()).unwrap();
    let store = Store::open(&fitted.out).unwrap();
    let edges = store.files()[0].meta().label.edges.clone();
    assert_eq!(edges.len(), 4);
    let mut given = small(folder.path().join("given"));
    given.class_edges = ClassEdges::Fixed(edges);
    let again = convert(&[input], &given, &()).unwrap();
    assert_eq!(again.outputs[0].class_counts, summary.outputs[0].class_counts);
}

#[test]
fn too_little_data_for_labels_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 1_500, 1, 1);
    let mut config = small(folder.path().join("out"));
    config.label = LabelSpec::default();
    let summary = convert(&[input], &config, &()).unwrap();
    assert_eq!(summary.samples, 0);
    assert!(summary.rows >= 25);
    assert!(summary.warnings.iter().any(|w| w.contains("10501 updates")), "{:?}", summary.warnings);
}

#[test]
fn bad_settings_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 100, 1, 1);
    let check = |change: fn(&mut lob_convert::ConvertConfig)| {
        let mut config = small(folder.path().join("out"));
        change(&mut config);
        let error = convert(std::slice::from_ref(&input), &config, &()).unwrap_err();
        assert!(matches!(error, ConvertError::Config { .. }), "{error}");
        assert!(!config.out.exists());
    };
    check(|config| config.bin_rule = BinRule::Updates(0));
    check(|config| config.label.lookback = 0);
    check(|config| config.label.classes = 1);
    check(|config| config.price_step = PriceStepChoice::Fixed(0));
    check(|config| config.jobs = 0);
    check(|config| config.class_edges = ClassEdges::Fixed(vec![1.0, 0.0, 2.0, 3.0]));
    check(|config| config.day_start_ns = i64::MIN);
    check(|config| config.day_start_ns = i64::MAX);
    check(|config| config.price_steps = [("A".to_owned(), 0)].into());
}

#[test]
fn stores_and_inputs_can_be_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 3_000, 2, 1);
    let config = small(folder.path().join("out"));
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let Inspection::Store(store) = inspect(&config.out).unwrap() else { panic!("a store") };
    assert_eq!((store.rows, store.samples), (summary.rows, summary.samples));
    assert_eq!(store.updates + summary.skipped["snapshot"], 3_000);
    assert_eq!(store.class_counts.iter().sum::<u64>(), summary.samples);
    assert!(store.health.is_empty(), "{:?}", store.health);
    assert_eq!(store.files.len(), 2);
    let Inspection::Dbn(dbn) = inspect(&input).unwrap() else { panic!("a DBN file") };
    assert_eq!(dbn.report.records, 3_000);
    let symbols: Vec<_> = dbn.report.instruments.iter().map(|i| i.symbol.as_deref()).collect();
    assert!(symbols.contains(&Some("6AM4")) && symbols.contains(&Some("ESM4")), "{symbols:?}");
    assert_eq!(dbn.report.instruments.iter().map(|i| i.records).sum::<u64>(), 3_000);
    assert!(inspect(folder.path().join("absent")).is_err());
    assert_eq!(tree(&config.out).iter().filter(|name| name.ends_with(".parquet")).count(), 2);
}
