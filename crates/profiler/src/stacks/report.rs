//! What sampling found, for people.

use std::collections::BTreeMap;

use lob_metrics::{Finding, Severity, Unit};
use lob_scope::ScopeStat;

use crate::flame;

/// Share of the samples above which a line is called hot.
pub const HOT_LINE: f64 = 0.10;
/// Narrower frames are left out of a flame graph.
const MIN_FRAME_SHARE: f64 = 0.001;
/// Where the allocator's hook is written.
const HOOK_FILES: [&str; 3] = [
    "scope/src/alloc.rs",
    "profiler/src/stacks/sampling/capture.rs",
    "profiler/src/stacks/sampling/sites.rs",
];
/// Samples below which no line is called hot: one sample more or less would decide.
const MIN_SAMPLES: u64 = 20;

/// One function of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: String,
    pub(super) module: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

impl Frame {
    /// Whether the line is the program's own and not the standard library's or a dependency's.
    fn is_own(&self) -> bool {
        const FOREIGN: [&str; 5] =
            ["/rustc/", "/.cargo/registry/", "/.cargo/git/", "/rustlib/src/", "../sysdeps/"];
        self.line.is_some()
            && self
                .file
                .as_ref()
                .is_some_and(|file| !FOREIGN.iter().any(|part| file.contains(part)))
    }
}

/// A line and its share of the samples.
///
/// Time in the standard library and in dependencies counts for the line of the program that called
/// them; a program without debug information is told by functions, then by libraries.
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
}

fn place(file: Option<&str>, line: Option<u32>, function: &str, module: &str) -> String {
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    match file {
        Some(file) => format!("{file}{line} ({function})"),
        None if function == module => format!("in {module}"),
        None => format!("{function} in {module}"),
    }
}

/// A stack of functions and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledStack {
    /// Functions, outermost first.
    pub frames: Vec<String>,
    /// Samples with this stack.
    pub samples: u64,
}

/// What a sampling line profiler found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineProfile {
    /// Samples of the program.
    pub samples: u64,
    /// Samples that found no room and were not kept.
    pub lost: u64,
    /// Samples of the profiler's own thread, which are not among `samples`.
    pub profiler_samples: u64,
    /// CPU seconds one sample stands for, as asked for.
    pub interval_s: f64,
    /// Lines by falling share; the shares add up to 1.
    pub lines: Vec<HotLine>,
    /// Stacks, in the order of their names.
    pub stacks: Vec<SampledStack>,
}

impl LineProfile {
    /// From stacks of frames, innermost first; whether they are cut short; and how often.
    pub(super) fn new(stacks: impl Iterator<Item = (Vec<Frame>, bool, u64)>) -> Self {
        let mut lines = Places::new();
        let mut merged: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        let mut samples = 0;
        for (frames, cut, count) in stacks {
            samples += count;
            if let Some(frame) = blamed(&frames, |_| true) {
                lines.add(frame, [count], count);
            }
            let mut names: Vec<String> = frames.into_iter().map(|f| f.function).collect();
            if cut {
                names.push("[cut off]".to_owned());
            }
            names.reverse();
            *merged.entry(names).or_default() += count;
        }
        let line = |(place, [count]): (Frame, [u64; 1])| HotLine {
            file: place.file,
            line: place.line,
            function: place.function,
            module: place.module,
            samples: count,
            share: count as f64 / samples.max(1) as f64,
        };
        let mut lines: Vec<HotLine> = lines.list().into_iter().map(line).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.samples));
        let stack = |(frames, samples)| SampledStack { frames, samples };
        Self { samples, lines, stacks: merged.into_iter().map(stack).collect(), ..Self::default() }
    }

    /// The lines with more than [`HOT_LINE`] of the samples. None of fewer than 20 samples, which
    /// say too little.
    pub fn hot_lines(&self) -> impl Iterator<Item = &HotLine> {
        let enough = self.samples >= MIN_SAMPLES;
        self.lines.iter().take_while(move |line| enough && line.share > HOT_LINE)
    }

    /// One finding for each hot line.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let text = |line: &HotLine| {
            let (share, samples) = (line.share * 100.0, self.samples);
            let what = if line.line.is_some() { "hot line" } else { "hot function" };
            format!("{what}: {share:.0} % of {samples} CPU samples at {}", line.place())
        };
        let finding = |line| Finding { severity: Severity::Info, text: text(line) };
        self.hot_lines().map(finding).collect()
    }

    /// Folded stacks: functions joined by `;`, then the number of samples, a line each.
    #[must_use]
    pub fn folded_stacks(&self) -> String {
        let line = |stack: &SampledStack| {
            let names: Vec<String> = stack.frames.iter().map(|f| f.replace(';', ":")).collect();
            format!("{} {}\n", names.join(";"), stack.samples)
        };
        self.stacks.iter().map(line).collect()
    }

    /// A flame graph of the samples as an SVG document: outermost functions on top.
    #[must_use]
    pub fn flame_graph_svg(&self, title: &str) -> String {
        let hint = |scope: &ScopeStat, share: f64| {
            format!(
                "{}: {} samples, {:.1} %, {} of CPU time; {} of its own",
                scope.path.rsplit('/').next().unwrap_or(&scope.path),
                scope.calls,
                share * 100.0,
                Unit::Seconds.format(scope.total_s),
                Unit::Seconds.format(scope.self_s)
            )
        };
        flame::draw(&self.tree(), title, "no sample was taken", hint)
    }

    /// The stacks as a call tree, for the flame graph; narrow frames are left out.
    fn tree(&self) -> Vec<ScopeStat> {
        let mut nodes: BTreeMap<Vec<String>, (u64, u64)> = BTreeMap::new();
        for stack in &self.stacks {
            // A path separates by `/`, which a name may hold.
            let names: Vec<String> =
                stack.frames.iter().map(|name| name.replace('/', "\u{2215}")).collect();
            for depth in 1..=names.len() {
                let node = nodes.entry(names[..depth].to_vec()).or_default();
                node.0 += stack.samples;
                node.1 += if depth == names.len() { stack.samples } else { 0 };
            }
        }
        let least = self.samples as f64 * MIN_FRAME_SHARE;
        let wide = nodes.into_iter().filter(|(_, (total, _))| *total as f64 >= least);
        wide.map(|(path, (total, own))| self.node(&path, total, own)).collect()
    }

    fn node(&self, path: &[String], total: u64, own: u64) -> ScopeStat {
        let total_s = total as f64 * self.interval_s;
        ScopeStat {
            path: path.join("/"),
            calls: total,
            total_s,
            self_s: own as f64 * self.interval_s,
            min_s: total_s,
            max_s: total_s,
            p50_s: total_s,
            p95_s: total_s,
            p99_s: total_s,
        }
    }
}

