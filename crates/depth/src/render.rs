//! Bins to images.

mod direct;
mod plan;
mod scale;
mod sparse;

use crate::{
    BinSlice, Cell, DepthError, Dtype, Feature, Geometry, NO_PRICE, PriceAxis, ROWS, RenderSpec,
    SLOTS, bf16_bits, f16_bits, quantise,
};
use direct::Direct;
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
/// Books that are not ten orderly levels a side are drawn as they are:
/// - *thin*: a level without a price adds nothing;
/// - *one-sided*: the missing side is zero, and the window's mid is that of its latest bin with
///   both sides;
/// - *locked or crossed*: A and B are summed independently, so rows between the best ask and the
///   best bid hold both;
/// - *empty*: a bin without levels is a column of zeros; a window without any two-sided bin has no
///   mid and is [`DepthError::EmptyBook`].
///
/// The renderer holds scratch memory only; an image depends on the spec and the window alone.
/// After the first image of a size nothing is allocated.
///
/// A column is a step function of at most 20 levels, so its largest value is known before a cell is
/// written. Where all columns are deep, orderly and near each other, rows are copied whole and only
/// the cells between the first and last step of a column are written again. Elsewhere the steps are
/// sorted by row for all columns at once: a row is a copy of the row above with its steps put in.
#[derive(Debug, Clone, Default)]
pub struct Renderer {
    direct: Direct,
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
        self.draw(spec, bins, out, C::BOUNDED, C::from_f32)
    }

    /// Renders to the bytes of a number format, in this machine's byte order: what a batch buffer
    /// holds whose format is chosen at run time. `out` holds [`RenderSpec::len`] cells of
    /// [`Dtype::size_bytes`] each and needs no alignment.
    ///
    /// ```
    /// use lob_depth::{BinColumns, Dtype, LEVELS, NO_PRICE, RenderSpec, Renderer, SLOTS};
    /// let mut bins = BinColumns {
    ///     px: vec![NO_PRICE; SLOTS],
    ///     size: vec![1.0; SLOTS],
    ///     last_bid: vec![99],
    ///     last_ask: vec![100],
    ///     ..BinColumns::default()
    /// };
    /// (bins.px[0], bins.px[LEVELS]) = (99, 100);
    /// let spec = RenderSpec { n_bins: 1, ..RenderSpec::default() };
    /// let mut out = vec![0; 402 * Dtype::F16.size_bytes()];
    /// Renderer::default().render_bytes(&spec, bins.as_slice(0..1), Dtype::F16, &mut out)?;
    /// assert_eq!(out[..2], 0x3C00_u16.to_ne_bytes(), "one, in half precision");
    /// # Ok::<(), lob_depth::DepthError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Renderer::render_into`]; lengths are told in bytes if `out` holds no whole cells.
    pub fn render_bytes(
        &mut self,
        spec: &RenderSpec,
        bins: BinSlice<'_>,
        dtype: Dtype,
        out: &mut [u8],
    ) -> Result<(), DepthError> {
        match dtype {
            Dtype::F32 => self.draw(spec, bins, whole(spec, out)?, false, f32::to_ne_bytes),
            Dtype::F16 => {
                let cell = |value| f16_bits(value).to_ne_bytes();
                self.draw(spec, bins, whole(spec, out)?, false, cell)
            }
            Dtype::Bf16 => {
                let cell = |value| bf16_bits(value).to_ne_bytes();
                self.draw(spec, bins, whole(spec, out)?, false, cell)
            }
            Dtype::U8 => self.draw(spec, bins, out, true, quantise),
        }
    }

    /// Renders to cells that `cell` makes; `bounded` ones only take values in -1..=1.
    fn draw<C: Copy>(
        &mut self,
        spec: &RenderSpec,
        bins: BinSlice<'_>,
        out: &mut [C],
        bounded: bool,
        cell: impl Fn(f32) -> C,
    ) -> Result<(), DepthError> {
        spec.validate()?;
        if bounded {
            spec.check_bounded()?;
        }
        let (axis, is_direct) = self.lay_out(spec, &bins, out.len())?;
        for (feature, plane) in spec.planes().zip(out.chunks_exact_mut(spec.plane_len())) {
            let sizes = column(&bins, feature);
            if let Some(largest) = self.sparse.collect(feature, axis, &bins, spec.n_bins) {
                self.sparse.scale(spec.normalise, largest);
                self.sparse.paint_scaled(plane, &cell);
                continue;
            }
            if is_direct {
                let largest = self.direct.evaluate(sizes);
                let scaled = &mut self.scaled_values;
                self.direct.paint(sizes, plane, |values, cells| {
                    scaled.resize(values.len(), 0.0);
                    scale::scale(spec.normalise, largest, values, scaled);
                    cells.iter_mut().zip(&*scaled).for_each(|(to, value)| *to = cell(*value));
                });
                continue;
            }
            let largest = self.plan.evaluate(sizes, &mut self.values, &mut self.first);
            self.scaled_values.resize(self.values.len(), 0.0);
            self.scaled_first.resize(self.first.len(), 0.0);
            scale::scale(spec.normalise, largest, &self.values, &mut self.scaled_values);
            scale::scale(spec.normalise, largest, &self.first, &mut self.scaled_first);
            paint(&self.plan, &self.scaled_first, &self.scaled_values, plane, &cell);
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
        let (axis, is_direct) = self.lay_out(spec, &bins, out.len())?;
        for (feature, plane) in spec.planes().zip(out.chunks_exact_mut(spec.plane_len())) {
            let sizes = column(&bins, feature);
            if self.sparse.collect(feature, axis, &bins, spec.n_bins).is_some() {
                self.sparse.paint(plane);
                continue;
            }
            if is_direct {
                self.direct.evaluate(sizes);
                self.direct.paint(sizes, plane, |values, cells| cells.copy_from_slice(values));
                continue;
            }
            self.plan.evaluate(sizes, &mut self.values, &mut self.first);
            paint(&self.plan, &self.first, &self.values, plane, |value| value);
        }
        Ok(())
    }

    /// Checks a window and makes the plan of its columns; also says whether `direct` holds it.
    fn lay_out(
        &mut self,
        spec: &RenderSpec,
        bins: &BinSlice<'_>,
        n_out: usize,
    ) -> Result<(PriceAxis, bool), DepthError> {
        check_lengths(spec, bins, n_out)?;
        if bins.last_bid == NO_PRICE || bins.last_ask == NO_PRICE {
            return Err(DepthError::EmptyBook);
        }
        let axis = PriceAxis::new(spec.geometry, bins.last_bid, bins.last_ask);
        if self.direct.lay_out(axis, bins.px) {
            return Ok((axis, true));
        }
        let drawn = self.plan.lay_out(axis, bins.px);
        if !drawn && spec.geometry == Geometry::Contiguous {
            return Err(DepthError::OffAxis { bid: bins.last_bid, ask: bins.last_ask });
        }
        Ok((axis, false))
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

/// The bytes of an image as cells of `N` bytes.
fn whole<'a, const N: usize>(
    spec: &RenderSpec,
    out: &'a mut [u8],
) -> Result<&'a mut [[u8; N]], DepthError> {
    let (found, expected) = (out.len(), spec.len().saturating_mul(N));
    if found != expected {
        return Err(DepthError::Length { what: "the output image in bytes", expected, found });
    }
    Ok(out.as_chunks_mut().0)
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
