//! A second renderer that fills a grid cell by cell, straight from the definition.

use lob_depth::{BinSlice, Feature, Geometry, LEVELS, NO_PRICE, Normalise, ROWS, SLOTS};

/// D of one plane in `[row][bin]` order, before any normalisation.
pub(crate) fn depth(geometry: Geometry, feature: Feature, bins: &BinSlice<'_>) -> Vec<f64> {
    let n = bins.len();
    let sizes = match feature {
        Feature::Volume => bins.size,
        Feature::Variance => bins.variance,
        Feature::TradeCounts => bins.count,
    };
    let mut image = vec![0.0; ROWS * n];
    for bin in 0..n {
        let mut asks = [0.0; ROWS];
        let mut bids = [0.0; ROWS];
        for slot in 0..SLOTS {
            let px = bins.px[bin * SLOTS + slot];
            let side = if slot < LEVELS { &mut bids } else { &mut asks };
            let Some(row) = row(geometry, bins.last_bid, bins.last_ask, px) else { continue };
            match geometry {
                Geometry::Contiguous => side[row] += sizes[bin * SLOTS + slot],
                Geometry::Compat => side[row] = sizes[bin * SLOTS + slot],
            }
        }
        let (down, up) = match geometry {
            Geometry::Contiguous => (&mut bids, &mut asks),
            Geometry::Compat => (&mut asks, &mut bids),
        };
        for row in 1..ROWS {
            down[row] += down[row - 1];
            up[ROWS - 1 - row] += up[ROWS - row];
        }
        for row in 0..ROWS {
            image[row * n + bin] = asks[row] - bids[row];
        }
    }
    image
}

fn row(geometry: Geometry, bid: i32, ask: i32, px: i32) -> Option<usize> {
    if px == NO_PRICE {
        return None;
    }
    let (px, mid) = (i64::from(px), (f64::from(bid) + f64::from(ask)) / 2.0);
    let row = match geometry {
        Geometry::Contiguous => mid.ceil() as i64 - 201 + 401 - px,
        Geometry::Compat => {
            let m = mid.trunc() as i64;
            if (m - 200..m).contains(&px) {
                m - 1 - px
            } else if (m + 1..=m + 200).contains(&px) {
                202 + px - (m + 1)
            } else {
                return None;
            }
        }
    };
    usize::try_from(row).ok().filter(|&row| row < ROWS)
}

/// Scales a plane in place.
pub(crate) fn normalise(rule: Normalise, plane: &mut [f64]) {
    let log = |x: f64| if x < 0.0 { -(-x).ln_1p() } else { x.ln_1p() };
    if rule == Normalise::SignedLog {
        plane.iter_mut().for_each(|x| *x = log(*x));
    }
    let divisor = match rule {
        Normalise::None => 1.0,
        Normalise::Constant(c) => c,
        Normalise::Max | Normalise::SignedLog => {
            plane.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()))
        }
    };
    if divisor > 0.0 {
        plane.iter_mut().for_each(|x| *x /= divisor);
    }
}
