//! Flame graphs of sampled stacks.

use lob_metrics::Unit;

use super::{FrameKind, LineProfile, SampledStack, StackFrame};
use crate::flame::{Cell, Legend, draw};

/// Colours and whose code they stand for.
pub(crate) const LEGEND: [Legend; 5] = [
    ("#f5a742", "own code"),
    ("#7cc36a", "own Python"),
    ("#8fb8de", "libraries"),
    ("#e0685f", "kernel"),
    ("#c9c9c9", "processes, unknown"),
];

pub(crate) const fn colour(kind: FrameKind) -> &'static str {
    let index = match kind {
        FrameKind::Own => 0,
        FrameKind::Python => 1,
        FrameKind::Library | FrameKind::Interpreter => 2,
        FrameKind::Kernel => 3,
        FrameKind::Other => 4,
    };
    LEGEND[index].0
}

/// A function in the tree of stacks.
pub(crate) struct Node<'a> {
    pub(crate) frame: &'a StackFrame,
    pub(crate) depth: usize,
    /// Index of what it is called by.
    pub(crate) parent: Option<usize>,
    /// Samples before it, from the left.
    pub(crate) start: u64,
    /// Samples in it and in what it calls.
    pub(crate) total: u64,
    /// Samples in it.
    pub(crate) own: u64,
}

/// The tree of stacks that come in the order of their names, parents first; and the innermost
/// function of each stack in it.
pub(crate) fn tree(stacks: &[SampledStack]) -> (Vec<Node<'_>>, Vec<Option<usize>>) {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut ends = Vec::with_capacity(stacks.len());
    let mut open: Vec<usize> = Vec::new();
    let mut start = 0;
    for stack in stacks {
        let same = |(at, frame): &(&usize, &StackFrame)| nodes[**at].frame == *frame;
        let shared = open.iter().zip(&stack.frames).take_while(same).count();
        open.truncate(shared);
        for frame in &stack.frames[shared..] {
            let parent = open.last().copied();
            let node = Node { frame, depth: open.len(), parent, start, total: 0, own: 0 };
            open.push(nodes.len());
            nodes.push(node);
        }
        open.iter().for_each(|at| nodes[*at].total += stack.samples);
        if let Some(last) = open.last() {
            nodes[*last].own += stack.samples;
        }
        start += stack.samples;
        ends.push(open.last().copied());
    }
    (nodes, ends)
}

impl LineProfile {
    /// A flame graph of the samples as an SVG document of its own, outermost functions on top: a
    /// box's colour says whose code it is, hovering shows its share. In a browser it zooms on a
    /// click, searches (`/`), turns upside down (`i`) and follows the arrow keys; it loads nothing.
    #[must_use]
    pub fn flame_graph_svg(&self, title: &str) -> String {
        let all = self.samples.max(1) as f64;
        let cell = |node: &Node<'_>| Cell {
            name: node.frame.name.clone(),
            depth: node.depth,
            x: node.start as f64 / all,
            width: node.total as f64 / all,
            hint: self.hint(node),
            colour: colour(node.frame.kind).to_owned(),
            tag: node.frame.kind.name(),
        };
        let cells: Vec<Cell> = tree(&self.stacks).0.iter().map(cell).collect();
        draw(&cells, title, "no sample was taken", &LEGEND)
    }

    fn hint(&self, node: &Node<'_>) -> String {
        let Node { frame, total, own, .. } = node;
        let seconds = |samples: u64| Unit::Seconds.format(samples as f64 * self.interval_s);
        let share = *total as f64 / self.samples.max(1) as f64 * 100.0;
        let of = if frame.module.is_empty() {
            String::new()
        } else {
            format!(" \u{2013} {}, {}", frame.kind.name(), frame.module)
        };
        format!(
            "{}: {share:.1} %, {} in {total} samples; {} by itself{of}",
            frame.name,
            seconds(*total),
            seconds(*own)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_lie_inside_their_callers() {
        let stack = |names: &[&str], samples| SampledStack {
            frames: names
                .iter()
                .map(|name| StackFrame {
                    name: (*name).to_owned(),
                    module: String::new(),
                    kind: FrameKind::Own,
                })
                .collect(),
            samples,
        };
        let stacks = [
            stack(&["a"], 1),
            stack(&["a", "b"], 2),
            stack(&["a", "b", "c"], 3),
            stack(&["a", "d"], 4),
            stack(&["b"], 5),
        ];
        let (nodes, ends) = tree(&stacks);
        assert_eq!(ends, [0, 1, 2, 3, 4].map(Some));
        let parents: Vec<_> = nodes.iter().map(|node| node.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(0), None]);
        let found: Vec<_> = nodes
            .iter()
            .map(|n| (n.frame.name.clone(), n.depth, n.start, n.total, n.own))
            .collect();
        let expected = [
            ("a", 0, 0, 10, 1),
            ("b", 1, 1, 5, 2),
            ("c", 2, 3, 3, 3),
            ("d", 1, 6, 4, 4),
            ("b", 0, 10, 5, 5),
        ];
        let expected = expected.map(|(name, d, s, t, o)| (name.to_owned(), d, s, t, o));
        assert_eq!(found, expected);
        assert!(tree(&[]).0.is_empty());
    }
}
