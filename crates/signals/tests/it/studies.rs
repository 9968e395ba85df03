//! What holds for every indicator: defined results on odd inputs, streaming equal to slices.

use lob_signals::{Study, Tick, Ticks};
use proptest::prelude::*;

use crate::Table;

/// Every indicator with short settings, so that short series get past the warm-up.
pub(crate) fn short_studies() -> Vec<Study> {
    let texts = [
        "rsi:3",
        "momentum:2",
        "rate_of_change:2",
        "volatility:3",
        "ewma_volatility:0.9",
        "sma:3",
        "ema:3",
        "macd:2:4:2",
        "bollinger:3:2",
        "atr:3",
        "vwap:3",
        "kyle_lambda:3",
        "spread",
        "microprice",
        "queue_imbalance",
        "book_imbalance",
        "order_flow_imbalance",
    ];
    let studies: Vec<Study> = texts.iter().map(|text| text.parse().unwrap()).collect();
    // A new indicator must be added above, or it would escape every law of this file.
    let names: Vec<&str> = studies.iter().map(Study::name).collect();
    assert_eq!(names, Study::all().map(|study| study.name()));
    studies
}

pub(crate) fn streamed(study: &Study, ticks: &Ticks<'_>) -> Vec<Vec<f64>> {
    let mut twin = study.stream().unwrap();
    let mut columns = vec![Vec::new(); study.columns().len()];
    let mut row = Vec::new();
    for tick in ticks.iter() {
        row.clear();
        twin.update(&tick, &mut row);
        assert_eq!(row.len(), columns.len(), "{study}");
        columns.iter_mut().zip(&row).for_each(|(column, value)| column.push(*value));
    }
    columns
}

fn bits(columns: &[Vec<f64>]) -> Vec<Vec<u64>> {
    let canonical = |x: &f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
    columns.iter().map(|column| column.iter().map(canonical).collect()).collect()
}

/// The last value of each column over a table of one constant row, and over one monotone.
fn last(study: &Study, table: &Table) -> Vec<f64> {
    let columns = study.series(&table.ticks()).unwrap();
    columns.iter().map(|column| column.last().copied().unwrap_or(f64::NAN)).collect()
}

fn check(actual: &[f64], expected: &[f64], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, e) in actual.iter().zip(expected) {
        let same = (a.is_nan() && e.is_nan()) || (a - e).abs() <= 1e-12 * e.abs().max(1.0);
        assert!(same, "{what}: {actual:?} instead of {expected:?}");
    }
}

#[test]
fn an_empty_series_gives_empty_columns() {
    for study in short_studies() {
        let columns = study.series(&Table::default().ticks()).unwrap();
        assert_eq!(columns.len(), study.columns().len(), "{study}");
        assert!(columns.iter().all(Vec::is_empty), "{study}");
    }
}

#[test]
fn a_single_element_has_a_value_only_where_no_past_is_needed() {
    let table = Table::rows(1, |_| Table::tick(100.0, 30.0));
    for study in short_studies() {
        let expected = match study.name() {
            "spread" => 1.0,
            "microprice" => 100.25, // sizes 30 and 10: three quarters of the way to the ask
            "queue_imbalance" | "book_imbalance" => 0.5,
            _ => f64::NAN,
        };
        check(&last(&study, &table), &vec![expected; study.columns().len()], study.name());
    }
}

#[test]
fn a_constant_series_has_defined_results() {
    let table = Table::rows(40, |_| Table::tick(100.0, 30.0));
    for study in short_studies() {
        let expected: &[f64] = match study.name() {
            "rsi" => &[50.0], // no movement at all is neutral
            "sma" | "ema" | "vwap" => &[100.0],
            "macd" => &[0.0; 3],
            "bollinger" => &[100.0; 3],
            "atr" | "spread" => &[1.0],
            "microprice" => &[100.25],
            "queue_imbalance" | "book_imbalance" => &[0.5],
            "kyle_lambda" => &[f64::NAN], // flow that does not vary explains nothing
            _ => &[0.0],
        };
        check(&last(&study, &table), expected, study.name());
    }
}

