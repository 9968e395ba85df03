//! The differential flame graph.

use lob_metrics::Unit;

use super::{Difference, StackTimes};
use crate::flame::{Cell, Legend, draw};
use crate::stacks::report::{SampledStack, StackFrame, tree};

const LEGEND: [Legend; 3] = [
    ("#e8604c", "takes more CPU time than before"),
    ("#dddddd", "as before"),
    ("#6b9bd1", "takes less"),
];
/// Widths are whole microseconds.
const UNIT_S: f64 = 1e-6;

impl Difference {
    /// A flame graph as an SVG document of its own, in which colours say what has changed: the
    /// redder, the more CPU time of a launch a function and what it calls take than before, the
    /// bluer, the less. A box is as wide as its time on the side where it is longer.
    #[must_use]
    pub fn flame_graph_svg(&self, title: &str) -> String {
        let sides = [self.side(&self.base), self.side(&self.current)];
        let mut keys: Vec<&Vec<StackFrame>> =
            self.base.stacks.keys().chain(self.current.stacks.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let width = |stack: &Vec<StackFrame>| sides[0].of(stack).max(sides[1].of(stack));
        let whole: Vec<SampledStack> = keys
            .iter()
            .map(|stack| SampledStack { frames: (*stack).clone(), samples: width(stack) })
            .collect();
        let totals = sides.each_ref().map(|side| {
            let stacks: Vec<SampledStack> = keys
                .iter()
                .map(|stack| SampledStack { frames: (*stack).clone(), samples: side.of(stack) })
                .collect();
            tree(&stacks).0.iter().map(|node| node.total).collect::<Vec<u64>>()
        });
        let nodes = tree(&whole).0;
        let all = whole.iter().map(|stack| stack.samples).sum::<u64>().max(1) as f64;
        let greatest = totals[0]
            .iter()
            .zip(&totals[1])
            .map(|(before, now)| before.abs_diff(*now))
            .max()
            .unwrap_or(0)
            .max(1);
        let cell = |(at, node): (usize, &crate::stacks::report::Node<'_>)| {
            let [before, now] = totals.each_ref().map(|side| side.get(at).copied().unwrap_or(0));
            let (before_s, now_s) = (before as f64 * UNIT_S, now as f64 * UNIT_S);
            let change = (now_s - before_s) / (greatest as f64 * UNIT_S);
            let sign = if now < before { '-' } else { '+' };
            Cell {
                name: node.frame.name.clone(),
                depth: node.depth,
                x: node.start as f64 / all,
                width: node.total as f64 / all,
                hint: format!(
                    "{}: {sign}{} in a launch, {} instead of {}",
                    node.frame.name,
                    Unit::Seconds.format((now_s - before_s).abs()),
                    Unit::Seconds.format(now_s),
                    Unit::Seconds.format(before_s)
                ),
                colour: colour(change),
                tag: node.frame.kind.name(),
            }
        };
        let cells: Vec<Cell> = nodes.iter().enumerate().map(cell).collect();
        draw(&cells, title, "no sample was taken on either side", &LEGEND)
    }

    #[expect(clippy::unused_self, reason = "a side of this difference")]
    fn side<'a>(&self, times: &'a StackTimes) -> Side<'a> {
        Side { times, launches: f64::from(times.launches.max(1)) }
    }
}

struct Side<'a> {
    times: &'a StackTimes,
    launches: f64,
}

impl Side<'_> {
    /// Microseconds of a launch in a stack.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating beyond half a million years"
    )]
    fn of(&self, stack: &Vec<StackFrame>) -> u64 {
        let seconds = self.times.stacks.get(stack).copied().unwrap_or(0.0);
        (seconds.max(0.0) / self.launches / UNIT_S).round() as u64
    }
}

/// From blue by grey to red, for a change between -1 and 1.
fn colour(change: f64) -> String {
    // Small changes show too.
    let strength = change.abs().clamp(0.0, 1.0).sqrt();
    let mix = |from: f64, to: f64| (from + (to - from) * strength).round();
    let (red, green, blue) = if change > 0.0 { (232.0, 96.0, 76.0) } else { (107.0, 155.0, 209.0) };
    format!("rgb({},{},{})", mix(221.0, red), mix(221.0, green), mix(221.0, blue))
}

#[cfg(test)]
mod tests {
    use super::colour;

    #[test]
    fn colours_say_which_way() {
        assert_eq!(colour(0.0), "rgb(221,221,221)");
        assert_eq!(colour(1.0), "rgb(232,96,76)");
        assert_eq!(colour(-2.0), "rgb(107,155,209)");
    }
}
