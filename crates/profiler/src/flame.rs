//! Flame graphs and folded stacks from the call tree.

use std::collections::BTreeMap;
use std::fmt::Write;

use lob_metrics::Unit;
use lob_scope::ScopeStat;

const WIDTH_PX: f64 = 1200.0;
const ROW_PX: f64 = 18.0;
const MARGIN_PX: f64 = 10.0;
const TITLE_PX: f64 = 34.0;
/// Width of a character of the 11 px monospace font.
const CHARACTER_PX: f64 = 6.7;
/// Narrower frames are left out: nobody can see them.
const MIN_WIDTH_PX: f64 = 0.2;

/// Folded stacks: a line per path, its names joined by `;`, then its self time in whole
/// microseconds. The format other flame graph tools read.
///
/// ```
/// lob_scope::enable(true);
/// drop(lob_scope::scope("work"));
/// let folded = lob_profiler::folded_stacks(&lob_scope::take_scopes());
/// assert!(folded.starts_with("work "));
/// ```
#[must_use]
pub fn folded_stacks(scopes: &[ScopeStat]) -> String {
    scopes.iter().fold(String::new(), |mut out, scope| {
        // The format ends a name at `;` and the stack at the last space.
        let path = scope.path.replace(';', ":").replace('/', ";");
        let _ = writeln!(out, "{path} {:.0}", scope.self_s * 1e6);
        out
    })
}

/// A flame graph as an SVG document of its own: a box per scope, as wide as its share of the time,
/// below the scope it ran in. Hovering over a box shows its figures. Scopes must come parents
/// first, as [`lob_scope::take_scopes`] returns them.
///
/// Where threads worked at once the inner scopes of a path may add up to more than the path
/// itself; they are then drawn narrower, in proportion.
#[must_use]
pub fn flame_graph_svg(scopes: &[ScopeStat], title: &str) -> String {
    let seconds = |value: f64| Unit::Seconds.format(value);
    let hint = |scope: &ScopeStat, share: f64| {
        format!(
            "{}: {} ({:.1} %), self {}, {} calls, p95 {}",
            scope.path,
            seconds(scope.total_s),
            share * 100.0,
            seconds(scope.self_s),
            scope.calls,
            seconds(scope.p95_s)
        )
    };
    draw(scopes, title, "no scope was recorded", hint)
}

/// Draws a tree of scopes; `hint` gives the text shown over a box, from the scope and its share.
pub(crate) fn draw(
    scopes: &[ScopeStat],
    title: &str,
    nothing: &str,
    hint: impl Fn(&ScopeStat, f64) -> String,
) -> String {
    let frames = layout(scopes);
    let rows = frames.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
    let height = TITLE_PX + rows as f64 * ROW_PX + MARGIN_PX;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH_PX}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH_PX} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN_PX}\" y=\"21\" font-size=\"14\" fill=\"#222222\">{}</text>\n",
        escape(title)
    );
    if frames.is_empty() {
        let _ = writeln!(out, "<text x=\"{MARGIN_PX}\" y=\"40\">{nothing}</text>");
    }
    for frame in frames.iter().filter(|frame| frame.width >= MIN_WIDTH_PX) {
        write_frame(&mut out, frame, &hint(frame.scope, frame.share));
    }
    out.push_str("</svg>\n");
    out
}

/// One box, in pixels.
struct Frame<'a> {
    scope: &'a ScopeStat,
    name: &'a str,
    depth: usize,
    x: f64,
    width: f64,
    /// Share of the time of all outermost scopes.
    share: f64,
}

fn layout(scopes: &[ScopeStat]) -> Vec<Frame<'_>> {
    let depth_of = |scope: &ScopeStat| scope.path.matches('/').count();
    let all_s: f64 = scopes.iter().filter(|s| depth_of(s) == 0).map(|s| s.total_s).sum();
    // Per depth: the open frame's path, where its next child begins, pixels per second inside it.
    let mut open: Vec<(&str, f64, f64)> = Vec::new();
    let mut top = (MARGIN_PX, if all_s > 0.0 { (WIDTH_PX - 2.0 * MARGIN_PX) / all_s } else { 0.0 });
    let mut frames = Vec::with_capacity(scopes.len());
    let inner_s = inner_seconds(scopes);
    for scope in scopes {
        let is_below =
            |path: &str| scope.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        while open.last().is_some_and(|(path, ..)| !is_below(path)) {
            open.pop();
        }
        let (next, scale) = match open.last_mut() {
            Some((_, next, scale)) => (next, *scale),
            None => (&mut top.0, top.1),
        };
        let (x, width) = (*next, scope.total_s * scale);
        *next += width;
        let longest = inner_s.get(scope.path.as_str()).copied().unwrap_or(0.0).max(scope.total_s);
        let depth = open.len();
        open.push((&scope.path, x, if longest > 0.0 { width / longest } else { 0.0 }));
        let name = scope.path.rsplit('/').next().unwrap_or(&scope.path);
        let share = if all_s > 0.0 { scope.total_s / all_s } else { 0.0 };
        frames.push(Frame { scope, name, depth, x, width, share });
    }
    frames
}