/// Counts by line, or by function where lines are not known.
struct Places<const N: usize> {
    sums: BTreeMap<(String, u32, String), Charged<N>>,
}

struct Charged<const N: usize> {
    place: Frame,
    sums: [u64; N],
    /// Weights of the functions the line was seen in: a closure and what it is in share a line.
    functions: BTreeMap<String, u64>,
}

impl<const N: usize> Places<N> {
    const fn new() -> Self {
        Self { sums: BTreeMap::new() }
    }

    fn add(&mut self, frame: &Frame, counts: [u64; N], weight: u64) {
        let key = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => (file.clone(), line, frame.module.clone()),
            _ => (frame.function.clone(), 0, frame.module.clone()),
        };
        let new = || Charged { place: frame.clone(), sums: [0; N], functions: BTreeMap::new() };
        let charged = self.sums.entry(key).or_insert_with(new);
        charged.sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        *charged.functions.entry(frame.function.clone()).or_default() += weight;
    }

    /// Every place with its sums, and with the function that has most of it.
    fn list(self) -> Vec<(Frame, [u64; N])> {
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

/// The frame a sample is charged to: the innermost one of the program's own, else the innermost
/// one with a line, else the innermost one.
fn blamed(frames: &[Frame], counts: impl Fn(&Frame) -> bool) -> Option<&Frame> {
    let mut counted = frames.iter().filter(|frame| counts(frame));
    let own = counted.clone().find(|frame| frame.is_own());
    let lined = || frames.iter().find(|frame| counts(frame) && frame.line.is_some());
    own.or_else(lined).or_else(|| counted.next())
}

/// What tracking allocation sites found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllocProfile {
    /// Samples taken.
    pub samples: u64,
    /// Samples that found no room: the figures of the sites are too low by about this share. Take
    /// samples further apart.
    pub lost: u64,
    /// Lines by falling bytes.
    pub sites: Vec<AllocSite>,
}

/// A line that allocates, estimated from samples.
#[derive(Debug, Clone, PartialEq)]
pub struct AllocSite {
    /// Source file as the compiler saw it; `None` without debug information.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Function.
    pub function: String,
    /// Program or library the code is in.
    pub module: String,
    /// Samples the figures rest on.
    pub samples: u64,
    /// Blocks allocated or grown there, estimated.
    pub allocations: u64,
    /// Bytes allocated there, estimated.
    pub bytes: u64,
    /// Share of the bytes of all sites, 0..=1.
    pub share: f64,
}

