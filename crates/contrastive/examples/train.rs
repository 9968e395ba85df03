//! An encoder fitted to pairs of windows, and what it makes of new ones: `cargo run --release -p
//! lob-contrastive --example train`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use lob_contrastive::{Device, EncoderConfig, NoisePairs, TrainConfig, embed, train};

fn main() -> Result<(), Box<dyn Error>> {
    // Windows of 32 numbers; the two of a pair differ by noise.
    let source = NoisePairs::new(64, 32, 1);
    let encoder = EncoderConfig { hidden: vec![32], embedding_dim: 8, ..EncoderConfig::simple() };
    let config = TrainConfig {
        steps: 20,
        batch_size: 32,
        encoder,
        device: Device::Cpu,
        ..TrainConfig::default()
    };
    let outcome = train(Arc::new(source), &config)?;
    println!("loss {:.3} to {:.3}", outcome.losses[0], outcome.losses[19]);
    let windows = vec![0.5; 3 * 32];
    let embeddings = embed(&outcome.model, &windows)?;
    println!("{} numbers for 3 windows", embeddings.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
