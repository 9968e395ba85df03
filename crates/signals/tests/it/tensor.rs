//! The tensor operations agree with the slice functions; runs with the feature `burn`.

use lob_signals::{DeviceWindows, Study, TensorDevice};
use proptest::prelude::*;

use crate::Table;
use crate::batch::{close, markets};
use crate::studies::short_studies;

/// Windows one after another.
fn in_a_row(tables: &[Table]) -> Table {
    let n_steps = tables.first().map_or(0, |table| table.ticks().len());
    Table::rows(n_steps * tables.len(), |i| tables[i / n_steps].at(i % n_steps))
}

fn check(study: &Study, tables: &[Table], n_steps: usize) {
    let long = in_a_row(tables);
    let windows = DeviceWindows::upload(&long.ticks(), n_steps, TensorDevice::Cpu).unwrap();
    let found = windows.run(study).unwrap();
    for (w, table) in tables.iter().enumerate() {
        let has_gap = table.ticks().price.iter().any(|x| x.is_nan());
        for (column, alone) in study.series(&table.ticks()).unwrap().iter().enumerate() {
            let largest = alone.iter().filter(|x| !x.is_nan()).fold(0.0_f64, |m, x| m.max(x.abs()));
            // The volatility of a flat window is the rounding of its returns, in either form.
            let largest = largest.max(1e-6);
            for (t, expected) in alone.iter().enumerate() {
                let value = f64::from(found[column][w * n_steps + t]);
                // Studies of one row keep their nulls to themselves, and then are exact.
                let is_null = has_gap && value.is_nan();
                assert!(
                    is_null || close(*expected, value, 1e-5, largest),
                    "{study} column {column}, window {w}, step {t}: {expected} and {value}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn tensors_agree_with_slices(n in 1_usize..6, steps in 1_usize..70, seed in 0_u64..900) {
        for study in short_studies() {
            check(&study, &markets(n, steps, seed, u64::MAX), steps);
        }
    }
}

#[test]
fn usual_settings_agree_on_a_long_window() {
    for study in Study::all() {
        check(&study, &markets(3, 256, 5, u64::MAX), 256);
    }
}

#[test]
fn a_null_makes_its_window_null_and_no_other() {
    let tables = markets(2, 40, 3, u64::MAX);
    let holed =
        Table::rows(40, |i| if i == 9 { lob_signals::Tick::UNKNOWN } else { tables[0].at(i) });
    for study in short_studies() {
        let long = in_a_row(&[holed.clone(), tables[1].clone()]);
        let windows = DeviceWindows::upload(&long.ticks(), 40, TensorDevice::Cpu).unwrap();
        for column in windows.run(&study).unwrap() {
            assert!(column[9].is_nan() && column[79].is_finite(), "{study}");
        }
        check(&study, &[holed.clone(), tables[1].clone()], 40);
    }
}

#[test]
fn flat_and_tiny_windows_have_the_same_results() {
    let flat: Vec<Table> = vec![Table::rows(30, |_| Table::tick(100.0, 30.0)); 2];
    let single: Vec<Table> = vec![Table::rows(1, |_| Table::tick(100.0, 30.0)); 2];
    for study in short_studies() {
        check(&study, &flat, 30);
        check(&study, &single, 1);
    }
    let ticks = flat[0].ticks();
    assert!(DeviceWindows::upload(&ticks, 7, TensorDevice::Cpu).is_err());
    assert!(DeviceWindows::upload(&ticks, 0, TensorDevice::Cpu).is_err());
}
