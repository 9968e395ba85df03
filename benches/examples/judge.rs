//! What the suite measures and how a Run is judged: `cargo run -p lob-bench --example judge`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_bench::{default_targets, scenarios};
use lob_metrics::judge_all;

fn main() -> Result<(), Box<dyn Error>> {
    for scenario in scenarios() {
        println!("{:<24} {}", scenario.id, scenario.title);
    }
    let targets = default_targets()?;
    let results = judge_all(&targets, &lob_fixtures::sample_run());
    for result in results.iter().filter(|result| result.value.is_some()) {
        println!("{}: {:?}", result.target.metric, result.verdict);
    }
    assert_eq!(results.len(), targets.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
