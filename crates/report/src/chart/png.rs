//! Scenes as PNG files, drawn by plotters with the embedded font.

use plotters::backend::BitMapBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Circle, PathElement, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoTextStyle, RGBColor, ShapeStyle};

use super::{Anchor, Ink, Scene, Shape, font};

/// Pixels of the file per unit of the scene: legible also on dense screens.
const SCALE: f64 = 1.5;

/// Okabe and Ito's palette, told apart with every common colour blindness; yellow and black left out.
const SERIES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

fn colour(ink: Ink) -> RGBColor {
    match ink {
        Ink::Text => RGBColor(28, 32, 38),
        Ink::Muted | Ink::TickX | Ink::TickY => RGBColor(84, 92, 104),
        Ink::Grid => RGBColor(224, 228, 233),
        Ink::Paper => RGBColor(255, 255, 255),
        Ink::Series(i) => SERIES[i % SERIES.len()],
    }
}

#[expect(clippy::cast_possible_truncation, reason = "coordinates of a picture fit an i32")]
fn px(value: f64) -> i32 {
    (value * SCALE).round() as i32
}

/// Draws a scene on white and encodes it; an error is the drawing library's text.
pub(super) fn to_png(scene: &Scene) -> Result<Vec<u8>, String> {
    font::register()?;
    let width = u32::try_from(px(scene.width)).map_err(|e| e.to_string())?;
    let height = u32::try_from(px(scene.height)).map_err(|e| e.to_string())?;
    let mut pixels = vec![255_u8; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        for shape in &scene.shapes {
            draw(&area, shape).map_err(|e| e.to_string())?;
        }
        area.present().map_err(|e| e.to_string())?;
    }
    encode(&pixels, width, height, png::ColorType::Rgb, None)
}

type Area<'a> = plotters::drawing::DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;
type DrawError<'a> = plotters::drawing::DrawingAreaErrorKind<
    <BitMapBackend<'a> as plotters::backend::DrawingBackend>::ErrorType,
>;

fn draw<'a>(area: &Area<'a>, shape: &Shape) -> Result<(), DrawError<'a>> {
    match shape {
        Shape::Line { points, ink, width } => {
            let placed: Vec<(i32, i32)> = points.iter().map(|(x, y)| (px(*x), px(*y))).collect();
            let style = colour(*ink).stroke_width(u32::try_from(px(*width).max(1)).unwrap_or(1));
            area.draw(&PathElement::new(placed, style))
        }
        Shape::Dot { x, y, radius, ink, hollow } => {
            let outline =
                ShapeStyle { color: colour(*ink).to_rgba(), filled: false, stroke_width: 2 };
            let style = if *hollow { outline } else { colour(*ink).filled() };
            area.draw(&Circle::new((px(*x), px(*y)), px(*radius), style))
        }
        Shape::Text { x, y, size, anchor, ink, text } => {
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let colour = colour(*ink);
            let style = (font::FAMILY, size * SCALE * 1.24)
                .into_text_style(area)
                .color(&colour)
                .pos(Pos::new(horizontal, VPos::Center));
            // The font's line box sits a little above its letters.
            area.draw(&Text::new(text.as_str(), (px(*x), px(*y + 1.5)), style))
        }
    }
}

/// Encodes raw pixels; `palette` holds RGB triples for indexed colours.
pub(super) fn encode(
    pixels: &[u8],
    width: u32,
    height: u32,
    colour: png::ColorType,
    palette: Option<&[u8]>,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(pixels).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}
