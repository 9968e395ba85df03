//! The kernel's performance events (perf_event_open(2)): hardware counters here, and what the
//! stack sampler of programs needs.
//!
//! Constants and layouts are those of the kernel's `include/uapi/linux/perf_event.h`.

use lob_scope::Unavailable;

/// What the CPU counted. Each is a value or the reason for none; virtual machines mostly have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareReading {
    /// Instructions retired in user mode.
    pub instructions: Result<u64, Unavailable>,
    /// Core cycles in user mode.
    pub cycles: Result<u64, Unavailable>,
    /// Accesses that missed the last-level cache.
    pub cache_misses: Result<u64, Unavailable>,
    /// Branches predicted wrongly.
    pub branch_misses: Result<u64, Unavailable>,
}

impl HardwareReading {
    /// No counter at all, for one reason.
    pub(crate) fn none(reason: &str) -> Self {
        let none = || Err(Unavailable::new(reason));
        Self { instructions: none(), cycles: none(), cache_misses: none(), branch_misses: none() }
    }

    /// The counters by name.
    pub(crate) fn by_name(self) -> [(&'static str, Result<u64, Unavailable>); 4] {
        [
            ("instructions", self.instructions),
            ("cycles", self.cycles),
            ("cache_misses", self.cache_misses),
            ("branch_misses", self.branch_misses),
        ]
    }
}

thread_local! {
    /// Counters that run for good: opening and closing them costs more than a short profile may.
    static OF_THREAD: HardwareCounters = HardwareCounters::start();
}

/// What the CPU had counted for the calling thread and the threads it has started since its first
/// snapshot.
#[derive(Debug)]
pub(crate) struct HardwareSnapshot([Result<[u64; 3], Unavailable>; 4]);

impl HardwareSnapshot {
    pub(crate) fn take() -> Self {
        let gone = |_| Err(Unavailable::new("the thread is being torn down"));
        let read = |counters: &HardwareCounters| {
            counters.events.each_ref().map(|event| event.as_ref().map_err(Clone::clone)?.read())
        };
        Self(OF_THREAD.try_with(read).unwrap_or_else(|_| std::array::from_fn(gone)))
    }

    /// What was counted since then, on the same thread.
    pub(crate) fn elapsed(self) -> HardwareReading {
        let Self(now) = Self::take();
        let mut since = now.into_iter().zip(self.0).map(|(now, before)| {
            let (now, before) = (now?, before?);
            let [count, enabled, running] = std::array::from_fn(|i| now[i].wrapping_sub(before[i]));
            imp::scaled(count, enabled, running)
        });
        let mut next = || since.next().unwrap_or_else(|| Err(Unavailable::new("not counted")));
        HardwareReading {
            instructions: next(),
            cycles: next(),
            cache_misses: next(),
            branch_misses: next(),
        }
    }
}

/// Hardware counters of the calling thread and of the threads it starts from now on.
///
/// Counters the CPU has to share are scaled to the whole time. Dropping it ends the counting.
///
/// ```
/// let counters = lob_profiler::HardwareCounters::start();
/// let sum: u64 = (0..1000).map(std::hint::black_box).sum();
/// assert_eq!(sum, 499_500);
/// match counters.read().instructions {
///     Ok(count) => assert!(count > 1000),
///     Err(missing) => assert!(!missing.reason.is_empty()),
/// }
/// ```
#[derive(Debug)]
pub struct HardwareCounters {
    events: [Result<imp::Event, Unavailable>; 4],
}

impl HardwareCounters {
    /// Starts counting. Counters that cannot be had give their reason in [`Self::read`].
    #[must_use]
    pub fn start() -> Self {
        Self { events: imp::COUNTERS.map(|config| imp::open_counter(config, false)) }
    }

