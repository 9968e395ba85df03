//! Movements of the mid, from exact integer sums.

use super::LabelSpec;
use crate::{DepthError, UNDEF_PRICE};

/// Bid plus ask in 1e-9 units, which is twice the mid; `None` unless both exist.
///
/// # Errors
/// [`DepthError::PriceRange`] if the sum overflows.
pub fn twice_mid(bid_px: i64, ask_px: i64) -> Result<Option<i64>, DepthError> {
    if bid_px == UNDEF_PRICE || ask_px == UNDEF_PRICE {
        return Ok(None);
    }
    match bid_px.checked_add(ask_px) {
        // The one sum that stands for "no mid" is out of range too.
        None | Some(UNDEF_PRICE) => Err(DepthError::PriceRange { price: bid_px, step: 1 }),
        sum => Ok(sum),
    }
}

/// The movement of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// The row, counted from the first pushed.
    pub row: u64,
    /// (mean after - mean before) / |mean before|, a fraction; `None` where a window is cut off
    /// by the start of the data, holds no mid at all, or has the mean 0.
    pub value: Option<f64>,
}

/// Sum of the mids in a window and how many there are.
#[derive(Debug, Clone, Copy, Default)]
struct WindowSum {
    sum: i128,
    n: u32,
}

impl WindowSum {
    fn add(&mut self, twice_mid: i64) {
        if twice_mid != UNDEF_PRICE {
            self.sum += i128::from(twice_mid);
            self.n += 1;
        }
    }

    fn remove(&mut self, twice_mid: i64) {
        if twice_mid != UNDEF_PRICE {
            self.sum -= i128::from(twice_mid);
            self.n -= 1;
        }
    }
}

/// Movements of a stream of mids, in constant time a row, from exact sliding sums.
///
/// A row without a mid is skipped in the means: it costs no label unless a whole window has none.
/// The value of a row is known `offset + lookforward` rows later; the last rows of a stream, so
/// many of them, never get one.
///
/// ```
/// use lob_depth::{LabelSpec, MovementStream};
/// let spec = LabelSpec { lookback: 1, lookforward: 1, offset: 0, classes: 3 };
/// let mut stream = MovementStream::new(spec)?;
/// assert_eq!(stream.push(Some(200)), None);
/// assert_eq!(stream.push(Some(300)).map(|m| (m.row, m.value)), Some((0, None)));
/// assert_eq!(stream.push(Some(210)).map(|m| (m.row, m.value)), Some((1, Some(0.05))));
/// # Ok::<(), lob_depth::DepthError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MovementStream {
    spec: LabelSpec,
    /// The latest mids, [`UNDEF_PRICE`] for none; row r is at r modulo `ring_len`. Grows up to
    /// that: of many instruments, most are quiet.
    ring: Vec<i64>,
    ring_len: usize,
    n_rows: u64,
    /// Where in the ring the next row goes and the rows that leave each window are.
    newest: usize,
    before: WindowSum,
    after: WindowSum,
}

impl MovementStream {
    /// A stream that has seen no row.
    ///
    /// # Errors
    /// [`DepthError::InvalidLabel`] as [`LabelSpec::validate`].
    pub fn new(spec: LabelSpec) -> Result<Self, DepthError> {
        let spec = spec.validate()?;
        let ring_len =
            spec.lookback as usize + 1 + spec.offset as usize + spec.lookforward as usize;
        Ok(Self {
            spec,
            ring: Vec::new(),
            ring_len,
            n_rows: 0,
            newest: 0,
            before: WindowSum::default(),
            after: WindowSum::default(),
        })
    }

    /// Takes in twice the mid of the next row, see [`twice_mid`]. Returns the movement of the row
    /// `offset + lookforward` rows earlier, once there is one.
    #[inline]
    pub fn push(&mut self, twice_mid: Option<i64>) -> Option<Movement> {
        self.advance(twice_mid).map(|row| Movement { row, value: self.value() })
    }

