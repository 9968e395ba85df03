//! `lob profile` around programs that fail, are told to end, or ran before.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{json, lob, lob_fails, shown};

fn run_in(folder: &Path) -> Value {
    json(&std::fs::read_to_string(folder.join("run.json")).unwrap())
}

fn said(run: &Value, start: &str) -> bool {
    let findings = run["scenarios"][0]["findings"].as_array().unwrap();
    findings.iter().any(|finding| finding["text"].as_str().unwrap().contains(start))
}

#[test]
fn the_exit_code_is_that_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    // Exit code, whether the program ran, and the program.
    let cases: [(i32, bool, &[&str]); 9] = [
        (0, true, &["true"]),
        (1, true, &["false"]),
        (3, true, &["sh", "-c", "exit 3"]),
        (255, true, &["sh", "-c", "exit 255"]),
        (128 + 15, true, &["sh", "-c", "kill -TERM $$"]),
        (128 + 11, true, &["sh", "-c", "kill -SEGV $$"]),
        (127, false, &["no-such-program-at-all"]),
        (126, false, &["/"]),
        (126, false, &[shown(&empty)]),
    ];
    for (code, ran, program) in cases {
        let out = folder.path().join("out");
        let output = lob(&[&["profile", "--out", shown(&out), "--"], program].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{program:?}: {said}");
        assert_eq!(out.join("report.html").exists(), ran, "{program:?}: {said}");
        assert!(ran || said.contains("error: cannot start"), "{program:?}: {said}");
        if ran {
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
    // What is wrong with the profile itself is 2.
    assert!(lob_fails(&["profile", "--duration", "0", "--", "true"]).contains("above 0"));
    assert!(lob_fails(&["profile", "--pid", "999999999"]).contains("no process 999999999"));
}

/// `lob profile` in a process group of its own, as a terminal's shell starts it elsewhere.
fn started(out: &Path, script: &str) -> (Child, u32) {
    let mut lob = Command::new(env!("CARGO_BIN_EXE_lob"))
        .args(["profile", "--out", shown(out), "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(lob.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    // The rest is the path of the report; nobody may be stopped by a full pipe.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (lob, first.trim().parse().unwrap())
}

fn send(pid: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_signal_ends_the_program_and_what_there_is_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [("-TERM", 128 + 15), ("-INT", 128 + 2), ("-HUP", 128 + 1)] {
        let out = folder.path().join(signal);
        // A shell starts what is in the background deaf to Ctrl-C; this program is not.
        let (mut lob, program) = started(&out, "echo $$; exec sleep 60");
        send(lob.id(), signal);
        assert_eq!(lob.wait().unwrap().code(), Some(code), "{signal}");
        assert!(!lives(program), "{signal}: the program runs on");
        assert!(out.join("report.html").exists(), "{signal}");
        assert!(said(&run_in(&out), "asked to"), "{signal}: {}", run_in(&out));
    }
}

#[test]
fn a_second_signal_ends_a_program_that_does_not_heed_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (mut lob, program) = started(&out, "trap '' TERM; echo $$; while :; do sleep 1; done");
    send(lob.id(), "-TERM");
    // Two signals within a moment are one request.
    send(lob.id(), "-TERM");
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(lives(program), "one request was enough");
    send(lob.id(), "-TERM");
    assert_eq!(lob.wait().unwrap().code(), Some(128 + 9));
    assert!(!lives(program) && out.join("report.html").exists());
}

#[test]
fn a_profile_ends_after_its_duration() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["profile", "--duration", "0.3", "--out", shown(&out), "--", "sleep", "60"];
    assert_eq!(lob(&args).status.code(), Some(0));
    let run = run_in(&out);
    assert!(run["elapsed_s"].as_f64().unwrap() >= 0.3, "{run}");
    assert!(said(&run, "its time was over") && said(&run, "sleeps on timers"), "{run}");
    assert_eq!(run["scenarios"][0]["status"], "passed");
}

#[test]
fn a_running_program_is_profiled_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let profile = |pid: u32, name: &str, more: &[&str]| -> (Option<i32>, PathBuf) {
        let (out, pid) = (folder.path().join(name), pid.to_string());
        let args = ["profile", "--interval-ms", "5", "--out", shown(&out), "--pid", &pid];
        (lob(&[&args, more].concat()).status.code(), out)
    };
    let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let (code, out) = profile(busy.id(), "busy", &["--duration", "0.5"]);
    assert_eq!(code, Some(0));
    assert!(busy.try_wait().unwrap().is_none(), "it was ended");
    busy.kill().unwrap();
    busy.wait().unwrap();
    let run = run_in(&out);
    assert!(said(&run, "CPU-bound"), "{run}");
    assert_eq!(run["scenarios"][0]["config"]["pid"], busy.id());
    // It ends while it is looked at.
    let mut short = Command::new("sleep").arg("0.5").spawn().unwrap();
    let reaper = short.id();
    let waiter = std::thread::spawn(move || short.wait());
    let (code, out) = profile(reaper, "short", &[]);
    waiter.join().unwrap().unwrap();
    assert_eq!(code, Some(0));
    assert!(said(&run_in(&out), "sleeps on timers"), "{}", run_in(&out));
}

#[test]
fn the_folder_of_a_profile_holds_a_profile_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let script = "sleep 0.3 & wait; head -c 3000000 /dev/zero | sort | wc -c";
    assert!(lob(&["profile", "--out", shown(&out), "--", "sh", "-c", script]).status.success());
    for entry in std::fs::read_dir(&out).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_expected = ["run.json", "report.html", "report.md", "trace.json", "flame.svg"]
            .contains(&name.as_str())
            || name.starts_with("profile.");
        assert!(is_expected, "{name}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for part in ["limit", "threads", "waits", "memory", "measured", "files", "machine"] {
        assert!(page.contains(&format!("<section id=\"{part}\"")), "{part}");
    }
    for foreign in
        ["Passed", "Slowest stage", "id=\"targets\"", "No baseline", "Nothing in this run"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("href=\"trace.json\""));
}