    /// Counts the programs the calling thread starts from now on, and nothing else.
    pub(crate) fn of_next_program() -> Self {
        Self { events: imp::COUNTERS.map(|config| imp::open_counter(config, true)) }
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> HardwareReading {
        let read = |index: usize| match &self.events[index] {
            Ok(event) => event
                .read()
                .and_then(|[count, enabled, running]| imp::scaled(count, enabled, running)),
            Err(missing) => Err(missing.clone()),
        };
        HardwareReading {
            instructions: read(0),
            cycles: read(1),
            cache_misses: read(2),
            branch_misses: read(3),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use lob_scope::Unavailable;

    pub(super) const COUNTERS: [u64; 4] = [0; 4];

    #[derive(Debug)]
    pub(super) struct Event;

    impl Event {
        pub(super) fn read(&self) -> Result<[u64; 3], Unavailable> {
            Err(missing())
        }
    }

    pub(super) fn scaled(count: u64, _enabled: u64, _running: u64) -> Result<u64, Unavailable> {
        Ok(count)
    }

    fn missing() -> Unavailable {
        Unavailable::new("performance counters are only read on Linux")
    }

    pub(super) fn open_counter(_config: u64, _on_exec: bool) -> Result<Event, Unavailable> {
        Err(missing())
    }
}

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "sampling, which is optional, needs more of it than counting")]
pub(crate) mod imp {
    use std::fs::File;
    use std::io::{ErrorKind, Read};
    use std::os::fd::{AsRawFd, FromRawFd};

    use lob_scope::Unavailable;

    /// `PERF_COUNT_HW_INSTRUCTIONS`, `_CPU_CYCLES`, `_CACHE_MISSES`, `_BRANCH_MISSES`.
    pub(super) const COUNTERS: [u64; 4] = [1, 0, 3, 5];
    const TYPE_HARDWARE: u32 = 0;
    /// Time enabled and time running beside the value.
    const FORMAT_TIMES: u64 = 1 | 2;

    /// Bits of `perf_event_attr` after `read_format`.
    pub(crate) mod flag {
        pub(crate) const DISABLED: u64 = 1;
        pub(crate) const INHERIT: u64 = 1 << 1;
        pub(crate) const EXCLUDE_KERNEL: u64 = 1 << 5;
        pub(crate) const EXCLUDE_HV: u64 = 1 << 6;
        pub(crate) const EXCLUDE_IDLE: u64 = 1 << 7;
        pub(crate) const MMAP: u64 = 1 << 8;
        pub(crate) const COMM: u64 = 1 << 9;
        pub(crate) const ENABLE_ON_EXEC: u64 = 1 << 12;
        pub(crate) const TASK: u64 = 1 << 13;
        pub(crate) const SAMPLE_ID_ALL: u64 = 1 << 18;
        pub(crate) const EXCLUDE_CALLCHAIN_KERNEL: u64 = 1 << 21;
        pub(crate) const EXCLUDE_CALLCHAIN_USER: u64 = 1 << 22;
        pub(crate) const MMAP2: u64 = 1 << 23;
        pub(crate) const COMM_EXEC: u64 = 1 << 24;
        pub(crate) const USE_CLOCKID: u64 = 1 << 25;
        pub(crate) const BUILD_ID: u64 = 1 << 34;
    }

    /// `perf_event_attr` up to its fifth version, which every kernel since 4.1 knows.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Attributes {
        pub(crate) kind: u32,
        pub(crate) size: u32,
        pub(crate) config: u64,
        pub(crate) sample_period: u64,
        pub(crate) sample_type: u64,
        pub(crate) read_format: u64,
        pub(crate) flags: u64,
        pub(crate) wakeup_events: u32,
        pub(crate) bp_type: u32,
        pub(crate) config1: u64,
        pub(crate) config2: u64,
        pub(crate) branch_sample_type: u64,
        pub(crate) sample_regs_user: u64,
        pub(crate) sample_stack_user: u32,
        pub(crate) clockid: i32,
        pub(crate) sample_regs_intr: u64,
        pub(crate) aux_watermark: u32,
        pub(crate) sample_max_stack: u16,
        pub(crate) reserved: u16,
    }

    const ATTRIBUTES_BYTES: u32 = 112;
    const _: () = assert!(size_of::<Attributes>() == ATTRIBUTES_BYTES as usize);

    /// An open event; closing it ends it.
    #[derive(Debug)]
    pub(crate) struct Event {
        file: File,
    }

    impl Event {
        /// Opens an event of the calling thread, on one CPU or, with -1, on any.
        pub(crate) fn open(attributes: Attributes, cpu: i32) -> Result<Self, Unavailable> {
            Self::open_for(attributes, 0, cpu).map_err(|error| refused(&error))
        }

