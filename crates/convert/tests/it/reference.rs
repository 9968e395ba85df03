//! What files beside the input say: symbols, price increments, class edges.

use lob_convert::{ClassEdges, ConvertConfig, ConvertError, Layout, PriceStepSource, convert};

use crate::{
    made::{DAY_1, Mapped, QUARTER, books, definition, updates},
    market, small,
};

#[test]
fn symbology_of_the_batch_names_what_the_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(17, DAY_1, 40, 100);
    records.extend(updates(18, DAY_1, 40, 200));
    books(folder.path(), "a.dbn", &[Mapped("OWN", 18, 1, 2)], &records);
    let symbology = r#"{"stype_in":"raw_symbol","stype_out":"instrument_id","result":{
        "ESM4":[{"d0":"2024-04-01","d1":"2024-04-02","s":"17"}],
        "ESU4":[{"d0":"2024-04-01","d1":"2024-04-02","s":"18"}]}}"#;
    std::fs::write(folder.path().join("symbology.json"), symbology).unwrap();
    let mut config = small(folder.path().join("out"));
    let summary = convert(&[folder.path().to_owned()], &config, &()).unwrap();
    let symbols: Vec<_> = summary.outputs.iter().map(|output| output.symbol.as_str()).collect();
    assert_eq!(symbols, ["ESM4", "OWN"], "the file itself comes first");
    config.symbols = vec!["ESM4".to_owned()];
    config.out = folder.path().join("filtered");
    let summary = convert(&[folder.path().join("a.dbn")], &config, &()).unwrap();
    assert_eq!(summary.skipped["filtered"], 40);
}

#[test]
fn price_steps_come_from_definitions_unless_given() {
    let folder = tempfile::tempdir().unwrap();
    let input = books(folder.path(), "a.mbp-10.dbn", &[], &updates(17, DAY_1, 40, 100));
    let elsewhere = tempfile::tempdir().unwrap();
    let cent = 10_000_000;
    let named = definition(elsewhere.path(), "any-name.dbn", 17, cent);
    let step = |inputs: &[std::path::PathBuf], change: &dyn Fn(&mut ConvertConfig)| {
        let out = tempfile::tempdir().unwrap();
        let mut config = small(out.path().join("out"));
        change(&mut config);
        let summary = convert(inputs, &config, &()).unwrap();
        let output = &summary.outputs[0];
        (output.price_step, output.price_step_from.unwrap())
    };
    let input = [input];
    assert_eq!(step(&input, &|_| {}), (QUARTER, PriceStepSource::Detected));
    let by_name = |config: &mut ConvertConfig| config.definitions = vec![named.clone()];
    assert_eq!(step(&input, &by_name), (cent, PriceStepSource::Definition));
    definition(folder.path(), "a.definition.dbn", 17, cent / 2);
    let batch = [folder.path().to_owned()];
    assert_eq!(step(&batch, &|_| {}), (cent / 2, PriceStepSource::Definition));
    let given = |config: &mut ConvertConfig| {
        config.price_step = lob_convert::PriceStepChoice::Fixed(1_000);
    };
    assert_eq!(step(&batch, &given), (1_000, PriceStepSource::Given));
    // The definition of another instrument, and one without an increment, say nothing.
    definition(folder.path(), "a.definition.dbn", 18, cent);
    assert_eq!(step(&batch, &|_| {}).1, PriceStepSource::Detected);
    definition(folder.path(), "a.definition.dbn", 17, i64::MAX);
    assert_eq!(step(&batch, &|_| {}).1, PriceStepSource::Detected);

    let mut config = small(folder.path().join("out"));
    config.definitions = vec![input[0].clone()];
    let error = convert(&input, &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::NotDefinitions { .. }), "{error}");
    // A definition that is cut is not passed over.
    let bytes = std::fs::read(&named).unwrap();
    std::fs::write(&named, &bytes[..bytes.len() - 10]).unwrap();
    config.definitions = vec![named];
    let error = convert(&input, &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Truncated { .. }), "{error}");
}

