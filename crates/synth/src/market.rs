//! All instruments on one clock: bursts of events, feed gaps, sessions.

use dbn::{FlagSet, MboMsg};

use crate::{
    calendar::{self, SECOND_NS},
    instrument,
    message::Draft,
    regime::RegimeChain,
    rng::Rng,
    sim::Sim,
    truth::Hidden,
};

/// Mean time between bursts at normal pace in a market of activity 100.
const BURST_GAP_NS: u64 = SECOND_NS / 3;
/// Chance that an event is followed by another of its burst, in 1/1,000: 5 events on average.
const BURST_GOES_ON: u32 = 800;
/// Chance that an event has the very time of the one before it, in 1/1,000.
const SAME_TIME: u32 = 150;
/// Mean time between the other events of a burst.
const WITHIN_BURST_NS: u64 = 90_000;
/// Chance that an event of a burst is of another instrument, in 1/1,000.
const OTHER_INSTRUMENT: u32 = 120;
/// Records of one burst, about: only used to tell whether a session is long enough.
const RECORDS_PER_BURST: u64 = 5;
/// Length of a gap in the feed.
const FEED_GAP_NS: u64 = 90 * SECOND_NS;
/// Records after a feed gap that carry the flag `MAYBE_BAD_BOOK`.
const DOUBTFUL_RECORDS: u32 = 200;
/// Chance of a feed gap at a burst, in 1/100,000.
const FEED_GAP: u32 = 2;

/// The simulated market.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    sims: Vec<Sim>,
    activities: Vec<u32>,
    activity: u32,
    rng: Rng,
    regime: RegimeChain,
    midnight: u64,
    ts_event: u64,
    ts_recv: u64,
    sequence: u32,
    last_order_id: u64,
    /// Instruments that the current session has opened.
    opened: usize,
    active: usize,
    /// Instrument of the last event.
    of_event: usize,
    in_burst: bool,
    doubtful: u32,
    event: Vec<MboMsg>,
}

impl Market {
    pub(crate) fn new(instruments: u32, seed: u64) -> Self {
        let sims: Vec<Sim> = instrument::catalogue(instruments)
            .into_iter()
            .zip(1..)
            .map(|(instrument, stream)| Sim::new(instrument, Rng::new(seed, stream)))
            .collect();
        let activities: Vec<u32> = sims.iter().map(|sim| sim.instrument.activity).collect();
        Self {
            activity: activities.iter().sum(),
            activities,
            opened: sims.len(),
            sims,
            rng: Rng::new(seed, 0),
            regime: RegimeChain::new(),
            midnight: 0,
            ts_event: 0,
            ts_recv: 0,
            sequence: 1,
            last_order_id: 6_412_770_000_000,
            active: 0,
            of_event: 0,
            in_burst: false,
            doubtful: 0,
            event: Vec::new(),
        }
    }

    /// Id and symbol of each instrument.
    pub(crate) fn instruments(&self) -> Vec<(u32, String)> {
        self.sims.iter().map(|sim| (sim.instrument.id, sim.instrument.symbol.clone())).collect()
    }

    /// Begins session `session`: the next events open the instruments.
    pub(crate) fn open_session(&mut self, session: u32) {
        self.midnight = calendar::midnight(session);
        self.ts_event = self.midnight;
        self.opened = 0;
        self.in_burst = false;
        self.doubtful = 0;
        self.sequence = 1;
    }

    /// The records of the next event, all of one instrument and one time.
    ///
    /// `wanted` is the number of records that the session still has to give: should they not fit
    /// into it at the natural pace, the pace quickens.
    pub(crate) fn next_event(&mut self, wanted: u64) -> &[MboMsg] {
        self.event.clear();
        let mut draft = Draft { records: &mut self.event, last_order_id: &mut self.last_order_id };
        if let Some(sim) = self.sims.get_mut(self.opened) {
            sim.open(&mut draft);
            self.of_event = self.opened;
            self.opened += 1;
            self.stamp(FlagSet::empty().set_snapshot().set_bad_ts_recv());
            return &self.event;
        }
        self.advance(wanted);
        let mut draft = Draft { records: &mut self.event, last_order_id: &mut self.last_order_id };
        self.of_event = self.active;
        self.sims[self.active].step(self.regime.now(), &mut draft);
        self.stamp(FlagSet::empty());
        &self.event
    }

