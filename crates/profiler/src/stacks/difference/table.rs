//! The functions and what has become of their time.

use std::collections::BTreeMap;

use lob_metrics::{Unit, shown};

use super::{Difference, StackTimes};
use crate::stacks::report::{Frame, FrameKind, Functions, StackFrame};

/// Standard deviations of the number of samples that chance is given.
const CHANCE: f64 = 3.0;
/// Rows of each part of the table.
const MAX_ROWS: usize = 12;
/// Functions named in a sentence.
const MAX_NAMED: usize = 3;

/// Whose functions a part of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// The program's own, in any language: time charged to them, with libraries and kernel working
    /// for them.
    Own,
    /// Libraries and interpreters: the time in them themselves.
    Library,
    /// The kernel: the time in its functions themselves.
    Kernel,
}

impl Part {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Own, "own code (with libraries and kernel working for it)"),
        (Self::Library, "libraries, by themselves"),
        (Self::Kernel, "kernel"),
    ];

    const fn of(kind: FrameKind) -> Option<Self> {
        match kind {
            FrameKind::Own | FrameKind::Python => Some(Self::Own),
            FrameKind::Library | FrameKind::Interpreter => Some(Self::Library),
            FrameKind::Kernel => Some(Self::Kernel),
            FrameKind::Other => None,
        }
    }
}

/// A function's CPU seconds in a launch, before and now.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionChange {
    /// Its name.
    pub function: String,
    /// The library it is in; empty for the program's own.
    pub module: String,
    /// Whose it is.
    pub part: Part,
    /// In it itself; of own functions with what works for them.
    pub self_s: [f64; 2],
    /// With all that it calls.
    pub total_s: [f64; 2],
    /// Difference of `self_s` that chance makes in the number of samples.
    pub chance_s: f64,
}

impl FunctionChange {
    /// Seconds more in it itself than before.
    #[must_use]
    pub fn extra_s(&self) -> f64 {
        self.self_s[1] - self.self_s[0]
    }

    /// The name, with the library.
    #[must_use]
    pub fn place(&self) -> String {
        match self.module.rsplit('/').next().filter(|module| !module.is_empty()) {
            Some(module) if module != "kernel" => format!("{} in {module}", self.function),
            _ => self.function.clone(),
        }
    }
}

type Seconds = (FrameKind, [f64; 2]);

/// The functions of one side: their own and their whole seconds of a launch.
fn functions(times: &StackTimes) -> BTreeMap<(String, String), Seconds> {
    // Counted as whole nanoseconds.
    const UNIT: f64 = 1e-9;
    let mut counted = Functions::default();
    for (stack, seconds) in &times.stacks {
        let frames: Vec<Frame> = stack.iter().rev().map(frame).collect();
        counted.add(&frames, nanoseconds(*seconds));
    }
    let scale = UNIT / f64::from(times.launches.max(1));
    let seconds = |f: crate::stacks::HotFunction| {
        let own = if f.kind.is_own() { f.charged_samples } else { f.self_samples };
        let both = [own as f64 * scale, f.total_samples as f64 * scale];
        ((f.function, f.module), (f.kind, both))
    };
    counted.list().into_iter().map(seconds).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and saturating beyond five hundred years"
)]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e9).round() as u64
}

fn frame(frame: &StackFrame) -> Frame {
    let StackFrame { name, module, kind } = frame.clone();
    Frame { module, kind, ..Frame::mark(name) }
}

pub(super) fn changes(base: &StackTimes, current: &StackTimes) -> Vec<FunctionChange> {
    let (mut before, after) = (functions(base), functions(current));
    let mut keys: Vec<(String, String)> = after.keys().cloned().collect();
    keys.extend(before.keys().filter(|key| !after.contains_key(key)).cloned());
    let mut after = after;
    let mut list: Vec<FunctionChange> = keys
        .into_iter()
        .filter_map(|key| {
            let (old, new) = (before.remove(&key), after.remove(&key));
            let kind = new.as_ref().or(old.as_ref())?.0;
            let part = Part::of(kind)?;
            let seconds = |side: Option<Seconds>| side.map_or([0.0; 2], |(_, seconds)| seconds);
            let (old, new) = (seconds(old), seconds(new));
            let (function, module) = key;
            Some(FunctionChange {
                function,
                module,
                part,
                self_s: [old[0], new[0]],
                total_s: [old[1], new[1]],
                chance_s: chance_s([(old[0], base), (new[0], current)]),
            })
        })
        .collect();
    list.sort_by(|a, b| {
        let size = |f: &FunctionChange| (f.extra_s().abs(), (f.total_s[1] - f.total_s[0]).abs());
        size(b).partial_cmp(&size(a)).unwrap_or(std::cmp::Ordering::Equal)
    });
    list
}