/// Time of the direct children, by path.
fn inner_seconds(scopes: &[ScopeStat]) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for scope in scopes {
        if let Some((parent, _)) = scope.path.rsplit_once('/') {
            *sums.entry(parent).or_insert(0.0) += scope.total_s;
        }
    }
    sums
}

fn write_frame(out: &mut String, frame: &Frame<'_>, hint: &str) {
    let Frame { name, depth, x, width, .. } = frame;
    let y = TITLE_PX + *depth as f64 * ROW_PX;
    let _ = writeln!(
        out,
        "<g><title>{}</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{}\" \
         fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"0.5\"/>",
        escape(hint),
        ROW_PX - 1.0,
        colour(name)
    );
    if let Some(label) = label(name, *width) {
        let _ = writeln!(
            out,
            "<text x=\"{:.2}\" y=\"{}\" fill=\"#1a1a1a\">{}</text>",
            x + 4.0,
            y + 12.5,
            escape(&label)
        );
    }
    out.push_str("</g>\n");
}

/// As much of the name as fits; nothing rather than a letter or two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a width in pixels, cut to whole characters"
)]
fn label(name: &str, width_px: f64) -> Option<String> {
    let room = ((width_px - 8.0) / CHARACTER_PX).max(0.0) as usize;
    let length = name.chars().count();
    match room {
        _ if length <= room => Some(name.to_owned()),
        0..=2 => None,
        _ => Some(name.chars().take(room - 1).chain(['\u{2026}']).collect()),
    }
}

/// A warm colour that is the same for the same name.
fn colour(name: &str) -> String {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let (hue, light) = (18 + hash % 36, 62 + (hash >> 8) % 14);
    format!("hsl({hue},82%,{light}%)")
}

/// Text inside XML. Control characters, which XML cannot hold, become spaces.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(path: &str, total_s: f64, self_s: f64) -> ScopeStat {
        ScopeStat {
            path: path.to_owned(),
            calls: 1,
            total_s,
            self_s,
            min_s: total_s,
            max_s: total_s,
            p50_s: total_s,
            p95_s: total_s,
            p99_s: total_s,
        }
    }

    #[test]
    fn folded_lines_hold_self_time() {
        let scopes = [scope("a", 3e-3, 1e-3), scope("a/b;c", 2e-3, 2e-3)];
        assert_eq!(folded_stacks(&scopes), "a 1000\na;b:c 2000\n");
        assert_eq!(folded_stacks(&[]), "");
    }

    #[test]
    fn boxes_lie_inside_their_parents_and_beside_their_siblings() {
        let scopes = [
            scope("a", 6.0, 1.0),
            scope("a/x", 2.0, 2.0),
            scope("a/y", 3.0, 1.0),
            scope("a/y/z", 2.0, 2.0),
            scope("b", 2.0, 0.0),
            scope("b/p", 3.0, 3.0),
            scope("b/q", 1.0, 1.0),
        ];
        let frames = layout(&scopes);
        let frame = |path: &str| frames.iter().find(|f| f.scope.path == path).unwrap();
        let end = |path: &str| frame(path).x + frame(path).width;
        assert!((end("b") - (WIDTH_PX - MARGIN_PX)).abs() < 1e-9);
        assert!((frame("a").width - 3.0 * frame("b").width).abs() < 1e-9);
        for (child, parent) in [("a/x", "a"), ("a/y", "a"), ("a/y/z", "a/y"), ("b/q", "b")] {
            assert!(frame(child).x >= frame(parent).x - 1e-9, "{child}");
            assert!(end(child) <= end(parent) + 1e-9, "{child}");
            assert_eq!(frame(child).depth, frame(parent).depth + 1);
        }
        assert!((end("a/x") - frame("a/y").x).abs() < 1e-9);
    }

    #[test]
    fn names_cannot_break_the_document() {
        let svg = flame_graph_svg(&[scope("<a>&\"b\"\u{1}", 1.0, 1.0)], "x < y");
        assert!(svg.contains("&lt;a&gt;&amp;&quot;b&quot; "), "{svg}");
        assert!(svg.contains("x &lt; y"));
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
        assert!(flame_graph_svg(&[], "t").contains("no scope was recorded"));
    }

    #[test]
    fn labels_are_cut_to_their_box() {
        assert_eq!(label("decode", 100.0).as_deref(), Some("decode"));
        assert_eq!(label("decode", 40.0).as_deref(), Some("dec\u{2026}"));
        assert_eq!(label("decode", 20.0), None);
    }
}
