//! A price step is found, guessed, given or missing for each instrument by itself.

use dbn::Mbp10Msg;
use lob_convert::{ConvertConfig, ConvertError, ConvertSummary, Layout, PriceStepSource, convert};
use lob_depth::{BinColumns, NO_PRICE, UNDEF_PRICE};

use crate::{
    made::{DAY_1, Mapped, QUARTER, books, updates},
    small,
};

const UNIT: i64 = 1_000_000_000;
const MAPPED: [Mapped; 2] = [Mapped("ESM4", 17, 1, 2), Mapped("ZTM4", 18, 1, 2)];

fn config(out: std::path::PathBuf) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    config
}

/// The prices of a market in quarters, moved to another base and step.
fn priced(records: &[Mbp10Msg], base: i64, step: i64) -> Vec<Mbp10Msg> {
    let price = |px: i64| if px == UNDEF_PRICE { px } else { base + px / QUARTER * step };
    let mut records = records.to_vec();
    for record in &mut records {
        record.price = price(record.price);
        for level in &mut record.levels {
            (level.bid_px, level.ask_px) = (price(level.bid_px), price(level.ask_px));
        }
    }
    records
}

/// A market of ZTM4 at 102 and some steps; the first `n` updates of it.
fn note(n: u64, step: i64) -> Vec<Mbp10Msg> {
    priced(&updates(18, DAY_1, n, 30), 102 * UNIT, step)
}

/// One side of one level, as a quiet instrument shows it.
fn one_sided(mut records: Vec<Mbp10Msg>) -> Vec<Mbp10Msg> {
    for record in &mut records {
        for (i, level) in record.levels.iter_mut().enumerate() {
            (level.ask_px, level.ask_sz, level.ask_ct) = (UNDEF_PRICE, 0, 0);
            if i > 0 {
                (level.bid_px, level.bid_sz, level.bid_ct) = (UNDEF_PRICE, 0, 0);
            }
        }
    }
    records
}

fn steps(summary: &ConvertSummary) -> Vec<(&str, i64, PriceStepSource)> {
    let step = |o: &'_ lob_convert::OutputSummary| (o.price_step, o.price_step_from.unwrap());
    summary.outputs.iter().map(|o| (o.symbol.as_str(), step(o).0, step(o).1)).collect()
}

#[test]
fn steps_of_notes_are_found_alone_and_beside_others() {
    use PriceStepSource::Detected;
    let folder = tempfile::tempdir().unwrap();
    // 1/32 and its half, quarter and eighth; a prime number of 1e-9.
    for step in [31_250_000, 15_625_000, 7_812_500, 3_906_250, 15_485_863] {
        let alone = note(60, step);
        let both = [updates(17, DAY_1, 60, 18_800), alone.clone()].concat();
        let alone = books(folder.path(), &format!("{step} alone.dbn"), &MAPPED, &alone);
        let both = books(folder.path(), &format!("{step} both.dbn"), &MAPPED, &both);
        let base_is_on_grid = 102 * UNIT % step == 0;
        let expected = if base_is_on_grid { step } else { 1 };
        if expected == step {
            let summary = convert(&[alone], &config(folder.path().join(format!("{step} a"))), &());
            assert_eq!(steps(&summary.unwrap()), [("ZTM4", step, Detected)]);
        }
        let summary =
            convert(&[both], &config(folder.path().join(format!("{step} b"))), &()).unwrap();
        assert_eq!(steps(&summary)[0], ("ESM4", QUARTER, Detected));
        if base_is_on_grid {
            assert_eq!(steps(&summary)[1], ("ZTM4", step, Detected));
        }
    }
    // On its own grid a prime step is one like any other.
    let prime = priced(&updates(18, DAY_1, 60, 7_000), 0, 15_485_863);
    let input = books(folder.path(), "prime.dbn", &MAPPED, &prime);
    let summary = convert(&[input], &config(folder.path().join("prime")), &()).unwrap();
    assert_eq!(steps(&summary), [("ZTM4", 15_485_863, Detected)]);
}

#[test]
fn a_quiet_note_is_guessed_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    for n in [1, 2, 5] {
        let quiet = one_sided(note(n, 3_906_250));
        let records = [updates(17, DAY_1, 200, 18_800), quiet].concat();
        let input = books(folder.path(), &format!("{n}.dbn"), &MAPPED, &records);
        let config = config(folder.path().join(n.to_string()));
        let summary = convert(&[input], &config, &()).unwrap();
        let found = steps(&summary);
        assert_eq!(found[0], ("ESM4", QUARTER, PriceStepSource::Detected));
        // A multiple of the step that all prices seen share, or the step.
        assert_eq!(found[1].1 % 3_906_250, 0, "{found:?}");
        assert!(found[1].1 <= 31_250_000, "{found:?}");
    }
}

/// An instrument whose prices are on no grid that fits into an image.
fn off_any_grid() -> Vec<Mbp10Msg> {
    let mut records = note(60, 3_906_250);
    records[30].levels[0].bid_px += 1;
    records
}

