//! The records of a messy market, session by session.

use std::collections::BTreeMap;

use dbn::{FlagSet, MboMsg, Mbp10Msg, RecordHeader, UNDEF_PRICE, rtype};
use lob_book::Replayer;

use super::{InsertionKind, Mess, QUIET_QUOTES, SymbolsIn, extras, out::Out};
use crate::{
    Schema, SynthConfig, SynthError, calendar::DAY_NS, instrument, market::Market,
    message::PUBLISHER_ID, rng::Rng,
};

/// The quiet instrument: a note future that trades in 1/256.
const QUIET: (u32, &str) = (42_020_256, "ZTM4");
const QUIET_TICK: i64 = 3_906_250;
const QUIET_PX: i64 = 102 * 1_000_000_000 + QUIET_TICK;
/// Its order ids lie beyond those of the market.
const QUIET_ORDER: u64 = 9_000_000_000_000;
/// Stream of the draws: the market's own begin at 0.
const STREAM: u64 = 1_000_003;

/// A market and what comes between its records.
pub(super) struct Feed {
    config: SynthConfig,
    mess: Mess,
    market: Market,
    rng: Rng,
    /// Books by the ids of `instruments`, which never change.
    replayer: Replayer,
    /// Id and symbol, the quiet one last.
    instruments: Vec<(u32, String)>,
    ticks: Vec<i64>,
    /// How many times ids were dealt in mid session.
    dealt_at_noon: usize,
    /// How many times ids were dealt so far.
    dealt: usize,
    /// The orders of each instrument.
    resting: Vec<BTreeMap<u64, MboMsg>>,
    /// Records of the market written so far.
    written: u64,
    quotes: u64,
    /// `ts_event` and `ts_recv` of the market's last event.
    now: (u64, u64),
}

impl Feed {
    pub(super) fn new(config: &SynthConfig, mess: Mess) -> Self {
        let market = Market::new(config.instruments, config.seed);
        let mut instruments = market.instruments();
        instruments.push((QUIET.0, QUIET.1.to_owned()));
        let catalogue = instrument::catalogue(config.instruments);
        let ticks = catalogue.iter().map(|instrument| instrument.tick).chain([QUIET_TICK]);
        Self {
            mess,
            rng: Rng::new(config.seed, STREAM),
            replayer: Replayer::new(),
            resting: vec![BTreeMap::new(); instruments.len()],
            ticks: ticks.collect(),
            instruments,
            dealt_at_noon: 0,
            dealt: 0,
            written: 0,
            quotes: 0,
            now: (0, 0),
            market,
            config: config.clone(),
        }
    }

    pub(super) fn symbols_in(&self) -> SymbolsIn {
        self.mess.symbols_in
    }

    /// Id and symbol of each instrument at the start of a session to come, or of the present one
    /// before its noon.
    pub(super) fn instruments(&self, session: u32) -> Vec<(u32, String)> {
        let dealt = session as usize + self.dealt_at_noon;
        let named = self.instruments.iter().enumerate();
        named.map(|(of, (_, symbol))| (self.id(of, dealt), symbol.clone())).collect()
    }

    /// The id of instrument `of` after `dealt` rounds, in each of which it passes to the next.
    fn id(&self, of: usize, dealt: usize) -> u32 {
        self.instruments[(of + dealt) % self.instruments.len()].0
    }

