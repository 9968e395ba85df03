use crate::indicator::real;

/// The last `n` values, and whether all of them are finite.
///
/// An untouched place counts as missing, so warm-up and gaps are the same case.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    values: Box<[f64]>,
    at: usize,
    n_missing: usize,
}

/// What a push did to a [`Ring`].
pub(crate) enum Pushed {
    /// At least one value of the window is missing.
    Incomplete,
    /// Complete; exact sums should be taken again: the window has just become complete, or the
    /// ring has wrapped, which bounds the round-off of running sums to one turn.
    Refresh,
    /// Complete, with this value gone.
    Replaced(f64),
}

impl Ring {
    pub(crate) fn new(n: usize) -> Self {
        Self { values: vec![f64::NAN; n].into(), at: 0, n_missing: n }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: f64) -> Pushed {
        let old = std::mem::replace(&mut self.values[self.at], value);
        self.at += 1;
        let wrapped = self.at == self.values.len();
        if wrapped {
            self.at = 0;
        }
        let old_missing = !old.is_finite();
        self.n_missing += usize::from(!value.is_finite());
        self.n_missing -= usize::from(old_missing);
        if self.n_missing > 0 {
            Pushed::Incomplete
        } else if wrapped || old_missing {
            Pushed::Refresh
        } else {
            Pushed::Replaced(old)
        }
    }

    /// The oldest value, which the next push replaces.
    #[inline]
    pub(crate) fn oldest(&self) -> f64 {
        self.values[self.at]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Sum of the last `n` values.
#[derive(Debug, Clone)]
pub(crate) struct RollingSum {
    ring: Ring,
    sum: f64,
}

impl RollingSum {
    pub(crate) fn new(n: usize) -> Self {
        Self { ring: Ring::new(n), sum: 0.0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: f64) -> f64 {
        match self.ring.push(value) {
            Pushed::Incomplete => return f64::NAN,
            Pushed::Refresh => self.sum = self.ring.values().iter().sum(),
            Pushed::Replaced(old) => self.sum += value - old,
        }
        self.sum
    }
}

/// Mean and sum of squared deviations of the last `n` values.
///
/// The update is Welford's with one value entering and one leaving (Chan, Golub and LeVeque,
/// 1983, for the two-pass form taken at each refresh).
#[derive(Debug, Clone)]
pub(crate) struct RollingMoments {
    ring: Ring,
    mean: f64,
    squares: f64,
}

impl RollingMoments {
    pub(crate) fn new(n: usize) -> Self {
        Self { ring: Ring::new(n), mean: 0.0, squares: 0.0 }
    }

    /// `(mean, sum of squared deviations)`, both NaN while the window is incomplete.
    #[inline]
    pub(crate) fn push(&mut self, value: f64) -> (f64, f64) {
        match self.ring.push(value) {
            Pushed::Incomplete => return (f64::NAN, f64::NAN),
            Pushed::Refresh => self.refresh(),
            Pushed::Replaced(old) => {
                let weight = 1.0 / real(self.ring.len());
                slide(&mut self.mean, &mut self.squares, (value, old), weight);
            }
        }
        (self.mean, self.squares)
    }

    fn refresh(&mut self) {
        let values = self.ring.values();
        // Differences to one of the values: a constant window has exactly no deviation.
        let origin = values[0];
        self.mean = origin + values.iter().map(|x| x - origin).sum::<f64>() / real(values.len());
        self.squares = values.iter().map(|x| (x - self.mean).powi(2)).sum();
    }
}

/// Welford's update of a window that one value enters and one leaves; `weight` is `1 / n`.
#[inline]
pub(crate) fn slide(mean: &mut f64, squares: &mut f64, (value, old): (f64, f64), weight: f64) {
    let before = *mean;
    *mean += (value - old) * weight;
    *squares += (value - old) * ((value - *mean) + (old - before));
    // Not `max`, which would make a 0 of what is no number.
    *squares = if *squares < 0.0 { 0.0 } else { *squares };
}
