//! A program that uses memory in a known way: `cargo run --example memory -- WORDS`, where the words
//! are `hold KIB` or `parent KIB CHILD_KIB`, which print the high-water mark the kernel has of the
//! largest process, in KiB; or `over-time SHAPE MS`, which takes and returns memory by one of the
//! shapes leak, late, plateau, cache, saw, steps and block.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of sizes are small and not negative"
)]

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["hold", kib] => {
            let kept = hold(kib.parse()?);
            println!("{}", peak_kib()?);
            black_box(kept);
        }
        ["parent", kib, child_kib] => {
            let kept = hold(kib.parse()?);
            let child = Command::new(std::env::current_exe()?)
                .args(["hold", child_kib])
                .stdout(Stdio::piped())
                .output()?;
            let child: u64 = String::from_utf8(child.stdout)?.trim().parse()?;
            println!("{}", peak_kib()?.max(child));
            black_box(kept);
        }
        ["over-time", "block", ms] => block(ms.parse()?),
        ["over-time", shape, ms] => over_time(shape, ms.parse()?)?,
        _ => return Err("say `hold KIB`, `parent KIB CHILD_KIB` or `over-time SHAPE MS`".into()),
    }
    Ok(())
}

const MIB: f64 = 1024.0 * 1024.0;
const STEP: Duration = Duration::from_millis(4);

/// Follows a shape in blocks of 64 KiB.
fn over_time(shape: &str, ms: u64) -> Outcome {
    let size = |u: f64| -> Option<f64> {
        Some(match shape {
            "leak" => u,
            "late" => ((u - 0.6) / 0.4).max(0.0),
            "plateau" => u.min(0.8),
            "cache" => 1.0 - (-3.0 * u).exp(),
            "saw" => (u / 0.15).fract(),
            "steps" => (u / 0.2).floor() * 0.2,
            _ => return None,
        })
    };
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let begun = Instant::now();
    loop {
        let u = begun.elapsed().as_secs_f64() * 1e3 / ms as f64;
        if u >= 1.0 {
            // Given back, it would be no leak.
            std::mem::forget(kept);
            return Ok(());
        }
        let blocks = 60.0 * MIB * size(u).ok_or("an unknown shape")? / (64.0 * 1024.0);
        while (kept.len() as f64) < blocks {
            kept.push(hold(64));
        }
        while kept.len() as f64 > blocks + 1.0 {
            kept.pop();
        }
        sleep(STEP);
    }
}

/// One large block, filled all the time.
fn block(ms: u64) {
    let mut bytes = vec![0_u8; 60 << 20];
    let begun = Instant::now();
    let mut filled = 0;
    while filled < bytes.len() {
        let share = begun.elapsed().as_secs_f64() * 1e3 / ms as f64;
        let now = (share * 15360.0) as usize * 4096;
        let now = now.min(bytes.len());
        bytes[filled..now].fill(1);
        filled = now;
        sleep(STEP);
    }
    std::mem::forget(bytes);
}

/// Memory of which every page was written to.
fn hold(kib: usize) -> Vec<u8> {
    let mut bytes = vec![0; kib << 10];
    bytes.iter_mut().step_by(1024).for_each(|byte| *byte = black_box(1));
    bytes
}

fn peak_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
