//! A market that nobody can foresee: what labels say of forecasts on it.

use lob_convert::{ConvertConfig, convert};
use lob_depth::{BinRule, OrderFlow};
use lob_metrics::stats::SplitMix64;
use lob_store::{BinFile, Store, StoredBin};

use crate::made;

const UPDATES: u64 = 200_000;
const ROWS_A_BLOCK: usize = 250;

/// A mid that moves up or down one step in a quarter of all updates each, whatever was before, and in
/// every eighth a trade of either side.
fn walk(folder: &std::path::Path) -> std::path::PathBuf {
    let mut random = SplitMix64::new(20);
    let mut steps = 18_800;
    let records: Vec<_> = (0..UPDATES)
        .map(|at| {
            steps += [-1, 0, 0, 1][(random.next_u64() >> 62) as usize];
            let mut record = made::update(7, made::DAY_1 + at * 1_000_000, steps);
            if random.next_u64().is_multiple_of(8) {
                record.action = b'T'.cast_signed();
                record.side = [b'A', b'B'][(random.next_u64() >> 63) as usize].cast_signed();
            }
            record
        })
        .collect();
    made::books(folder, "walk.dbn", &[made::Mapped("WALK", 7, 1, 2)], &records)
}

/// What is known at each row: the sign of a number of its past, by name.
fn predictors(rows: &[StoredBin]) -> Vec<(&'static str, Vec<f64>)> {
    let mids: Vec<_> =
        rows.iter().map(|row| f64::from(row.bin.last_bid) + f64::from(row.bin.last_ask)).collect();
    let flow = |of: fn(&OrderFlow) -> i64| {
        rows.iter().map(|row| of(&row.bin.flow.unwrap()) as f64).collect::<Vec<_>>()
    };
    let (trades, imbalance) = (flow(|flow| flow.signed_trades), flow(|flow| flow.imbalance[0]));
    let change =
        |row: usize, n: usize| row.checked_sub(n).map_or(0.0, |before| mids[row] - mids[before]);
    let rows = || 0..mids.len();
    let moves =
        |row: usize| (0..50).filter(|n| *n < row).map(|n| change(row - n, 1).signum()).sum();
    let mean = |row: usize| {
        mids[row.saturating_sub(20)..=row].iter().sum::<f64>() / (row.min(20) + 1) as f64
    };
    vec![
        ("last change", rows().map(|row| change(row, 1)).collect()),
        ("last 10 changes", rows().map(|row| change(row, 10)).collect()),
        ("against the last 10 changes", rows().map(|row| -change(row, 10)).collect()),
        ("imbalance of 50 moves", rows().map(moves).collect()),
        ("side of the trades", trades),
        ("imbalance of the order flow", imbalance),
        ("distance from the mean", rows().map(|row| mids[row] - mean(row)).collect()),
    ]
}

/// Share of rows in which a predictor has the sign of the label, and its standard error over blocks
/// longer than the label reaches.
fn agreement(predictor: &[f64], label: &[Option<f64>]) -> (f64, f64) {
    let blocks = predictor.chunks(ROWS_A_BLOCK).zip(label.chunks(ROWS_A_BLOCK));
    let shares: Vec<f64> = blocks
        .filter_map(|(predictor, label)| {
            let both = predictor.iter().zip(label).filter_map(|(p, l)| Some((*p, (*l)?)));
            let both: Vec<_> = both.filter(|(p, l)| *p != 0.0 && *l != 0.0).collect();
            let agree = both.iter().filter(|(p, l)| p.signum() == l.signum()).count();
            (both.len() > 20).then(|| agree as f64 / both.len() as f64)
        })
        .collect();
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The direction that a label says, where it says one.
fn direction(file: &BinFile, name: &str) -> Vec<Option<f64>> {
    let values = file.label_values(name, 0..file.len()).unwrap();
    match name {
        // Their values are a time and a number of 0 or 1.
        "next_change" | "next_trade_side" => {
            values.class.iter().map(|up| up.map(|up| f64::from(2 * up - 1))).collect()
        }
        _ => values.value,
    }
}

#[test]
fn on_a_driftless_walk_nothing_known_foresees_a_forward_label_but_it_does_the_reversal() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ConvertConfig::new(folder.path().join("out"));
    config.bin_rule = BinRule::Updates(10);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (500, 500, 50);
    let more = ["1", "3", "10", "50", "25u", "1s"].map(|text| text.parse().unwrap());
    config.horizons = Some(more.to_vec());
    convert(&[walk(folder.path())], &config, &()).unwrap();
    let store = Store::open(&config.out).unwrap();
    let [file] = store.files() else { panic!("one file") };
    let rows = file.rows(0..file.len()).unwrap();
    assert_eq!((rows.len() as u64, rows.last().unwrap().segment), (UPDATES / 10, 0));
    let predictors = predictors(&rows);
    for name in [
        "forward_1",
        "forward_3",
        "forward_10",
        "forward_50",
        "forward_25u",
        "forward_1s",
        "next_change",
        "next_trade_side",
    ] {
        let label = direction(file, name);
        for (predictor, past) in &predictors {
            let (share, error) = agreement(past, &label);
            let is_chance = (share - 0.5).abs() <= 3.0 * error;
            assert!(is_chance && error < 0.05, "{predictor} of {name}: {share} +- {error}");
        }
    }
    // The label with a past is another matter: that is why it is no forecast.
    let label = direction(file, "reversal");
    let (share, error) = agreement(&predictors.last().unwrap().1, &label);
    assert!(share > 0.6 && share - 0.5 > 3.0 * error, "{share} +- {error}");
}
