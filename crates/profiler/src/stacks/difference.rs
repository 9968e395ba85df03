//! Two profiles held against each other: which functions took the extra time.
//!
//! Times are CPU seconds of one launch, so that profiles of different length and of several
//! launches can be compared, and a program that does more of everything is not told that nothing
//! has changed because the shares are the same.

mod draw;
mod read;
mod table;

use std::collections::BTreeMap;

use super::report::{FrameKind, LineProfile, StackFrame};
pub use read::ReadError;
pub use table::{FunctionChange, Part};

/// CPU seconds by stack, of one or several launches of a program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StackTimes {
    /// Stacks, outermost function first and without the process, and their CPU seconds in all
    /// launches.
    stacks: BTreeMap<Vec<StackFrame>, f64>,
    /// Launches the times are of.
    launches: u32,
    /// CPU seconds one sample stands for; 0 where that is not known.
    interval_s: f64,
    /// CPU seconds of all launches by the kernel's account, where every launch has one.
    cpu_time_s: Option<f64>,
}

impl StackTimes {
    /// Those of a profile of one launch.
    #[must_use]
    pub fn of(profile: &LineProfile) -> Self {
        let mut times = Self {
            launches: 1,
            interval_s: profile.interval_s,
            cpu_time_s: profile.cpu_time_s,
            ..Self::default()
        };
        for stack in &profile.stacks {
            times.add(stack.frames.clone(), stack.samples as f64 * profile.interval_s);
        }
        times
    }

    /// Adds further launches of the same program.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if self.launches == 0 {
            return other;
        }
        for (stack, seconds) in other.stacks {
            *self.stacks.entry(stack).or_default() += seconds;
        }
        self.launches += other.launches;
        self.interval_s = self.interval_s.max(other.interval_s);
        self.cpu_time_s = self.cpu_time_s.zip(other.cpu_time_s).map(|(a, b)| a + b);
        self
    }

    /// CPU seconds of a launch: by the kernel's account, else what was sampled.
    #[must_use]
    pub fn launch_s(&self) -> f64 {
        self.cpu_time_s.unwrap_or_else(|| self.sampled_s()) / f64::from(self.launches.max(1))
    }

    /// Launches the times are of.
    #[must_use]
    pub const fn launches(&self) -> u32 {
        self.launches
    }

    fn sampled_s(&self) -> f64 {
        self.stacks.values().sum()
    }

    /// Adds a stack. The program has another name on either side, and so has a library of it: what
    /// is called after the program is told by its functions alone.
    fn add(&mut self, mut frames: Vec<StackFrame>, seconds: f64) {
        let mut program = String::new();
        if frames.first().is_some_and(|f| f.kind == FrameKind::Other && !f.name.starts_with('[')) {
            program = frames.remove(0).name;
        }
        for frame in &mut frames {
            let is_program = frame.module == program || frame.module.starts_with(&program);
            if frame.kind.is_own() || (is_program && !program.is_empty()) {
                frame.module.clear();
            }
            if frame.name == program {
                frame.name = "[program without symbols]".to_owned();
            }
        }
        *self.stacks.entry(frames).or_default() += seconds;
    }
}

/// The difference of two programs, or of two revisions of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    base: StackTimes,
    current: StackTimes,
    functions: Vec<FunctionChange>,
}

impl Difference {
    /// Holds `current` against `base`.
    #[must_use]
    pub fn of(base: StackTimes, current: StackTimes) -> Self {
        let functions = table::changes(&base, &current);
        Self { base, current, functions }
    }

    /// CPU seconds of a launch, before and now.
    #[must_use]
    pub fn launch_s(&self) -> [f64; 2] {
        [self.base.launch_s(), self.current.launch_s()]
    }

    /// Every function whose time has changed, by falling change of the time charged to it.
    #[must_use]
    pub fn functions(&self) -> &[FunctionChange] {
        &self.functions
    }

    /// The functions that took more time than chance explains, by falling extra time.
    pub fn slower(&self) -> impl Iterator<Item = &FunctionChange> {
        let mut list: Vec<_> = self.functions.iter().filter(|f| f.extra_s() > f.chance_s).collect();
        list.sort_by(|a, b| b.extra_s().total_cmp(&a.extra_s()));
        list.into_iter()
    }
}

#[cfg(test)]
mod tests;
