//! How close the market is to a real one: `cargo test -p lob-synth realism -- --nocapture` prints
//! the table of `docs` and README.

use std::fmt;

use dbn::{Mbp10Msg, UNDEF_PRICE};
use lob_synth::{Schema, SynthConfig, mbp10_records, write_dbn_zst};

/// Shares in 1/1,000 of one instrument's MBP-10 records.
struct Table {
    one_tick: usize,
    two_ticks: usize,
    trades: usize,
    depth_0: usize,
    touch_size: usize,
    same_time: usize,
    gap_p50_us: u64,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { one_tick, two_ticks, trades, depth_0, .. } = self;
        write!(f, "spread of 1 tick {one_tick}, 2 ticks {two_ticks}; trades {trades}; ")?;
        write!(f, "depth 0 {depth_0}; same time {}; all in 1/1,000; ", self.same_time)?;
        write!(f, "size at the touch {}; median gap {} us", self.touch_size, self.gap_p50_us)
    }
}

fn table(records: &[Mbp10Msg], tick: i64) -> Table {
    let n = records.len();
    let share =
        |pred: &dyn Fn(&Mbp10Msg) -> bool| records.iter().filter(|r| pred(r)).count() * 1000 / n;
    let spread = |r: &Mbp10Msg| {
        let top = &r.levels[0];
        let whole = top.bid_px != UNDEF_PRICE && top.ask_px != UNDEF_PRICE;
        whole.then(|| (top.ask_px - top.bid_px) / tick)
    };
    let mut gaps: Vec<u64> =
        records.windows(2).map(|w| w[1].hd.ts_event - w[0].hd.ts_event).collect();
    gaps.sort_unstable();
    let sizes: u64 = records.iter().map(|r| u64::from(r.levels[0].bid_sz)).sum();
    Table {
        one_tick: share(&|r| spread(r) == Some(1)),
        two_ticks: share(&|r| spread(r) == Some(2)),
        trades: share(&|r| r.action == b'T'.cast_signed()),
        depth_0: share(&|r| r.depth == 0),
        touch_size: usize::try_from(sizes).unwrap() / n,
        same_time: gaps.iter().filter(|&&gap| gap == 0).count() * 1000 / n,
        gap_p50_us: gaps[gaps.len() / 2] / 1000,
    }
}

#[test]
fn shares_are_those_of_a_liquid_future() {
    let config = SynthConfig { records: 200_000, instruments: 4, seed: 11, ..Default::default() };
    let all = mbp10_records(&config).unwrap();
    let of = |id| -> Vec<Mbp10Msg> {
        all.iter().filter(|r| r.hd.instrument_id == id).cloned().collect()
    };
    for (symbol, id, tick) in [
        ("6AM4", 42_005_850, 50_000),
        ("ESM4", 42_005_017, 250_000_000),
        ("6AM4-6AU4", 42_014_712, 50_000),
        ("6AU4", 42_008_487, 50_000),
    ] {
        let table = table(&of(id), tick);
        println!("{symbol}: {table}");
        if symbol == "6AM4" || symbol == "ESM4" {
            assert!((850..=960).contains(&table.one_tick), "{table}");
            assert!((45..=75).contains(&table.trades), "{table}");
            assert!((600..=760).contains(&table.depth_0), "{table}");
            assert!(table.one_tick + table.two_ticks > 940, "{table}");
        }
    }
}

#[test]
fn compresses_like_a_market() {
    let config = SynthConfig { records: 100_000, schema: Schema::Mbp10, ..Default::default() };
    let mut file = Vec::new();
    write_dbn_zst(&config, &mut file).unwrap();
    let ratio_tenths = 100_000 * 368 * 10 / file.len();
    println!("compression ratio x 10: {ratio_tenths}");
    assert!((80..=220).contains(&ratio_tenths), "{ratio_tenths}");
}
