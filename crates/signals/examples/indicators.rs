//! An indicator over a slice and fed one value at a time: `cargo run -p lob-signals --example
//! indicators`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_signals::Indicator;

fn main() -> Result<(), Box<dyn Error>> {
    let prices: Vec<f64> = (0..60).map(|i| 100.0 + f64::from(i % 7) - f64::from(i % 3)).collect();
    let whole = lob_signals::rsi(&prices, 14)?;
    let mut twin = lob_signals::Rsi::new(14)?;
    for (price, expected) in prices.iter().zip(&whole) {
        let value = twin.update(*price);
        // Warm-up values are NaN, never 0; both ways give the same bits.
        assert_eq!(value.to_bits(), expected.to_bits());
    }
    println!("RSI(14) of {} prices ends at {:.2}", prices.len(), whole[59]);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
