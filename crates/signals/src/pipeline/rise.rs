/// Pull of the weights of a fitted head towards 0: `ridge` of [`LinearHead::fit`](super::LinearHead::fit).
pub const HEAD_RIDGE: f64 = 1e-2;

/// Whether the mid is higher `horizon` rows on. Rows without that future are not among the labels:
/// there is one label for each of the first rows, as many as have one.
#[must_use]
pub fn rises(mids: &[f64], horizon: usize) -> Vec<bool> {
    let later = mids.get(horizon..).unwrap_or_default();
    mids.iter().zip(later).map(|(now, then)| then > now).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_that_future_has_no_label() {
        assert_eq!(rises(&[1.0, 2.0, 1.0], 1), [true, false]);
        assert_eq!(rises(&[1.0, 2.0, 2.0, 0.5], 2), [true, false]);
        assert!(rises(&[1.0], 5).is_empty());
    }
}
