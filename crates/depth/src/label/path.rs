//! Labels that look forward along the mids of rows.

/// In the place of a mid that is missing.
const NO_MID: i64 = i64::MIN;

/// Changes of the mid that a [volatility of the past](PathWalk::past_volatility) is taken over, at most
/// and at least.
const PAST_CHANGES: usize = 100;
const PAST_CHANGES_MIN: u32 = 10;

/// Twice the mid of each row in price steps, in order, and where runs of rows end: nothing looks from
/// one run into the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MidPath {
    twice: Vec<i64>,
    ends: Vec<usize>,
}

impl MidPath {
    /// Adds a row.
    pub fn push(&mut self, twice_mid: Option<i64>) {
        self.twice.push(twice_mid.unwrap_or(NO_MID));
    }

    /// What comes next does not go on from here.
    pub fn end_run(&mut self) {
        self.ends.push(self.twice.len());
    }

    /// Goes from row to row; begins before the first.
    #[must_use]
    pub fn walk(&self) -> PathWalk<'_> {
        PathWalk { path: self, next: 0, run: 0, start: 0, end: 0, past: Squares::default() }
    }

    fn get(&self, row: usize) -> Option<i64> {
        self.twice.get(row).copied().filter(|mid| *mid != NO_MID)
    }

    /// The change from the row before.
    fn change(&self, row: usize) -> Option<i64> {
        Some(self.get(row)? - self.get(row.checked_sub(1)?)?)
    }
}

/// Sum of the squared changes of rows `from..to` and how many of them are known. The range goes
/// forward only, so each change is added and taken off once.
#[derive(Debug, Clone, Copy, Default)]
struct Squares {
    from: usize,
    to: usize,
    sum: u128,
    known: u32,
}

impl Squares {
    fn slide(&mut self, path: &MidPath, from: usize, to: usize) {
        if from >= self.to {
            *self = Self { from, to: from, ..Self::default() };
        }
        let square = |row| path.change(row).map(|change| u128::from(change.unsigned_abs()).pow(2));
        for square in (self.to..to).filter_map(square) {
            self.sum += square;
            self.known += 1;
        }
        for square in (self.from..from).filter_map(square) {
            self.sum -= square;
            self.known -= 1;
        }
        (self.from, self.to) = (from, to);
    }
}

/// The row that a [`MidPath`] is looked at from.
#[derive(Debug, Clone)]
pub struct PathWalk<'p> {
    path: &'p MidPath,
    /// The row after the present one.
    next: usize,
    /// The present run, its first row and the row after its last.
    run: usize,
    start: usize,
    end: usize,
    past: Squares,
}

impl PathWalk<'_> {
    /// Moves to the next row, if there is one.
    pub fn advance(&mut self) {
        while self.next >= self.end && self.next < self.path.twice.len() {
            self.start = self.next;
            let mut ends = self.path.ends[self.run..].iter();
            let passed = ends.by_ref().take_while(|end| **end <= self.next).count();
            self.run += passed;
            self.end = self.path.ends.get(self.run).copied().unwrap_or(self.path.twice.len());
        }
        let row = self.next;
        self.next += 1;
        // The first row of a run has no change.
        let first = (self.start + 1).max((row + 1).saturating_sub(PAST_CHANGES));
        self.past.slide(self.path, first.min(row + 1), row + 1);
    }

    /// The present row.
    fn row(&self) -> usize {
        self.next.saturating_sub(1)
    }

    /// Twice the mid of the present row, in price steps.
    #[must_use]
    pub fn twice_mid(&self) -> Option<i64> {
        self.path.get(self.row())
    }

    /// The mid `n` rows later less the present one, in half price steps; `None` where the run ends
    /// before, or one of the two is missing.
    #[must_use]
    pub fn forward(&self, n: u32) -> Option<i64> {
        let later = self.row().checked_add(n as usize).filter(|later| *later < self.end)?;
        Some(self.path.get(later)? - self.twice_mid()?)
    }

    /// Realised volatility of the past: the root of the mean of the squared changes of the mid from
    /// row to row, in price steps, over the last 100 changes of the run up to the present row (its
    /// own among them). `None` where fewer than ten are known.
    #[must_use]
    pub fn past_volatility(&self) -> Option<f64> {
        let Squares { sum, known, .. } = self.past;
        (known >= PAST_CHANGES_MIN).then(|| (steps_squared(sum) / f64::from(known)).sqrt())
    }
}

/// Realised volatility of the `n` rows after each row: the root of the sum of the squared changes of
/// the mid from row to row, in price steps (Andersen, Bollerslev, Diebold and Labys, *Modeling and
/// forecasting realized volatility*, 2003, of prices in steps in place of log prices).
#[derive(Debug, Clone)]
pub struct ForwardVolatility {
    n: u32,
    squares: Squares,
}

impl ForwardVolatility {
    /// Of so many rows.
    #[must_use]
    pub fn new(n: u32) -> Self {
        Self { n, squares: Squares::default() }
    }

    /// That of the present row of a walk, which only goes on between two calls. `None` where the run
    /// ends before, or one of the mids is missing.
    pub fn of(&mut self, walk: &PathWalk<'_>) -> Option<f64> {
        let first = walk.row() + 1;
        let end = first.checked_add(self.n as usize).filter(|end| *end <= walk.end)?;
        self.squares.slide(walk.path, first, end);
        (self.squares.known == self.n).then(|| steps_squared(self.squares.sum).sqrt())
    }
}

/// A sum of squared half steps in squared steps.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn steps_squared(halves: u128) -> f64 {
    halves as f64 / 4.0
}
