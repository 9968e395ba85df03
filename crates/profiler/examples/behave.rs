//! A program that behaves badly on request, to try `profile_command` on:
//! `cargo run --example behave -- leak|spin|sleep|sync|write|pipe|family|names|fail`, or one of the
//! waits of `behave/waits.rs`.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "printing is a program's right")]

#[cfg(target_os = "linux")]
#[path = "behave/waits.rs"]
mod waits;

use std::hint::black_box;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn main() -> std::io::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("leak") => leak(),
        Some("spin") => spin(),
        Some("sleep") => sleep(Duration::from_millis(150)),
        Some("sync") => write(1000, 4096, true)?,
        Some("write") => write(8, 1 << 20, false)?,
        Some("pipe") => pipe()?,
        Some("family") => {
            Command::new(std::env::current_exe()?).arg("spin").status()?;
        }
        Some("names") => names(),
        Some("fail") => return Ok(ExitCode::from(3)),
        #[cfg(target_os = "linux")]
        Some("outlives") => waits::outlives(),
        #[cfg(target_os = "linux")]
        Some("forever") => waits::forever(),
        #[cfg(target_os = "linux")]
        Some(name) if let Some(done) = waits::run(name) => done?,
        _ => {
            #[cfg(target_os = "linux")]
            eprintln!("waits: {}", waits::NAMES);
            eprintln!("say one of leak, spin, sleep, sync, write, pipe, family, names, fail");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// 75 MB in 300 steps, none given back.
fn leak() {
    for step in 0..300u32 {
        std::mem::forget(black_box(vec![step.to_le_bytes()[0] | 1; 256 << 10]));
        sleep(Duration::from_millis(2));
    }
}

/// 0.3 s of CPU time, however long they take.
fn spin() {
    let used = || lob_scope::process_cpu_time_s().ok();
    let start = Instant::now();
    while used().map_or(start.elapsed().as_secs_f64(), |cpu_s| cpu_s) < 0.3 {
        black_box((0..10_000u64).fold(0, |sum, n| sum ^ black_box(n)));
    }
}

/// More names than the profiler keeps.
fn names() {
    lob_scope::enable(true);
    (0..lob_scope::MAX_DYNAMIC_NAMES + 100).for_each(|n| drop(lob_scope::scope!("request {}", n)));
    let scopes = lob_scope::take_scopes();
    println!("{} scopes", scopes.len());
    for other in scopes.iter().filter(|s| s.path == lob_scope::OTHER_NAMES) {
        println!("{} calls of {}", other.calls, other.path);
    }
    for warning in lob_profiler::profiler_warnings() {
        println!("{}", warning.text);
    }
}

/// Waits for a slow writer.
fn pipe() -> std::io::Result<()> {
    let (mut reader, mut writer) = std::io::pipe()?;
    let slow = std::thread::spawn(move || {
        (0..5).try_for_each(|_| {
            sleep(Duration::from_millis(40));
            writer.write_all(b"x")
        })
    });
    std::io::copy(&mut reader, &mut std::io::sink())?;
    slow.join().unwrap_or(Ok(()))
}

fn write(blocks: u32, bytes: usize, sync: bool) -> std::io::Result<()> {
    let path = std::env::temp_dir().join(format!("lob-behave-{}", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    for _ in 0..blocks {
        file.write_all(&vec![7; bytes])?;
        if sync {
            file.sync_all()?;
        }
    }
    std::fs::remove_file(path)
}