    /// The records that [`next_event`](Self::next_event) gave last.
    pub(crate) fn event(&self) -> &[MboMsg] {
        &self.event
    }

    /// The hidden state behind them.
    pub(crate) fn hidden(&self) -> Hidden<'_> {
        let sim = &self.sims[self.of_event];
        Hidden {
            symbol: &sim.instrument.symbol,
            regime: self.regime.number(),
            pressure_percent: sim.pressure(),
        }
    }

    /// Moves the clock to the next event and chooses its instrument.
    fn advance(&mut self, wanted: u64) {
        if self.in_burst {
            if !self.rng.chance(SAME_TIME) {
                self.ts_event += self.rng.exponential(WITHIN_BURST_NS);
            }
            if self.rng.chance(OTHER_INSTRUMENT) {
                self.active = self.rng.weighted(&self.activities, self.activity);
            }
        } else {
            self.regime.step(&mut self.rng);
            self.ts_event += self.burst_gap(wanted);
            if self.rng.below(100_000) < FEED_GAP {
                self.ts_event += FEED_GAP_NS;
                self.sequence += 1 + self.rng.below(5_000);
                self.doubtful = DOUBTFUL_RECORDS;
            }
            self.active = self.rng.weighted(&self.activities, self.activity);
        }
        self.in_burst = self.rng.chance(BURST_GOES_ON);
        let last_moment = calendar::close(self.midnight) - 1;
        self.ts_event = self.ts_event.min(last_moment);
    }

    /// Time to the next burst: its mean is natural, or what the rest of the session allows.
    fn burst_gap(&mut self, wanted: u64) -> u64 {
        let left = calendar::paced_time_left(self.midnight, self.ts_event);
        let natural = BURST_GAP_NS * 100 / u64::from(self.activity);
        let mean = natural.min(left / (wanted / RECORDS_PER_BURST + 1));
        let pace = calendar::pace(self.midnight, self.ts_event) * self.regime.now().pace;
        self.rng.exponential(mean) * 10_000 / pace.max(1)
    }

    /// Gives the event's records their times, sequence number and flags.
    fn stamp(&mut self, flags: FlagSet) {
        let latency = 60_000 + self.rng.exponential(35_000);
        self.ts_recv = self.ts_recv.max(self.ts_event + latency);
        let sending = 12_500 + self.rng.below(4_500).cast_signed();
        self.sequence += 1;
        let last = self.event.len().saturating_sub(1);
        for (idx, record) in self.event.iter_mut().enumerate() {
            record.hd.ts_event = self.ts_event;
            record.ts_recv = self.ts_recv;
            record.ts_in_delta = sending;
            record.sequence = self.sequence;
            record.flags = flags;
            if self.doubtful > 0 {
                self.doubtful -= 1;
                record.flags.set_maybe_bad_book();
            }
            if idx == last {
                record.flags.set_last();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ts_event` of the last of `n_events` events of a session that wants `wanted` records.
    fn ts_after(n_events: u32, wanted: u64, start_before_close_ns: Option<u64>) -> u64 {
        let mut market = Market::new(2, 1);
        market.open_session(0);
        market.next_event(wanted);
        market.next_event(wanted);
        if let Some(before) = start_before_close_ns {
            market.ts_event = calendar::close(market.midnight) - before;
        }
        for _ in 0..n_events {
            market.next_event(wanted);
        }
        market.ts_event
    }

    #[test]
    fn a_large_share_quickens_the_pace_and_a_small_one_does_not_slow_it() {
        let into = |ts: u64| ts - calendar::midnight(0);
        let natural = into(ts_after(5_000, 5_000, None));
        assert_eq!(natural, into(ts_after(5_000, 1, None)));
        let crowded = into(ts_after(5_000, 100_000_000, None));
        assert!(crowded * 10 < natural, "{crowded} {natural}");
    }

    #[test]
    fn no_event_comes_after_the_close() {
        let ts = ts_after(5_000, 10_000, Some(2 * SECOND_NS));
        let close = calendar::close(calendar::midnight(0));
        assert!((close - 2 * SECOND_NS..close).contains(&ts));
    }
}
