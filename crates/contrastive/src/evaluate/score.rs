//! What predictions are worth.

/// How often each class was taken for each: the rows are true classes, the columns predicted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confusion {
    n_classes: usize,
    counts: Vec<u64>,
    /// Of each class, the windows that got none.
    unclassed: Vec<u64>,
}

impl Confusion {
    pub(super) fn new(n_classes: usize) -> Self {
        Self { n_classes, counts: vec![0; n_classes * n_classes], unclassed: vec![0; n_classes] }
    }

    pub(super) fn count(truth: &[u32], found: &[Option<u32>], n_classes: usize) -> Self {
        let mut out = Self::new(n_classes);
        truth.iter().zip(found).for_each(|(&truth, &found)| out.push(truth, found));
        out
    }

    pub(super) fn push(&mut self, truth: u32, found: Option<u32>) {
        let truth = truth as usize;
        match found {
            Some(found) => self.counts[truth * self.n_classes + found as usize] += 1,
            None => self.unclassed[truth] += 1,
        }
    }

    /// Adds another.
    pub(super) fn add(&mut self, other: &Self) {
        let own = self.counts.iter_mut().chain(&mut self.unclassed);
        own.zip(other.counts.iter().chain(&other.unclassed)).for_each(|(a, b)| *a += b);
    }

    /// Counts by true class.
    pub(super) fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks_exact(self.n_classes).map(<[u64]>::to_vec).collect()
    }

    pub(super) fn n_unclassed(&self) -> u64 {
        self.unclassed.iter().sum()
    }

    fn of_class(&self, class: usize) -> u64 {
        self.counts[class * self.n_classes..(class + 1) * self.n_classes].iter().sum::<u64>()
            + self.unclassed[class]
    }

    fn as_class(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.n_classes).sum()
    }

    fn right(&self, class: usize) -> u64 {
        self.counts[class * self.n_classes + class]
    }

    /// Share of each class that was found; `None` for one that does not occur.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn recalls(&self) -> Vec<Option<f64>> {
        let recall = |class| {
            let all = self.of_class(class);
            (all > 0).then(|| self.right(class) as f64 / all as f64)
        };
        (0..self.n_classes).map(recall).collect()
    }

    /// Mean recall over the classes that occur: a guess scores one over their number. No class is
    /// a wrong one.
    #[expect(clippy::cast_precision_loss, reason = "a few classes")]
    pub(super) fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self.recalls().into_iter().flatten().collect();
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
    }

    /// Mean over the classes that occur of `2 right / (of the class + taken for it)`.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn macro_f1(&self) -> f64 {
        let present = (0..self.n_classes).filter(|&class| self.of_class(class) > 0);
        let f1 = |class| {
            let all = self.of_class(class) + self.as_class(class);
            2.0 * self.right(class) as f64 / all as f64
        };
        let scores: Vec<f64> = present.map(f1).collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    /// Matthews' correlation for any number of classes (Gorodkin, 2004): 1 is right, 0 a guess;
    /// `None` where it is undefined, because only one class occurs or is predicted.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn mcc(&self) -> Option<f64> {
        let (mut right, mut both, mut of, mut took, mut n) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for class in 0..self.n_classes {
            let (t, p) = (self.of_class(class) as f64, self.as_class(class) as f64);
            right += self.right(class) as f64;
            both += t * p;
            of += t * t;
            took += p * p;
            n += t;
        }
        // What got no class counts as one that never occurs.
        took += (self.n_unclassed() as f64).powi(2);
        let scale = ((n * n - of) * (n * n - took)).sqrt();
        (scale > 0.0).then(|| (right * n - both) / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(truth: &[u32], found: &[u32], n: usize) -> Confusion {
        let found: Vec<Option<u32>> = found.iter().copied().map(Some).collect();
        Confusion::count(truth, &found, n)
    }

    #[test]
    fn a_rare_class_counts_as_much_as_a_common_one() {
        let score =
            |truth: &[u32], found: &[u32], n| confusion(truth, found, n).balanced_accuracy();
        assert_eq!(score(&[0, 0, 0, 1], &[0, 0, 0, 0], 2), 0.5);
        assert_eq!(score(&[0, 0, 1, 1], &[0, 1, 1, 1], 3), 0.75);
        let none = |truth: &[u32], found: &[Option<u32>]| {
            Confusion::count(truth, found, 2).balanced_accuracy()
        };
        assert_eq!(none(&[0, 1], &[None, Some(1)]), 0.5);
        assert_eq!(none(&[0, 0], &[None, None]), 0.0);
        assert_eq!(none(&[], &[]), 0.0);
    }

    /// Values of scikit-learn's `f1_score(average="macro")` and `matthews_corrcoef`, worked out by
    /// hand from the counts [[2, 1, 0], [0, 2, 1], [1, 0, 3]].
    #[test]
    fn f1_and_mcc_by_hand() {
        let found = confusion(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 2], &[0, 0, 1, 1, 1, 2, 0, 2, 2, 2], 3);
        assert_eq!(found.rows(), [[2, 1, 0], [0, 2, 1], [1, 0, 3]]);
        let f1 = (2.0 * 2.0 / 6.0 + 2.0 * 2.0 / 6.0 + 2.0 * 3.0 / 8.0) / 3.0;
        assert!((found.macro_f1() - f1).abs() < 1e-12);
        // (7 * 10 - 34) / (100 - 34), both margins being 3, 3, 4.
        assert!((found.mcc().unwrap() - 36.0 / 66.0).abs() < 1e-12);
        assert_eq!(confusion(&[0, 1], &[0, 0], 2).mcc(), None);
        assert_eq!(confusion(&[0, 1], &[0, 1], 2).mcc(), Some(1.0));
    }

    #[test]
    fn counts_add_up() {
        let mut sum = confusion(&[0, 1], &[1, 1], 2);
        sum.add(&Confusion::count(&[1, 1, 1], &[None, None, None], 2));
        assert_eq!((sum.rows(), sum.n_unclassed()), (vec![vec![0, 1], vec![0, 1]], 3));
        assert_eq!(sum.recalls(), [Some(0.0), Some(0.25)]);
    }
}
