//! Memory of programs that say themselves how much they took.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lob_metrics::Severity;
use lob_profiler::{LeakVerdict, profile_command};

const MIB: f64 = 1024.0 * 1024.0;
/// The kernel counts pages for each CPU and adds them up now and then.
const SLACK: f64 = 0.4 * MIB;

/// Peak as profiled and as the program's own output has it, in bytes.
fn peaks(mut command: Command) -> (f64, f64) {
    let mut out = tempfile();
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap());
    let profile = profile_command(command, Duration::from_secs(60)).unwrap();
    assert!(profile.status.success(), "{}", profile.status);
    let found = profile.scenario.measurements.iter();
    let found = found.into_iter().find(|m| m.metric == "command.peak_process_rss").unwrap();
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    let kib: f64 = text.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    (found.value().unwrap_or_else(|| panic!("{:?}", found.reason())), kib * 1024.0)
}

fn tempfile() -> File {
    let path = folder().join("out");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    std::fs::remove_file(&path).unwrap();
    file.unwrap()
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn example(words: &[&str]) -> Command {
    let mut command = Command::new(crate::example("memory"));
    command.args(words);
    command
}

#[test]
fn the_peak_is_the_programs_own_and_not_the_profilers() {
    // This process is larger than all but the last.
    let ballast = vec![1_u8; 30 << 20];
    let mut last = 0.0;
    for kib in ["0", "2000", "7000", "40000"] {
        let (found, truth) = peaks(example(&["hold", kib]));
        assert!((found - truth).abs() < SLACK, "{kib} KiB: {found} for {truth}");
        assert!(found > last, "{kib} KiB");
        last = found;
    }
    assert!(last > ballast.len() as f64);
}

#[test]
fn the_largest_process_of_the_tree_counts() {
    for (own, child) in [("1000", "20000"), ("20000", "1000"), ("500", "500")] {
        let (found, truth) = peaks(example(&["parent", own, child]));
        assert!((found - truth).abs() < SLACK, "{own} and {child} KiB: {found} for {truth}");
    }
}

#[test]
fn a_shell_says_the_same_of_itself() {
    let mut command = Command::new("sh");
    command.args(["-c", "while read -r name kib _; do case $name in VmHWM:) echo $kib;; esac; done < /proc/$$/status; :"]);
    let (found, truth) = peaks(command);
    assert!((found - truth).abs() < SLACK, "{found} for {truth}");
    assert!(found < 4.0 * MIB, "{found}");
}

#[test]
fn a_program_that_stops_taking_memory_is_not_accused_and_one_that_goes_on_is() {
    use LeakVerdict::{Leak, LevelsOff, NoLeak, Reserved};
    let cases = [
        ("leak", Leak),
        ("late", Leak),
        ("plateau", LevelsOff),
        ("cache", LevelsOff),
        ("steps", LevelsOff),
        ("saw", NoLeak),
        ("block", Reserved),
    ];
    for (shape, truth) in cases {
        let run = || {
            let mut command = example(&["over-time", shape, "1500"]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            profile_command(command, Duration::from_millis(10)).unwrap()
        };
        // While other work stops a program for a tenth of a second, its memory does not grow, and
        // nobody is accused for less. Who does not grow to the end is never accused.
        let to_the_end = [Leak, Reserved].contains(&truth);
        let mut runs = (0..4).map(|_| run());
        let first = runs.next().unwrap();
        let profile = if to_the_end && first.leak.verdict != truth {
            runs.find(|run| run.leak.verdict == truth).unwrap_or(first)
        } else {
            first
        };
        let said = profile.leak.text("second");
        assert_eq!(profile.leak.verdict, truth, "{shape}: {said}");
        let findings = &profile.scenario.findings;
        let warned = findings.iter().any(|f| f.severity == Severity::Warning);
        assert_eq!(warned, truth == Leak, "{shape}: {findings:?}");
        let told = findings.iter().any(|f| f.text.contains(&said));
        assert_eq!(told, truth != NoLeak, "{shape}: {findings:?}");
    }
}

#[test]
fn programs_start_as_they_would_without_the_launcher() {
    let script = folder().join("script");
    std::fs::write(&script, "exit $#\n").unwrap();
    let mut rights = std::fs::metadata(&script).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o755);
    std::fs::set_permissions(&script, rights.clone()).unwrap();
    let run = |mut command: Command| {
        command.stdin(Stdio::null());
        profile_command(command, Duration::from_millis(5))
    };
    // A script without a first line goes to the shell, with its arguments.
    let mut words = Command::new(&script);
    words.args(["a b", ""]);
    assert_eq!(run(words).unwrap().status.code(), Some(2));
    // By a relative path from another folder, and by the `PATH` it is given.
    let mut relative = Command::new("./script");
    relative.current_dir(folder()).arg("x");
    assert_eq!(run(relative).unwrap().status.code(), Some(1));
    let mut named = Command::new("script");
    named.env("PATH", folder());
    assert_eq!(run(named).unwrap().status.code(), Some(0));
    // Variables changed, removed, cleared.
    let mut changed = Command::new("sh");
    changed.args(["-c", "test \"$A\" = 'x y' && test -z \"${PATH_X+set}\""]).env("A", "x y");
    assert!(run(changed).unwrap().status.success());
    let mut cleared = Command::new("/bin/sh");
    cleared.args(["-c", "test -z \"$HOME\" && test \"$A\" = 1"]).env_clear().env("A", "1");
    let profile = run(cleared).unwrap();
    assert!(profile.status.success());
    // Started by this process, which is larger: no more than that is known.
    let found = profile.scenario.measurements.iter();
    let found = found.into_iter().find(|m| m.metric == "command.peak_process_rss").unwrap();
    assert!(found.reason().unwrap().starts_with("at most "), "{:?}", found.value());
    // What cannot be executed is said as before.
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o644);
    std::fs::set_permissions(&script, rights).unwrap();
    for (program, kind) in [
        (script.as_os_str(), std::io::ErrorKind::PermissionDenied),
        ("/no/such/program".as_ref(), std::io::ErrorKind::NotFound),
        (folder().as_os_str(), std::io::ErrorKind::PermissionDenied),
    ] {
        let error = run(Command::new(program)).unwrap_err();
        let lob_profiler::ProfilerError::Start { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), kind, "{}", program.display());
    }
}
