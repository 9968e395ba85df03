//! Charts as lists of shapes. One layout serves the inline SVG of the page and the PNG files.

mod curves;
mod dots;
mod font;
mod forest;
mod heatmap;
mod matrix;
mod panel;
mod pictures;
mod png;
mod roofline;
mod scaling;
mod series;
mod svg;
mod ticks;

pub(crate) use curves::curves_chart;
pub(crate) use dots::dot_plot;
pub(crate) use forest::forest_chart;
pub(crate) use heatmap::heatmap_png;
pub(crate) use matrix::{Matrix, matrix_chart};
pub(crate) use pictures::{pictures, vector_pictures};
pub(crate) use roofline::roofline_chart;
pub(crate) use scaling::scaling_chart;
pub(crate) use series::{Curve, Plot, line_chart, scatter};
pub(crate) use svg::to_svg;

/// What a shape is coloured as; each surface has its own colours for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    /// A label of the horizontal axis: muted, and rewritten when the page zooms.
    TickX,
    /// As [`Ink::TickX`], of the vertical axis.
    TickY,
    Grid,
    /// The ground of the chart, for text on something filled.
    Paper,
    Series(usize),
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One thing to draw; coordinates in pixels from the top left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Line {
        points: Vec<(f64, f64)>,
        ink: Ink,
        width: f64,
    },
    Dot {
        x: f64,
        y: f64,
        radius: f64,
        ink: Ink,
        hollow: bool,
    },
    /// `y` is the middle of the line of text.
    Text {
        x: f64,
        y: f64,
        size: f64,
        anchor: Anchor,
        ink: Ink,
        text: String,
    },
}

/// Where the data of a chart lie, for hover and zoom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlotArea {
    /// Left, top, right, bottom in pixels.
    pub(crate) pixels: [f64; 4],
    /// Lowest and highest x, lowest and highest y, in the units of the axes.
    pub(crate) domain: [f64; 4],
    /// Units of x and y.
    pub(crate) suffixes: [String; 2],
    /// Whether x and y are logarithmic.
    pub(crate) log: [bool; 2],
}

/// A finished chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
    /// What the chart shows, for readers who cannot see it.
    pub(crate) title: String,
    pub(crate) plot: Option<PlotArea>,
}

impl Scene {
    pub(crate) fn new(title: &str, width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new(), title: title.to_owned(), plot: None }
    }

    fn line(&mut self, points: Vec<(f64, f64)>, ink: Ink, width: f64) {
        self.shapes.push(Shape::Line { points, ink, width });
    }

    fn text(
        &mut self,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        ink: Ink,
        text: impl Into<String>,
    ) {
        let (x, y) = at;
        self.shapes.push(Shape::Text { x, y, size, anchor, ink, text: text.into() });
    }

    fn dot(&mut self, at: (f64, f64), radius: f64, ink: Ink, hollow: bool) {
        let (x, y) = at;
        self.shapes.push(Shape::Dot { x, y, radius, ink, hollow });
    }

    /// Puts another chart below this one.
    fn stack(&mut self, below: Self) {
        let offset = self.height;
        for mut shape in below.shapes {
            match &mut shape {
                Shape::Line { points, .. } => points.iter_mut().for_each(|p| p.1 += offset),
                Shape::Dot { y, .. } | Shape::Text { y, .. } => *y += offset,
            }
            self.shapes.push(shape);
        }
        self.height += below.height;
        self.width = self.width.max(below.width);
    }
}

/// Cuts a label that would run into the plot; the whole one stands in the tables.
fn shortened(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    short.push('…');
    short
}
