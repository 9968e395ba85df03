//! Starting a program so that the kernel's accounts of its memory are its own.
//!
//! `ru_maxrss` survives `execve` and so begins at the high-water mark of whoever started the
//! program. `native/launch.rs` is a program of a few pages that stands between: it is started with
//! all the caller's [`Command`] asks for and makes the program a child of this process.

use std::process::Command;

/// A program that has been started.
pub(super) struct Started {
    pub(super) pid: u32,
    /// The smallest peak of memory the kernel's accounts can show, where it is above nothing: the
    /// mark of the process that started the program, in bytes.
    pub(super) floor_bytes: Option<f64>,
    /// To wait for it where process numbers do not do.
    #[cfg(not(unix))]
    pub(super) child: std::process::Child,
}

/// Bytes of memory this process has had at most; `None` outside Linux.
fn own_peak_bytes() -> Option<f64> {
    let status = lob_scope::procfs::read("/proc/self/status").ok()?;
    lob_scope::procfs::kib_field(&status, "VmHWM").map(|bytes| bytes as f64)
}

/// Starts the program. What cannot be started through the launcher is started directly.
///
/// # Errors
/// Those of [`Command::spawn`].
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Started> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if let Some(launch) = through::Launch::of(command) {
        return launch.start(command);
    }
    let mut child = command.spawn()?;
    drop(child.stdin.take());
    Ok(Started {
        pid: child.id(),
        floor_bytes: own_peak_bytes(),
        #[cfg(not(unix))]
        child,
    })
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod through {
    use std::collections::BTreeMap;
    use std::ffi::{CString, OsStr, OsString, c_char, c_int};
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::Started;

    const LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launch"));
    /// Where execvp(3) looks without a `PATH`.
    const DEFAULT_PATH: &str = "/bin:/usr/bin";

    /// What the launcher reports (`native/launch.rs`).
    const STARTED: u32 = 1;
    const NOT_EXECUTED: u32 = 2;
    const DIRECT: u32 = 3;

    /// A command as the launcher takes it.
    pub(super) struct Launch {
        paths: Vec<OsString>,
        arguments: Vec<OsString>,
        environment: Vec<OsString>,
    }

    impl Launch {
        /// `None` for a command that cannot be read in full.
        pub(super) fn of(command: &Command) -> Option<Self> {
            if LAUNCHER.is_empty() {
                return None;
            }
            let program = command.get_program().to_owned();
            let changes: Vec<_> = command.get_envs().collect();
            let mut twin = Command::new(&program);
            twin.args(command.get_args());
            for (name, value) in &changes {
                match value {
                    Some(value) => twin.env(name, value),
                    None => twin.env_remove(name),
                };
            }
            if let Some(folder) = command.get_current_dir() {
                twin.current_dir(folder);
            }
            // A cleared environment and another name for the program show in no getter, but here.
            if format!("{twin:?}") != format!("{command:?}") {
                return None;
            }
            let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
            for (name, value) in changes {
                match value {
                    Some(value) => environment.insert(name.to_owned(), value.to_owned()),
                    None => environment.remove(name),
                };
            }
            let paths = candidates(&program, environment.get(OsStr::new("PATH")));
            let mut arguments = vec![program];
            arguments.extend(command.get_args().map(OsStr::to_owned));
            let pair = |(name, value): (OsString, OsString)| {
                let mut pair = name.into_vec();
                pair.push(b'=');
                pair.extend(value.into_vec());
                OsString::from_vec(pair)
            };
            let environment = environment.into_iter().map(pair).collect();
            Some(Self { paths, arguments, environment })
        }

        pub(super) fn start(self, command: &mut Command) -> io::Result<Started> {
            let (mut reports, report) = io::pipe()?;
            let launcher = in_memory().ok();
            let fd = report.as_raw_fd();
            let mut words = vec![
                OsString::from("launch"),
                fd.to_string().into(),
                self.paths.len().to_string().into(),
            ];
            words.extend(self.paths);
            words.extend(self.arguments);
            let (words, environment) = (Strings::new(words)?, Strings::new(self.environment)?);
            let program = launcher.as_ref().map_or(-1, File::as_raw_fd);
            // SAFETY: the closure runs between fork and exec. It makes three system calls with
            // what was made before, and allocates nothing.
            unsafe {
                command.pre_exec(move || {
                    let error = execute(program, fd, &words, &environment);
                    // The program itself is executed next, by this process.
                    tell(fd, DIRECT, error);
                    Ok(())
                });
            }
            let mut child = command.spawn()?;
            drop(child.stdin.take());
            drop(report);
            // Ends when the last descriptor to write on is closed: when the program was executed.
            let mut told = Vec::new();
            reports.read_to_end(&mut told)?;
            let report = |what: u32| {
                let reports = told.as_chunks::<8>().0.iter().map(|bytes| {
                    let [a, b, c, d, e, f, g, h] = *bytes;
                    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
                });
                reports.filter(|(kind, _)| *kind == what).map(|(_, number)| number).next()
            };
            if let Some(pid) = report(STARTED) {
                child.wait()?;
                if let Some(error) = report(NOT_EXECUTED) {
                    wait_for(pid);
                    return Err(io::Error::from_raw_os_error(error.cast_signed()));
                }
                return Ok(Started { pid, floor_bytes: None });
            }
            if let Some(error) = report(NOT_EXECUTED) {
                child.wait()?;
                return Err(io::Error::from_raw_os_error(error.cast_signed()));
            }
            if report(DIRECT).is_some() {
                return Ok(Started { pid: child.id(), floor_bytes: super::own_peak_bytes() });
            }
            let status = child.wait()?;
            Err(io::Error::other(format!("the launcher ended with {status} and started nothing")))
        }
    }

    /// The paths execvp(3) tries.
    fn candidates(program: &OsStr, path: Option<&OsString>) -> Vec<OsString> {
        if program.as_bytes().contains(&b'/') || program.is_empty() {
            return vec![program.to_owned()];
        }
        let path = path.map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
        let within = |folder: &[u8]| {
            let mut file = folder.to_vec();
            // An empty folder is the current one.
            if !folder.is_empty() {
                file.push(b'/');
            }
            file.extend(program.as_bytes());
            OsString::from_vec(file)
        };
        path.as_bytes().split(|byte| *byte == b':').map(within).collect()
    }

    /// The launcher as a file without a name.
    fn in_memory() -> io::Result<File> {
        // SAFETY: the name ends with a zero, and nothing else is read.
        let fd = unsafe { libc::memfd_create(c"lob-launch".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else has.
        let mut file = unsafe { File::from_raw_fd(fd) };
        file.write_all(LAUNCHER)?;
        Ok(file)
    }

    /// Turns this process into the launcher; returns the error when that fails.
    fn execute(program: c_int, report: c_int, words: &Strings, environment: &Strings) -> i32 {
        let last = || io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // SAFETY: the descriptor is this process's own; both lists end with a null and outlive the
        // call, as do the strings they point to.
        unsafe {
            if libc::fcntl(report, libc::F_SETFD, 0) < 0 {
                return last();
            }
            libc::syscall(
                libc::SYS_execveat,
                program,
                c"".as_ptr(),
                words.pointers.as_ptr(),
                environment.pointers.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
            let error = last();
            libc::fcntl(report, libc::F_SETFD, libc::FD_CLOEXEC);
            error
        }
    }

    fn tell(report: c_int, what: u32, error: i32) {
        let message = [what, error.cast_unsigned()];
        // SAFETY: eight bytes of a live array are read.
        unsafe { libc::write(report, message.as_ptr().cast(), 8) };
    }

    fn wait_for(pid: u32) {
        let Ok(pid) = libc::pid_t::try_from(pid) else { return };
        // SAFETY: waits for a child of this process that nobody else knows of.
        while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }

    /// A list of strings as execve(2) takes it.
    struct Strings {
        pointers: Vec<*const c_char>,
        _strings: Vec<CString>,
    }

    // SAFETY: the pointers are to strings this owns and never changes.
    unsafe impl Send for Strings {}
    // SAFETY: as above.
    unsafe impl Sync for Strings {}

    impl Strings {
        fn new(strings: Vec<OsString>) -> io::Result<Self> {
            let strings = strings
                .into_iter()
                .map(|text| CString::new(text.into_vec()))
                .collect::<Result<Vec<_>, _>>()?;
            let mut pointers: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
            pointers.push(std::ptr::null());
            Ok(Self { pointers, _strings: strings })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn launch(command: &Command) -> Option<Vec<OsString>> {
            Launch::of(command).map(|launch| launch.arguments)
        }

        #[test]
        fn what_no_getter_shows_is_started_directly() {
            let mut command = Command::new("printenv");
            command.arg("A").env("A", "env -i").env_remove("B").current_dir("/");
            assert_eq!(launch(&command), Some(vec!["printenv".into(), "A".into()]));
            assert_eq!(launch(command.env_clear()), None);
            let mut renamed = Command::new("sh");
            assert_eq!(launch(renamed.arg0("other")), None);
        }

        #[test]
        fn a_program_is_looked_for_where_execvp_looks() {
            let in_path = |program: &str, path: Option<&str>| {
                candidates(program.as_ref(), path.map(OsString::from).as_ref())
            };
            assert_eq!(in_path("a", Some("/x::/y/")), ["/x/a", "a", "/y//a"]);
            assert_eq!(in_path("./a", Some("/x")), ["./a"]);
            assert_eq!(in_path("a", None), ["/bin/a", "/usr/bin/a"]);
        }

        #[test]
        fn the_launcher_is_in_this_build_and_small() {
            assert!((500..8000).contains(&LAUNCHER.len()), "{} bytes", LAUNCHER.len());
            assert_eq!(&LAUNCHER[..4], b"\x7fELF");
        }
    }
}
