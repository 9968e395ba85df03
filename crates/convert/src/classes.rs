//! How even classes are.

use serde::Serialize;

/// Samples of each class, and how far they are from equal shares.
///
/// ```
/// use lob_convert::ClassReport;
/// let report = ClassReport::of(&[330, 340, 330]).expect("there are samples");
/// assert!((report.deviation_points - 0.667).abs() < 0.001);
/// assert_eq!(report.verdict, "excellent");
/// assert!(ClassReport::of(&[0, 0, 0]).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// Samples of each class, lowest class first.
    pub counts: Vec<u64>,
    /// Largest deviation of a class from an equal share, in percentage points.
    pub deviation_points: f64,
    /// That in a word: `excellent` below 1 point, `good` below 2, `acceptable` below 3,
    /// `not uniform` beyond.
    pub verdict: &'static str,
}

impl ClassReport {
    /// The report on these counts; `None` if there is no sample.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of bins stay far below 2^53")]
    pub fn of(counts: &[u64]) -> Option<Self> {
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let equal = 100.0 / counts.len() as f64;
        let shares = counts.iter().map(|&n| 100.0 * n as f64 / total as f64);
        let deviation_points = shares.map(|share| (share - equal).abs()).fold(0.0, f64::max);
        let verdict = match deviation_points {
            points if points < 1.0 => "excellent",
            points if points < 2.0 => "good",
            points if points < 3.0 => "acceptable",
            _ => "not uniform",
        };
        Some(Self { counts: counts.to_vec(), deviation_points, verdict })
    }

    /// The report on all that `before` counts and more.
    pub(crate) fn of_all<'a>(
        before: Option<Self>,
        more: impl Iterator<Item = &'a [u64]>,
    ) -> Option<Self> {
        let mut counts = before.map_or_else(Vec::new, |report| report.counts);
        for more in more {
            counts.resize(counts.len().max(more.len()), 0);
            counts.iter_mut().zip(more).for_each(|(count, n)| *count += n);
        }
        Self::of(&counts)
    }
}

impl std::fmt::Display for ClassReport {
    /// Such as `13 classes, 7.1 % to 8.4 % of 2630 samples each: excellent (0.7 points)`.
    #[expect(clippy::cast_precision_loss, reason = "counts of bins stay far below 2^53")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total: u64 = self.counts.iter().sum();
        let share = |n: Option<&u64>| 100.0 * n.copied().unwrap_or(0) as f64 / total as f64;
        write!(
            f,
            "{} classes, {:.1} % to {:.1} % of {total} samples each: {} (at most {:.1} points from \
             equal shares)",
            self.counts.len(),
            share(self.counts.iter().min()),
            share(self.counts.iter().max()),
            self.verdict,
            self.deviation_points
        )
    }
}
