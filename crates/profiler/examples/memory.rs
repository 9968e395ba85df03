//! A program that uses memory in a known way: `cargo run --example memory -- hold KIB`, or
//! `parent KIB CHILD_KIB`. Both print the high-water mark the kernel has of the largest process,
//! in KiB.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::hint::black_box;
use std::process::{Command, Stdio};

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
        _ => return Err("say `hold KIB` or `parent KIB CHILD_KIB`".into()),
    }
    Ok(())
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
