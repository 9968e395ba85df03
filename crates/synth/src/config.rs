use crate::SynthError;

/// Most instruments of one market.
pub(crate) const MAX_INSTRUMENTS: u32 = 64;
/// Most trading days of one market.
pub(crate) const MAX_SESSIONS: u32 = 1_000;

/// The record type to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Schema {
    /// Ten aggregated levels after each change: the replay of the same market's orders.
    #[default]
    Mbp10,
    /// Single orders.
    Mbo,
}

impl Schema {
    pub(crate) fn to_dbn(self) -> dbn::Schema {
        match self {
            Self::Mbp10 => dbn::Schema::Mbp10,
            Self::Mbo => dbn::Schema::Mbo,
        }
    }
}

/// What market to simulate, and how much of it to write.
///
/// The market itself depends on `seed` and `instruments` only. While a session has room for its
/// share of the records at the market's natural pace (about a million a day for each liquid
/// instrument) a session ends when its share is written; a larger share quickens the pace so that
/// it fits into the 23 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthConfig {
    /// Total number of records to write, over all instruments and sessions; at least `sessions`.
    pub records: u64,
    /// Number of instruments, 1 to 64: a currency future (6AM4), an index future (ESM4), a
    /// calendar spread with negative prices (6AM4-6AU4), a thin future (6AU4), then more futures.
    pub instruments: u32,
    /// Number of trading days, 1 to 1,000: weekdays from 2024-04-01 on, each from 00:00 to 23:00
    /// UTC.
    pub sessions: u32,
    /// Seed of every random draw.
    pub seed: u64,
    /// The record type to write.
    pub schema: Schema,
}

impl Default for SynthConfig {
    /// A million MBP-10 records of one currency future on one day.
    fn default() -> Self {
        Self { records: 1_000_000, instruments: 1, sessions: 1, seed: 1, schema: Schema::Mbp10 }
    }
}

impl SynthConfig {
    /// Checks the fields against their ranges.
    pub(crate) fn check(&self) -> Result<(), SynthError> {
        let bad = |field, value, rule| Err(SynthError::BadConfig { field, value, rule });
        if !(1..=MAX_INSTRUMENTS).contains(&self.instruments) {
            return bad("instruments", self.instruments.into(), "give 1 to 64");
        }
        if !(1..=MAX_SESSIONS).contains(&self.sessions) {
            return bad("sessions", self.sessions.into(), "give 1 to 1000");
        }
        if self.records < u64::from(self.sessions) {
            return bad("records", self.records, "give at least one record a session");
        }
        Ok(())
    }

    /// Number of records written when session `session` (from 0) has ended.
    pub(crate) fn records_until(&self, session: u32) -> u64 {
        let done = u128::from(self.records) * u128::from(session + 1) / u128::from(self.sessions);
        u64::try_from(done).unwrap_or(self.records)
    }
}
