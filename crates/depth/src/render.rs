//! Bins to images.

mod plan;

use crate::{
    BinSlice, Cell, DepthError, Feature, Geometry, NO_PRICE, Normalise, PriceAxis, ROWS,
    RenderSpec, SLOTS,
};
use plan::Plan;

/// Draws windows of bins as images.
///
/// An image is `[feature][row][bin]` in C order. In each column depth is accumulated over the
/// price rows: A over the asks, B over the bids, and the cell is D = A - B, scaled by the spec's
/// normalisation. So positive means that the asks weigh more.
///
/// The renderer holds scratch memory only; an image depends on the spec and the window alone.
/// After the first image of a size nothing is allocated.
///
/// A column is a step function of at most 20 levels. Its steps are sorted by row for all columns
/// at once, which also gives the largest value, and then each cell is written once: a row is a
/// copy of the row above with the steps of that row put in.
#[derive(Debug, Clone, Default)]
pub struct Renderer {
    plan: Plan,
    /// D after each step, 20 a bin, in the order of the plan.
    values: Vec<f64>,
    /// D on row 0, one a bin.
    first: Vec<f64>,
}

impl Renderer {
    /// Renders to single precision; `out` holds [`RenderSpec::len`] cells and is overwritten.
    ///
    /// # Errors
    /// As [`Renderer::render_into`].
    #[inline]
    pub fn render(
        &mut self,
        spec: &RenderSpec,
        bins: BinSlice<'_>,
        out: &mut [f32],
    ) -> Result<(), DepthError> {
        self.render_into(spec, bins, out)
    }

    /// Renders to any cell type. `f32`, `f16` and `bf16` take any value; `u8` takes normalisations
    /// that keep to -1..=1.
    ///
    /// With [`Geometry::Compat`] a window of fewer bins than the spec leaves zero columns at the
    /// end, as the reference does.
    ///
    /// # Errors
    /// [`DepthError::InvalidSpec`], [`DepthError::Length`] for a wrong output, window or plane
    /// length, [`DepthError::EmptyBook`] if the window has no mid, and, with
    /// [`Geometry::Contiguous`], [`DepthError::OffAxis`] if no level falls on the price rows. `out`
    /// is untouched then.
    pub fn render_into<C: Cell>(
        &mut self,
        spec: &RenderSpec,
        bins: BinSlice<'_>,
        out: &mut [C],
    ) -> Result<(), DepthError> {
        spec.validate()?;
        if C::BOUNDED && !spec.normalise.is_bounded() {
            return Err(DepthError::InvalidSpec {
                reason: format!(
                    "8-bit cells need values in -1..=1, which normalisation `{}` does not give; \
                     use `max` or `signed-log`",
                    spec.normalise
                ),
            });
        }
        check_lengths(spec, &bins, out.len())?;
        if bins.last_bid == NO_PRICE || bins.last_ask == NO_PRICE {
            return Err(DepthError::EmptyBook);
        }
        let axis = PriceAxis::new(spec.geometry, bins.last_bid, bins.last_ask);
        let drawn = self.plan.lay_out(axis, bins.px);
        if !drawn && spec.geometry == Geometry::Contiguous {
            return Err(DepthError::OffAxis { bid: bins.last_bid, ask: bins.last_ask });
        }
        for (feature, plane) in spec.planes().zip(out.chunks_exact_mut(spec.plane_len())) {
            let sizes = column(&bins, feature);
            let largest = self.plan.evaluate(sizes, &mut self.values, &mut self.first);
            normalise(spec.normalise, largest, &mut self.values);
            normalise(spec.normalise, largest, &mut self.first);
            self.paint(plane, spec.n_bins);
        }
        Ok(())
    }

    /// Writes every cell of a plane once.
    fn paint<C: Cell>(&self, plane: &mut [C], n_bins: usize) {
        let (row_0, _) = plane.split_at_mut(n_bins);
        let (drawn, blank) = row_0.split_at_mut(self.first.len());
        for (cell, &value) in drawn.iter_mut().zip(&self.first) {
            *cell = C::from_value(value);
        }
        blank.fill(C::from_value(0.0));
        for row in 1..ROWS {
            let (above, rest) = plane.split_at_mut(row * n_bins);
            let cells = &mut rest[..n_bins];
            cells.copy_from_slice(&above[(row - 1) * n_bins..]);
            for &step in self.plan.steps_of_row(row) {
                let step = step as usize;
                cells[step / SLOTS] = C::from_value(self.values[step]);
            }
        }
    }
}

/// The numbers a feature is drawn from.
const fn column<'a>(bins: &BinSlice<'a>, feature: Feature) -> &'a [f64] {
    match feature {
        Feature::Volume => bins.size,
        Feature::Variance => bins.variance,
        Feature::TradeCounts => bins.count,
    }
}

fn check_lengths(spec: &RenderSpec, bins: &BinSlice<'_>, n_out: usize) -> Result<(), DepthError> {
    let check = |what, expected, found| {
        if expected == found { Ok(()) } else { Err(DepthError::Length { what, expected, found }) }
    };
    check("the output image", spec.len(), n_out)?;
    let n_slots = spec.n_bins * SLOTS;
    let shorter = spec.geometry == Geometry::Compat && bins.px.len() < n_slots;
    if !(shorter && bins.px.len().is_multiple_of(SLOTS)) {
        check("the price column of the window", n_slots, bins.px.len())?;
    }
    for feature in spec.planes() {
        let what = match feature {
            Feature::Volume => "the volume column of the window",
            Feature::Variance => "the variance column of the window",
            Feature::TradeCounts => "the trade_counts column of the window",
        };
        check(what, bins.px.len(), column(bins, feature).len())?;
    }
    Ok(())
}

/// Scales values of a plane whose largest absolute value is `largest`.
fn normalise(rule: Normalise, largest: f64, values: &mut [f64]) {
    match rule {
        Normalise::None => {}
        Normalise::Constant(divisor) => values.iter_mut().for_each(|value| *value /= divisor),
        Normalise::Max if largest > 0.0 => values.iter_mut().for_each(|value| *value /= largest),
        Normalise::SignedLog if largest > 0.0 => {
            let largest = largest.ln_1p();
            for value in values {
                *value = value.abs().ln_1p().copysign(*value) / largest;
            }
        }
        Normalise::Max | Normalise::SignedLog => values.fill(0.0),
    }
}
