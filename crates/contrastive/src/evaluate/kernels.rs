//! The two loops that fits spend their time in, for the best instruction set of the processor.

use crate::fused::vectorised;

/// Rows added up in single precision before the sum goes on in double.
const BLOCK_ROWS: usize = 64;

/// Sum of products, in sixteen interleaved parts.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f32; 16];
            let (blocks_a, rest_a) = a.as_chunks::<16>();
            let (blocks_b, rest_b) = b.as_chunks::<16>();
            for (a, b) in blocks_a.iter().zip(blocks_b) {
                for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                    *lane += a * b;
                }
            }
            let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
            lanes.iter().sum::<f32>() + rest
        },
    )
}

/// `out += factor * row`.
pub(super) fn add_scaled(out: &mut [f32], factor: f32, row: &[f32]) {
    vectorised(
        #[inline(always)]
        || out.iter_mut().zip(row).for_each(|(out, x)| *out += factor * x),
    );
}

/// Sums over many rows: single precision in blocks, double precision over them.
pub(super) struct Sums {
    block: Vec<f32>,
    total: Vec<f64>,
    rows: usize,
}

impl Sums {
    pub(super) fn new(n: usize) -> Self {
        Self { block: vec![0.0; n], total: vec![0.0; n], rows: 0 }
    }

    /// Adds `factor * row` to the sums from `first` on.
    pub(super) fn add(&mut self, first: usize, factor: f32, row: &[f32]) {
        add_scaled(&mut self.block[first..first + row.len()], factor, row);
    }

    /// What was added belongs to one row.
    pub(super) fn next_row(&mut self) {
        self.rows += 1;
        if self.rows == BLOCK_ROWS {
            self.settle();
        }
    }

    pub(super) fn finish(mut self) -> Vec<f64> {
        self.settle();
        self.total
    }

    fn settle(&mut self) {
        for (total, block) in self.total.iter_mut().zip(&mut self.block) {
            *total += f64::from(std::mem::take(block));
        }
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_hand() {
        let a: Vec<f32> = (0..37_u8).map(f32::from).collect();
        assert_eq!(dot(&a, &a), (0..37_u16).map(|i| f32::from(i * i)).sum::<f32>());
        let mut sums = Sums::new(74);
        for _ in 0..130 {
            sums.add(37, 0.5, &a);
            sums.next_row();
        }
        let found = sums.finish();
        assert!(found[..37].iter().all(|&x| x == 0.0));
        assert_eq!((found[37], found[73]), (0.0, 130.0 * 18.0));
    }
}
