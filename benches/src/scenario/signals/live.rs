//! The live path: one decoded event at a time, on a schedule.
//!
//! Events **arrive** at times fixed before the run: evenly, or with the recording's own gaps. The
//! latency of an event runs from its scheduled arrival to its signal. An event that finds the
//! pipeline busy therefore waits, and its wait counts: a stall of 10 ms shows in every event that
//! was due meanwhile, not in one of them (the mistake known as coordinated omission; Tene, "How NOT
//! to Measure Latency", 2013). The service time, from start to signal, is reported beside it.
//!
//! Events that have arrived when the pipeline comes free go through it together, up to 32: the model
//! reads its weights once for all of them, and the signals are those of one event at a time. Each
//! event is charged the time of its whole group.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lob_convert::{Clock, RecordStream, event_near};
use lob_depth::{PRICE_SCALE, UNDEF_PRICE};
use lob_metrics::stats::quantile;
use lob_metrics::{Artifact, Severity, Summary, Unit};
use lob_signals::{FeatureMatrix, LogisticModel, Model, Quote, Quotes, Signal, SignalPipeline};

use super::super::{Bench, quotes};
use super::{all_measured, stages};

/// Events a second through the medium model, and through the logistic one.
const EMBEDDING_RATE: f64 = 1_000.0;
const LOGISTIC_RATE: f64 = 100_000.0;

/// Most events that go through the stages together.
const AT_ONCE: usize = 32;

/// Events before the schedule starts: past every warm-up and the encoder's window.
const WARM_UP: usize = 400;

/// The best level of a decoded record, as it comes: fixed-point prices.
#[derive(Debug, Clone, Copy)]
struct Event {
    ts_event: u64,
    bid_px: i64,
    ask_px: i64,
    bid_sz: u32,
    ask_sz: u32,
}

impl Event {
    fn quote(self) -> Quote {
        let price =
            |px: i64| if px == UNDEF_PRICE { f64::NAN } else { px as f64 / PRICE_SCALE as f64 };
        Quote {
            bid_px: price(self.bid_px),
            ask_px: price(self.ask_px),
            bid_sz: f64::from(self.bid_sz),
            ask_sz: f64::from(self.ask_sz),
        }
    }
}

/// Seconds of each event: response (arrival to signal), and the stages of its service.
#[derive(Debug, Default)]
struct Latencies {
    response: Vec<f64>,
    stages: [Vec<f64>; 3],
    /// Most events that went through together.
    largest_batch: usize,
}

pub(in super::super) fn live(bench: &mut Bench<'_>) -> Result<()> {
    let (instrument_id, symbol) = quotes::busiest(bench)?;
    bench.rec.config("symbol", symbol);
    let seconds = if bench.options.quick { 1.5 } else { 15.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive rate over a few seconds"
    )]
    let n = ((EMBEDDING_RATE * seconds) as usize).max(1);
    let events = events(bench, instrument_id, 10_000.max(n + WARM_UP))?;
    ensure!(events.len() > 2 * WARM_UP, "{} events are too few for a schedule", events.len());
    let quotes: Vec<Quote> = events.iter().map(|event| event.quote()).collect();
    let column = |f: fn(&Quote) -> f64| quotes.iter().map(f).collect::<Vec<f64>>();
    let (bid_px, ask_px) = (column(|q| q.bid_px), column(|q| q.ask_px));
    let (bid_sz, ask_sz) = (column(|q| q.bid_sz), column(|q| q.ask_sz));
    let all = Quotes::new(&bid_px, &ask_px, &bid_sz, &ask_sz)?;

    let mut promised = Vec::new();
    let n = n.min(events.len() - WARM_UP);
    if let Some(model) = stages::fitted(bench, all)? {
        let mut pipeline = stages::pipeline(model)?;
        bench.rec.config("embedding_events_per_s", EMBEDDING_RATE);
        let even = evenly(n, EMBEDDING_RATE);
        let found = run(&mut pipeline, &events, &even)?;
        report(bench, "", &found, &mut promised);
        pipeline.reset();
        let bursts = as_recorded(&events[WARM_UP..][..n], EMBEDDING_RATE);
        let found = run(&mut pipeline, &events, &bursts)?;
        report(bench, "recorded_", &found, &mut promised);
    }
    let mut pipeline = stages::pipeline(LogisticModel::queue_pressure())?;
    bench.rec.config("logistic_events_per_s", LOGISTIC_RATE);
    let n = events.len() - WARM_UP;
    let found = run(&mut pipeline, &events, &evenly(n, LOGISTIC_RATE))?;
    report(bench, "logistic_", &found, &mut promised);
    all_measured(bench, &promised)
}

