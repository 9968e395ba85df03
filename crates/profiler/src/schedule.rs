//! Which steps of a loop are profiled.

use std::fmt;
use std::time::Duration;

use crate::{Profile, ProfileGuard};

/// Steps of a loop in cycles of waiting, warming up and recording, as schedules of trace profilers
/// have them: recording all of a long training would cost too much, and its first steps are not
/// like the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Steps before the first cycle.
    pub skip_first: usize,
    /// Steps of each cycle without a profile.
    pub wait: usize,
    /// Steps that are profiled and whose profile is thrown away.
    pub warm_up: usize,
    /// Steps that are recorded; one at least.
    pub active: usize,
    /// Number of cycles; 0 for no end.
    pub repeat: usize,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No profile is running.
    Wait,
    /// A profile is running that will be thrown away.
    WarmUp,
    /// A profile is running.
    Active,
}

impl Default for Schedule {
    /// Every step is recorded, in one profile after the other.
    fn default() -> Self {
        Self { skip_first: 0, wait: 0, warm_up: 0, active: 1, repeat: 0 }
    }
}

impl Schedule {
    /// What step number `step` (the first is 0) is for.
    #[must_use]
    pub fn phase(&self, step: usize) -> Phase {
        let Some(step) = step.checked_sub(self.skip_first) else { return Phase::Wait };
        let cycle = self.wait + self.warm_up + self.active.max(1);
        if self.repeat > 0 && step / cycle >= self.repeat {
            return Phase::Wait;
        }
        match step % cycle {
            at if at < self.wait => Phase::Wait,
            at if at < self.wait + self.warm_up => Phase::WarmUp,
            _ => Phase::Active,
        }
    }

    /// Whether a cycle ends with this step.
    fn ends_with(&self, step: usize) -> bool {
        let cycle = self.wait + self.warm_up + self.active.max(1);
        self.phase(step) == Phase::Active && (step - self.skip_first) % cycle == cycle - 1
    }
}

/// Profiles the steps a [`Schedule`] names and hands each finished cycle's profile to a handler.
///
/// ```
/// use std::time::Duration;
/// use lob_profiler::schedule::{Schedule, ScheduledProfiler};
/// let schedule = Schedule { wait: 1, warm_up: 1, active: 2, repeat: 2, ..Schedule::default() };
/// let mut calls = Vec::new();
/// let on_profile = |cycle, profile: lob_profiler::Profile| calls.push((cycle, profile.scopes[0].calls));
/// let mut profiler = ScheduledProfiler::start("train", schedule, Duration::from_millis(50), on_profile);
/// for _batch in 0..10 {
///     drop(lob_scope::scope("forward"));
///     profiler.step();
/// }
/// profiler.finish();
/// assert_eq!(calls, [(0, 1), (1, 1)]);
/// ```
pub struct ScheduledProfiler<H: FnMut(usize, Profile)> {
    name: String,
    schedule: Schedule,
    interval: Duration,
    handler: H,
    step: usize,
    cycles: usize,
    /// Active steps of the present cycle that have ended.
    recorded: usize,
    running: Option<ProfileGuard>,
}

impl<H: FnMut(usize, Profile)> fmt::Debug for ScheduledProfiler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduledProfiler")
            .field("schedule", &self.schedule)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl<H: FnMut(usize, Profile)> ScheduledProfiler<H> {
    /// Begins step 0. The sensors are read every `interval`; the handler gets the number of the
    /// cycle and the profile of its active steps.
    pub fn start(name: &str, schedule: Schedule, interval: Duration, handler: H) -> Self {
        let mut profiler = Self {
            name: name.to_owned(),
            schedule,
            interval,
            handler,
            step: 0,
            cycles: 0,
            recorded: 0,
            running: None,
        };
        profiler.enter();
        profiler
    }

    /// What the present step is for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.schedule.phase(self.step)
    }

    /// Ends the present step and begins the next.
    pub fn step(&mut self) {
        self.recorded += usize::from(self.phase() == Phase::Active);
        if self.schedule.ends_with(self.step) {
            self.hand_over();
        } else if self.phase() == Phase::WarmUp
            && self.schedule.phase(self.step + 1) == Phase::Active
        {
            self.running = None;
        }
        self.step += 1;
        self.enter();
    }

    /// Ends the loop: a cycle under way that has recorded steps is handed over as it is.
    pub fn finish(mut self) {
        if self.recorded > 0 {
            self.hand_over();
        }
    }

    fn enter(&mut self) {
        if self.phase() != Phase::Wait && self.running.is_none() {
            self.running = Some(ProfileGuard::start(&self.name, self.interval));
        }
    }

    fn hand_over(&mut self) {
        self.recorded = 0;
        if let Some(running) = self.running.take() {
            (self.handler)(self.cycles, running.finish());
            self.cycles += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(schedule: Schedule, steps: usize) -> String {
        let letter = |step| match schedule.phase(step) {
            Phase::Wait => '.',
            Phase::WarmUp => 'w',
            Phase::Active if schedule.ends_with(step) => 'A',
            Phase::Active => 'a',
        };
        (0..steps).map(letter).collect()
    }

    #[test]
    fn steps_are_in_cycles() {
        let schedule = Schedule { skip_first: 2, wait: 1, warm_up: 1, active: 3, repeat: 2 };
        assert_eq!(phases(schedule, 15), "...waaA.waaA...");
        assert_eq!(phases(Schedule { repeat: 0, ..schedule }, 17), "...waaA.waaA.waaA");
        assert_eq!(phases(Schedule::default(), 3), "AAA");
        assert_eq!(phases(Schedule { active: 0, ..Schedule::default() }, 2), "AA", "one at least");
    }

    #[test]
    fn only_active_steps_are_in_a_profile_and_the_last_cycle_may_be_cut_short() {
        let schedule = Schedule { wait: 1, warm_up: 2, active: 2, ..Schedule::default() };
        let mut found = Vec::new();
        let mut profiler = ScheduledProfiler::start(
            "steps",
            schedule,
            Duration::from_secs(1),
            |cycle, profile| {
                let calls = profile.scopes.iter().find(|s| s.path == "steps/step");
                found.push((cycle, calls.map(|s| s.calls)));
            },
        );
        for _ in 0..9 {
            drop(lob_scope::scope("step"));
            profiler.step();
        }
        // Step 9 is the second active one of its cycle and is not done.
        profiler.finish();
        assert_eq!(found, [(0, Some(2)), (1, Some(1))]);
        let mut cycles = 0;
        let mut profiler =
            ScheduledProfiler::start("none", schedule, Duration::from_secs(1), |_, _| cycles += 1);
        (0..3).for_each(|_| profiler.step());
        assert_eq!(profiler.phase(), Phase::Active);
        profiler.finish();
        assert_eq!(cycles, 0, "no active step has ended");
    }
}
