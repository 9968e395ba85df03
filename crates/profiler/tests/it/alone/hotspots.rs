//! Where CPU time goes, of programs that are built to spend it in known shares.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lob_fixtures::evidence::skipped;
use lob_profiler::stacks::{FrameKind, HotFunction};
use lob_profiler::{CommandProfile, LineProfile, profile_command};

/// Points a share of some 400 samples may be off, four times what chance does.
const OFF: f64 = 0.09;

fn run(program: &Path, arguments: &[&str]) -> Option<CommandProfile> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let found = profile_command(command, Duration::from_millis(20)).unwrap();
    assert!(found.status.success(), "{program:?} {arguments:?}: {}", found.status);
    match &found.lines {
        Ok(lines) => {
            assert!(lines.samples >= 50, "{arguments:?}: {} samples", lines.samples);
            Some(found)
        }
        Err(missing) => {
            skipped(&missing.reason);
            None
        }
    }
}

fn lines(found: &CommandProfile) -> &LineProfile {
    found.lines.as_ref().unwrap()
}

fn case(name: &str, scale: u32) -> Option<CommandProfile> {
    run(&crate::example("hotspots"), &[name, &scale.to_string()])
}

/// The share of the samples that a number of a function makes up.
fn share(found: &CommandProfile, function: &str, of: fn(&HotFunction) -> u64) -> f64 {
    let named =
        |f: &&HotFunction| f.function == function || f.function.ends_with(&format!("::{function}"));
    let count: u64 = lines(found).functions.iter().filter(named).map(of).sum();
    count as f64 / lines(found).samples as f64
}

const fn total(f: &HotFunction) -> u64 {
    f.total_samples
}

const fn charged(f: &HotFunction) -> u64 {
    f.charged_samples
}

#[track_caller]
fn near(found: &CommandProfile, function: &str, of: fn(&HotFunction) -> u64, truth: f64) {
    let share = share(found, function, of);
    let text = || {
        let lines = lines(found);
        let function = |f: &HotFunction| (f.place(), f.total_samples, f.charged_samples);
        lines.functions.iter().take(20).map(function).collect::<Vec<_>>()
    };
    assert!((share - truth).abs() < OFF, "{function}: {share:.3}, not {truth}: {:?}", text());
}

#[track_caller]
fn says(found: &CommandProfile, parts: &[&str]) {
    let texts: Vec<&String> = found.scenario.findings.iter().map(|f| &f.text).collect();
    let holds = |text: &&&String| parts.iter().all(|part| text.contains(part));
    assert!(texts.iter().any(|text| holds(&text)), "no {parts:?} in {texts:#?}");
}

#[test]
fn functions_have_the_share_they_were_given() {
    let Some(split) = case("split", 3) else { return };
    near(&split, "heavy", total, 0.7);
    near(&split, "light", total, 0.3);
    near(&split, "work", charged, 1.0);
    says(&split, &["hot function", "hotspots::heavy", "with what it calls"]);
    let sum: u64 = lines(&split).functions.iter().map(charged).sum();
    assert_eq!(sum, lines(&split).samples, "every sample is charged once");
    assert!(lines(&split).coverage().unwrap() > 0.75, "{:?}", lines(&split).coverage());
}

#[test]
fn closures_recursion_and_macros_have_their_share() {
    let Some(closure) = case("closure", 3) else { return };
    near(&closure, "closure", charged, 0.6);
    near(&closure, "light", total, 0.4);
    let Some(recursion) = case("recursion", 4) else { return };
    near(&recursion, "recursion", total, 40.0 / 70.0);
    let Some(macros) = case("macros", 2) else { return };
    for (name, units) in
        [("macro_half", 10.0), ("macro_quarter", 5.0), ("macro_fifth", 4.0), ("macro_rest", 1.0)]
    {
        near(&macros, name, total, units / 20.0);
    }
}

