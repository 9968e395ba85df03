//! Where the time of a piece of work goes: `cargo run --release -p lob-profiler --example scopes`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use lob_profiler::scope;

fn render(n: u64) -> u64 {
    let _scope = scope("render");
    (0..n).map(black_box).sum()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (sum, profile) = lob_profiler::profile("work", Duration::from_millis(5), || {
        (0..20).map(|_| render(10_000)).sum::<u64>()
    });
    for scope in &profile.scopes {
        println!("{:<16} {:>4} calls, {:.6} s", scope.path, scope.calls, scope.total_s);
    }
    assert_eq!(sum, 20 * 49_995_000);
    assert!(profile.scopes.iter().any(|scope| scope.path.ends_with("render") && scope.calls == 20));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
