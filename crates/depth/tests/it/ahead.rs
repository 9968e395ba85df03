//! Labels that look forward, against plain loops over the lists of mids and updates.

use lob_depth::{ForwardVolatility, LabelSpec, MidPath, NextRows, NextWatch, Reach, Side};
use proptest::prelude::*;

/// Runs of rows, each a mid or none.
fn runs() -> impl Strategy<Value = Vec<Vec<Option<i64>>>> {
    let mid = prop::option::weighted(0.93, -60_i64..60);
    prop::collection::vec(prop::collection::vec(mid, 0..60), 0..5)
}

fn change(run: &[Option<i64>], row: usize) -> Option<f64> {
    Some((run[row]? - run[row - 1]?) as f64 / 2.0)
}

proptest! {
    #[test]
    fn paths_equal_plain_loops(runs in runs(), n in 1_u32..30, is_ended in any::<bool>()) {
        let mut path = MidPath::default();
        for (at, run) in runs.iter().enumerate() {
            run.iter().for_each(|mid| path.push(*mid));
            if is_ended || at + 1 < runs.len() {
                path.end_run();
            }
        }
        let (mut walk, mut volatility) = (path.walk(), ForwardVolatility::new(n));
        let ahead = n as usize;
        for run in &runs {
            for row in 0..run.len() {
                walk.advance();
                prop_assert_eq!(walk.twice_mid(), run[row]);
                let later = run.get(row + ahead).copied().flatten();
                prop_assert_eq!(walk.forward(n), later.zip(run[row]).map(|(b, a)| b - a));
                let next: Option<Vec<f64>> = (row + ahead < run.len())
                    .then(|| (row + 1..=row + ahead).map(|at| change(run, at)).collect())
                    .flatten();
                let expected = next.map(|x| x.iter().map(|x| x * x).sum::<f64>().sqrt());
                prop_assert_eq!(volatility.of(&walk), expected);
                let past: Vec<f64> = (1..=row).rev().take(100).filter_map(|at| change(run, at)).collect();
                let mean = past.iter().map(|x| x * x).sum::<f64>() / past.len() as f64;
                prop_assert_eq!(walk.past_volatility(), (past.len() >= 10).then(|| mean.sqrt()));
            }
        }
    }

    #[test]
    fn the_next_updates_equal_plain_loops(
        updates in prop::collection::vec(
            (0_u64..40, prop::option::weighted(0.9, 90_i64..95), 0_u8..8, 0_u8..5, 0_u8..30),
            0..150,
        ),
        n in 1_u32..9,
        ns in 1_u64..200,
    ) {
        let (mut watch, mut rows) =
            (NextWatch::new(&[Reach::Ns(ns), Reach::Updates(n)]), NextRows::default());
        // Update by update: its time, its mid, its trade; where rows and runs end.
        let (mut list, mut ends, mut runs) = (Vec::new(), Vec::new(), vec![0]);
        let mut ts = 1_000_u64;
        for (step, mid, trade, row, run) in updates {
            // A clock that goes back now and then.
            ts = (ts + step).saturating_sub(if step == 3 { 30 } else { 0 });
            let trade = match trade { 0 => Some(Side::Bid), 1 => Some(Side::Ask), 2 => Some(Side::None), _ => None };
            watch.update(ts, mid, trade, &mut rows);
            list.push((ts, mid, trade));
            if row == 0 {
                watch.row(&mut rows);
                ends.push(list.len() - 1);
            }
            if run == 0 {
                watch.end_run(&mut rows);
                runs.push(list.len());
            }
        }
        watch.end_run(&mut rows);
        runs.push(list.len());
        for (row, &at) in ends.iter().enumerate() {
            let end = *runs.iter().find(|end| **end > at).unwrap();
            let (now, mid, _) = list[at];
            let after = &list[at + 1..end];
            let by_updates = after.get(n as usize - 1).and_then(|update| update.1);
            prop_assert_eq!(rows.later(row, 1), by_updates, "row {}", row);
            let until = now + ns;
            let by_time = match (at + 1..end).find(|&q| list[q].0 > until) {
                Some(beyond) => list[beyond - 1].1,
                None if list[end - 1].0 >= until => list[end - 1].1,
                None => None,
            };
            prop_assert_eq!(rows.later(row, 0), by_time, "row {}", row);
            let other = mid.and_then(|mid| after.iter().find(|u| u.1.is_some_and(|m| m != mid)));
            prop_assert_eq!(rows.is_up(row), other.map(|u| u.1 > mid), "row {}", row);
            let wait = other.and_then(|u| u.0.checked_sub(now)).map(u64::cast_signed);
            prop_assert_eq!(rows.change_ns(row), wait, "row {}", row);
            let trade = after.iter().find_map(|update| update.2);
            let is_buy = trade.and_then(|side| match side {
                Side::Bid => Some(true),
                Side::Ask => Some(false),
                Side::None => None,
            });
            prop_assert_eq!(rows.is_buy(row), is_buy, "row {}", row);
        }
        prop_assert_eq!((rows.later(ends.len(), 0), rows.is_up(ends.len())), (None, None));
    }
}

#[test]
fn sums_of_large_changes_do_not_overflow() {
    let mut path = MidPath::default();
    let most = 2 * i64::from(i32::MAX);
    (0..40).for_each(|row| path.push(Some(if row % 2 == 0 { most } else { -most })));
    let (mut walk, mut volatility) = (path.walk(), ForwardVolatility::new(20));
    for _ in 0..12 {
        walk.advance();
        let found = volatility.of(&walk).unwrap();
        let expected = most as f64 * 20_f64.sqrt();
        assert!((found / expected - 1.0).abs() < 1e-12);
    }
    assert!((walk.past_volatility().unwrap() / most as f64 - 1.0).abs() < 1e-12);
}

/// What the documents say of the label that compares with a mean of the past: of a driftless walk the
/// weights of the known steps and of those to come, squared, are the shares of its variance.
#[test]
fn the_label_with_a_past_is_43_percent_known_and_guessed_in_56_percent() {
    let LabelSpec { lookback, lookforward, offset, .. } = LabelSpec::default();
    let (back, ahead, gap) = (u64::from(lookback), u64::from(lookforward), u64::from(offset));
    let share = |n: u64, of: u64| (n as f64 / of as f64).powi(2);
    // Step k before the row moves it away from the k-th part of the window before it.
    let known: f64 = (1..=back).map(|n| share(n, back)).sum();
    // All of the window after it is beyond the steps of the gap, less and less of it beyond later ones.
    let unknown: f64 = (gap + 1) as f64 + (1..ahead).map(|n| share(ahead - n, ahead)).sum::<f64>();
    let known_share = known / (known + unknown);
    assert!((known_share - 0.435).abs() < 0.001, "{known_share}");

    // Numbers of Marsaglia's xorshift, twelve of which add up to one that is nearly normal.
    let mut state = 88_172_645_463_325_252_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let third = |x: f64| i32::from(x >= -0.430_727) + i32::from(x >= 0.430_727);
    let n = 100_000;
    let agree = (0..n).filter(|_| {
        let (seen, unseen) = (normal(), normal());
        third(seen) == third(known_share.sqrt() * seen + (1.0 - known_share).sqrt() * unseen)
    });
    let accuracy = agree.count() as f64 / f64::from(n);
    assert!((accuracy - 0.56).abs() < 0.01, "{accuracy}");
}
