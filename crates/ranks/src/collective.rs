use crate::RankError;

/// One of several ranks that add up arrays together.
pub trait Collective {
    /// Which one this is, `0..world_size`.
    fn rank(&self) -> usize;

    /// How many there are, at least 1.
    fn world_size(&self) -> usize;

    /// Replaces each value by its sum over all ranks. Every rank calls it with equally many values,
    /// as often and in the same order; every rank gets the same bits.
    ///
    /// # Errors
    /// A rank is lost, does not answer in time, or brings another number of values. The ranks
    /// cannot go on together after that.
    fn all_reduce_sum(&mut self, values: &mut [f32]) -> Result<(), RankError>;
}

/// How the arrays of all ranks, in one place, become their sum.
pub trait Reduce: Send {
    /// Adds up arrays of equal length, one of each rank; there is at least one.
    ///
    /// # Errors
    /// Whatever keeps the sum from being made.
    fn sum(&mut self, parts: Vec<Vec<f32>>) -> Result<Vec<f32>, RankError>;
}

/// Adds rank after rank, so that the same arrays give the same bits whoever arrives first.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOrder;

impl Reduce for InOrder {
    fn sum(&mut self, parts: Vec<Vec<f32>>) -> Result<Vec<f32>, RankError> {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_default();
        for part in parts {
            for (sum, x) in sum.iter_mut().zip(part) {
                *sum += x;
            }
        }
        Ok(sum)
    }
}
