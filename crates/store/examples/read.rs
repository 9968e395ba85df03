//! Bins and labels out of a store: `cargo run -p lob-store --example read [-- STORE]`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_depth::BinColumns;
use lob_store::Store;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/formats/store-v1/bins");

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().skip(1).find(|_| cfg!(not(test)));
    let store = Store::open(given.as_deref().unwrap_or(FIXTURE))?;
    let mut bins = BinColumns::default();
    for file in store.files() {
        let meta = file.meta();
        // A window of at most 500 bins, and the classes of all of them.
        bins.clear();
        file.read(0..file.len().min(500), &mut bins)?;
        let labels = file.labels(0..file.len())?;
        let n_labelled = labels.label.iter().flatten().count();
        println!("{} {}: {} bins, {n_labelled} labelled", meta.day, meta.symbol, file.len());
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
