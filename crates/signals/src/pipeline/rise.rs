/// Pull of the weights of a fitted head towards 0: `ridge` of [`LinearHead::fit`](super::LinearHead::fit).
pub const HEAD_RIDGE: f64 = 1e-2;

/// Whether the mid is higher (`true`) or lower `horizon` rows on; `None` where it is the same, or
/// one of the two is null. Rows without that future are not among them: there is one for each of the
/// first rows, as many as have a future.
#[must_use]
pub fn moves(mids: &[f64], horizon: usize) -> Vec<Option<bool>> {
    let later = mids.get(horizon..).unwrap_or_default();
    let of = |(now, then): (&f64, &f64)| match now.partial_cmp(then)? {
        std::cmp::Ordering::Less => Some(true),
        std::cmp::Ordering::Greater => Some(false),
        std::cmp::Ordering::Equal => None,
    };
    mids.iter().zip(later).map(of).collect()
}

/// Share of rises among the moves, `(rises + 1) / (moves + 2)` (the rule of succession, Laplace),
/// so that it is neither 0 nor 1; a half without a move.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
#[expect(clippy::cast_possible_truncation, reason = "probabilities are single precision")]
pub fn base_rate(moves: &[Option<bool>]) -> f32 {
    let n_moves = moves.iter().flatten().count();
    let n_rises = moves.iter().flatten().filter(|rise| **rise).count();
    ((n_rises + 1) as f64 / (n_moves + 2) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_that_future_or_without_a_move_has_no_label() {
        assert_eq!(moves(&[1.0, 2.0, 1.0], 1), [Some(true), Some(false)]);
        assert_eq!(moves(&[1.0, 2.0, 2.0, 2.0], 2), [Some(true), None]);
        assert_eq!(moves(&[1.0, f64::NAN, 2.0], 1), [None, None]);
        assert!(moves(&[1.0], 5).is_empty());
    }

    #[test]
    fn a_base_rate_is_a_share_of_the_moves() {
        assert_eq!(base_rate(&[]), 0.5);
        assert_eq!(base_rate(&[None, Some(true), None]), 2.0 / 3.0);
        assert_eq!(base_rate(&[Some(true), Some(false), Some(false), None]), 0.4);
    }
}