/// Samples come at random: `n` of them stray by the square root of `n`, one at least.
fn chance_s(sides: [(f64, &StackTimes); 2]) -> f64 {
    let variance = |(seconds, times): (f64, &StackTimes)| {
        let launches = f64::from(times.launches.max(1));
        // Seconds of one sample, in a launch.
        let step = times.interval_s / launches;
        (seconds / step.max(1e-12)).max(1.0) * step * step
    };
    CHANCE * sides.map(variance).iter().sum::<f64>().sqrt()
}

impl Difference {
    /// What has changed, in a sentence or two.
    #[must_use]
    pub fn summary(&self) -> String {
        let [before, after] = self.launch_s();
        let seconds = |value: f64| Unit::Seconds.format(value);
        let extra = after - before;
        let word = if extra < 0.0 { "less" } else { "more" };
        let mut text = format!(
            "{} {word} CPU time in a launch: {} instead of {}",
            seconds(extra.abs()),
            seconds(after),
            seconds(before)
        );
        let named: Vec<String> = self
            .slower()
            .filter(|f| f.part == Part::Own)
            .take(MAX_NAMED)
            .map(|f| format!("{} (+{})", shown(f.place()), seconds(f.extra_s())))
            .collect();
        let elsewhere = self.slower().find(|f| f.part != Part::Own);
        match (named.is_empty(), elsewhere) {
            (false, _) => text.push_str(&format!("; more of it in {}", named.join(", "))),
            (true, Some(f)) => {
                let (place, more) = (shown(f.place()).to_string(), seconds(f.extra_s()));
                text.push_str(&format!("; more of it in {place} (+{more})"));
            }
            (true, None) => text.push_str(
                "; in no function more than chance explains (a longer profile, or more launches, \
                 shows smaller changes)",
            ),
        }
        text
    }

    /// The functions whose time has changed, own ones, libraries and the kernel apart, as text.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.summary());
        let sampled = [&self.base, &self.current].map(StackTimes::sampled_launch_s);
        if let [Some(before), Some(after)] = sampled {
            text.push_str(&format!(
                "sampled of it: {} instead of {}\n",
                Unit::Seconds.format(after),
                Unit::Seconds.format(before)
            ));
        }
        for (part, title) in Part::ALL {
            let of_part = |f: &&FunctionChange| f.part == part && f.extra_s().abs() > f.chance_s;
            let rows: Vec<&FunctionChange> = self.functions.iter().filter(of_part).collect();
            text.push_str(&format!("\n{title}\n"));
            if rows.is_empty() {
                text.push_str("  no function differs by more than chance explains\n");
                continue;
            }
            text.push_str("      before        now     change   with calls  function\n");
            for f in rows.iter().take(MAX_ROWS) {
                let whole = signed(f.total_s[1] - f.total_s[0]);
                text.push_str(&format!(
                    "  {:>10} {:>10} {:>10} {whole:>12}  {}\n",
                    Unit::Seconds.format(f.self_s[0]),
                    Unit::Seconds.format(f.self_s[1]),
                    signed(f.extra_s()),
                    shown(f.place())
                ));
            }
            if rows.len() > MAX_ROWS {
                text.push_str(&format!("  and {} more\n", rows.len() - MAX_ROWS));
            }
        }
        text
    }
}

fn signed(seconds: f64) -> String {
    let sign = if seconds < 0.0 { '-' } else { '+' };
    format!("{sign}{}", Unit::Seconds.format(seconds.abs()))
}

impl StackTimes {
    /// Seconds of a launch that the samples show, where the kernel's account is another.
    fn sampled_launch_s(&self) -> Option<f64> {
        self.cpu_time_s?;
        Some(self.sampled_s() / f64::from(self.launches.max(1)))
    }
}
