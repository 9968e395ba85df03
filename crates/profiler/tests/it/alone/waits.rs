//! What programs of known truth are said to wait for.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "the table of truths and verdicts")]

use std::process::{Command, Stdio};
use std::time::Duration;

use lob_profiler::{Bound, CommandOptions, CommandProfile, profile_command_with};

/// What a program is: how it is started, what limits it, and a word its verdict must hold.
type Case = (&'static str, &'static [&'static str], &'static [Bound], &'static str);

/// Everything but the stacks, which say nothing about waits.
fn profiled(mut command: Command) -> CommandProfile {
    let mut options = CommandOptions::every(Duration::from_millis(4));
    options.stacks = false;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    profile_command_with(command, &options).unwrap()
}

fn verdict(profile: &CommandProfile) -> &str {
    &profile.scenario.findings[0].text
}

/// The shares of all kinds, which add up to one.
fn shares(profile: &CommandProfile) -> Vec<(String, f64)> {
    let kinds = profile.scenario.measurements.iter().filter_map(|m| {
        let name = m.metric.strip_prefix("command.")?;
        let is_share = name == "running" || name.starts_with("waiting.");
        is_share.then(|| (name.to_owned(), m.value().unwrap_or(f64::NAN)))
    });
    kinds.collect()
}

/// Holds every case against its truth and prints the table; all wrong ones are named together.
fn all_hold(cases: &[Case], command: impl Fn(&Case) -> Command) {
    let mut wrong = Vec::new();
    for case in cases {
        let (name, _, truth, word) = case;
        let profile = profiled(command(case));
        let (bound, text) = (profile.bound, verdict(&profile));
        println!("| {name} | {truth:?} | {bound:?} | {text} |");
        let shares = shares(&profile);
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if !truth.contains(&bound) || !text.contains(word) || (sum - 1.0).abs() > 1e-6 {
            wrong.push(format!("{name}: {bound:?}, {truth:?} with `{word}`: {text}; {shares:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn behave(case: &Case) -> Command {
    let mut command = Command::new(crate::example("behave"));
    command.args([case.0]).args(case.1);
    command
}

/// On a machine that gives the program no CPU it is bound by that, whatever else it does.
const TIMER: &[Bound] = &[Bound::Sleep];
const STREAM: &[Bound] = &[Bound::StreamIo];
const LOCKS: &[Bound] = &[Bound::Locks];

#[test]
fn the_call_a_thread_sleeps_in_says_what_it_waits_for() {
    let cases: &[Case] = &[
        ("poll", &[], TIMER, "poll"),
        ("select", &[], TIMER, "select"),
        ("epoll", &[], TIMER, "epoll_wait"),
        ("timerfd", &[], TIMER, "timerfd"),
        ("asleep", &[], TIMER, "nanosleep"),
        ("pause", &[], &[Bound::Signal], "pause"),
        ("alone-parked", &[], TIMER, "only its timeout"),
        ("pipe", &[], STREAM, "a pipe"),
        ("fifo", &[], STREAM, ""),
        ("flock", &[], LOCKS, "flock"),
        ("stopped", &[], &[Bound::Stopped], "stopped"),
    ];
    all_hold(cases, behave);
}

#[test]
fn a_thread_that_waits_for_another_waits_for_what_that_waits_for() {
    // Disks differ: where they answer at once, the CPU is the limit; they are never locks.
    let disk: &[Bound] = &[Bound::DiskIo, Bound::Cpu, Bound::Mixed];
    let cases: &[Case] = &[
        ("join-sleep", &[], TIMER, "nanosleep"),
        ("join-pipe", &[], STREAM, "a pipe"),
        ("join-socket", &[], STREAM, "a socket"),
        ("join-disk", &[], disk, ""),
        ("fsync", &[], disk, ""),
        ("condvar", &[], TIMER, "nanosleep"),
        ("eventfd", &[], TIMER, "nanosleep"),
        ("sigwait", &[], TIMER, "nanosleep"),
        ("first-thread-gone", &[], TIMER, "nanosleep"),
        ("convoy", &[], LOCKS, "mutex"),
    ];
    all_hold(cases, behave);
}

#[test]
fn threads_without_work_and_helpers_are_set_aside() {
    let cases: &[Case] = &[
        ("idle-pool", &[], TIMER, "nanosleep"),
        ("busy-pool", &[], &[Bound::Cpu], "CPU-bound"),
        ("busy-four", &[], &[Bound::Cpu], "CPU-bound"),
        ("watchdog", &[], STREAM, "a pipe"),
        // What it gets of the CPU depends on the machine.
        ("helper-in-pause", &[], &[Bound::Sleep, Bound::Mixed, Bound::Cpu], ""),
    ];
    all_hold(cases, behave);
}

#[test]
fn a_parent_waits_for_what_its_children_wait_for() {
    let cases: &[Case] = &[
        ("zombie", &[], TIMER, "nanosleep"),
        ("vfork", &[], TIMER, "nanosleep"),
        ("waits-for-child", &[], TIMER, "nanosleep"),
    ];
    all_hold(cases, behave);
    let shells: &[Case] = &[
        ("sleep 0.4 | cat", &[], TIMER, "`sleep`"),
        ("sleep 0.4 | cat | cat", &[], TIMER, "`sleep`"),
        ("(sleep 0.4; sleep 0.1) & wait", &[], TIMER, "`sleep`"),
        ("sleep 0.4", &[], TIMER, "`sleep`"),
        ("x=$(sleep 0.4; echo)", &[], STREAM, "`sleep`"),
    ];
    all_hold(shells, |case| {
        let mut command = Command::new("sh");
        command.args(["-c", case.0]);
        command
    });
}

#[test]
fn python_waits_as_other_programs_do() {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("SKIPPED: no python3 here");
        return;
    }
    let cases: &[Case] = &[
        ("import time; time.sleep(1.5)", &[], TIMER, "nanosleep"),
        ("import asyncio; asyncio.run(asyncio.sleep(1.5))", &[], TIMER, "epoll_wait"),
        ("import threading; threading.Event().wait(1.5)", &[], TIMER, ""),
        ("import select; select.select([], [], [], 1.5)", &[], TIMER, "select"),
        ("import subprocess; subprocess.run(['sleep', '1.5'])", &[], TIMER, "`sleep`"),
        (
            "import subprocess; subprocess.run(['sleep', '1.5'], capture_output=True)",
            &[],
            STREAM,
            "`sleep`",
        ),
        (
            "import queue, threading, time\nq = queue.Queue()\n\
             threading.Thread(target=lambda: (time.sleep(1.5), q.put(1))).start()\nq.get()",
            &[],
            TIMER,
            "nanosleep",
        ),
        (
            "import time, concurrent.futures as f\n\
             with f.ThreadPoolExecutor(4) as p: p.submit(time.sleep, 1.5).result()",
            &[],
            TIMER,
            "nanosleep",
        ),
    ];
    all_hold(cases, |case| {
        let mut command = Command::new("python3");
        command.args(["-c", case.0]);
        command
    });
}

#[test]
fn who_outlives_the_program_is_named() {
    // A process of its own: descendants without a parent become its children.
    let mut program = Command::new(crate::example("program"));
    program.arg(crate::example("behave")).arg("daemon").stdin(Stdio::null());
    let said = String::from_utf8(program.output().unwrap().stdout).unwrap();
    let named = said.lines().find(|line| line.contains("1 process outlives the program"));
    assert!(named.is_some_and(|line| line.contains("`behave`")), "{said}");
    // It has worked for 0.2 s where the machine gave it its turns.
    let ms = named.unwrap().split("), ").nth(1).unwrap();
    assert!(!ms.starts_with("0 "), "{said}");
}
