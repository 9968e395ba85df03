//! Many series at once give what each gives alone.

use lob_signals::{Study, Tick, Ticks, time_major};
use proptest::prelude::*;

use crate::Table;
use crate::studies::short_studies;

/// Random markets of one length; about one tick in `gap` is missing.
pub(crate) fn markets(n_series: usize, n_steps: usize, seed: u64, gap: u64) -> Vec<Table> {
    (0..n_series as u64)
        .map(|s| {
            let market = Table::random(n_steps, seed + 7 * s);
            let is_gap = |i: usize| (i as u64 * 2_654_435_761 + seed + s).is_multiple_of(gap);
            Table::rows(n_steps, |i| if is_gap(i) { Tick::UNKNOWN } else { market.at(i) })
        })
        .collect()
}

/// The tables side by side.
fn side_by_side(tables: &[Table]) -> Table {
    let n_steps = tables.first().map_or(0, |table| table.ticks().len());
    let n = tables.len();
    Table::rows(n_steps * n, |i| tables[i % n].at(i / n))
}

/// Compares one series with its place in a batch: equal nulls, values within `tolerance` of the
/// larger of the value and `scale`.
pub(crate) fn close(alone: f64, batch: f64, tolerance: f64, scale: f64) -> bool {
    (alone.is_nan() && batch.is_nan())
        || (alone - batch).abs() <= tolerance * alone.abs().max(scale)
}

fn check(study: &Study, tables: &[Table]) {
    let (n, wide) = (tables.len(), side_by_side(tables));
    // Where a window has just become flat the squares are round-off, and a root makes it larger.
    let tolerance = if matches!(study, Study::Bollinger(..)) { 1e-7 } else { 1e-8 };
    let batch = study.batch(&wide.ticks(), n).unwrap();
    for (s, table) in tables.iter().enumerate() {
        let alone = study.series(&table.ticks()).unwrap();
        for (column, (alone, batch)) in alone.iter().zip(&batch).enumerate() {
            assert_eq!(batch.len(), alone.len() * n);
            let largest =
                alone.iter().filter(|x| !x.is_nan()).fold(1e-3_f64, |m, x| m.max(x.abs()));
            for (t, value) in alone.iter().enumerate() {
                let other = batch[t * n + s];
                assert!(
                    close(*value, other, tolerance, largest),
                    "{study} column {column}, series {s}, step {t}: {value} and {other}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_batch_is_its_series(n in 1_usize..10, steps in 0_usize..90, seed in 0_u64..900) {
        for study in short_studies() {
            check(&study, &markets(n, steps, seed, u64::MAX));
            check(&study, &markets(n, steps, seed, 17));
        }
    }
}

#[test]
fn constant_windows_have_no_deviation() {
    let tables: Vec<Table> = (0..3_u8)
        .map(|s| Table::rows(30, |i| Table::tick(if i < 12 { f64::from(s) } else { 0.1 }, 30.0)))
        .collect();
    let wide = side_by_side(&tables);
    let bands = "bollinger:5:2".parse::<Study>().unwrap().batch(&wide.ticks(), 3).unwrap();
    assert!((bands[2][29 * 3] - 0.1).abs() < 1e-9 && (bands[0][29 * 3] - 0.1).abs() < 1e-9);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let ticks = Ticks { price: &[1.0, 2.0, 3.0], ..Ticks::default() };
    assert!(Study::Sma(2).batch(&ticks, 2).is_err() && Study::Sma(2).batch(&ticks, 0).is_err());
    assert_eq!(time_major(&[&[1.0, 2.0], &[3.0, 4.0]]).unwrap(), [1.0, 3.0, 2.0, 4.0]);
    assert!(time_major(&[&[1.0], &[]]).is_err());
    assert!(time_major(&[]).unwrap().is_empty());
}
