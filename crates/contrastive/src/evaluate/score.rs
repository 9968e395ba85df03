/// Mean recall over the classes that occur: a guess scores one over their number. No class is a
/// wrong one.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn balanced_accuracy(truth: &[u32], found: &[Option<u32>], n_classes: usize) -> f64 {
    let mut counts = vec![(0_usize, 0_usize); n_classes];
    for (&truth, &found) in truth.iter().zip(found) {
        let (right, all) = &mut counts[truth as usize];
        *right += usize::from(found == Some(truth));
        *all += 1;
    }
    let recalls: Vec<f64> = counts
        .iter()
        .filter(|(_, all)| *all > 0)
        .map(|(right, all)| *right as f64 / *all as f64)
        .collect();
    recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::balanced_accuracy;

    #[test]
    fn a_rare_class_counts_as_much_as_a_common_one() {
        let score = |truth: &[u32], found: &[u32], n| {
            let found: Vec<Option<u32>> = found.iter().copied().map(Some).collect();
            balanced_accuracy(truth, &found, n)
        };
        assert_eq!(score(&[0, 0, 0, 1], &[0, 0, 0, 0], 2), 0.5);
        assert_eq!(score(&[0, 0, 1, 1], &[0, 1, 1, 1], 3), 0.75);
        assert_eq!(balanced_accuracy(&[0, 1], &[None, Some(1)], 2), 0.5);
        assert_eq!(balanced_accuracy(&[0, 0], &[None, None], 2), 0.0);
        assert_eq!(balanced_accuracy(&[], &[], 2), 0.0);
    }
}
