//! A DBN file to a store of labelled bins: `cargo run -p lob-convert --example convert`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_convert::{ConvertConfig, convert, verify};
use lob_depth::BinRule;
use lob_store::Store;
use lob_synth::{SynthConfig, write_file};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("market.mbp-10.dbn.zst");
    write_file(&SynthConfig { records: 5_000, ..SynthConfig::default() }, &input)?;
    assert!(verify(&input)?.is_sound());

    let mut config = ConvertConfig::new(folder.path().join("store"));
    config.bin_rule = BinRule::Updates(20);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (100, 80, 10);
    config.label.classes = 5;
    let summary = convert(&[input], &config, &())?;
    println!("{} records, {} bins, {} labelled", summary.records, summary.rows, summary.samples);

    let store = Store::open(&config.out)?;
    assert_eq!(store.total_bins(), summary.rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