    /// Writes one session.
    pub(super) fn session(&mut self, session: u32, out: &mut Out<'_>) -> Result<(), SynthError> {
        self.dealt = session as usize + self.dealt_at_noon;
        let begun = self.written;
        let goal = self.config.records_until(session);
        let share = goal - begun;
        self.market.open_session(session);
        let (mut is_open, mut is_recovered, mut quotes) = (false, false, 0);
        while self.written < goal {
            let mut event = self.market.next_event(goal - self.written).to_vec();
            let Some(last) = event.last() else { continue };
            self.now = (last.hd.ts_event, last.ts_recv);
            if !is_open {
                self.open(out)?;
                is_open = true;
            }
            let id = last.hd.instrument_id;
            let of = self.instruments.iter().position(|(other, _)| *other == id).unwrap_or(0);
            if event[0].action == b'R'.cast_signed() {
                self.open_book(of, &event, out)?;
            } else {
                self.event(of, &mut event, out)?;
            }
            let done = self.written - begun;
            if !is_recovered && done * 2 >= share {
                is_recovered = true;
                self.recover(out)?;
            }
            while quotes < QUIET_QUOTES && done * (QUIET_QUOTES + 1) >= share * (quotes + 1) {
                self.quote(out)?;
                quotes += 1;
            }
        }
        Ok(())
    }

    /// The start of a session: what ids mean, a definition, and the empty book of the quiet one.
    fn open(&mut self, out: &mut Out<'_>) -> Result<(), SynthError> {
        self.say_ids(out)?;
        let id = self.id(0, self.dealt);
        extras::definition(id, &self.instruments[0].1, self.ticks[0], self.now.1, out)?;
        let quiet = self.instruments.len() - 1;
        self.resting[quiet].clear();
        self.snapshot(quiet, false, out)
    }

    fn say_ids(&self, out: &mut Out<'_>) -> Result<(), SynthError> {
        for (of, (_, symbol)) in self.instruments.iter().enumerate() {
            let instrument_id = self.id(of, self.dealt);
            out.insert(InsertionKind::Means { instrument_id, symbol: symbol.clone() });
            if self.mess.symbols_in == SymbolsIn::Stream {
                extras::mapping(instrument_id, symbol, self.now.1, out)?;
            }
        }
        Ok(())
    }

    /// The market's own opening of an instrument becomes a snapshot of orders that are days old.
    fn open_book(
        &mut self,
        of: usize,
        event: &[MboMsg],
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        self.resting[of].clear();
        event.iter().for_each(|record| apply(&mut self.resting[of], record));
        for order in self.resting[of].values_mut() {
            let age = DAY_NS + self.rng.next() % (5 * DAY_NS);
            order.hd.ts_event -= age;
        }
        self.snapshot(of, false, out)
    }

    /// A recovery: all books again; before it, ids may be dealt anew.
    fn recover(&mut self, out: &mut Out<'_>) -> Result<(), SynthError> {
        if self.mess.deals_at_noon {
            self.dealt_at_noon += 1;
            self.dealt += 1;
            self.say_ids(out)?;
        }
        (0..self.instruments.len()).try_for_each(|of| self.snapshot(of, true, out))
    }

    /// Clears the book of an instrument and gives all of its orders again.
    fn snapshot(
        &mut self,
        of: usize,
        mid_session: bool,
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        let mut records = vec![self.clear(of)];
        records.extend(self.resting[of].values().cloned());
        let last = records.len() - 1;
        let first = out.records();
        let flags = FlagSet::empty().set_snapshot().set_bad_ts_recv();
        let mut book: Option<Mbp10Msg> = None;
        for (at, record) in records.iter_mut().enumerate() {
            record.ts_recv = self.now.1;
            record.ts_in_delta = 0;
            record.flags = flags;
            if at == last {
                record.flags.set_last();
            }
            match self.config.schema {
                Schema::Mbo => self.put_order(of, record, None, out)?,
                Schema::Mbp10 => {
                    let update = self.replayer.push_ref(record)?.cloned();
                    match update {
                        Some(clear) if at == 0 => self.put_update(of, clear, None, out)?,
                        Some(update) => book = Some(update),
                        None => {}
                    }
                }
            }
        }
        if let Some(mut book) = book {
            book.flags.set_last();
            self.put_update(of, book, None, out)?;
        }
        out.end_snapshot(first, mid_session);
        Ok(())
    }

