//! Shuffled batches of depth images: `cargo run -p lob-dataloader --example batches`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use lob_dataloader::{Dataset, Loader, LoaderConfig, WindowSpec};
use lob_depth::RenderSpec;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/formats/store-v1/bins");

fn main() -> Result<(), Box<dyn Error>> {
    let render = RenderSpec { n_bins: 16, ..RenderSpec::default() };
    let window = WindowSpec { n_bins: 16, stride: 4 };
    let dataset = Arc::new(Dataset::open(FIXTURE, window, render)?);
    let config = LoaderConfig { batch_size: 4, ..LoaderConfig::low_memory() };
    let loader = Loader::new(dataset, config)?;
    for batch in loader.epoch(0) {
        let batch = batch?;
        println!("{} images of {} values", batch.n, batch.images().len() / batch.n);
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