#[test]
fn the_kernels_time_is_charged_to_who_called_it_or_said_to_be_missing() {
    for (name, scale) in [("read", 8), ("cache", 4)] {
        let Some(found) = case(name, scale) else { return };
        if lines(&found).user_mode_only.is_some() {
            says(&found, &["the stack samples show", "the kernel's time is not sampled"]);
            assert!(lines(&found).coverage().unwrap() < 0.75);
            continue;
        }
        near(&found, name, charged, 1.0);
        says(&found, &["kernel: ", "[kernel]"]);
        let kernel = lines(&found).functions.iter().filter(|f| f.kind == FrameKind::Kernel);
        let kernel: u64 = kernel.map(|f| f.self_samples).sum();
        let share = kernel as f64 / lines(&found).samples as f64;
        assert!(share > 0.5, "{name}: the kernel has {share}");
    }
}

#[test]
fn children_shorter_than_a_tick_are_seen_or_said_to_be_missing() {
    let Some(found) = case("children", 4) else { return };
    let lines = lines(&found);
    assert!(lines.processes >= 400, "{}", lines.processes);
    if lines.coverage().unwrap() > 0.75 {
        // The rest is starting them.
        assert!(share(&found, "work", charged) > 0.5, "{:?}", share(&found, "work", charged));
    } else {
        says(&found, &["the stack samples show"]);
    }
}

#[test]
fn names_are_made_readable_and_code_compiled_at_run_time_is_named() {
    let Some(mangled) = case("mangled", 2) else { return };
    near(&mangled, "lab::Walker<double>::step(double, long)", total, 1.0);
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let Some(jit) = case("jit", 2) else { return };
    near(&jit, "compiled_7", charged, 0.7);
    near(&jit, "compiled_3", charged, 0.3);
    assert!(share(&jit, "stale", total) < 0.01, "an older name of the place");
    says(&jit, &["lines of perf-", ".map that are no names: 1"]);
}

#[test]
fn a_program_that_is_deleted_while_it_runs_keeps_its_names() {
    let Some(found) = case("deleted", 3) else { return };
    near(&found, "heavy", total, 0.7);
}

#[test]
fn libraries_and_threads_are_told_apart() {
    let Some(library) = case("library", 2) else { return };
    near(&library, "copies", charged, 1.0);
    let in_libc = |f: &&HotFunction| f.module.starts_with("libc.so") && f.self_samples > 0;
    let inside: u64 =
        lines(&library).functions.iter().filter(in_libc).map(|f| f.self_samples).sum();
    assert!(inside * 10 > lines(&library).samples * 8, "{inside}");
    says(&library, &["hot in libraries", "libc.so"]);

    let Some(found) = case("threads", 3) else { return };
    let lines = lines(&found);
    let of = |name: &str| {
        let thread = lines.threads.iter().position(|t| t.name == name);
        let thread = thread.unwrap_or_else(|| panic!("no {name} in {:?}", lines.threads));
        lines.timed.iter().filter(|sample| sample.thread == thread).count() as f64
    };
    let all = lines.timed.len() as f64;
    assert!((of("hot-heavy") / all - 0.7).abs() < OFF, "{} of {all}", of("hot-heavy"));
    assert!((of("hot-light") / all - 0.3).abs() < OFF, "{} of {all}", of("hot-light"));
    assert!(lines.timed.is_sorted_by(|a, b| a.t_s <= b.t_s));
    assert_eq!(lines.timed.len() as u64 * lines.timed_weight, lines.samples);
}

#[test]
fn a_program_without_symbols_is_said_to_have_none() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hotspots-stripped");
    let status = Command::new("strip")
        .arg("-o")
        .args([path.as_path(), &crate::example("hotspots")])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return skipped("there is no `strip`");
    }
    let Some(found) = run(&path, &["split", "2"]) else { return };
    says(&found, &["hot", "somewhere in hotspots-stripped, which has no symbols"]);
}

/// What all programs spend their time with, in loops of 70 and 30 units; the rest is starting Python.
const LOOPS: &str = "
def loop(units):
    x = 0
    for i in range(units * 700):
        x = (x * 31 + i) & 0xffff
";

fn python(programs: &[(&str, &[(&str, f64)])]) {
    for python in pythons() {
        for (program, truths) in programs {
            let Some(found) = run(&python, &["-I", "-c", &format!("{LOOPS}{program}")]) else {
                return;
            };
            let all = share(&found, "loop", total);
            assert!(all > 0.5, "{python:?}: the loops have {all}");
            for (function, truth) in *truths {
                near(&found, function, total, *truth * all);
            }
            let read = lines(&found).python;
            assert!(read.read > read.missing * 5, "{python:?}: {read:?}");
        }
    }
}

