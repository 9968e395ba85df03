//! What other programs use of the machine.

use std::time::Instant;

use lob_scope::Unavailable;

use crate::CpuTimes;

/// CPU time of the system and of this process at one moment.
///
/// ```
/// let before = lob_profiler::MachineLoad::read();
/// std::thread::sleep(std::time::Duration::from_millis(20));
/// if let Ok(share) = before.others_since() {
///     assert!((0.0..=1.0).contains(&share));
/// }
/// ```
#[derive(Debug)]
pub struct MachineLoad {
    at: Instant,
    system: Result<CpuTimes, Unavailable>,
    own_s: Result<f64, Unavailable>,
}

impl MachineLoad {
    /// Reads the kernel's accounts.
    #[must_use]
    pub fn read() -> Self {
        let (system, own_s) = (crate::cpu_times(), lob_scope::process_cpu_time_s());
        Self { at: Instant::now(), system, own_s }
    }

    /// Share of all cores that other programs have used since, 0..=1.
    ///
    /// # Errors
    /// Where the kernel does not tell, or no time has passed.
    pub fn others_since(self) -> Result<f64, Unavailable> {
        let now = Self::read();
        let passed_s = now.at.duration_since(self.at).as_secs_f64();
        let capacity_s = passed_s * f64::from(lob_scope::cores()?);
        let all = now.system?.busy_share_since(&self.system?);
        let all = all.ok_or_else(|| Unavailable::new("no time has passed"))?;
        Ok((all - (now.own_s? - self.own_s?) / capacity_s).clamp(0.0, 1.0))
    }
}
