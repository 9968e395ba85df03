//! Two ranks that add up their gradients: `cargo run -p lob-ranks --example sum`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::thread;

use lob_ranks::{Collective, ThreadRanks};

fn main() -> Result<(), Box<dyn Error>> {
    let ranks = ThreadRanks::group(2).into_iter().map(|mut rank| {
        thread::spawn(move || {
            let own = if rank.rank() == 0 { 1.0 } else { 2.0 };
            let mut gradient = vec![own; 4];
            rank.all_reduce_sum(&mut gradient).map(|()| gradient)
        })
    });
    for rank in ranks.collect::<Vec<_>>() {
        let sum = rank.join().map_err(|_| "a rank panicked")??;
        println!("{sum:?}");
        assert_eq!(sum, [3.0; 4], "every rank has the sum");
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
