//! Pure market-depth kernels: book updates to tick bins, bins to images, mids to labels.
//!
//! [`BinBuilder`] condenses a stream of ten-level book updates to [`Bin`]s, [`BinColumns`] holds
//! many of them, and a [`Renderer`] draws a window of them as an image of 402 price rows: positive
//! where the asks weigh more, negative where the bids do. Prices are whole numbers of a
//! [`PriceStep`] until then. Nothing here opens a file, reads a clock or keeps state between
//! images.
//!
//! ```
//! use lob_depth::{
//!     BinBuilder, BinColumns, BinRule, Level, LEVELS, PriceStep, RenderSpec, Renderer,
//!     SizeAggregate, UpdateMeta,
//! };
//! let step: PriceStep = "0.25".parse()?;
//! let mut builder = BinBuilder::new(BinRule::Updates(1), SizeAggregate::Median, step)?;
//! let mut book = [Level::EMPTY; LEVELS];
//! book[0] = Level {
//!     bid_px: 4_700_000_000_000, ask_px: 4_700_250_000_000,
//!     bid_sz: 10, ask_sz: 40, bid_ct: 2, ask_ct: 5,
//! };
//! let mut bins = BinColumns::default();
//! if let Some(bin) = builder.push(UpdateMeta::default(), &book)? {
//!     bins.push(&bin);
//! }
//! let spec = RenderSpec { n_bins: 1, ..RenderSpec::default() };
//! let mut image = vec![0.0; spec.len()];
//! Renderer::default().render(&spec, bins.as_slice(0..1), &mut image)?;
//! // The ask is on row 200 and reaches up to row 0; the bid is on row 201 and reaches down.
//! assert_eq!((image[0], image[200], image[201], image[401]), (1.0, 1.0, -0.25, -0.25));
//! # Ok::<(), lob_depth::DepthError>(())
//! ```

mod bins;
mod columns;
mod dtype;
mod error;
mod event;
mod feature;
mod geometry;
mod label;
mod level;
mod npy;
mod pixels;
mod price;
mod render;
mod spec;

pub use bins::{
    Bin, BinBuilder, BinRule, CompatBins, EventCounts, OrderFlow, SizeAggregate, compat_row_bins,
};
pub use columns::{BinColumns, BinSlice};
pub use dtype::{Bf16, Cell, Dtype, F16, bf16_bits, f16_bits, quantise};
pub use error::DepthError;
pub use event::{Action, Event, Side};
pub use feature::Feature;
pub use geometry::{Geometry, PriceAxis};
pub use label::{
    CLASSES_MAX, ForwardVolatility, LabelSpec, MidPath, Movement, MovementStream, NextRows,
    NextWatch, PathWalk, Reach, class_edges, classify, movements, train_prefix, twice_mid,
};
pub use level::{
    LEVELS, Level, Levels, NO_PRICE, PRICE_SCALE, ROWS, SLOTS, UNDEF_PRICE, UpdateMeta,
};
pub use npy::{NpyElement, encode_npy, encode_npy_f32, npy_header};
pub use pixels::{heatmap_rgb8, rgb8};
pub use price::{PriceStep, STUB_FACTOR, StepDetector, is_usual_step};
pub use render::Renderer;
pub use spec::{Normalise, RenderSpec};