    /// [`push`](Self::push) without the division, for callers who need the movements of a few
    /// rows only: which row is complete now, if any. [`value`](Self::value) gives its movement.
    #[inline]
    pub fn advance(&mut self, twice_mid: Option<i64>) -> Option<u64> {
        let newest = twice_mid.unwrap_or(UNDEF_PRICE);
        let delay = self.delay();
        // With row i = newest - delay, row i - 1 enters the window before it and row
        // i - 1 - lookback leaves; the latter is as old as the ring is long plus one, so it is
        // still where the new row goes. Rows before the first are "no mid".
        let leaving_before = match self.ring.get_mut(self.newest) {
            Some(mid) => std::mem::replace(mid, newest),
            None => {
                self.ring.push(newest);
                UNDEF_PRICE
            }
        };
        let entering_before = self.back(delay + 1);
        let leaving_after = self.back(self.spec.lookforward as usize);
        self.before.add(entering_before);
        self.before.remove(leaving_before);
        self.after.add(newest);
        self.after.remove(leaving_after);
        self.newest = if self.newest + 1 == self.ring_len { 0 } else { self.newest + 1 };
        let row = self.n_rows.checked_sub(delay as u64);
        self.n_rows += 1;
        row
    }

    /// The movement of the row that the last [`advance`](Self::advance) completed, `None` where it
    /// has none.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let row = self.n_rows.checked_sub(self.delay() as u64 + 1)?;
        let is_whole = row >= u64::from(self.spec.lookback);
        if is_whole { fraction(self.before, self.after) } else { None }
    }

    /// Rows pushed whose movement has not been returned.
    #[must_use]
    pub fn n_pending(&self) -> u64 {
        self.n_rows.min(self.delay() as u64)
    }

    /// Rows between a row and the push that completes it.
    const fn delay(&self) -> usize {
        self.spec.offset as usize + self.spec.lookforward as usize
    }

    /// The mid of the row `age` rows older than the newest; at most one round.
    #[inline]
    fn back(&self, age: usize) -> i64 {
        let at =
            if age <= self.newest { self.newest - age } else { self.newest + self.ring_len - age };
        // Rows before the first have not grown into the ring.
        self.ring.get(at).copied().unwrap_or(UNDEF_PRICE)
    }
}

/// (after - before) / |before| of two window means, with one rounding for each of the two exact
/// integers and one for their quotient.
fn fraction(before: WindowSum, after: WindowSum) -> Option<f64> {
    let (n_before, n_after) = (i128::from(before.n), i128::from(after.n));
    // Sums are below 2^63 * 2^24, so the products stay below 2^111.
    let denominator = (before.sum * n_after).abs();
    let numerator = after.sum * n_before - before.sum * n_after;
    // Zero without a mid in either window: 0 * n.
    (denominator != 0 && before.n != 0).then(|| rounded(numerator) / rounded(denominator))
}

/// The number next to an integer. Most are short, and the machine rounds those itself.
#[expect(clippy::cast_precision_loss, reason = "the stated rounding")]
fn rounded(number: i128) -> f64 {
    i64::try_from(number).map_or_else(|_| number as f64, |number| number as f64)
}

/// The movement of every row, `None` where it has none.
///
/// `twice_mids` is bid + ask of each row in time order, see [`twice_mid`].
///
/// # Errors
/// [`DepthError::InvalidLabel`] as [`LabelSpec::validate`].
pub fn movements(
    twice_mids: &[Option<i64>],
    spec: LabelSpec,
) -> Result<Vec<Option<f64>>, DepthError> {
    let mut stream = MovementStream::new(spec)?;
    let mut values: Vec<_> =
        twice_mids.iter().filter_map(|&mid| stream.push(mid)).map(|m| m.value).collect();
    values.resize(twice_mids.len(), None);
    Ok(values)
}
