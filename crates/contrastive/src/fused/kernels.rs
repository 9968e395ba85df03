//! Vectorised loops. Each runs compiled for the best instruction set of the processor, and adds up
//! in an order that depends neither on it nor on the number of threads.

use pulp::Arch;
use rayon::prelude::*;

/// Rows that one thread takes at a time; also the unit of partial sums over rows.
pub(super) const BLOCK_ROWS: usize = 32;

/// Values from which on a second thread is worth waking.
const PARALLEL_VALUES: usize = 1 << 15;

/// Runs `kernel`, which must be `#[inline(always)]`, for this processor.
#[inline]
pub(crate) fn vectorised<R>(kernel: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(kernel)
}

/// Whether `n` values are worth more than one thread.
pub(super) fn is_parallel(n: usize) -> bool {
    n >= PARALLEL_VALUES && rayon::current_num_threads() > 1
}

/// Calls `run` for every item, on several threads when the work is on `n` values.
pub(super) fn for_each<T: Send>(n: usize, items: Vec<T>, run: impl Fn(T) + Sync + Send) {
    if is_parallel(n) {
        items.into_par_iter().for_each(run);
    } else {
        items.into_iter().for_each(run);
    }
}

/// `exp(x)` for `x <= 88`, to about 1e-7 of its value; 0 below -87. Cephes' polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { p * power }
}

/// Sum of `f` over the values, in sixteen interleaved parts.
#[inline(always)]
pub(super) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane += f(x));
    }
    fold(lanes) + rest.iter().map(|&x| f(x)).sum::<f32>()
}

/// Sum of `f` over two arrays of equal length.
#[inline(always)]
pub(super) fn sum_of_pairs(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (xs, x_rest) = x.as_chunks::<16>();
    let (ys, y_rest) = y.as_chunks::<16>();
    for (x, y) in xs.iter().zip(ys) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += f(x, y);
        }
    }
    fold(lanes) + x_rest.iter().zip(y_rest).map(|(&x, &y)| f(x, y)).sum::<f32>()
}

/// Largest value; NaN does not count.
#[inline(always)]
pub(super) fn max_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            let x = f(x);
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest.iter().map(|&x| f(x)).collect::<Vec<_>>().iter())
        .fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

/// `to += from`.
#[inline(always)]
pub(super) fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

#[inline(always)]
fn fold(mut lanes: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_standard_library() {
        for i in -8700..=8800_i16 {
            let x = f32::from(i) / 100.0;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found - expected).abs() <= 3e-7 * expected,
                "exp({x}): {found} for {expected}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(-88.0), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_the_rest_of_a_row() {
        let x: Vec<f32> = (0..37_u8).map(f32::from).collect();
        assert_eq!(vectorised(|| sum_of(&x, |x| x)), 666.0);
        assert_eq!(vectorised(|| sum_of_pairs(&x, &x, |x, y| x - y)), 0.0);
        assert_eq!(vectorised(|| max_of(&x, |x| -x)), 0.0);
        assert_eq!(max_of(&[f32::NAN, 1.0], |x| x), 1.0);
    }
}
