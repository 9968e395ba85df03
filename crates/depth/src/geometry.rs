//! Which row of the image a price falls on.

use std::{fmt, str::FromStr};

use crate::{DepthError, ROWS};

/// How prices are laid out on the rows and which way depth accumulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Geometry {
    /// One monotonic price axis, row 0 the highest price; depth grows away from the touch on both
    /// sides; levels that share a row add up.
    #[default]
    Contiguous,
    /// The behaviour of the reference implementation, its quirks included: row 0 nearest the bid,
    /// row 202 nearest the ask, rows 200 and 201 without prices, the price equal to the truncated
    /// mid dropped, and the deepest level winning a shared row.
    Compat,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Contiguous => "contiguous",
            Self::Compat => "compat",
        })
    }
}

impl FromStr for Geometry {
    type Err = DepthError;

    fn from_str(name: &str) -> Result<Self, DepthError> {
        match name {
            "contiguous" => Ok(Self::Contiguous),
            "compat" => Ok(Self::Compat),
            _ => Err(DepthError::UnknownName {
                what: "geometry",
                found: name.to_owned(),
                expected: "contiguous, compat",
            }),
        }
    }
}

/// Rows on each side of the mid in [`Geometry::Compat`].
const SIDE_ROWS: i64 = 200;

/// The price axis of one window: maps prices in steps to rows.
///
/// ```
/// use lob_depth::{Geometry, PriceAxis};
/// // The mid is 66000.5, so the highest of the 402 prices is 66201.
/// let axis = PriceAxis::new(Geometry::Contiguous, 66_000, 66_001);
/// assert_eq!(axis.row(66_201), Some(0));
/// assert_eq!(axis.row(66_001), Some(200));
/// assert_eq!(axis.row(66_202), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceAxis {
    geometry: Geometry,
    /// Contiguous: the highest price. Compat: the truncated mid. In steps.
    anchor: i64,
}

impl PriceAxis {
    /// The axis around the mid of `bid` and `ask`, both in steps.
    #[must_use]
    pub fn new(geometry: Geometry, bid: i32, ask: i32) -> Self {
        let twice_mid = i64::from(bid) + i64::from(ask);
        let anchor = match geometry {
            // lowest = ceil(mid) - 201, highest = lowest + 401.
            Geometry::Contiguous => (twice_mid + 1).div_euclid(2) + SIDE_ROWS,
            // Truncated towards zero, as the reference casts its float mid.
            Geometry::Compat => twice_mid / 2,
        };
        Self { geometry, anchor }
    }

    /// The layout of this axis.
    #[must_use]
    pub const fn geometry(self) -> Geometry {
        self.geometry
    }

    /// The price of row 0 of the contiguous layout, if it fits a price in steps.
    pub(crate) fn highest(self) -> Option<i32> {
        match self.geometry {
            Geometry::Contiguous => i32::try_from(self.anchor).ok(),
            Geometry::Compat => None,
        }
    }

    /// The row of a price in steps, or `None` where it has none.
    #[inline]
    #[must_use]
    pub fn row(self, px: i32) -> Option<usize> {
        let px = i64::from(px);
        let row = match self.geometry {
            Geometry::Contiguous => self.anchor - px,
            Geometry::Compat => match px - self.anchor {
                above if above.abs() > SIDE_ROWS || above == 0 => return None,
                above if above > 0 => SIDE_ROWS + 1 + above,
                below => -1 - below,
            },
        };
        usize::try_from(row).ok().filter(|&row| row < ROWS)
    }

    /// The price of a row in steps; `None` for the rows 200 and 201 of [`Geometry::Compat`] and
    /// past the last row.
    #[must_use]
    pub fn price(self, row: usize) -> Option<i64> {
        let row = i64::try_from(row.min(ROWS)).ok()?;
        match self.geometry {
            Geometry::Contiguous if row < 402 => Some(self.anchor - row),
            Geometry::Compat if row < SIDE_ROWS => Some(self.anchor - 1 - row),
            Geometry::Compat if (SIDE_ROWS + 2..402).contains(&row) => {
                Some(self.anchor + row - SIDE_ROWS - 1)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(geometry: Geometry, (bid, ask): (i32, i32), px: i32, row: Option<usize>) {
        let axis = PriceAxis::new(geometry, bid, ask);
        assert_eq!(axis.row(px), row, "{geometry} {bid} {ask} {px}");
        if let Some(row) = row {
            assert_eq!(axis.price(row), Some(i64::from(px)));
        }
    }

    #[test]
    fn compat_rows_around_66000_5() {
        let touch = (66_000, 66_001);
        for (px, row) in [
            (66_000, None),
            (65_999, Some(0)),
            (66_001, Some(202)),
            (65_800, Some(199)),
            (65_799, None),
            (66_200, Some(401)),
            (66_201, None),
        ] {
            check(Geometry::Compat, touch, px, row);
        }
    }

    #[test]
    fn compat_truncates_a_negative_mid_towards_zero() {
        // The mid is -0.5, so M is 0: the bid at -1 is on row 0 and the ask at 0 is dropped.
        check(Geometry::Compat, (-1, 0), -1, Some(0));
        check(Geometry::Compat, (-1, 0), 0, None);
        check(Geometry::Compat, (-1, 0), 1, Some(202));
    }

    #[test]
    fn contiguous_rows() {
        // Integer mid m: m-201 ..= m+200. Mid m + 0.5: m-200 ..= m+201.
        check(Geometry::Contiguous, (99, 101), 300, Some(0));
        check(Geometry::Contiguous, (99, 101), 301, None);
        check(Geometry::Contiguous, (99, 101), -101, Some(401));
        check(Geometry::Contiguous, (99, 101), -102, None);
        check(Geometry::Contiguous, (100, 101), 301, Some(0));
        check(Geometry::Contiguous, (100, 101), -100, Some(401));
        // Negative and extreme prices, as calendar spreads have them.
        check(Geometry::Contiguous, (-6, -5), -5, Some(200));
        check(Geometry::Contiguous, (-6, -5), -6, Some(201));
        check(Geometry::Contiguous, (i32::MAX - 1, i32::MAX), i32::MAX, Some(200));
        check(Geometry::Contiguous, (i32::MAX - 1, i32::MAX), crate::NO_PRICE, None);
    }

    #[test]
    fn rows_without_a_price() {
        let axis = PriceAxis::new(Geometry::Compat, 10, 11);
        assert_eq!((axis.price(200), axis.price(201), axis.price(402)), (None, None, None));
        assert_eq!(PriceAxis::new(Geometry::Contiguous, 10, 11).price(402), None);
    }

    #[test]
    fn names() {
        for geometry in [Geometry::Contiguous, Geometry::Compat] {
            assert_eq!(geometry.to_string().parse(), Ok(geometry));
        }
        assert!("reference".parse::<Geometry>().is_err());
    }
}
