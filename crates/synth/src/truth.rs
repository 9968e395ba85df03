//! What the simulator knows and the records do not say.

use dbn::MboMsg;

/// Names of the regimes, the first of number 0.
pub const REGIMES: [&str; 4] = ["calm", "normal", "busy", "stressed"];

/// The state of the market behind one record, after the event that the record belongs to. All records
/// of an event have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth<'a> {
    /// Id of the record's instrument.
    pub instrument_id: u32,
    /// Its symbol.
    pub symbol: &'a str,
    /// `ts_event` of the record, ns since the UNIX epoch.
    pub ts_event: u64,
    /// `ts_recv` of the record, ns since the UNIX epoch.
    pub ts_recv: u64,
    /// Sequence number of the record.
    pub sequence: u32,
    /// Regime of the whole market, an index into [`REGIMES`].
    pub regime: u8,
    /// Pressure in the instrument, in per cent, -40 to 40: above 0 buyers are at work, below 0
    /// sellers.
    pub pressure_percent: i32,
}

/// The hidden state behind an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hidden<'a> {
    pub(crate) symbol: &'a str,
    pub(crate) regime: u8,
    pub(crate) pressure_percent: i32,
}

impl<'a> Hidden<'a> {
    /// The truth behind one of the event's records.
    pub(crate) fn behind(self, order: &MboMsg) -> Truth<'a> {
        Truth {
            instrument_id: order.hd.instrument_id,
            symbol: self.symbol,
            ts_event: order.hd.ts_event,
            ts_recv: order.ts_recv,
            sequence: order.sequence,
            regime: self.regime,
            pressure_percent: self.pressure_percent,
        }
    }
}