#[test]
fn edges_of_one_store_serve_another() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 8_000, 2, 1);
    for layout in [Layout::Bins, Layout::Ticks] {
        let mut fitted = small(folder.path().join(format!("fitted {layout:?}")));
        fitted.layout = layout;
        fitted.fit_part = Some(0.7);
        let summary = convert(std::slice::from_ref(&input), &fitted, &()).unwrap();
        let report = summary.classes.clone().unwrap();
        assert_eq!(report.counts.iter().sum::<u64>(), summary.samples);
        let (edges, classes) = ClassEdges::of(&fitted.out, &fitted.label).unwrap();
        assert_eq!(classes, 5);
        let mut again = fitted.clone();
        (again.class_edges, again.fit_part) = (edges.clone(), None);
        again.out = folder.path().join(format!("again {layout:?}"));
        let same = convert(std::slice::from_ref(&input), &again, &()).unwrap();
        for (a, b) in summary.outputs.iter().zip(&same.outputs) {
            assert_eq!(a.class_counts, b.class_counts, "{layout:?} {}", a.symbol);
        }
        // Edges for other windows mean something else.
        let other = lob_depth::LabelSpec { lookback: 99, ..fitted.label };
        let error = ClassEdges::of(&fitted.out, &other).unwrap_err();
        assert!(error.to_string().contains("[100, 80, 10]"), "{error}");
        // One instrument is not named: it is converted, without labels, and that is said.
        let ClassEdges::PerSymbol(mut some) = edges else { panic!("edges by symbol") };
        some.remove("ESM4").unwrap();
        again.class_edges = ClassEdges::PerSymbol(some);
        again.out = folder.path().join(format!("some {layout:?}"));
        let some = convert(std::slice::from_ref(&input), &again, &()).unwrap();
        assert!(some.warnings.iter().any(|w| w.contains("no class edges are given for `ESM4`")));
        assert!(some.samples < summary.samples && some.rows == summary.rows);
    }
    let json = folder.path().join("edges.json");
    std::fs::write(&json, r#"{"*": [-0.001, 0.0, 0.001, 0.002]}"#).unwrap();
    let label = small(folder.path().join("x")).label;
    let (edges, classes) = ClassEdges::of(&json, &label).unwrap();
    let ClassEdges::PerSymbol(by_symbol) = edges else { panic!("edges by symbol") };
    assert_eq!((classes, by_symbol["*"].len()), (5, 4));
    std::fs::write(&json, "[1, 2]").unwrap();
    assert!(matches!(ClassEdges::of(&json, &label), Err(ConvertError::Sidecar { .. })));
}

#[test]
fn a_stated_part_is_what_edges_are_fitted_on() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 6_000, 1, 1);
    let fitted_on = |part: Option<f64>| {
        let mut config = small(folder.path().join(format!("{part:?}")));
        config.fit_part = part;
        convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let store = lob_store::Store::open(&config.out).unwrap();
        store.files()[0].meta().label.fitted_on.clone()
    };
    let numbers = |text: &str| -> Vec<usize> {
        text.split(' ').filter_map(|word| word.parse().ok()).collect()
    };
    let most = numbers(&fitted_on(Some(0.7)));
    assert_eq!(most[0], most[1] * 7 / 10, "{most:?}");
    let all = numbers(&fitted_on(Some(1.0)));
    assert_eq!(all[0], all[1]);
    assert_eq!(numbers(&fitted_on(None))[0], all[1] / 2);
    for part in [0.0, -1.0, 1.01, f64::NAN] {
        let mut config = small(folder.path().join("bad"));
        config.fit_part = Some(part);
        let error = convert(std::slice::from_ref(&input), &config, &()).unwrap_err();
        assert!(matches!(error, ConvertError::Config { setting: "fit-part", .. }), "{error}");
    }
}
