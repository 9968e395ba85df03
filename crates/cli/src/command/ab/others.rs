//! What other programs do on the machine meanwhile.

use lob_profiler::{CpuTimes, cpu_times};

/// The machine's CPU time since the beginning, and how much of it was ours.
pub(super) struct Others {
    since: Option<(CpuTimes, f64)>,
    own_s: f64,
}

impl Others {
    pub(super) fn start() -> Self {
        let since = cpu_times().ok().zip(lob_profiler::lob_scope::process_cpu_time_s().ok());
        Self { since, own_s: 0.0 }
    }

    /// CPU seconds of a program that was started here.
    pub(super) fn add_own(&mut self, seconds: f64) {
        self.own_s += seconds;
    }

    /// Share of all cores that neither this process nor what it started has used, the hypervisor's
    /// part included; `None` where the system does not say.
    pub(super) fn share(&self) -> Option<f64> {
        let (before, own_before_s) = self.since?;
        let now = cpu_times().ok()?;
        let own_s = lob_profiler::lob_scope::process_cpu_time_s().ok()? - own_before_s + self.own_s;
        others_share(&before, &now, own_s)
    }
}

fn others_share(before: &CpuTimes, now: &CpuTimes, own_s: f64) -> Option<f64> {
    let passed_s = now.total_s() - before.total_s();
    let busy_s = now.busy_share_since(before)? * passed_s;
    Some(((busy_s - own_s) / passed_s).clamp(0.0, 1.0))
}

/// The machine in words, such as `other programs use 85 % of it, load 9.1`.
pub(super) fn in_words(share: Option<f64>, load_1m: Option<f64>) -> String {
    let share = share.map(|share| format!("other programs use {:.0} % of it", share * 100.0));
    let load = load_1m.map(|load| format!("load {load:.1}"));
    let known: Vec<String> = share.into_iter().chain(load).collect();
    if known.is_empty() { "the machine is busy".to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_is_taken_off() {
        let zero =
            CpuTimes { user_s: 0.0, system_s: 0.0, idle_s: 0.0, iowait_s: 0.0, steal_s: 0.0 };
        let now =
            CpuTimes { user_s: 5.0, system_s: 1.0, idle_s: 10.0, iowait_s: 2.0, steal_s: 2.0 };
        let share = |own_s| others_share(&zero, &now, own_s).unwrap();
        assert!((share(0.0) - 0.4).abs() < 1e-12 && (share(6.0) - 0.1).abs() < 1e-12);
        assert!(share(9.0).abs() < 1e-12, "clocks of two kinds never make it negative");
        assert_eq!(others_share(&zero, &zero, 0.0), None);
    }
}
