//! Runs a program and prints what was found: `cargo run --example program -- [--allocs] PROGRAM
//! [ARGUMENT]..`.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::process::Command;
use std::time::Duration;

use lob_profiler::{CommandOptions, profile_command_with};

fn main() -> Result<(), lob_profiler::ProfilerError> {
    let mut words = std::env::args_os().skip(1).peekable();
    let mut options = CommandOptions::every(Duration::from_millis(5));
    options.allocs = words.next_if(|word| word == "--allocs").is_some();
    let mut command = Command::new(words.next().unwrap_or_else(|| "true".into()));
    command.args(words);
    options.adopts_orphans = true;
    let found = profile_command_with(command, &options)?;
    for m in &found.scenario.measurements {
        let value = m.value().map(|value| m.unit.format(value));
        let text = value.or_else(|| m.reason().map(str::to_owned)).unwrap_or_default();
        println!("{:<40} {text}", m.metric);
    }
    for finding in &found.scenario.findings {
        println!("{:?}: {}", finding.severity, finding.text);
    }
    println!("{:?} {}", found.bound, found.leak.text("second"));
    Ok(())
}