/// The first events of an instrument: no snapshot, and each at the time a conversion gives it.
fn events(bench: &Bench<'_>, instrument_id: u32, most: usize) -> Result<Vec<Event>> {
    let _scope = lob_scope::scope("decode_events");
    let mut events = Vec::new();
    for path in &bench.state.dbn {
        let mut stream = RecordStream::open_unhashed(path)?;
        let mut clock = Clock::new(stream.metadata());
        while events.len() < most
            && let Some(update) = stream.next()?
        {
            let Some(ts) = clock.place(update) else { continue };
            if update.hd.instrument_id == instrument_id && !update.flags.is_snapshot() {
                let best = &update.levels[0];
                events.push(Event {
                    ts_event: event_near(update.hd.ts_event, ts),
                    bid_px: best.bid_px,
                    ask_px: best.ask_px,
                    bid_sz: best.bid_sz,
                    ask_sz: best.ask_sz,
                });
            }
        }
    }
    Ok(events)
}

/// Arrival times of `n` events, seconds from the start, all gaps equal.
fn evenly(n: usize, events_per_s: f64) -> Vec<f64> {
    (0..n).map(|i| i as f64 / events_per_s).collect()
}

/// Arrival times with the recording's own gaps, stretched or squeezed to the mean rate: its bursts
/// stay bursts.
fn as_recorded(events: &[Event], events_per_s: f64) -> Vec<f64> {
    let first = events.first().map_or(0, |event| event.ts_event);
    // Exchange times step back now and then; an arrival never does.
    let since = events.iter().scan(first, |latest, event| {
        *latest = event.ts_event.max(*latest);
        Some((*latest - first) as f64)
    });
    let since: Vec<f64> = since.collect();
    let span = since.last().copied().unwrap_or(0.0);
    let factor = if span > 0.0 { events.len() as f64 / events_per_s / span } else { 0.0 };
    since.into_iter().map(|s| s * factor).collect()
}

/// Feeds the events after the warm-up, each not before its arrival, and together those that waited.
fn run<M: Model>(
    pipeline: &mut SignalPipeline<M>,
    events: &[Event],
    arrivals_s: &[f64],
) -> Result<Latencies> {
    for event in &events[..WARM_UP] {
        pipeline.update(event.quote())?;
    }
    let _scope = lob_scope::scope("live");
    let mut found = Latencies::default();
    let (mut together, mut arrived) = (Together::default(), Vec::with_capacity(AT_ONCE));
    let mut waiting = events[WARM_UP..].iter().zip(arrivals_s).peekable();
    let start = Instant::now() + Duration::from_millis(1);
    let due = |arrival_s: f64| start + Duration::from_secs_f64(arrival_s);
    while let Some(&(_, &arrival_s)) = waiting.peek() {
        // Sleeping would add the scheduler's wake-up to the first microseconds of each event.
        while Instant::now() < due(arrival_s) {
            std::hint::spin_loop();
        }
        let begun = Instant::now();
        arrived.clear();
        together.features.clear();
        while arrived.len() < AT_ONCE
            && let Some((event, &at)) = waiting.next_if(|(_, at)| due(**at) <= begun)
        {
            together.features.push(&pipeline.feature_row(event.quote()));
            arrived.push(due(at));
        }
        let after_features = Instant::now();
        pipeline.infer(&together.features, &mut together.probabilities)?;
        let after_model = Instant::now();
        pipeline.generate_signals(
            &together.features,
            &together.probabilities,
            &mut together.signals,
        )?;
        std::hint::black_box(&together.signals);
        let done = Instant::now();
        let marks = [after_features - begun, after_model - after_features, done - after_model];
        found.largest_batch = found.largest_batch.max(arrived.len());
        for &due in &arrived {
            for (samples, mark) in found.stages.iter_mut().zip(marks) {
                samples.push(mark.as_secs_f64());
            }
            found.response.push((done - due).as_secs_f64());
        }
    }
    Ok(found)
}

/// Events on their way through the stages.
#[derive(Default)]
struct Together {
    features: FeatureMatrix,
    probabilities: Vec<f32>,
    signals: Vec<Signal>,
}

const STAGES: [&str; 3] = ["feature_calculation", "model_inference", "signal_generation"];

fn report(bench: &mut Bench<'_>, way: &str, found: &Latencies, promised: &mut Vec<String>) {
    let service: Vec<f64> = (0..found.response.len())
        .map(|i| found.stages.iter().map(|samples| samples[i]).sum())
        .collect();
    let named = STAGES.iter().copied().zip(&found.stages);
    for (name, samples) in named.chain([("service", &service), ("total", &found.response)]) {
        for (percentile, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            let metric = format!("signals.{way}{name}_{percentile}");
            bench.rec.latency_value(&metric, quantile(samples, q).unwrap_or(f64::NAN));
            promised.push(metric);
        }
    }
    let step = found.response.len().div_ceil(2_000).max(1);
    let thinned: Vec<f64> = found.response.iter().copied().step_by(step).collect();
    bench.rec.latency(&format!("signals.{way}response"), &thinned);
    let Some(summary) = Summary::of(&found.response) else { return };
    let p999 = quantile(&found.response, 0.999).unwrap_or(f64::NAN);
    let kind = if way.is_empty() { "even_" } else { way }.trim_end_matches('_');
    bench.rec.finding(
        Severity::Info,
        format!(
            "{kind} arrivals, scheduled arrival to signal over {} events, up to {} at once: p50 {}, p99 {}, p99.9 {}, worst {}",
            summary.n,
            found.largest_batch,
            Unit::Seconds.format(summary.median),
            Unit::Seconds.format(summary.p99),
            Unit::Seconds.format(p999),
            Unit::Seconds.format(summary.max),
        ),
    );
    bench.rec.artifacts.push(histogram(kind, &found.response));
}

