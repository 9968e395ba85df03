//! A synthetic market as DBN in memory: `cargo run -p lob-synth --example market`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_synth::{SynthConfig, write_dbn_zst};

fn main() -> Result<(), Box<dyn Error>> {
    let config = SynthConfig { records: 2_000, instruments: 2, seed: 7, ..SynthConfig::default() };
    let (mut file, mut again) = (Vec::new(), Vec::new());
    let summary = write_dbn_zst(&config, &mut file)?;
    write_dbn_zst(&config, &mut again)?;
    assert!(file == again, "the same seed gives the same bytes");
    println!("{} records in {} bytes", summary.records, file.len());
    for (id, symbol) in &summary.instruments {
        println!("{id}: {symbol}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
