//! What other programs use of the machine.

use lob_scope::Unavailable;

use crate::CpuTimes;

/// CPU time of the system and of this process at one moment.
///
/// ```
/// let before = lob_profiler::machine::MachineLoad::read();
/// std::thread::sleep(std::time::Duration::from_millis(20));
/// if let Ok(share) = before.others_since() {
///     assert!((0.0..=1.0).contains(&share));
/// }
/// ```
#[derive(Debug)]
pub struct MachineLoad {
    system: Result<CpuTimes, Unavailable>,
    own_s: Result<f64, Unavailable>,
}

impl MachineLoad {
    /// Reads the kernel's accounts.
    #[must_use]
    pub fn read() -> Self {
        let (system, own_s) = (crate::cpu_times(), lob_scope::process_cpu_time_s());
        Self { system, own_s }
    }

    /// Share of all cores that other programs have used since, 0..=1.
    ///
    /// # Errors
    /// Where the kernel does not tell, or no time has passed.
    pub fn others_since(&self) -> Result<f64, Unavailable> {
        self.others_beside(0.0)
    }

    /// The same without so many CPU seconds of programs that this one has started, which are not
    /// others.
    ///
    /// # Errors
    /// As [`Self::others_since`].
    pub fn others_beside(&self, children_s: f64) -> Result<f64, Unavailable> {
        let now = Self::read();
        let before = self.system.as_ref().map_err(Clone::clone)?;
        let own_s = now.own_s? - self.own_s.clone()? + children_s;
        others_share(before, &now.system?, own_s)
            .ok_or_else(|| Unavailable::new("no time has passed"))
    }
}

/// In the kernel's own accounts, the hypervisor's part included: its clock and ours are not the
/// same.
fn others_share(before: &CpuTimes, now: &CpuTimes, own_s: f64) -> Option<f64> {
    let passed_s = now.total_s() - before.total_s();
    let busy_s = now.busy_share_since(before)? * passed_s;
    Some(((busy_s - own_s) / passed_s).clamp(0.0, 1.0))
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
