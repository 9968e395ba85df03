//! A Run in every format: `cargo run -p lob-report --example formats`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_report::{Format, render_all};

fn main() -> Result<(), Box<dyn Error>> {
    let run = lob_fixtures::sample_run();
    let files = render_all(&run, &Format::ALL)?;
    for file in &files {
        println!("{:<44} {:>8} bytes", file.file_name, file.bytes.len());
    }
    assert!(files.iter().any(|file| file.file_name == "report.html"));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
