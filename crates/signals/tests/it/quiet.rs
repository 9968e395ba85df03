//! A market that stands still for long: every indicator that remembers, in every form it comes in.

use lob_signals::{FeatureConfig, FeatureExtractor, Quote, Study, Tick, rsi};

use crate::Table;
use crate::studies::streamed;

/// Steps in which the market moves.
const N_MOVING: usize = 200;

/// Those that go on from their last value.
fn recursive() -> Vec<Study> {
    let names = ["rsi:14", "rsi:2", "ema:20", "macd:12:26:9", "atr:14", "ewma_volatility:0.94"];
    names.map(|name| name.parse().unwrap()).to_vec()
}

/// A random market that stands still from `N_MOVING` on, at a price of `level`.
fn still(n_steps: usize, seed: u64, level: f64) -> Table {
    let market = Table::random(N_MOVING, seed);
    let last = Tick { price: level, high: level, low: level, ..market.at(N_MOVING - 1) };
    Table::rows(n_steps, |i| if i < N_MOVING { market.at(i) } else { last })
}

fn is_sound(x: f64) -> bool {
    x.is_nan() || !x.is_subnormal()
}

#[test]
fn an_index_stays_where_it_was_in_every_form() {
    for period in [2, 14, 50] {
        let study = Study::Rsi(period);
        let table = still(N_MOVING + 30_000, 11, 100.0);
        let series = study.series(&table.ticks()).unwrap().remove(0);
        let before = series[N_MOVING];
        assert!(before > 0.0 && before < 100.0 && (before - 50.0).abs() > 0.1, "{before}");
        let batch = study.batch(&table.ticks(), 1).unwrap().remove(0);
        for (form, values) in [("series", &series), ("batch", &batch)] {
            for n in [1, 1_000, 10_000, 30_000 - 1] {
                let now = values[N_MOVING + n];
                assert!((now - before).abs() < 1e-9, "{form} of {period}: {before}, {now}");
            }
        }
        assert_eq!(streamed(&study, &table.ticks())[0].last(), series.last());
        let single: Vec<f32> = table.ticks().price.iter().map(|x| *x as f32).collect();
        let single = rsi(&single, period).unwrap();
        assert_eq!(single[N_MOVING], single[N_MOVING + 29_999]);
    }
}

/// A million, as the price that stands still of a holiday has.
#[test]
fn the_index_of_one_series_stays_beside_others_that_move() {
    let n_steps = N_MOVING + 20_000;
    let (quiet, lively) = (still(n_steps, 3, 100.0), Table::random(n_steps, 4));
    let both = Table::rows(2 * n_steps, |i| [&quiet, &lively][i % 2].at(i / 2));
    let values = Study::Rsi(14).batch(&both.ticks(), 2).unwrap().remove(0);
    let alone = Study::Rsi(14).series(&lively.ticks()).unwrap().remove(0);
    let before = values[2 * N_MOVING];
    for t in N_MOVING..n_steps {
        assert!((values[2 * t] - before).abs() < 1e-9, "{t}");
        assert!((values[2 * t + 1] - alone[t]).abs() < 1e-6, "{t}");
    }
}

#[test]
fn no_result_becomes_a_subnormal_number() {
    let table = still(N_MOVING + 12_000, 5, 0.0);
    // Of a price that is 0 there is no return; its volatility stands still elsewhere.
    let elsewhere = still(N_MOVING + 12_000, 5, 100.0);
    for study in recursive() {
        for table in [&table, &elsewhere] {
            for (form, columns) in [
                ("series", study.series(&table.ticks()).unwrap()),
                ("stream", streamed(&study, &table.ticks())),
                ("batch", study.batch(&table.ticks(), 1).unwrap()),
            ] {
                let sound = columns.iter().flatten().all(|x| is_sound(*x));
                assert!(sound, "{study}, {form}");
            }
        }
    }
}

#[test]
fn a_row_of_features_stays_too() {
    let mut features = FeatureExtractor::new(FeatureConfig::default()).unwrap();
    let quote = |bid: f64| Quote { bid_px: bid, ask_px: bid + 1.0, bid_sz: 3.0, ask_sz: 4.0 };
    for n in 0..200 {
        features.update(quote(100.0 + f64::from(n * n % 7)));
    }
    features.update(quote(100.0));
    let before = features.update(quote(100.0))[0];
    for _ in 0..50_000 {
        assert_eq!(features.update(quote(100.0))[0], before);
    }
}

#[cfg(feature = "burn")]
#[test]
fn tensors_agree_on_a_window_that_stands_still() {
    use lob_signals::{DeviceWindows, TensorDevice};
    // Long enough for the averages to leave single precision.
    let n_steps = 1_500;
    let tables = [still(n_steps, 7, 100.0), Table::random(n_steps, 8)];
    let long = Table::rows(2 * n_steps, |i| tables[i / n_steps].at(i % n_steps));
    let windows = DeviceWindows::upload(&long.ticks(), n_steps, TensorDevice::Cpu).unwrap();
    for study in recursive() {
        let found = windows.run(&study).unwrap();
        for (w, table) in tables.iter().enumerate() {
            let alone = study.series(&table.ticks()).unwrap();
            for (column, alone) in alone.iter().enumerate() {
                let largest =
                    alone.iter().filter(|x| !x.is_nan()).fold(1e-6, |m: f64, x| m.max(x.abs()));
                for (t, expected) in alone.iter().enumerate() {
                    let value = found[column][w * n_steps + t];
                    assert!(value.is_nan() || !value.is_subnormal(), "{study} at {t}: {value}");
                    let close = (f64::from(value) - expected).abs() <= 1e-4 * largest;
                    assert!(
                        close || value.is_nan() && expected.is_nan(),
                        "{study}, {w} at {t}: {expected} {value}"
                    );
                }
            }
        }
    }
}