/// Every CPython at hand whose frames can be read.
fn pythons() -> Vec<PathBuf> {
    let versions = ["python3", "python3.10", "python3.11", "python3.12", "python3.13"];
    let ask = "import sys; print(sys.version_info[1], sys.executable)";
    let mut found: Vec<PathBuf> = Vec::new();
    for name in versions {
        let Ok(output) = Command::new(name).args(["-c", ask]).stdin(Stdio::null()).output() else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some((minor, path)) = said.split_once(' ') else { continue };
        let known = minor.parse().is_ok_and(|minor: u32| (10..=13).contains(&minor));
        if known && !found.contains(&PathBuf::from(path)) {
            found.push(PathBuf::from(path));
        }
    }
    if found.is_empty() {
        skipped("there is no Python 3.10 to 3.13");
    }
    found
}

#[test]
fn pythons_functions_have_the_share_they_were_given() {
    let plain = "
def seventy(): loop(70)
def thirty(): loop(30)
for _ in range(100): seventy(); thirty()
";
    let recursion = "
def down(n):
    loop(7)
    if n > 1: down(n - 1)
for _ in range(100): down(10); loop(30)
";
    let made = "
space = {'loop': loop}
exec(compile('def made(): loop(70)', '<made>', 'exec'), space)
for _ in range(100): space['made'](); loop(30)
";
    python(&[
        (plain, &[("seventy", 0.7), ("thirty", 0.3)]),
        (recursion, &[("down", 0.7)]),
        (made, &[("made", 0.7)]),
    ]);
}

#[test]
fn pythons_threads_tasks_and_processes_are_followed() {
    let threads = "
import threading
def seventy():
    for _ in range(100): loop(70)
def thirty():
    for _ in range(100): loop(30)
both = [threading.Thread(target=seventy), threading.Thread(target=thirty)]
[t.start() for t in both]; [t.join() for t in both]
";
    let tasks = "
import asyncio
async def seventy():
    for _ in range(100): loop(70); await asyncio.sleep(0)
async def thirty():
    for _ in range(100): loop(30); await asyncio.sleep(0)
async def both(): await asyncio.gather(seventy(), thirty())
asyncio.run(both())
";
    let processes = "
import os
def child():
    for _ in range(100): loop(70)
pid = os.fork()
if pid == 0: child(); os._exit(0)
for _ in range(100): loop(30)
os.waitpid(pid, 0)
";
    let generator = "
def produce():
    for _ in range(100): loop(70); yield 1
def consume(): return sum(produce())
consume()
for _ in range(100): loop(30)
";
    let truth: &[(&str, f64)] = &[("seventy", 0.7), ("thirty", 0.3)];
    python(&[
        (threads, truth),
        (tasks, truth),
        (processes, &[("child", 0.7)]),
        (generator, &[("produce", 0.7), ("consume", 0.7)]),
    ]);
}

#[test]
fn libraries_called_from_python_are_charged_to_the_function_that_calls_them() {
    let program = "
import zlib
data = bytes(range(256)) * 4000
def squeeze():
    for _ in range(12): zlib.compress(data, 9)
squeeze()
loop(3000)
";
    for python in pythons() {
        let Some(found) = run(&python, &["-I", "-c", &format!("{LOOPS}{program}")]) else { return };
        // How long either takes is not known, but both take long, and nothing else does.
        let (squeeze, looped) = (share(&found, "squeeze", charged), share(&found, "loop", charged));
        assert!(squeeze > 0.1 && looped > 0.1, "{squeeze}, {looped}");
        assert!(squeeze + looped > 0.6, "{squeeze}, {looped}");
        let in_zlib = |f: &&HotFunction| f.kind == FrameKind::Library && f.module.contains(".so");
        let inside: u64 =
            lines(&found).functions.iter().filter(in_zlib).map(|f| f.self_samples).sum();
        assert!(inside as f64 > lines(&found).samples as f64 * squeeze * 0.5, "{inside}");
    }
}
