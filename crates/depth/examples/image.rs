//! Book updates to bins, bins to an image: `cargo run -p lob-depth --example image`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use lob_depth::{
    BinBuilder, BinColumns, BinRule, LEVELS, Level, PriceStep, RenderSpec, Renderer, SizeAggregate,
    UpdateMeta,
};

/// A book whose mid moves up one step an update.
fn book(n: i64) -> [Level; LEVELS] {
    let step = 250_000_000;
    std::array::from_fn(|i| {
        let away = i64::try_from(i).expect("ten levels") * step;
        let bid_px = 4_700_000_000_000 + n * step - away;
        let ask_px = bid_px + step + 2 * away;
        Level { bid_px, ask_px, bid_sz: 10, ask_sz: 40, bid_ct: 2, ask_ct: 5 }
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let step: PriceStep = "0.25".parse()?;
    let mut builder = BinBuilder::new(BinRule::Updates(10), SizeAggregate::Median, step)?;
    let mut bins = BinColumns::default();
    for n in 0..200 {
        if let Some(bin) = builder.push(UpdateMeta::default(), &book(n))? {
            bins.push(&bin);
        }
    }
    let spec = RenderSpec { n_bins: bins.len(), ..RenderSpec::default() };
    let mut image = vec![0.0_f32; spec.len()];
    Renderer::default().render(&spec, bins.as_slice(0..bins.len()), &mut image)?;
    let (asks, bids) = (image.iter().filter(|x| **x > 0.0), image.iter().filter(|x| **x < 0.0));
    println!("{:?}: {} cells of asks, {} of bids", spec.shape(), asks.count(), bids.count());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
