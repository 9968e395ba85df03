//! Flame graphs and folded stacks from the call tree.

mod draw;

use std::collections::BTreeMap;
use std::fmt::Write;

use lob_metrics::Unit;
use lob_scope::ScopeStat;

pub(crate) use draw::{Cell, Legend, draw};

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
/// below the scope it ran in. Hovering over a box shows its figures; a browser that runs the script
/// inside zooms, searches and turns it upside down. Scopes must come parents first, as
/// [`lob_scope::take_scopes`] returns them.
///
/// Where threads worked at once the inner scopes of a path may add up to more than the path
/// itself; they are then drawn narrower, in proportion.
#[must_use]
pub fn flame_graph_svg(scopes: &[ScopeStat], title: &str) -> String {
    let seconds = |value: f64| Unit::Seconds.format(value);
    let cell = |frame: Frame<'_>| {
        let Frame { scope, name, depth, x, width, share } = frame;
        let hint = format!(
            "{}: {} ({:.1} %), self {}, {} calls, p95 {}",
            scope.path,
            seconds(scope.total_s),
            share * 100.0,
            seconds(scope.self_s),
            scope.calls,
            seconds(scope.p95_s)
        );
        Cell { name: name.to_owned(), depth, x, width, hint, colour: colour(name), tag: "scope" }
    };
    let cells: Vec<Cell> = layout(scopes).into_iter().map(cell).collect();
    draw(&cells, title, "no scope was recorded", &[])
}

/// One box; all of the width is 1.
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
    // Per depth: the open frame's path, where its next child begins, width of a second inside it.
    let mut open: Vec<(&str, f64, f64)> = Vec::new();
    let mut top = (0.0, if all_s > 0.0 { 1.0 / all_s } else { 0.0 });
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

/// A warm colour that is the same for the same name.
fn colour(name: &str) -> String {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let (hue, light) = (18 + hash % 36, 62 + (hash >> 8) % 14);
    format!("hsl({hue},82%,{light}%)")
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
        assert!((end("b") - 1.0).abs() < 1e-9);
        assert!((frame("a").width - 3.0 * frame("b").width).abs() < 1e-9);
        for (child, parent) in [("a/x", "a"), ("a/y", "a"), ("a/y/z", "a/y"), ("b/q", "b")] {
            assert!(frame(child).x >= frame(parent).x - 1e-9, "{child}");
            assert!(end(child) <= end(parent) + 1e-9, "{child}");
            assert_eq!(frame(child).depth, frame(parent).depth + 1);
        }
        assert!((end("a/x") - frame("a/y").x).abs() < 1e-9);
    }
}
