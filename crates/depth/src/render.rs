//! Bins to images.

mod plan;
mod scale;
mod sparse;

use crate::{
    BinSlice, Cell, DepthError, Feature, Geometry, NO_PRICE, PriceAxis, ROWS, RenderSpec, SLOTS,
};
use plan::Plan;
use sparse::Sparse;

/// Draws windows of bins as images.
///
/// An image is `[feature][row][bin]` in C order. In each column depth is accumulated over the
/// price rows: A over the asks, B over the bids, and the cell is D = A - B, scaled by the spec's
/// normalisation. So positive means that the asks weigh more. The planes
/// [`Feature::OrderFlowImbalance`] and [`Feature::Microprice`] are not sums over rows; their own
/// documentation defines them.
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
    /// The same, scaled.
    scaled_values: Vec<f32>,
    scaled_first: Vec<f32>,
    sparse: Sparse,
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
        let axis = self.lay_out(spec, &bins, out.len())?;
        for (feature, plane) in spec.planes().zip(out.chunks_exact_mut(spec.plane_len())) {
            let sizes = column(&bins, feature);
            if let Some(largest) = self.sparse.collect(feature, axis, &bins, spec.n_bins) {
                self.sparse.scale(spec.normalise, largest);
                self.sparse.paint_scaled(plane, C::from_f32);
                continue;
            }
            let largest = self.plan.evaluate(sizes, &mut self.values, &mut self.first);
            scale::scale(spec.normalise, largest, &self.values, &mut self.scaled_values);
            scale::scale(spec.normalise, largest, &self.first, &mut self.scaled_first);
            paint(&self.plan, &self.scaled_first, &self.scaled_values, plane, C::from_f32);
        }
        Ok(())
    }

    /// The depth differences D themselves in double precision, without any normalisation: an
    /// image as [`Renderer::render`] makes it before scaling and rounding. `spec.normalise` is not
    /// looked at.
    ///
    /// # Errors
    /// As [`Renderer::render_into`].
    pub fn render_depth(
        &mut self,
        spec: &RenderSpec,
        bins: BinSlice<'_>,
        out: &mut [f64],
    ) -> Result<(), DepthError> {
        spec.validate()?;
        let axis = self.lay_out(spec, &bins, out.len())?;
        for (feature, plane) in spec.planes().zip(out.chunks_exact_mut(spec.plane_len())) {
            let sizes = column(&bins, feature);
            if self.sparse.collect(feature, axis, &bins, spec.n_bins).is_some() {
                self.sparse.paint(plane);
                continue;
            }
            self.plan.evaluate(sizes, &mut self.values, &mut self.first);
            paint(&self.plan, &self.first, &self.values, plane, |value| value);
        }
        Ok(())
    }

    /// Checks a window and makes the plan of its columns.
    fn lay_out(
        &mut self,
        spec: &RenderSpec,
        bins: &BinSlice<'_>,
        n_out: usize,
    ) -> Result<PriceAxis, DepthError> {
        check_lengths(spec, bins, n_out)?;
        if bins.last_bid == NO_PRICE || bins.last_ask == NO_PRICE {
            return Err(DepthError::EmptyBook);
        }
        let axis = PriceAxis::new(spec.geometry, bins.last_bid, bins.last_ask);
        let drawn = self.plan.lay_out(axis, bins.px);
        if !drawn && spec.geometry == Geometry::Contiguous {
            return Err(DepthError::OffAxis { bid: bins.last_bid, ask: bins.last_ask });
        }
        Ok(axis)
    }
}

/// Writes every cell of a plane once: `first` on row 0 and below it, in each column, the value of
/// the latest step. Columns past the last of `first` are zero.
fn paint<S: Copy + Default, C: Copy>(
    plan: &Plan,
    first: &[S],
    values: &[S],
    plane: &mut [C],
    cell: impl Fn(S) -> C,
) {
    let n_bins = plane.len() / ROWS;
    let (drawn, blank) = plane[..n_bins].split_at_mut(first.len());
    for (out, &value) in drawn.iter_mut().zip(first) {
        *out = cell(value);
    }
    blank.fill(cell(S::default()));
    for row in 1..ROWS {
        let (above, rest) = plane.split_at_mut(row * n_bins);
        let cells = &mut rest[..n_bins];
        cells.copy_from_slice(&above[(row - 1) * n_bins..]);
        for &step in plan.steps_of_row(row) {
            let step = step as usize;
            cells[step / SLOTS] = cell(values[step]);
        }
    }
}

/// The numbers a feature is drawn from.
const fn column<'a>(bins: &BinSlice<'a>, feature: Feature) -> &'a [f64] {
    match feature {
        Feature::Volume | Feature::OrderFlowImbalance | Feature::Microprice => bins.size,
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
            Feature::Volume | Feature::OrderFlowImbalance | Feature::Microprice => {
                "the volume column of the window"
            }
            Feature::Variance => "the variance column of the window",
            Feature::TradeCounts => "the trade_counts column of the window",
        };
        check(what, bins.px.len(), column(bins, feature).len())?;
    }
    Ok(())
}