    fn clear(&self, of: usize) -> MboMsg {
        let id = self.instruments[of].0;
        MboMsg {
            hd: RecordHeader::new::<MboMsg>(rtype::MBO, PUBLISHER_ID, id, self.now.0),
            price: UNDEF_PRICE,
            action: b'R'.cast_signed(),
            side: b'N'.cast_signed(),
            ..MboMsg::default()
        }
    }

    /// An event of the market, maybe with bad times, maybe with a companion behind it.
    fn event(
        &mut self,
        of: usize,
        event: &mut [MboMsg],
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        event.iter().for_each(|record| apply(&mut self.resting[of], record));
        let is_bad = self.rng.chance(self.mess.bad_times);
        let kind = is_bad.then(|| extras::spoil(event, self.mess.has_untimed, &mut self.rng));
        for record in &*event {
            self.put(of, record, kind.clone(), out)?;
        }
        if self.rng.chance(self.mess.companions) {
            let id = self.id(of, self.dealt);
            extras::companion(id, self.now.1, &mut self.rng, out)?;
        }
        Ok(())
    }

    /// The next quote of the quiet instrument replaces its last one.
    fn quote(&mut self, out: &mut Out<'_>) -> Result<(), SynthError> {
        let quiet = self.instruments.len() - 1;
        let mut records: Vec<MboMsg> = self.resting[quiet].values().cloned().collect();
        for record in &mut records {
            record.action = b'C'.cast_signed();
        }
        let wave = [0, 3, 1, 4, 2];
        let mut add = MboMsg {
            order_id: QUIET_ORDER + self.quotes,
            price: QUIET_PX + QUIET_TICK * wave[usize::try_from(self.quotes % 5).unwrap_or(0)],
            size: 1,
            side: b'B'.cast_signed(),
            action: b'A'.cast_signed(),
            ..self.clear(quiet)
        };
        add.flags.set_last();
        records.push(add);
        self.quotes += 1;
        for record in &mut records {
            (record.hd.ts_event, record.ts_recv) = self.now;
            apply(&mut self.resting[quiet], record);
            self.put(quiet, record, Some(InsertionKind::Quiet), out)?;
        }
        Ok(())
    }

    /// Writes an order of an instrument, or what it changes.
    fn put(
        &mut self,
        of: usize,
        record: &MboMsg,
        kind: Option<InsertionKind>,
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        match self.config.schema {
            Schema::Mbo => self.put_order(of, record, kind, out),
            Schema::Mbp10 => match self.replayer.push_ref(record)?.cloned() {
                Some(update) => self.put_update(of, update, kind, out),
                None => Ok(()),
            },
        }
    }

    fn put_order(
        &mut self,
        of: usize,
        record: &MboMsg,
        kind: Option<InsertionKind>,
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        let mut record = record.clone();
        record.hd.instrument_id = self.id(of, self.dealt);
        self.written += 1;
        out.write(&record, self.now.1, kind)
    }

    fn put_update(
        &mut self,
        of: usize,
        mut record: Mbp10Msg,
        kind: Option<InsertionKind>,
        out: &mut Out<'_>,
    ) -> Result<(), SynthError> {
        record.hd.instrument_id = self.id(of, self.dealt);
        self.written += 1;
        out.write(&record, self.now.1, kind)
    }
}

/// Keeps the orders of a book.
fn apply(resting: &mut BTreeMap<u64, MboMsg>, record: &MboMsg) {
    match record.action.cast_unsigned() {
        b'R' => resting.clear(),
        b'A' | b'M' => {
            resting
                .insert(record.order_id, MboMsg { action: b'A'.cast_signed(), ..record.clone() });
        }
        b'C' => {
            if let Some(order) = resting.get_mut(&record.order_id) {
                order.size = order.size.saturating_sub(record.size);
                if order.size == 0 {
                    resting.remove(&record.order_id);
                }
            }
        }
        _ => {}
    }
}