#[test]
fn an_instrument_without_a_step_is_left_out_by_name_and_comes_back_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let es = updates(17, DAY_1, 200, 18_800);
    let both = [es, off_any_grid()].concat();
    let input = books(folder.path(), "both.dbn", &MAPPED, &both);
    let auto = config(folder.path().join("auto"));
    let summary = convert(std::slice::from_ref(&input), &auto, &()).unwrap();
    assert_eq!(steps(&summary), [("ESM4", QUARTER, PriceStepSource::Detected)]);
    assert_eq!(summary.skipped["no_price_step"], 60);
    let warning = summary.warnings.iter().find(|w| w.contains("left out")).unwrap();
    for part in ["ZTM4", "18", "60 updates", "--price-step ZTM4="] {
        assert!(warning.contains(part), "{part}: {warning}");
    }

    for name in ["ZTM4", "18"] {
        let mut given = config(folder.path().join(name));
        given.price_steps.insert(name.to_owned(), 3_906_250);
        let summary = convert(std::slice::from_ref(&input), &given, &()).unwrap();
        let expected = [
            ("ESM4", QUARTER, PriceStepSource::Detected),
            ("ZTM4", 3_906_250, PriceStepSource::Given),
        ];
        assert_eq!(steps(&summary), expected);
        assert!(!summary.skipped.contains_key("no_price_step"));
    }
    // Another step means another store.
    let mut other = auto.clone();
    other.price_steps.insert("ZTM4".to_owned(), 3_906_250);
    let error = convert(std::slice::from_ref(&input), &other, &()).unwrap_err();
    assert!(matches!(error, ConvertError::OtherSettings { .. }), "{error}");
    // A name that nothing has is told.
    let mut typo = config(folder.path().join("typo"));
    typo.price_steps.insert("ZTM5".to_owned(), 3_906_250);
    let summary = convert(std::slice::from_ref(&input), &typo, &()).unwrap();
    assert!(summary.warnings.iter().any(|w| w.contains("ZTM5")), "{:?}", summary.warnings);

    // Alone it leaves nothing to convert, and the reason is the error.
    let input = books(folder.path(), "alone.dbn", &MAPPED, &off_any_grid());
    let error = convert(&[input], &config(folder.path().join("none")), &()).unwrap_err();
    assert!(error.to_string().contains("--price-step ZTM4="), "{error}");
}

#[test]
fn instruments_that_were_filtered_out_are_not_talked_about() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = one_sided(note(2, 3_906_250));
    for (name, more) in [("quiet", quiet), ("off", off_any_grid())] {
        let records = [updates(17, DAY_1, 200, 18_800), more].concat();
        let input = books(folder.path(), &format!("{name}.dbn"), &MAPPED, &records);
        let mut config = config(folder.path().join(name));
        config.symbols = vec!["ESM4".to_owned()];
        let summary = convert(&[input], &config, &()).unwrap();
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
        assert!(!summary.skipped.contains_key("no_price_step"));
    }
}

#[test]
fn stub_quotes_are_absent_levels() {
    let folder = tempfile::tempdir().unwrap();
    let plain = updates(17, DAY_1, 200, 18_800);
    let convert_all = |name: &str, records: &[Mbp10Msg], change: &dyn Fn(&mut ConvertConfig)| {
        let input = books(folder.path(), &format!("{name}.dbn"), &MAPPED, records);
        let mut config = config(folder.path().join(name));
        change(&mut config);
        convert(&[input], &config, &()).unwrap()
    };
    let whole = convert_all("plain", &plain, &|_| {});
    assert!(whole.oddities.is_empty(), "{:?}", whole.oddities);
    for (name, stub) in [("low", UNIT / 100), ("high", 999_999 * UNIT), ("top", UNDEF_PRICE - 1)] {
        for level in [0, 9] {
            let mut records = plain.clone();
            for record in &mut records[50..60] {
                record.levels[level].ask_px = stub;
            }
            let name = format!("{name} {level}");
            let summary = convert_all(&name, &records, &|_| {});
            assert_eq!(steps(&summary), steps(&whole), "{name}");
            assert_eq!((summary.rows, summary.samples), (whole.rows, whole.samples), "{name}");
            assert!(summary.oddities["stub_quote"] >= 1, "{name}");
            let file = lob_store::BinFile::open(&summary.outputs[0].path).unwrap();
            let mut bins = BinColumns::default();
            file.read(0..file.len(), &mut bins).unwrap();
            let around = |px: &i32| *px == NO_PRICE || (18_700..18_900).contains(px);
            assert!(bins.px.iter().all(around), "{name}");

            let ticks = |config: &mut ConvertConfig| config.layout = Layout::Ticks;
            let summary = convert_all(&format!("{name} ticks"), &records, &ticks);
            assert_eq!(summary.rows, 200);
            assert_eq!(summary.oddities.contains_key("stub_quote"), level == 0, "{name}");
        }
    }
    // So many steps from zero that no number of them fits; it ended the conversion.
    let mut fx = priced(&updates(18, DAY_1, 200, 66_000), 0, 10_000);
    fx[70].levels[9].ask_px = 999_999 * UNIT;
    let fixed = |config: &mut ConvertConfig| {
        config.price_step = lob_convert::PriceStepChoice::Fixed(10_000);
    };
    let summary = convert_all("fx", &fx, &fixed);
    assert_eq!((summary.rows, summary.oddities["stub_quote"]), (10, 1));
    // A market that begins with stubs only.
    let mut begins = plain.clone();
    for (i, record) in begins[..30].iter_mut().enumerate() {
        for level in &mut record.levels {
            *level = dbn::BidAskPair { bid_px: UNDEF_PRICE, ask_px: UNDEF_PRICE, ..level.clone() };
        }
        (record.levels[0].bid_px, record.levels[0].ask_px) = (UNIT / 100, 999_999 * UNIT);
        record.levels[0].bid_sz = 1 + u32::try_from(i).unwrap();
    }
    let summary = convert_all("begins", &begins, &|_| {});
    assert_eq!(steps(&summary), steps(&whole));
    assert_eq!(summary.rows, whole.rows);
}