        /// Opens an event of a thread, of the calling one with 0, of all with -1.
        pub(crate) fn open_for(
            mut attributes: Attributes,
            tid: i32,
            cpu: i32,
        ) -> std::io::Result<Self> {
            const CLOSE_ON_EXEC: u64 = 8;
            attributes.size = ATTRIBUTES_BYTES;
            // SAFETY: the call reads the structure it is given, whose size it holds, and nothing
            // else; a negative result is an error.
            let fd = unsafe {
                libc::syscall(
                    libc::SYS_perf_event_open,
                    &raw const attributes,
                    tid,
                    cpu,
                    -1,
                    CLOSE_ON_EXEC,
                )
            };
            let Some(fd) = i32::try_from(fd).ok().filter(|fd| *fd >= 0) else {
                return Err(std::io::Error::last_os_error());
            };
            // SAFETY: the descriptor was just opened and belongs to nobody else.
            Ok(Self { file: unsafe { File::from_raw_fd(fd) } })
        }

        /// Has its records written to another event's buffer.
        pub(crate) fn write_to(&self, other: i32) -> std::io::Result<()> {
            const SET_OUTPUT: libc::c_ulong = 0x2405;
            // SAFETY: the request takes a descriptor and touches no memory of ours.
            let code = unsafe { libc::ioctl(self.fd(), SET_OUTPUT, other) };
            if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        }

        pub(crate) fn fd(&self) -> i32 {
            self.file.as_raw_fd()
        }

        /// The count, the time it was enabled and the time it was running.
        pub(super) fn read(&self) -> Result<[u64; 3], Unavailable> {
            let mut bytes = [0u8; 24];
            (&self.file)
                .read_exact(&mut bytes)
                .map_err(|e| Unavailable::new(format!("cannot read a performance counter: {e}")))?;
            let word =
                |i: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[i * 8 + byte]));
            Ok([word(0), word(1), word(2)])
        }
    }

    /// A count over the time the counter had, stretched to the whole time (perf_event_open(2),
    /// "Reading results").
    pub(super) fn scaled(count: u64, enabled: u64, running: u64) -> Result<u64, Unavailable> {
        if running == 0 {
            return Err(Unavailable::new("the counter never got its turn: others hold the CPU's"));
        }
        let whole = u128::from(count) * u128::from(enabled.max(running)) / u128::from(running);
        Ok(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    pub(crate) fn refused(error: &std::io::Error) -> Unavailable {
        let paranoid = lob_scope::procfs::read("/proc/sys/kernel/perf_event_paranoid");
        let level = paranoid.as_deref().map_or("unknown", str::trim);
        let why = match (error.kind(), error.raw_os_error()) {
            (_, Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV)) => {
                "this CPU or virtual machine has no such counter".to_owned()
            }
            (_, Some(libc::ENOSYS)) => "the kernel has no performance events".to_owned(),
            (ErrorKind::PermissionDenied, _) => format!(
                "the kernel refuses performance events: `kernel.perf_event_paranoid` is {level}, \
                 2 or less is needed"
            ),
            _ => error.to_string(),
        };
        Unavailable::new(format!("`perf_event_open`: {why}"))
    }

    pub(super) fn open_counter(config: u64, on_exec: bool) -> Result<Event, Unavailable> {
        let mut flags = flag::INHERIT | flag::EXCLUDE_KERNEL | flag::EXCLUDE_HV;
        if on_exec {
            flags |= flag::DISABLED | flag::ENABLE_ON_EXEC;
        }
        let attributes = Attributes {
            kind: TYPE_HARDWARE,
            config,
            read_format: FORMAT_TIMES,
            flags,
            ..Attributes::default()
        };
        Event::open(attributes, -1)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scaled_to_the_whole_time() {
        assert_eq!(imp::scaled(100, 10, 10), Ok(100));
        assert_eq!(imp::scaled(100, 20, 10), Ok(200));
        assert!(imp::scaled(0, 20, 0).unwrap_err().reason.contains("turn"));
    }

    #[test]
    fn a_counter_counts_or_says_why_not() {
        let counters = HardwareCounters::start();
        let before = counters.read();
        std::hint::black_box((0..100_000u64).fold(0, |sum, n| sum ^ std::hint::black_box(n)));
        for ((name, after), (_, before)) in
            counters.read().by_name().into_iter().zip(before.by_name())
        {
            match (before, after) {
                (Ok(before), Ok(after)) => {
                    assert!(name != "instructions" || after >= before + 100_000, "{name}");
                }
                (_, Err(missing)) | (Err(missing), _) => {
                    assert!(missing.reason.contains("perf") || missing.reason.contains("turn"));
                }
            }
        }
    }
}
