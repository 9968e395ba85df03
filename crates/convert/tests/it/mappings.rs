//! Words about instruments: mappings that cannot be used, those beside the file, and filters.

use lob_convert::{DefectKind, Layout, RecordStream, convert, verify};

use crate::{
    made::{
        DAY_1, Mapped, SECOND_NS, add, books, books_under, capture, mapped_by_text, orders, symbol,
        update, updates,
    },
    names::{NOON, config, count, found, live, names_of},
};

#[test]
fn a_broken_mapping_costs_its_symbol_alone_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(5, DAY_1, 40, 100);
    records.extend(updates(6, DAY_1, 40, 100));
    for (broken, word) in [
        (("BAD", "notanid", 1, 2), "`notanid`"),
        (("BAD", "6", 3, 1), "after its end"),
        (("BAD", "6", 1, 4), "overlaps"),
    ] {
        let list = [("ESM4", "5", 1, 2), broken, ("NQM4", "6", 1, 4)];
        let header = mapped_by_text(&list);
        let input = books_under(folder.path(), "a.dbn", &header, &records);
        let out = tempfile::tempdir().unwrap();
        let mut config = config(out.path().join("out"), Layout::Ticks);
        let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let symbols: Vec<_> = summary.outputs.iter().map(|o| o.symbol.as_str()).collect();
        assert_eq!(symbols, ["ESM4", "NQM4"], "{word}");
        let told = |lines: &[String]| {
            lines.iter().filter(|line| line.contains("`BAD`") && line.contains(word)).count()
        };
        assert_eq!(told(&summary.warnings), 1, "{:?}", summary.warnings);
        let report = verify(&input).unwrap();
        let of = report.defects.iter().filter(|defect| defect.kind == DefectKind::Mapping);
        let lines: Vec<_> = of.map(|defect| defect.message.clone()).collect();
        assert_eq!((told(&lines), report.is_sound()), (1, true), "{lines:?}");
        // Nothing about it to whoever asked for something else.
        config.symbols = vec!["ESM4".to_owned()];
        config.out = out.path().join("filtered");
        let summary = convert(&[input], &config, &()).unwrap();
        assert_eq!(told(&summary.warnings), 0, "{:?}", summary.warnings);
    }
}

#[test]
fn a_broken_mapping_record_leaves_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![symbol(5, "ESM4", None)];
    records.extend(live(updates(5, NOON, 30, 100)));
    records.push(symbol(5, "BAD", Some((NOON, NOON - 1))));
    records.extend(live(updates(5, NOON + 30 * SECOND_NS, 30, 100)));
    let input = capture(folder.path(), "a.dbn", &records);
    let config = config(folder.path().join("out"), Layout::Ticks);
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    assert_eq!(found(&summary), [("ESM4", "2024-04-01", 60, 1)]);
    let warning = summary.warnings.iter().find(|warning| warning.contains("`BAD`"));
    assert!(warning.unwrap().contains("record 31"), "{:?}", summary.warnings);
    let report = verify(&input).unwrap();
    assert_eq!(report.defects.len(), 1, "{:?}", report.defects);
    assert_eq!(report.defects[0].record_index, Some(31));
    assert!(report.is_sound());
}

#[test]
fn symbology_beside_a_file_counts_for_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let input = books(folder.path(), "a.dbn", &[], &updates(5, DAY_1, 40, 100));
    let symbology = r#"{"stype_in":"raw_symbol","stype_out":"instrument_id","result":{
        "ESM4":[{"d0":"2024-04-01","d1":"2024-04-02","s":"5"}],
        "BAD":[{"d0":"2024-04-01","d1":"2024-04-02","s":"notanid"}]}}"#;
    std::fs::write(folder.path().join("symbology.json"), symbology).unwrap();
    assert_eq!(count(&names_of(&input), "ESM4"), 40);
    let report = verify(&input).unwrap();
    assert_eq!(report.instruments[0].symbol.as_deref(), Some("ESM4"));
    assert!(report.is_sound() && report.defects[0].message.contains("`BAD`"));
    let config = config(folder.path().join("out"), Layout::Ticks);
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let told = summary.warnings.iter().filter(|warning| warning.contains("`BAD`"));
    assert_eq!((told.count(), summary.outputs[0].symbol.as_str()), (1, "ESM4"));
    // A file that is no such document is named; `verify` still reads the records.
    std::fs::write(folder.path().join("symbology.json"), "[").unwrap();
    assert!(RecordStream::open(&input).unwrap_err().to_string().contains("symbology.json"));
    let report = verify(&input).unwrap();
    assert!(report.records == 40 && report.defects[0].message.contains("symbology.json"));
}

#[test]
fn no_word_about_instruments_that_were_filtered_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(5, DAY_1, 40, 100);
    // A quiet instrument whose step is a guess, and one whose prices fit none.
    let mut quiet = update(6, DAY_1 + 100 * SECOND_NS, 4);
    for level in &mut quiet.levels[1..] {
        (level.bid_px, level.ask_px) = (i64::MAX, i64::MAX);
    }
    records.push(quiet);
    let mut odd = update(7, DAY_1 + 101 * SECOND_NS, 4);
    odd.levels[0].bid_px += 7;
    records.push(odd);
    let mapped = [Mapped("ESM4", 5, 1, 2), Mapped("QUIET", 6, 1, 2), Mapped("ODD", 7, 1, 2)];
    let input = books(folder.path(), "a.dbn", &mapped, &records);
    let mut config = config(folder.path().join("out"), Layout::Bins);
    config.symbols = vec!["ESM4".to_owned()];
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    assert_eq!(summary.skipped["filtered"], 2);
    for name in ["QUIET", "ODD", "id 6", "id 7"] {
        let told = summary.warnings.iter().any(|warning| warning.contains(name));
        assert!(!told, "{name}: {:?}", summary.warnings);
    }
    // And those that are wanted are named by symbol and id.
    config.symbols = vec!["QUIET".to_owned()];
    config.out = folder.path().join("quiet");
    let summary = convert(&[input], &config, &()).unwrap();
    let named = summary.warnings.iter().any(|warning| warning.contains("`QUIET` (id 6)"));
    assert!(named, "{:?}", summary.warnings);
}

/// A cancel of an order that was never added is told by the instrument whose book it was in, and not
/// told of an instrument that was filtered out.
#[test]
fn what_a_replay_meets_is_told_by_instrument() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for i in 0..60_u64 {
        for (id, steps) in [(5, 100), (6, 200)] {
            let ts = DAY_1 + i * SECOND_NS;
            let step = (i % 3) as i64;
            records.push(add(id, ts, 2 * i, b'B', steps - step));
            records.push(add(id, ts, 2 * i + 1, b'A', steps + 1 + step));
        }
    }
    let mut unknown = add(6, DAY_1 + 61 * SECOND_NS, 999, b'B', 200);
    unknown.action = b'C'.cast_signed();
    records.push(unknown);
    let input = orders(folder.path(), "a.dbn", 1, &records);
    let warnings = |ids: &[u32]| {
        let out = tempfile::tempdir().unwrap();
        let mut config = config(out.path().join("out"), Layout::Ticks);
        config.instrument_ids = ids.to_vec();
        let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let is_of_replay = |line: &String| line.contains("the replay met");
        summary.warnings.into_iter().filter(is_of_replay).collect::<Vec<_>>()
    };
    for ids in [&[][..], &[6]] {
        let found = warnings(ids);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("the replay met 1 cancels of unknown orders"), "{found:?}");
        assert!(found[0].contains(": `6`: "), "{found:?}");
    }
    assert!(warnings(&[5]).is_empty());
}
