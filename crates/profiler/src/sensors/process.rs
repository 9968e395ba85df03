//! One process, also another one's.

use lob_scope::{Unavailable, procfs};

use super::parse_io;
use crate::ProcessIo;

/// What the kernel says about a process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessReading {
    /// Number of the process.
    pub pid: u32,
    /// Its name, at most 15 bytes of it.
    pub name: String,
    /// Threads.
    pub threads: u64,
    /// User and system CPU seconds of all its threads so far.
    pub cpu_s: f64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Bytes moved; only its owner may know.
    pub io: Result<ProcessIo, Unavailable>,
}

/// Reads a process.
///
/// # Errors
/// Where there is no `/proc` or no such process.
pub fn process_reading(pid: u32) -> Result<ProcessReading, Unavailable> {
    let path = format!("/proc/{pid}/stat");
    let stat = procfs::read(&path)?;
    let io_path = format!("/proc/{pid}/io");
    let unknown = |path: &str| Unavailable::new(format!("`{path}` has an unknown layout"));
    let io = procfs::read(&io_path).and_then(|io| parse_io(&io).ok_or_else(|| unknown(&io_path)));
    parse(pid, &stat, io).ok_or_else(|| unknown(&path))
}

/// The name stands in brackets and may itself hold brackets and blanks; the fields count from
/// behind it (proc_pid_stat(5)).
fn parse(pid: u32, stat: &str, io: Result<ProcessIo, Unavailable>) -> Option<ProcessReading> {
    let (_, rest) = stat.split_once('(')?;
    let (name, fields) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
    Some(ProcessReading {
        pid,
        name: name.to_owned(),
        threads: number(20)?,
        cpu_s: (number(14)? + number(15)?) as f64 / procfs::ticks_per_s(),
        rss_bytes: number(24)? * procfs::page_bytes(),
        io,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_brackets_and_blanks() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 3 0 99 1000 25 18 0";
        let reading = parse(7, stat, Err(Unavailable::new("no"))).unwrap();
        assert_eq!((reading.name.as_str(), reading.threads), ("a) b (c", 3));
        assert!((reading.cpu_s - 200.0 / procfs::ticks_per_s()).abs() < 1e-9);
        assert_eq!(reading.rss_bytes, 25 * procfs::page_bytes());
        assert_eq!(parse(7, "7 (a) S 1", Err(Unavailable::new("no"))), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_read_and_none_of_number_zero() {
        let reading = process_reading(std::process::id()).unwrap();
        assert!(reading.rss_bytes > 0 && reading.threads > 0 && reading.io.is_ok());
        assert!(process_reading(0).unwrap_err().reason.contains("/proc/0/stat"));
    }
}
