//! A measurement, held against a target: `cargo run -p lob-metrics --example measure`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Instant;

use lob_metrics::{Direction, Measurement, Target, Unit, Verdict};

fn main() -> Result<(), Box<dyn Error>> {
    let seconds: Vec<f64> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box((0..100_000_u64).sum::<u64>());
            begun.elapsed().as_secs_f64()
        })
        .collect();
    let better = Direction::LowerIsBetter;
    let measurement = Measurement::measured("sum.time", Unit::Seconds, better, &seconds);
    let target: Target = serde_json::from_str(
        r#"{"metric": "sum.time", "unit": "s", "direction": "lower_is_better", "hard_limit": 10.0}"#,
    )?;
    let result = target.judge(Some(&measurement));
    let value = result.value.map(|value| Unit::Seconds.format(value)).unwrap_or_default();
    println!("{}: {value}, {:?}", measurement.metric, result.verdict);
    assert_eq!(result.verdict, Verdict::Pass);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
