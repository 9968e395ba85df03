//! The instruments of the market.

/// What makes one instrument differ from another.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(crate) id: u32,
    pub(crate) symbol: String,
    /// Smallest price step, in 1e-9.
    pub(crate) tick: i64,
    /// First price, in ticks; spreads start below zero.
    pub(crate) open_ticks: i64,
    /// Share of the market's events, relative to the other instruments.
    pub(crate) activity: u32,
    /// Size that the queue at the touch returns to.
    pub(crate) touch_size: u32,
    /// Number of levels a side has at the opening.
    pub(crate) seeded_levels: u32,
    /// Share of events at a spread above one tick that close it, in 1/1,000 of the regime's.
    pub(crate) tightness: u32,
}

/// (symbol, id, tick, open, activity, touch, levels, tightness) of the named instruments.
type Row = (&'static str, u32, i64, i64, u32, u32, u32, u32);

const NAMED: [Row; 8] = [
    ("6AM4", 42_005_850, 50_000, 13_100, 100, 26, 24, 1000),
    ("ESM4", 42_005_017, 250_000_000, 20_800, 150, 32, 26, 1000),
    ("6AM4-6AU4", 42_014_712, 50_000, -30, 14, 60, 12, 950),
    ("6AU4", 42_008_487, 50_000, 13_130, 9, 6, 11, 550),
    ("6EM4", 42_005_804, 50_000, 21_640, 90, 24, 24, 1000),
    ("6BM4", 42_005_847, 100_000, 12_640, 70, 28, 22, 1000),
    ("6CM4", 42_005_809, 50_000, 14_760, 60, 30, 22, 1000),
    ("NQM4", 42_006_053, 250_000_000, 73_800, 120, 5, 24, 800),
];

/// The first `n` instruments.
pub(crate) fn catalogue(n: u32) -> Vec<Instrument> {
    (0..n).map(nth).collect()
}

fn nth(n: u32) -> Instrument {
    if let Some(&(symbol, id, tick, open_ticks, activity, touch_size, seeded_levels, tightness)) =
        NAMED.get(n as usize)
    {
        let symbol = symbol.to_owned();
        return Instrument {
            id,
            symbol,
            tick,
            open_ticks,
            activity,
            touch_size,
            seeded_levels,
            tightness,
        };
    }
    Instrument {
        id: 43_000_000 + n,
        symbol: format!("X{n:02}M4"),
        tick: 10_000_000,
        open_ticks: 5_000 + 250 * i64::from(n),
        activity: 30,
        touch_size: 12,
        seeded_levels: 18,
        tightness: 900,
    }
}
