//! Lines that samples are charged to.

use std::collections::BTreeMap;

use super::frame::{Frame, FrameKind};

/// A line and its share of the samples.
///
/// Time in the kernel, in the standard library and in dependencies counts for the line of the
/// program that called them; a program without debug information is told by functions, then by
/// libraries.
#[derive(Debug, Clone, PartialEq)]
pub struct HotLine {
    /// Source file as the compiler saw it; `None` without debug information.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Function, or the library where the function is not known.
    pub function: String,
    /// Program or library the code is in.
    pub module: String,
    /// Samples at this line.
    pub samples: u64,
    /// Share of all samples, 0..=1.
    pub share: f64,
}

impl HotLine {
    /// `FILE:LINE (FUNCTION)`, as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        place(self.file.as_deref(), self.line, &self.function, &self.module)
    }

    pub(super) fn new(place: Frame, samples: u64, of: u64) -> Self {
        Self {
            file: place.file,
            line: place.line,
            function: place.function,
            module: place.module,
            samples,
            share: samples as f64 / of.max(1) as f64,
        }
    }
}

pub(super) fn place(file: Option<&str>, line: Option<u32>, function: &str, module: &str) -> String {
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    match file {
        Some(file) => format!("{file}{line} ({function})"),
        None if function == module => format!("somewhere in {module}, which has no symbols"),
        None if module.is_empty() => function.to_owned(),
        None => format!("{function} in {module}"),
    }
}

/// Counts by line and function, or by function where lines are not known.
pub(super) struct Places<const N: usize> {
    sums: BTreeMap<(String, u32, String, String), Charged<N>>,
}

struct Charged<const N: usize> {
    place: Frame,
    sums: [u64; N],
    /// Weights of the functions the line was seen in: a closure and what it is in share a line.
    functions: BTreeMap<String, u64>,
}

impl<const N: usize> Places<N> {
    pub(super) const fn new() -> Self {
        Self { sums: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, frame: &Frame, counts: [u64; N], weight: u64) {
        let function = outer(&frame.function).to_owned();
        let (file, line) = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => (file.clone(), line),
            _ => (String::new(), 0),
        };
        let new = || Charged { place: frame.clone(), sums: [0; N], functions: BTreeMap::new() };
        let key = (file, line, frame.module.clone(), function);
        let charged = self.sums.entry(key).or_insert_with(new);
        charged.sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        *charged.functions.entry(frame.function.clone()).or_default() += weight;
    }

    /// Every place with its sums, and with the function that has most of it.
    pub(super) fn list(self) -> Vec<(Frame, [u64; N])> {
        let listed = |Charged { mut place, sums, functions }: Charged<N>| {
            let most = functions.into_iter().max_by_key(|(_, weight)| *weight);
            if let Some((function, _)) = most {
                place.function = function;
            }
            (place, sums)
        };
        self.sums.into_values().map(listed).collect()
    }
}

/// The function a closure was written in.
pub(super) fn outer(function: &str) -> &str {
    ["::{closure", "::{{closure"]
        .iter()
        .filter_map(|mark| function.find(mark))
        .min()
        .map_or(function, |at| &function[..at])
}

/// Gives closures that were compiled into something else, and have lost the rest of their name, the
/// name of the function around them: the next one outwards in the same file.
pub(super) fn name_closures(frames: &mut [Frame]) {
    for at in 0..frames.len() {
        let Some((frame, outwards)) = frames.get_mut(at..).and_then(<[Frame]>::split_first_mut)
        else {
            return;
        };
        if !frame.function.starts_with("{closure") {
            continue;
        }
        let around = |other: &&mut Frame| {
            other.file == frame.file && !other.function.starts_with("{closure")
        };
        if let Some(other) = outwards.iter_mut().find(around) {
            frame.function = format!("{}::{}", other.function, frame.function);
        }
    }
}

/// The frame a sample is charged to: the innermost one of the program's own, else the innermost
/// one with a line, else the innermost one outside the kernel, else the innermost one.
pub(super) fn blamed(frames: &[Frame], counts: impl Fn(&Frame) -> bool) -> Option<&Frame> {
    let counted = || frames.iter().filter(|frame| counts(frame));
    let own = counted().find(|frame| frame.kind.is_own());
    let lined = || counted().find(|frame| frame.line.is_some());
    let user = || counted().find(|f| !matches!(f.kind, FrameKind::Kernel | FrameKind::Other));
    own.or_else(lined).or_else(user).or_else(|| counted().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_belong_to_the_function_they_are_written_in() {
        assert_eq!(outer("app::work::{closure#0}::{closure#1}"), "app::work");
        assert_eq!(outer("app::work::{{closure}}"), "app::work");
        assert_eq!(outer("app::work"), "app::work");
    }

    #[test]
    fn closures_without_a_name_get_that_of_the_function_around_them() {
        let frame = |function: &str, file: &str| Frame {
            file: Some(file.to_owned()),
            ..Frame::mark(function)
        };
        let mut frames = [
            frame("{closure#0}", "a.rs"),
            frame("fold", "iter.rs"),
            frame("{closure#1}", "a.rs"),
            frame("work", "a.rs"),
            frame("{closure#2}", "b.rs"),
        ];
        name_closures(&mut frames);
        let names = frames.map(|frame| frame.function);
        let expected = ["work::{closure#0}", "fold", "work::{closure#1}", "work", "{closure#2}"];
        assert_eq!(names, expected);
    }

    #[test]
    fn places_read_as_sentences() {
        assert_eq!(place(Some("a.c"), Some(7), "f", "app"), "a.c:7 (f)");
        assert_eq!(place(None, None, "f", "app"), "f in app");
        assert_eq!(place(None, None, "app", "app"), "somewhere in app, which has no symbols");
        assert_eq!(place(None, None, "[unknown]", ""), "[unknown]");
    }
}
