//! The records of a market in the wanted schema, session by session.

use dbn::{MboMsg, Mbp10Msg};
use lob_book::Replayer;

use crate::{Schema, SynthConfig, SynthError, Truth, market::Market};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SynthSummary {
    /// Number of records written, over all instruments.
    pub records: u64,
    /// `(instrument_id, symbol)` of each instrument.
    pub instruments: Vec<(u32, String)>,
    /// `ts_recv` of the first record, in ns since the UNIX epoch.
    pub first_ts: u64,
    /// `ts_recv` of the last record, in ns since the UNIX epoch.
    pub last_ts: u64,
}

/// One record of either schema.
pub(crate) enum Record<'a> {
    Mbo(&'a MboMsg),
    Mbp10(&'a Mbp10Msg),
}

/// A market and its replay.
pub(crate) struct Stream {
    config: SynthConfig,
    market: Market,
    replayer: Replayer,
    written: u64,
}

impl Stream {
    pub(crate) fn new(config: &SynthConfig) -> Result<Self, SynthError> {
        config.check()?;
        Ok(Self {
            market: Market::new(config.instruments, config.seed),
            replayer: Replayer::new(),
            written: 0,
            config: config.clone(),
        })
    }

    pub(crate) fn instruments(&self) -> Vec<(u32, String)> {
        self.market.instruments()
    }

    /// Runs one session and gives each of its records to `sink`, with what is behind it.
    pub(crate) fn session(
        &mut self,
        session: u32,
        sink: &mut impl FnMut(Record<'_>, &Truth<'_>) -> Result<(), SynthError>,
    ) -> Result<SynthSummary, SynthError> {
        let goal = self.config.records_until(session);
        let mut summary =
            SynthSummary { instruments: self.market.instruments(), ..SynthSummary::default() };
        self.market.open_session(session);
        while self.written < goal {
            self.market.next_event(goal - self.written);
            let hidden = self.market.hidden();
            for order in self.market.event() {
                let record = match self.config.schema {
                    Schema::Mbo => Record::Mbo(order),
                    Schema::Mbp10 => match self.replayer.push_ref(order)? {
                        Some(update) => Record::Mbp10(update),
                        None => continue,
                    },
                };
                if self.written == goal {
                    break;
                }
                sink(record, &hidden.behind(order))?;
                self.written += 1;
                summary.note(order.ts_recv);
            }
        }
        Ok(summary)
    }
}

impl SynthSummary {
    pub(crate) fn note(&mut self, ts: u64) {
        if self.records == 0 {
            self.first_ts = ts;
        }
        self.records += 1;
        self.last_ts = ts;
    }

    /// Takes up the session that followed.
    pub(crate) fn extend(&mut self, next: Self) {
        if self.records == 0 {
            *self = next;
        } else if next.records > 0 {
            self.records += next.records;
            self.last_ts = next.last_ts;
        }
    }
}

/// The MBO records of a market, in memory. The schema of `config` is of no account.
///
/// # Errors
/// A bad configuration.
pub fn mbo_records(config: &SynthConfig) -> Result<Vec<MboMsg>, SynthError> {
    let mut records = Vec::new();
    for_each(config, Schema::Mbo, |record| {
        if let Record::Mbo(order) = record {
            records.push(order.clone());
        }
    })?;
    Ok(records)
}

/// The MBP-10 records of a market, in memory. The schema of `config` is of no account.
///
/// # Errors
/// A bad configuration.
pub fn mbp10_records(config: &SynthConfig) -> Result<Vec<Mbp10Msg>, SynthError> {
    let mut records = Vec::new();
    for_each(config, Schema::Mbp10, |record| {
        if let Record::Mbp10(update) = record {
            records.push(update.clone());
        }
    })?;
    Ok(records)
}

fn for_each(
    config: &SynthConfig,
    schema: Schema,
    mut take: impl FnMut(Record<'_>),
) -> Result<(), SynthError> {
    let mut stream = Stream::new(&SynthConfig { schema, ..config.clone() })?;
    for session in 0..config.sessions {
        stream.session(session, &mut |record, _| {
            take(record);
            Ok(())
        })?;
    }
    Ok(())
}
