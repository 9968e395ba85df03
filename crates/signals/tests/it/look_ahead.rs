use lob_signals::{
    FeatureConfig, GateConfig, LogisticModel, Signal, SignalPipeline, ema, ewma_volatility, macd,
    momentum, order_flow_imbalance, rate_of_change, rsi, sma, volatility,
};
use proptest::prelude::*;

use crate::{Columns, market};

type Series = fn(&Columns) -> Vec<f64>;

/// The columns with everything from `from` on replaced by another market.
fn other_future(columns: &Columns, from: usize, seed: u64) -> Columns {
    let n = columns.bid_px.len();
    let other = market(n, seed);
    let splice = |a: &[f64], b: &[f64]| [&a[..from], &b[from..]].concat();
    Columns {
        bid_px: splice(&columns.bid_px, &other.bid_px),
        ask_px: splice(&columns.ask_px, &other.ask_px),
        bid_sz: splice(&columns.bid_sz, &other.bid_sz),
        ask_sz: splice(&columns.ask_sz, &other.ask_sz),
    }
}

/// Whether the first `from` values stay bit for bit when the future changes.
fn past_is_fixed(series: Series, from: usize, seeds: (u64, u64)) -> bool {
    let columns = market(120, seeds.0);
    let changed = other_future(&columns, from, seeds.1);
    let bits = |c: &Columns| series(c)[..from].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(&columns) == bits(&changed)
}

const SERIES: [(&str, Series); 9] = [
    ("rsi", |c| rsi(&c.ask_px, 5).unwrap()),
    ("momentum", |c| momentum(&c.ask_px, 5).unwrap()),
    ("rate_of_change", |c| rate_of_change(&c.ask_px, 5).unwrap()),
    ("sma", |c| sma(&c.ask_px, 5).unwrap()),
    ("ema", |c| ema(&c.ask_px, 5).unwrap()),
    ("volatility", |c| volatility(&c.ask_px, 5).unwrap()),
    ("ewma_volatility", |c| ewma_volatility(&c.ask_px, 0.9).unwrap()),
    ("macd", |c| macd(&c.ask_px, 3, 5, 2).unwrap().iter().map(|v| v.signal).collect()),
    ("order_flow_imbalance", |c| order_flow_imbalance(c.quotes())),
];

fn signals(columns: &Columns) -> Vec<Signal> {
    let (features, gate) = (FeatureConfig::default(), GateConfig::default());
    let mut pipeline =
        SignalPipeline::new(features, LogisticModel::queue_pressure(), gate).unwrap();
    pipeline.run(columns.quotes()).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_changed_future_leaves_the_past(from in 0_usize..120, a in 0_u64..1000, b in 1000_u64..2000) {
        for (name, series) in SERIES {
            prop_assert!(past_is_fixed(series, from, (a, b)), "{} looks ahead", name);
        }
        let columns = market(120, a);
        let before = signals(&columns);
        let after = signals(&other_future(&columns, from, b));
        prop_assert_eq!(format!("{:?}", &before[..from]), format!("{:?}", &after[..from]));
    }
}

/// The law itself must be able to fail: an average that sees one value too many breaks it.
#[test]
fn a_one_step_leak_is_caught() {
    let leaky: Series = |c| {
        let mut shifted = sma(&c.ask_px, 5).unwrap();
        shifted.rotate_left(1);
        shifted
    };
    assert!(!past_is_fixed(leaky, 60, (1, 2)));
}
