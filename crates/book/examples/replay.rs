//! Single orders to ten aggregated levels: `cargo run -p lob-book --example replay`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use dbn::{Action, FlagSet, MboMsg, RecordHeader, Side, flags, rtype};
use lob_book::Replayer;

fn order(action: Action, side: Side, order_id: u64, price: i64, size: u32) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 42, 1_000 + order_id),
        order_id,
        price: price * 1_000_000_000,
        size,
        action: u8::from(action).cast_signed(),
        side: u8::from(side).cast_signed(),
        flags: FlagSet::new(flags::LAST),
        ..MboMsg::default()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut replayer = Replayer::new();
    for record in [
        order(Action::Add, Side::Bid, 1, 99, 3),
        order(Action::Add, Side::Bid, 2, 99, 4),
        order(Action::Add, Side::Ask, 3, 101, 5),
        order(Action::Cancel, Side::Bid, 1, 99, 3),
    ] {
        if let Some(update) = replayer.push(&record)? {
            let best = &update.levels[0];
            println!(
                "bid {} x {}, ask {} x {}",
                best.bid_px, best.bid_sz, best.ask_px, best.ask_sz
            );
        }
    }
    assert_eq!(replayer.stats().records, 4);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