#[test]
fn a_monotone_series_has_defined_results() {
    // 1, 2, 4, 8, … : every indicator of returns sees the constant ln 2, every change doubles.
    let price = |i: usize| f64::powi(2.0, i32::try_from(i).unwrap());
    let table = Table::rows(12, |i| Table::tick(price(i), 30.0));
    let p = price(11);
    let mean = (p + p / 2.0 + p / 4.0) / 3.0;
    let sd = [p, p / 2.0, p / 4.0].map(|x| (x - mean).powi(2)).iter().sum::<f64>() / 3.0;
    for study in short_studies() {
        let expected: Vec<f64> = match study.name() {
            "rsi" => vec![100.0],
            "momentum" => vec![p * 0.75],
            "rate_of_change" => vec![3.0],
            "ewma_volatility" => vec![2.0_f64.ln()],
            "volatility" | "order_flow_imbalance" => {
                // Bid and ask rise: 30 new at the bid, 10 gone from the ask.
                vec![if study.name() == "volatility" { 0.0 } else { 40.0 }]
            }
            "sma" | "vwap" => vec![mean],
            "bollinger" => vec![mean - 2.0 * sd.sqrt(), mean, mean + 2.0 * sd.sqrt()],
            "kyle_lambda" => vec![f64::NAN],
            "spread" => vec![1.0],
            "microprice" => vec![p + 0.25],
            "queue_imbalance" | "book_imbalance" => vec![0.5],
            // Recursive averages of a rise lie below it, and the fast one above the slow one.
            "ema" | "atr" | "macd" => {
                let values = last(&study, &table);
                assert!(values.iter().all(|v| *v > 0.0 && *v < p), "{study}: {values:?}");
                continue;
            }
            name => panic!("`{name}` has no expectation"),
        };
        check(&last(&study, &table), &expected, study.name());
    }
    let falling = Table::rows(12, |i| Table::tick(price(12 - i), 30.0));
    check(&last(&"rsi:3".parse().unwrap(), &falling), &[0.0], "rsi of a fall");
    assert!(last(&"macd:2:4:2".parse().unwrap(), &falling)[0] < 0.0);
}

#[test]
fn a_null_gives_null_and_later_values_come_back() {
    let with = Table::rows(60, |i| {
        if i == 20 {
            Tick::UNKNOWN
        } else {
            Table::tick(100.0 + (i % 5) as f64, 20.0 + (i % 3) as f64)
        }
    });
    for study in short_studies() {
        let columns = study.series(&with.ticks()).unwrap();
        for column in columns {
            assert!(column[20].is_nan(), "{study}");
            assert!(column[59].is_finite(), "{study}: a null must not last for ever");
            assert!(column.iter().all(|x| !x.is_infinite()), "{study}");
        }
    }
    let all_null = Table::rows(30, |_| Tick::UNKNOWN);
    for study in short_studies() {
        let columns = study.series(&all_null.ticks()).unwrap();
        assert!(columns.iter().flatten().all(|x| x.is_nan()), "{study}");
    }
}

/// A number as data may hold it: mostly sane, sometimes not.
fn odd(low: f64, high: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => low..high,
        2 => Just(low),
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ]
}

prop_compose! {
    fn odd_tick()(
        price in odd(90.0, 110.0), up in 0.0..2.0, down in 0.0..2.0, volume in odd(1.0, 50.0),
        signed in odd(-50.0, 50.0), spread in odd(0.25, 1.0), sizes in (odd(1.0, 99.0), odd(1.0, 99.0)),
    ) -> Tick {
        Tick {
            price, high: price + up, low: price - down, volume, signed_volume: signed,
            quote: lob_signals::Quote {
                bid_px: price, ask_px: price + spread, bid_sz: sizes.0, ask_sz: sizes.1,
            },
            bid_depth_sz: sizes.0 * 3.0, ask_depth_sz: sizes.1 * 4.0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn streaming_equals_slices_bit_for_bit(rows in proptest::collection::vec(odd_tick(), 0..80)) {
        let table = Table::rows(rows.len(), |i| rows[i]);
        for study in short_studies() {
            let whole = study.series(&table.ticks()).unwrap();
            prop_assert_eq!(bits(&whole), bits(&streamed(&study, &table.ticks())), "{}", study);
            for x in whole.iter().flatten() {
                prop_assert!(!x.is_infinite(), "{}: {:?}", study, whole);
            }
        }
    }

    /// Single precision is the double-precision result of the same (rounded) prices, rounded.
    #[test]
    fn f32_series_round_once(prices in proptest::collection::vec(90.0_f32..110.0, 0..60)) {
        let wide: Vec<f64> = prices.iter().map(|&p| f64::from(p)).collect();
        let narrow = |x: Vec<f64>| x.iter().map(|&x| (x as f32).to_bits()).collect::<Vec<_>>();
        let same = |a: Vec<f32>, b: Vec<f64>| {
            prop_assert_eq!(a.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), narrow(b));
            Ok(())
        };
        same(lob_signals::rsi(&prices, 5).unwrap(), lob_signals::rsi(&wide, 5).unwrap())?;
        same(lob_signals::momentum(&prices, 5).unwrap(), lob_signals::momentum(&wide, 5).unwrap())?;
        same(lob_signals::sma(&prices, 5).unwrap(), lob_signals::sma(&wide, 5).unwrap())?;
        same(lob_signals::ema(&prices, 5).unwrap(), lob_signals::ema(&wide, 5).unwrap())?;
        same(
            lob_signals::volatility(&prices, 5).unwrap(),
            lob_signals::volatility(&wide, 5).unwrap(),
        )?;
        same(
            lob_signals::vwap(&prices, &prices, 5).unwrap(),
            lob_signals::vwap(&wide, &wide, 5).unwrap(),
        )?;
    }
}
