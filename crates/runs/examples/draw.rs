//! A measurement of one's own as a report: `cargo run -p lob-runs --example draw`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use lob_report::Beside;
use lob_runs::{Build, open_run, write_reports};

fn main() -> Result<(), Box<dyn Error>> {
    let (sum, profile) = lob_profiler::profile("sum", Duration::from_millis(5), || {
        (0..1_000_000_u64).map(|n| n ^ (n >> 3)).fold(0, u64::wrapping_add)
    });
    let mut run = open_run("A sum", &Build::default(), [("numbers", 1_000_000.into())]);
    run.elapsed_s = profile.wall_s;
    run.scenarios.push(profile.into_scenario("sums"));
    let out = std::env::temp_dir().join(format!("lob-runs-{}", std::process::id()));
    let files = write_reports(&run, &Beside::default(), &out)?;
    println!("{sum}: {} files, `report.html` among them", files.len());
    let again = lob_runs::read_run(&out.join("run.json"))?;
    assert_eq!(again, run);
    std::fs::remove_dir_all(&out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
