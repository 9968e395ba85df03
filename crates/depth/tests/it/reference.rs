//! A second renderer that fills a grid cell by cell, straight from the definition.

use lob_depth::{BinSlice, Feature, Geometry, LEVELS, NO_PRICE, Normalise, PriceAxis, ROWS, SLOTS};

/// D of one plane in `[row][bin]` order, before any normalisation.
pub(crate) fn depth(geometry: Geometry, feature: Feature, bins: &BinSlice<'_>) -> Vec<f64> {
    let n = bins.len();
    match feature {
        Feature::OrderFlowImbalance => return order_flow(geometry, bins),
        Feature::Microprice => return microprice(geometry, bins),
        _ => {}
    }
    let sizes = match feature {
        Feature::Volume => bins.size,
        Feature::Variance => bins.variance,
        Feature::TradeCounts => bins.count,
        other => panic!("no depth plane: {other}"),
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

/// Row by row: the size resting at the row's price in this bin and in the one before.
fn order_flow(geometry: Geometry, bins: &BinSlice<'_>) -> Vec<f64> {
    let axis = PriceAxis::new(geometry, bins.last_bid, bins.last_ask);
    let n_bins = bins.len();
    let mut out = vec![0.0; ROWS * n_bins];
    let resting = |bin: usize, from: usize, px: i64| -> Option<f64> {
        let slots = bin * SLOTS + from..bin * SLOTS + from + LEVELS;
        let prices = || bins.px[slots.clone()].iter().map(|&px| i64::from(px));
        let has_all = prices().all(|px| px != i64::from(NO_PRICE));
        let (lowest, highest) = (prices().min()?, prices().max()?);
        if has_all && (from == 0 && px < lowest || from == LEVELS && px > highest) {
            return None;
        }
        let sizes = prices().zip(&bins.size[slots.clone()]);
        Some(sizes.filter(|(other, _)| *other == px).fold(0.0, |sum, (_, size)| sum + size))
    };
    let change = |bin: usize, from: usize, px: i64| match (
        resting(bin, from, px),
        resting(bin - 1, from, px),
    ) {
        (Some(now), Some(before)) => now - before,
        _ => 0.0,
    };
    for row in 0..ROWS {
        let Some(px) = axis.price(row) else { continue };
        for bin in 1..n_bins {
            out[row * n_bins + bin] = change(bin, 0, px) - change(bin, LEVELS, px);
        }
    }
    out
}

fn microprice(geometry: Geometry, bins: &BinSlice<'_>) -> Vec<f64> {
    let axis = PriceAxis::new(geometry, bins.last_bid, bins.last_ask);
    let n_bins = bins.len();
    let mut out = vec![0.0; ROWS * n_bins];
    for bin in 0..n_bins {
        let (bid, ask) = (bins.px[bin * SLOTS], bins.px[bin * SLOTS + LEVELS]);
        let (bid_sz, ask_sz) = (bins.size[bin * SLOTS], bins.size[bin * SLOTS + LEVELS]);
        if bid == NO_PRICE || ask == NO_PRICE || bid_sz + ask_sz == 0.0 {
            continue;
        }
        let mid = (f64::from(bid) * ask_sz + f64::from(ask) * bid_sz) / (bid_sz + ask_sz);
        for row in 0..ROWS {
            let Some(px) = axis.price(row) else { continue };
            let px = px as f64;
            let cell = &mut out[row * n_bins + bin];
            if px == mid.floor() {
                *cell = 1.0 - (mid - mid.floor());
            } else if px == mid.floor() + 1.0 {
                *cell = mid - mid.floor();
            }
        }
    }
    out
}