/// Share of events by latency, in bins of equal width on a logarithmic axis.
fn histogram(kind: &str, seconds: &[f64]) -> Artifact {
    const BINS_PER_DECADE: f64 = 12.0;
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a latency, below 1000")]
    let bin = |s: f64| ((s.max(1e-9) * 1e6).log10() * BINS_PER_DECADE).floor() as i64;
    let mut counts = std::collections::BTreeMap::new();
    for s in seconds {
        *counts.entry(bin(*s)).or_insert(0_u64) += 1;
    }
    let (first, last) = (counts.keys().next().copied(), counts.keys().last().copied());
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for at in first.unwrap_or(0) - 1..=last.unwrap_or(0) + 1 {
        let share = counts.get(&at).map_or(0.0, |n| *n as f64 / seconds.len() as f64);
        // Both edges of the bin: the line is a staircase.
        x.extend([at as f64 / BINS_PER_DECADE, (at + 1) as f64 / BINS_PER_DECADE]);
        y.extend([share, share]);
    }
    Artifact::Line {
        title: format!("Arrival to signal, {kind} arrivals"),
        x_label: "log10 of the latency in µs".to_owned(),
        y_label: "share of events".to_owned(),
        x,
        y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn event(ts_event: u64) -> Event {
        Event { ts_event, bid_px: 1_000_000_000, ask_px: UNDEF_PRICE, bid_sz: 3, ask_sz: 4 }
    }

    #[test]
    fn schedules_keep_their_rate_and_bursts() {
        assert_eq!(evenly(3, 2.0).iter().map(|s| s * 2.0).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        let events: Vec<Event> = [5, 6, 7, 105].map(event).to_vec();
        let due = as_recorded(&events, 4.0);
        assert!((due[3] - 1.0).abs() < 1e-12 && (due[1] - 0.01).abs() < 1e-12, "{due:?}");
        assert_eq!(as_recorded(&[event(3), event(3)], 4.0).len(), 2);
        assert!(event(0).quote().ask_px.is_nan() && (event(0).quote().bid_px - 1.0).abs() < 1e-12);
    }

    /// A last event that bears an old time once stretched the schedule without end.
    #[test]
    fn arrivals_never_step_back_and_keep_the_rate() {
        let at = |ts_event| Event { ts_event, bid_px: 1, ask_px: 2, bid_sz: 1, ask_sz: 1 };
        let events = [1_000, 3_000, 2_000, 9_000, 1_001].map(at);
        let arrivals = as_recorded(&events, 10.0);
        assert_eq!(arrivals.len(), 5);
        assert!(arrivals.is_sorted(), "{arrivals:?}");
        assert!((arrivals[4] - 0.5).abs() < 1e-12, "{arrivals:?}");
        assert!((arrivals[1] - 0.125).abs() < 1e-12, "{arrivals:?}");
    }

    #[test]
    fn a_histogram_adds_up() {
        let Artifact::Line { x, y, .. } = histogram("even", &[1e-6, 1.01e-6, 1e-3, 0.5]) else {
            panic!("no line")
        };
        assert_eq!(x.len(), y.len());
        assert!((y.iter().step_by(2).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[cfg(test)]
mod alone {
    use super::tests::event;
    use super::*;

    /// A stall must be seen by every event that was due meanwhile, not by one.
    #[test]
    fn a_stall_counts_for_all_who_wait() {
        let mut n = 0;
        let stalling = move |_: &[f32], out: &mut [f32]| -> Result<(), lob_signals::BoxError> {
            n += 1;
            if n == WARM_UP {
                std::thread::sleep(Duration::from_millis(20));
            }
            out.fill(0.5);
            Ok(())
        };
        let mut pipeline = stages::pipeline(stalling).unwrap();
        let events: Vec<Event> = (0..WARM_UP as u64 + 200)
            .map(|i| Event { ask_px: 2_000_000_000 + i as i64 % 3, ..event(i) })
            .collect();
        // The model answers from the 34th row on, so it stalls 34 events after the warm-up.
        let found = run(&mut pipeline, &events, &evenly(200, 10_000.0)).unwrap();
        let stalled: Vec<f64> =
            (0..200).map(|i| found.stages.iter().map(|s| s[i]).sum::<f64>()).collect();
        let late = |seconds: &[f64]| seconds.iter().filter(|s| **s > 0.004).count();
        assert!(late(&stalled) >= 1);
        // 16 ms of the stall at 10,000 events a second: about 160 were due and had to wait.
        assert!(late(&found.response) >= 100, "{}", late(&found.response));
    }
}
