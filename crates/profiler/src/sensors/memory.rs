//! Memory of the whole system.

use lob_scope::{Unavailable, procfs};

/// Memory of the whole system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemMemory {
    /// All there is.
    pub total_bytes: u64,
    /// What programs can still have without swapping: free memory and caches that can be dropped.
    pub available_bytes: u64,
}

impl SystemMemory {
    /// Bytes that cannot be had.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.available_bytes)
    }

    /// Share of all memory that cannot be had, 0..=1.
    #[must_use]
    pub fn used_share(&self) -> f64 {
        self.used_bytes() as f64 / self.total_bytes as f64
    }
}

/// Memory of the whole system.
///
/// # Errors
/// Where `/proc/meminfo` cannot be read or has no `MemAvailable`.
pub fn system_memory() -> Result<SystemMemory, Unavailable> {
    let path = "/proc/meminfo";
    parse(&procfs::read(path)?)
        .ok_or_else(|| Unavailable::new(format!("`{path}` has an unknown layout")))
}

fn parse(text: &str) -> Option<SystemMemory> {
    let total_bytes = procfs::kib_field(text, "MemTotal").filter(|bytes| *bytes > 0)?;
    Some(SystemMemory { total_bytes, available_bytes: procfs::kib_field(text, "MemAvailable")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_that_can_be_dropped_are_not_in_use() {
        let text = "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  400 kB\n";
        let memory = parse(text).unwrap();
        assert_eq!(memory.used_bytes(), 600 * 1024);
        assert!((memory.used_share() - 0.6).abs() < 1e-12);
        assert_eq!(parse("MemTotal:  0 kB\nMemAvailable: 0 kB\n"), None);
        assert_eq!(parse("MemTotal:  1000 kB\n"), None);
    }
}
