//! What sampling found, for people.

mod alloc;
mod artifact;
mod findings;
mod flames;
mod frame;
mod functions;
mod places;
mod speedscope;

use std::collections::BTreeMap;

pub use alloc::{AllocProfile, AllocSite};
pub(crate) use flames::{Node, tree};
pub(super) use frame::Frame;
#[cfg_attr(
    not(feature = "lines"),
    allow(unused_imports, reason = "only sampling asks for it")
)]
pub(super) use frame::kind_of;
pub use frame::{FrameKind, StackFrame};
pub(in crate::stacks) use functions::Functions;
pub use functions::HotFunction;
pub use places::HotLine;
use places::{Places, blamed, name_closures};

/// Share of the CPU time above which a line is called hot.
pub const HOT_LINE: f64 = 0.10;

/// A stack of functions and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledStack {
    /// Functions, outermost first. Of a program profiled from outside the first one is the
    /// process.
    pub frames: Vec<StackFrame>,
    /// Samples with this stack.
    pub samples: u64,
}

/// A thread that was sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledThread {
    /// Process.
    pub pid: u32,
    /// Thread; that of the main thread is the process's.
    pub tid: u32,
    /// Name of the thread as the kernel knows it.
    pub name: String,
    /// Name of the process.
    pub process: String,
}

/// One sample: when, where, and its stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedSample {
    /// Seconds since sampling began.
    pub t_s: f64,
    /// Index into [`LineProfile::threads`].
    pub thread: usize,
    /// Index into [`LineProfile::stacks`].
    pub stack: usize,
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
    /// CPU seconds the program has used by the kernel's account, where that is known: what shares
    /// are of.
    pub cpu_time_s: Option<f64>,
    /// Why the kernel's share of the time was not sampled; `None` where it was.
    pub user_mode_only: Option<String>,
    /// Processes that were seen, at least one sample of each or none.
    pub processes: u64,
    /// CPU seconds sampling has cost the profiler.
    pub profiler_cpu_s: f64,
    /// Lines by falling share; the shares add up to 1.
    pub lines: Vec<HotLine>,
    /// Functions by falling own time.
    pub functions: Vec<HotFunction>,
    /// Stacks, in the order of their names.
    pub stacks: Vec<SampledStack>,
    /// Threads of [`Self::timed`].
    pub threads: Vec<SampledThread>,
    /// Samples in the order of time, where that was kept; of very many, every second, fourth, …
    pub timed: Vec<TimedSample>,
    /// Samples each of [`Self::timed`] stands for.
    pub timed_weight: u64,
    /// What became of Python's functions.
    pub python: PythonSamples,
    /// What was not found out, and why.
    pub notes: Vec<String>,
}

/// Samples of threads of CPython, whose functions are read from its memory after the sample was
/// taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PythonSamples {
    /// Those whose functions fit the stack of the sample.
    pub read: u64,
    /// Those whose functions had changed in between: they are of a moment later.
    pub changed: u64,
    /// Those whose functions could not be read: the thread had ended, or was none of Python's.
    pub missing: u64,
}

impl PythonSamples {
    /// A sentence, where more than a twentieth of them are not as they should be.
    pub(super) fn note(&self) -> Option<String> {
        let Self { read, changed, missing } = self;
        let all = read + changed + missing;
        (read + changed > 0 && (changed + missing) * 20 > all).then(|| {
            format!(
                "of {all} samples of Python, {changed} show the functions of a moment later and \
                 {missing} none"
            )
        })
    }
}

impl LineProfile {
    /// From stacks of frames, innermost first; whether they are cut short; and how often. Gives
    /// the index in [`Self::stacks`] of each too.
    pub(super) fn indexed(
        stacks: impl Iterator<Item = (Vec<Frame>, bool, u64)>,
    ) -> (Self, Vec<usize>) {
        let (mut lines, mut functions) = (Places::new(), Functions::default());
        let mut merged: BTreeMap<Vec<StackFrame>, (u64, Vec<usize>)> = BTreeMap::new();
        let (mut samples, mut taken) = (0, 0);
        for (mut frames, cut, count) in stacks {
            name_closures(&mut frames);
            samples += count;
            functions.add(&frames, count);
            if let Some(frame) = blamed(&frames, |_| true) {
                lines.add(frame, [count], count);
            }
            let entry = merged.entry(named(frames, cut)).or_default();
            entry.0 += count;
            entry.1.push(taken);
            taken += 1;
        }
        let line = |(place, [count]): (Frame, [u64; 1])| HotLine::new(place, count, samples);
        let mut lines: Vec<HotLine> = lines.list().into_iter().map(line).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.samples));
        let mut index = vec![0; taken];
        let mut stacks = Vec::with_capacity(merged.len());
        for (frames, (samples, from)) in merged {
            from.into_iter().for_each(|i| index[i] = stacks.len());
            stacks.push(SampledStack { frames, samples });
        }
        let functions = functions.list();
        (Self { samples, lines, functions, stacks, timed_weight: 1, ..Self::default() }, index)
    }

    /// [`Self::indexed`] for those who need no index.
    pub(super) fn new(stacks: impl Iterator<Item = (Vec<Frame>, bool, u64)>) -> Self {
        Self::indexed(stacks).0
    }

    /// Folded stacks: functions joined by `;`, then the number of samples, a line each.
    #[must_use]
    pub fn folded_stacks(&self) -> String {
        let name =
            |frame: &StackFrame| lob_metrics::shown(&frame.name).to_string().replace(';', ":");
        let line = |stack: &SampledStack| {
            let names: Vec<String> = stack.frames.iter().map(name).collect();
            format!("{} {}\n", names.join(";"), stack.samples)
        };
        self.stacks.iter().map(line).collect()
    }
}

/// A stack for people, outermost function first.
fn named(mut frames: Vec<Frame>, cut: bool) -> Vec<StackFrame> {
    if cut {
        // Below the process, which is known all the same.
        let at = frames.len() - usize::from(frames.last().is_some_and(is_process));
        frames.insert(at, Frame::mark("[cut off]"));
    }
    frames.into_iter().rev().map(StackFrame::from).collect()
}

fn is_process(frame: &Frame) -> bool {
    frame.kind == FrameKind::Other && !frame.function.starts_with('[')
}

#[cfg(test)]
mod tests;
