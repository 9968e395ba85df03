//! No look-ahead: whatever happens after a moment, everything up to it stays bit for bit.

use lob_signals::{
    FeatureConfig, GateConfig, LogisticModel, Signal, SignalPipeline, Study, Ticks, sma,
};
use proptest::prelude::*;

use crate::studies::short_studies;
use crate::{Columns, Table, market};

const ROWS: usize = 120;

type Series<'a> = &'a dyn Fn(&Ticks<'_>) -> Vec<Vec<f64>>;

/// Whether the first `from` values stay bit for bit when everything from there on is replaced by
/// another market.
fn past_is_fixed(series: Series<'_>, from: usize, seeds: (u64, u64)) -> bool {
    let (table, other) = (Table::random(ROWS, seeds.0), Table::random(ROWS, seeds.1));
    let changed = Table::rows(ROWS, |i| if i < from { table.at(i) } else { other.at(i) });
    let bits = |table: &Table| {
        let columns = series(&table.ticks());
        let past = columns.iter().flat_map(|column| &column[..from]);
        past.map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    bits(&table) == bits(&changed)
}

fn signals(columns: &Columns) -> Vec<Signal> {
    let (features, gate) = (FeatureConfig::default(), GateConfig::default());
    let mut pipeline =
        SignalPipeline::new(features, LogisticModel::queue_pressure(), gate).unwrap();
    pipeline.run(columns.quotes()).unwrap().0
}

fn signals_past_is_fixed(
    run: impl Fn(&Columns) -> Vec<Signal>,
    from: usize,
    seeds: (u64, u64),
) -> bool {
    let (columns, other) = (market(ROWS, seeds.0), market(ROWS, seeds.1));
    let splice = |a: &[f64], b: &[f64]| [&a[..from], &b[from..]].concat();
    let changed = Columns {
        bid_px: splice(&columns.bid_px, &other.bid_px),
        ask_px: splice(&columns.ask_px, &other.ask_px),
        bid_sz: splice(&columns.bid_sz, &other.bid_sz),
        ask_sz: splice(&columns.ask_sz, &other.ask_sz),
    };
    let (before, after) = (run(&columns), run(&changed));
    format!("{:?}", &before[..from]) == format!("{:?}", &after[..from])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_changed_future_leaves_the_past(from in 0..ROWS, a in 0_u64..1000, b in 1000_u64..2000) {
        for study in short_studies() {
            let series = |ticks: &Ticks<'_>| study.series(ticks).unwrap();
            prop_assert!(past_is_fixed(&series, from, (a, b)), "{} looks ahead", study);
        }
        prop_assert!(signals_past_is_fixed(signals, from, (a, b)), "the pipeline looks ahead");
    }
}

/// The law itself must be able to fail: every indicator, shifted by one step, breaks it.
#[test]
fn a_one_step_leak_is_caught_in_every_indicator() {
    for study in short_studies() {
        let leaky = |ticks: &Ticks<'_>| {
            let mut columns = study.series(ticks).unwrap();
            columns.iter_mut().for_each(|column| column.rotate_left(1));
            columns
        };
        assert!(!past_is_fixed(&leaky, 60, (1, 2)), "a leak in {study} would go unseen");
    }
}

/// A pipeline fed quotes from one step ahead, and an average that is centred, are caught too.
#[test]
fn a_one_step_leak_is_caught_in_the_pipeline() {
    let leaky = |columns: &Columns| {
        let ahead = |column: &[f64]| [&column[1..], &column[column.len() - 1..]].concat();
        signals(&Columns {
            bid_px: ahead(&columns.bid_px),
            ask_px: ahead(&columns.ask_px),
            bid_sz: ahead(&columns.bid_sz),
            ask_sz: ahead(&columns.ask_sz),
        })
    };
    // A missing side makes the signal at the cut null, and then there is nothing to see.
    let caught = (0..40).filter(|&i| !signals_past_is_fixed(leaky, 60, (i, 1000 + i))).count();
    assert!(caught >= 20, "the leak was seen in {caught} of 40 markets");
    assert!((0..40).all(|i| signals_past_is_fixed(signals, 60, (i, 1000 + i))));
    let centred = |ticks: &Ticks<'_>| {
        let mut mean = sma(ticks.price, 5).unwrap();
        mean.rotate_left(2);
        vec![mean]
    };
    assert!(!past_is_fixed(&centred, 60, (1, 2)));
    let honest = |ticks: &Ticks<'_>| Study::Sma(5).series(ticks).unwrap();
    assert!(past_is_fixed(&honest, 60, (1, 2)));
}
