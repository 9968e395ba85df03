//! Functions by their own time and by the time with all they call.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{Frame, FrameKind};
use super::places::{blamed, outer};

/// A function, its samples, and those of what it calls.
#[derive(Debug, Clone, PartialEq)]
pub struct HotFunction {
    /// Its name.
    pub function: String,
    /// Program or library the code is in.
    pub module: String,
    /// Source file, where that is known.
    pub file: Option<String>,
    /// Its line seen most often, from 1.
    pub line: Option<u32>,
    /// Whose code it is.
    pub kind: FrameKind,
    /// Samples in it or in anything it called; recursion counts once.
    pub total_samples: u64,
    /// Samples in it itself. The kernel's time counts for the function that called the kernel, and
    /// the interpreter's for the function it interprets; the kernel's functions, which are listed
    /// too, have their own innermost samples.
    pub self_samples: u64,
    /// Those of `self_samples` that were spent in the kernel.
    pub kernel_samples: u64,
    /// Samples charged to it: in it, and in libraries, interpreter and kernel working for it, up to
    /// the next function of the program's own. These of all functions add up to all samples.
    pub charged_samples: u64,
}

impl HotFunction {
    /// `FUNCTION (FILE:LINE)`, or as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { function, module, .. } = self;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{function} ({file}:{line})"),
            _ if function == module => format!("somewhere in {module}, which has no symbols"),
            _ if module.is_empty() || self.kind == FrameKind::Kernel => function.clone(),
            _ => format!("{function} in {module}"),
        }
    }
}

type Key = (String, String, Option<String>);

/// Counts samples by function.
#[derive(Default)]
pub(in crate::stacks) struct Functions {
    found: BTreeMap<Key, (HotFunction, BTreeMap<u32, u64>)>,
}

impl Functions {
    /// Adds a stack, innermost function first.
    pub(in crate::stacks) fn add(&mut self, frames: &[Frame], count: u64) {
        let is_code = |frame: &&Frame| frame.kind != FrameKind::Other;
        // The kernel's and the interpreter's own time is that of whoever made them work.
        let by_itself = |frame: &&Frame| {
            !matches!(frame.kind, FrameKind::Kernel | FrameKind::Interpreter | FrameKind::Other)
        };
        let in_kernel = frames.first().is_some_and(|frame| frame.kind == FrameKind::Kernel);
        let charged = frames.iter().find(by_itself).or_else(|| {
            frames.iter().filter(is_code).find(|frame| frame.kind != FrameKind::Kernel)
        });
        let mut seen = BTreeSet::new();
        for frame in frames.iter().filter(is_code) {
            let key = key(frame);
            let is_new = seen.insert(key.clone());
            let (function, lines) =
                self.found.entry(key).or_insert_with(|| (new(frame), BTreeMap::new()));
            if is_new {
                function.total_samples += count;
                if let Some(line) = frame.line {
                    *lines.entry(line).or_default() += count;
                }
            }
        }
        if let Some(frame) = charged
            && let Some((function, _)) = self.found.get_mut(&key(frame))
        {
            function.self_samples += count;
            function.kernel_samples += if in_kernel { count } else { 0 };
        }
        if let Some(frame) = blamed(frames, |_| true)
            && let Some((function, _)) = self.found.get_mut(&key(frame))
        {
            function.charged_samples += count;
        }
        if let Some(frame) = frames.first().filter(|_| in_kernel)
            && let Some((function, _)) = self.found.get_mut(&key(frame))
        {
            function.self_samples += count;
            function.kernel_samples += count;
        }
    }

    /// The functions by falling charged time, then by falling own and whole time.
    pub(in crate::stacks) fn list(self) -> Vec<HotFunction> {
        let listed = |(mut function, lines): (HotFunction, BTreeMap<u32, u64>)| {
            function.line = lines.into_iter().max_by_key(|(_, count)| *count).map(|(line, _)| line);
            function
        };
        let mut list: Vec<HotFunction> = self.found.into_values().map(listed).collect();
        list.sort_by_key(|f| {
            std::cmp::Reverse((f.charged_samples, f.self_samples, f.total_samples))
        });
        list
    }
}

/// A closure is part of the function it is written in.
fn key(frame: &Frame) -> Key {
    (outer(&frame.function).to_owned(), frame.module.clone(), frame.file.clone())
}

fn new(frame: &Frame) -> HotFunction {
    HotFunction {
        function: outer(&frame.function).to_owned(),
        module: frame.module.clone(),
        file: frame.file.clone(),
        line: None,
        kind: frame.kind,
        total_samples: 0,
        self_samples: 0,
        kernel_samples: 0,
        charged_samples: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, kind: FrameKind, line: Option<u32>) -> Frame {
        let file = line.map(|_| "f.rs".to_owned());
        Frame {
            function: function.to_owned(),
            module: "m".to_owned(),
            file,
            line,
            kind,
            script: false,
        }
    }

    #[test]
    fn own_time_and_whole_time_are_told_apart_and_recursion_counts_once() {
        use FrameKind::{Kernel, Own};
        let (main, walk) = (frame("main", Own, Some(1)), |line| frame("walk", Own, Some(line)));
        let (read, copy) = (frame("read", Kernel, None), frame("copy", Kernel, None));
        let mut functions = Functions::default();
        functions.add(&[walk(7), walk(8), walk(8), main.clone()], 30);
        functions.add(&[copy, read, walk(9), main.clone()], 10);
        functions.add(&[main], 5);
        let list = functions.list();
        let of = |name: &str| {
            let f = list.iter().find(|f| f.function == name).unwrap();
            (f.total_samples, f.self_samples, f.kernel_samples)
        };
        assert_eq!(of("main"), (45, 5, 0));
        assert_eq!(of("walk"), (40, 40, 10));
        assert_eq!((of("read"), of("copy")), ((10, 0, 0), (10, 10, 10)));
        assert_eq!(list[0].place(), "walk (f.rs:7)");
        // What is not the kernel's adds up to everything.
        let user = list.iter().filter(|f| f.kind != Kernel).map(|f| f.self_samples).sum::<u64>();
        assert_eq!(user, 45);
    }

    #[test]
    fn the_interpreter_works_for_the_function_it_interprets() {
        use FrameKind::{Interpreter, Library, Python};
        let inner = frame("inner", Python, Some(3));
        let mut functions = Functions::default();
        functions.add(&[frame("long_add", Interpreter, None), inner.clone()], 6);
        functions.add(&[frame("dgemm", Library, None), inner], 4);
        let list = functions.list();
        assert_eq!((list[0].function.as_str(), list[0].self_samples), ("inner", 6));
        assert_eq!((list[0].total_samples, list[0].charged_samples), (10, 10));
        assert_eq!((list[1].function.as_str(), list[1].self_samples), ("dgemm", 4));
        assert_eq!((list[1].total_samples, list[1].charged_samples), (4, 0));
    }
}
