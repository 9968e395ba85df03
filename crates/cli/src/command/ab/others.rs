//! What other programs do on the machine meanwhile.

use lob_profiler::machine::MachineLoad;

/// The machine's CPU time since the beginning, and how much of it was ours.
pub(super) struct Others {
    since: MachineLoad,
    own_s: f64,
}

impl Others {
    pub(super) fn start() -> Self {
        Self { since: MachineLoad::read(), own_s: 0.0 }
    }

    /// CPU seconds of a program that was started here.
    pub(super) fn add_own(&mut self, seconds: f64) {
        self.own_s += seconds;
    }

    /// Share of all cores that neither this process nor what it started has used; `None` where the
    /// system does not say.
    pub(super) fn share(&self) -> Option<f64> {
        self.since.others_beside(self.own_s).ok()
    }
}

/// The machine in words, such as `other programs use 85 % of it, load 9.1`.
pub(super) fn in_words(share: Option<f64>, load_1m: Option<f64>) -> String {
    let share = share.map(|share| format!("other programs use {:.0} % of it", share * 100.0));
    let load = load_1m.map(|load| format!("load {load:.1}"));
    let known: Vec<String> = share.into_iter().chain(load).collect();
    if known.is_empty() { "the machine is busy".to_owned() } else { known.join(", ") }
}
