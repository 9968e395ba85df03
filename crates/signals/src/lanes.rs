//! Rolling windows over a whole series, several at a time.
//!
//! Running sums are taken anew every `n` values, so one such stretch owes nothing to the one before:
//! the processor can work on [`LANES`] of them at once instead of waiting for one addition after
//! the other. The operations and their order are those of the streaming twins, to the bit.

use std::ops::Range;

use crate::Real;
use crate::indicator::real;
use crate::rolling::{RollingMoments, RollingSum, slide};

const LANES: usize = 4;

/// `finish` of what [`RollingSum`] gives at every value.
#[expect(clippy::needless_range_loop, reason = "one place of every lane at a time")]
pub(crate) fn sums<T: Real>(values: &[T], n: usize, finish: impl Fn(f64) -> T) -> Vec<T> {
    let mut out = vec![T::NULL; values.len()];
    let each = |stretch: Stretch<'_, T>| match stretch {
        Stretch::One(range) => {
            let mut twin = RollingSum::new(n);
            for (i, value) in range.clone().zip(&values[range.clone()]) {
                let sum = twin.push(value.to_f64());
                // Before that the window is not complete.
                if i + 1 >= range.start + n {
                    out[i] = finish(sum);
                }
            }
        }
        Stretch::Several(from, rows) => {
            let out = lanes_of(&mut out[from..], n);
            let mut sum = [-0.0; LANES]; // where `Iterator::sum` starts
            for at in 0..n {
                for lane in 0..LANES {
                    sum[lane] += rows[lane][at].to_f64();
                }
            }
            for lane in 0..LANES {
                out[lane][0] = finish(sum[lane]);
            }
            let (rows, out) = (rows.map(|row| &row[..n - 1]), out.map(|out| &mut out[1..n]));
            for at in 0..n - 1 {
                for lane in 0..LANES {
                    sum[lane] += rows[lane + 1][at].to_f64() - rows[lane][at].to_f64();
                    out[lane][at] = finish(sum[lane]);
                }
            }
        }
    };
    roll(values, n, each);
    out
}

/// `finish` of the mean and the sum of squared deviations that [`RollingMoments`] gives at every
/// value, as columns.
#[expect(clippy::needless_range_loop, reason = "one place of every lane at a time")]
pub(crate) fn moments<T: Real, const N: usize>(
    values: &[T],
    n: usize,
    finish: impl Fn(f64, f64) -> [f64; N],
) -> [Vec<f64>; N] {
    let mut columns = [(); N].map(|()| vec![f64::NAN; values.len()]);
    let weight = 1.0 / real(n);
    let each = |stretch: Stretch<'_, T>| match stretch {
        Stretch::One(range) => {
            let mut twin = RollingMoments::new(n);
            for (i, value) in range.clone().zip(&values[range.clone()]) {
                let (mean, squares) = twin.push(value.to_f64());
                if i + 1 >= range.start + n {
                    let row = finish(mean, squares);
                    columns.iter_mut().zip(row).for_each(|(column, value)| column[i] = value);
                }
            }
        }
        Stretch::Several(from, rows) => {
            let mut columns = columns.each_mut().map(|column| lanes_of(&mut column[from..], n));
            let origin: [f64; LANES] = std::array::from_fn(|lane| rows[lane][0].to_f64());
            let (mut mean, mut square) = ([-0.0; LANES], [-0.0; LANES]);
            for at in 0..n {
                for lane in 0..LANES {
                    mean[lane] += rows[lane][at].to_f64() - origin[lane];
                }
            }
            for lane in 0..LANES {
                mean[lane] = origin[lane] + mean[lane] / real(n);
            }
            for at in 0..n {
                for lane in 0..LANES {
                    square[lane] += (rows[lane][at].to_f64() - mean[lane]).powi(2);
                }
            }
            for lane in 0..LANES {
                let row = finish(mean[lane], square[lane]);
                columns.iter_mut().zip(row).for_each(|(column, value)| column[lane][0] = value);
            }
            let rows = rows.map(|row| &row[..n - 1]);
            let mut columns = columns.map(|lanes| lanes.map(|results| &mut results[1..n]));
            for at in 0..n - 1 {
                for lane in 0..LANES {
                    let change = (rows[lane + 1][at].to_f64(), rows[lane][at].to_f64());
                    slide(&mut mean[lane], &mut square[lane], change, weight);
                    for (column, value) in columns.iter_mut().zip(finish(mean[lane], square[lane]))
                    {
                        column[lane][at] = value;
                    }
                }
            }
        }
    };
    roll(values, n, each);
    columns
}

/// A part of a series to roll over.
enum Stretch<'a, T> {
    /// With a fresh window.
    One(Range<usize>),
    /// Windows without a null, `n` values apart: the place of the first result, and rows of `n`
    /// values. A lane begins with the sum of its own row; then the values of the next row enter
    /// as those of its own leave.
    Several(usize, [&'a [T]; LANES + 1]),
}

/// The `n` results of each lane, as slices of one length, so that the loops need no bounds check.
fn lanes_of<T>(out: &mut [T], n: usize) -> [&mut [T]; LANES] {
    let mut rest = out;
    std::array::from_fn(|_| {
        let (lane, after) = std::mem::take(&mut rest).split_at_mut(n);
        rest = after;
        lane
    })
}

fn roll<'a, T: Real>(values: &'a [T], n: usize, mut each: impl FnMut(Stretch<'a, T>)) {
    let mut at = without_nulls_from(values, n);
    each(Stretch::One(0..at.saturating_add(n - 1).min(values.len())));
    let several = n.saturating_mul(LANES + 1) - 1;
    while let Some(span) = values.get(at..).and_then(|rest| rest.get(..several)) {
        let rows = std::array::from_fn(|lane| &span[lane * n..]);
        each(Stretch::Several(at + n - 1, rows));
        at += LANES * n;
    }
    each(Stretch::One(at.min(values.len())..values.len()));
}

/// The first multiple of `n` from which on every value is finite.
fn without_nulls_from<T: Real>(values: &[T], n: usize) -> usize {
    let is_finite = |value: &T| value.to_f64().is_finite();
    let mut end = values.len();
    for block in values.rchunks(256) {
        // No early end inside a block, so that this is vector code.
        if !block.iter().fold(true, |all, value| all & is_finite(value)) {
            let last = block.iter().rposition(|value| !is_finite(value));
            let after = end - block.len() + last.map_or(0, |last| last + 1);
            return after.checked_next_multiple_of(n).unwrap_or(values.len());
        }
        end -= block.len();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lanes_are_the_twins_to_the_bit(
            head in proptest::collection::vec(prop_oneof![3 => -1e3..1e3, 1 => Just(f64::NAN)], 0..30),
            tail in proptest::collection::vec(-1e6..1e6, 0..160),
            n in 1_usize..12,
        ) {
            let values = [head, tail].concat();
            let (mut sum, mut both) = (RollingSum::new(n), RollingMoments::new(n));
            let out = (sums(&values, n, |sum| sum), moments(&values, n, |mean, squares| [mean, squares]));
            for (i, &value) in values.iter().enumerate() {
                let bits = |x: f64| (!x.is_nan()).then(|| x.to_bits());
                let (mean, squares) = both.push(value);
                prop_assert_eq!(bits(out.0[i]), bits(sum.push(value)), "sum at {}", i);
                prop_assert_eq!(bits(out.1[0][i]), bits(mean), "mean at {}", i);
                prop_assert_eq!(bits(out.1[1][i]), bits(squares), "squares at {}", i);
            }
        }
    }
}