impl AllocSite {
    /// `FILE:LINE (FUNCTION)`, as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        place(self.file.as_deref(), self.line, &self.function, &self.module)
    }

    /// Sites by falling bytes, from stacks of frames, innermost first, with samples, blocks and
    /// bytes.
    pub(super) fn rank(stacks: impl Iterator<Item = (Vec<Frame>, [u64; 3])>) -> Vec<Self> {
        // The hook itself stands between the caller and the allocator.
        let is_caller = |frame: &Frame| {
            let hook = |file: &String| HOOK_FILES.iter().any(|hook| file.ends_with(hook));
            !frame.file.as_ref().is_some_and(hook) && !frame.function.contains("__rust_")
        };
        let mut sites = Places::new();
        for (frames, counts) in stacks {
            if let Some(frame) = blamed(&frames, is_caller) {
                sites.add(frame, counts, counts[2]);
            }
        }
        let sites = sites.list();
        let all: u64 = sites.iter().map(|(_, [.., bytes])| bytes).sum();
        let site = |(place, counts): (Frame, [u64; 3])| Self {
            file: place.file,
            line: place.line,
            function: place.function,
            module: place.module,
            samples: counts[0],
            allocations: counts[1],
            bytes: counts[2],
            share: counts[2] as f64 / all.max(1) as f64,
        };
        let mut sites: Vec<Self> = sites.into_iter().map(site).collect();
        sites.sort_by_key(|site| std::cmp::Reverse(site.bytes));
        sites
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: Option<&str>, line: u32) -> Frame {
        Frame {
            function: function.to_owned(),
            module: "app".to_owned(),
            file: file.map(str::to_owned),
            line: file.map(|_| line),
        }
    }

    fn profile() -> LineProfile {
        let std = || frame("core::iter::sum", Some("/rustc/abc/library/core/src/iter.rs"), 9);
        let own = |line| frame("app::work", Some("/home/a/src/work.rs"), line);
        let closure = |line| frame("app::work::{closure}", Some("/home/a/src/work.rs"), line);
        let main = || frame("app::main", Some("/home/a/src/main.rs"), 3);
        let stacks = [
            (vec![std(), own(10), main()], false, 60),
            (vec![closure(10), main()], false, 10),
            (vec![own(20), main()], false, 25),
            (vec![frame("memcpy", None, 0)], true, 5),
        ];
        let mut profile = LineProfile::new(stacks.into_iter());
        profile.interval_s = 0.002;
        profile
    }

    #[test]
    fn time_in_libraries_counts_for_the_line_that_called_them() {
        let profile = profile();
        assert_eq!(profile.samples, 100);
        let lines: Vec<(Option<u32>, u64)> =
            profile.lines.iter().map(|l| (l.line, l.samples)).collect();
        assert_eq!(lines, [(Some(10), 70), (Some(20), 25), (None, 5)]);
        assert!((profile.lines.iter().map(|l| l.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(profile.hot_lines().count(), 2);
        let texts: Vec<String> = profile.findings().into_iter().map(|f| f.text).collect();
        assert!(texts[0].contains("70 % of 100 CPU samples at /home/a/src/work.rs:10 (app::work)"));
        assert_eq!(profile.lines[2].place(), "memcpy in app");
    }

    #[test]
    fn few_samples_accuse_nobody() {
        let one = [(vec![frame("f", Some("f.rs"), 1)], false, 19)];
        assert_eq!(LineProfile::new(one.into_iter()).hot_lines().count(), 0);
        assert_eq!(LineProfile::default().hot_lines().count(), 0);
    }

    #[test]
    fn stacks_become_folded_lines_and_a_flame_graph() {
        let profile = profile();
        let folded = profile.folded_stacks();
        assert!(folded.contains("app::main;app::work;core::iter::sum 60\n"), "{folded}");
        assert!(folded.contains("[cut off];memcpy 5\n"), "{folded}");
        let svg = profile.flame_graph_svg("cpu");
        assert!(svg.contains("app::work: 85 samples, 85.0 %, 170 ms"), "{svg}");
        assert!(LineProfile::default().flame_graph_svg("x").contains("no sample was taken"));
    }

    #[test]
    fn the_hook_is_not_the_site() {
        let hook = frame("count_alloc", Some("/p/crates/scope/src/alloc.rs"), 140);
        let caller = frame("app::grow", Some("/home/a/src/work.rs"), 7);
        let stacks = [
            (vec![hook.clone(), caller], [3, 30, 3000]),
            (vec![hook, frame("g", None, 0)], [1, 1, 1000]),
        ];
        let sites = AllocSite::rank(stacks.into_iter());
        assert_eq!((sites[0].line, sites[0].bytes, sites[0].allocations), (Some(7), 3000, 30));
        assert_eq!((sites[1].function.as_str(), sites[1].share), ("g", 0.25));
    }
}
