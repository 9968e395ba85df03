//! Signals of a DBN file, one record at a time.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, ensure};
use lob_contrastive::SignalModelConfig;
use lob_convert::{
    Breaks, Clock, ConvertConfig, DayStart, Instrument, RecordStream, Update, event_near,
};
use lob_depth::{PRICE_SCALE, PriceStep, UNDEF_PRICE};
use lob_metrics::stats::quantile;
use lob_metrics::{Summary, Unit, shown};
use lob_signals::{EdgeMeter, FEATURE_NAMES, N_FEATURES, Quote, Tick};
use lob_store::{Column, ColumnKind};
use serde_json::{Value, json};

use super::line::{Line, StageSeconds};
use super::outcome::{Counts, Stances, edge_facts, edge_words};
use super::{Args, ModelName, Written, open_sheet, signal_columns};
use crate::command::mappings;
use crate::interrupt;

/// Latencies kept: enough for a steady tail, bounded whatever the file.
const MOST: usize = 1_000_000;

const STAGES: [&str; 3] = ["feature_calculation", "model_inference", "signal_generation"];

/// What becomes of an instrument.
enum Lane {
    /// No update of it was seen.
    Unseen,
    /// `--symbol` leaves it out.
    Unwanted,
    Line(Box<Line>),
}

impl Lane {
    /// For an instrument at its first update.
    fn open(args: &Args, model: ModelName, instrument: &Instrument) -> Result<Self> {
        let wanted = args.symbol.as_ref();
        if wanted.is_none_or(|name| instrument.answers_to(name)) {
            Ok(Self::Line(Box::new(Line::new(args, model, instrument)?)))
        } else {
            Ok(Self::Unwanted)
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Line(line) => Some(&line.name),
            Self::Unseen | Self::Unwanted => None,
        }
    }
}

pub(super) fn run(args: &Args, model: ModelName) -> Result<Written> {
    let mut stream = RecordStream::open_cancellable(&args.source, &interrupt::requested)?;
    let mut sheet = open_sheet(args, columns(args))?;
    let mut breaks = breaks(args);
    let mut clock = Clock::new(stream.metadata());
    // By position in the stream.
    let mut lines: Vec<Lane> = Vec::new();
    let mut latencies: Vec<StageSeconds> = Vec::new();
    let (stances, mut counts) = (Stances::default(), Counts::default());
    let mut n_written = 0_u64;
    while let Some(update) = stream.next_update_unless_stopped(&interrupt::Stop)? {
        ensure!(!interrupt::requested(), "interrupted after {n_written} updates");
        let record = update.record;
        let Some(ts) = clock.place(record) else { continue };
        let begins = breaks.is_before(&update, ts);
        let index = usize::try_from(update.at.index)?;
        if lines.len() <= index {
            lines.resize_with(index + 1, || Lane::Unseen);
        }
        if let lane @ Lane::Unseen = &mut lines[index] {
            *lane = Lane::open(args, model, update.instrument)?;
        }
        let Lane::Line(line) = &mut lines[index] else { continue };
        if begins {
            line.begin()?;
        }
        if record.flags.is_snapshot() {
            // A book that is put together is no event.
            continue;
        }
        let trade = Trade::of(record.action, record.side, record.size, record.price);
        let tick = tick(&update, trade);
        let (row, signal, seconds) = line.update(args, tick.quote)?;
        if latencies.len() < MOST {
            latencies.push(seconds);
        }
        sheet.u64(event_near(record.hd.ts_event, ts));
        sheet.u64(u64::from(record.hd.instrument_id));
        sheet.text(&line.name);
        sheet.f64(tick.quote.bid_px);
        sheet.f64(tick.quote.ask_px);
        if args.indicators.is_empty() {
            row.iter().for_each(|x| sheet.f32(*x));
        } else {
            line.study(&tick, trade.price);
            line.values.iter().for_each(|x| sheet.f64(*x));
        }
        counts.add(signal);
        line.steps.push(record.levels[0].bid_px);
        line.steps.push(record.levels[0].ask_px);
        stances.write(&mut sheet, signal);
        sheet.u64(u64::from(record.hd.publisher_id));
        sheet.end_row()?;
        n_written += 1;
    }
    let warnings = mappings::warn(&stream, &args.source, args.symbol.as_deref());
    if n_written == 0 {
        return Err(nothing_written(args, lines.iter().find_map(Lane::name)));
    }
    let (rows, file) = sheet.finish()?;
    let mut written = conclude(args, model, &lines, &counts, &latencies);
    let n_untimed = clock.n_unplaced();
    if n_untimed > 0 {
        written.words =
            format!("{n_untimed} updates without a usable time left out; {}", written.words);
    }
    written.facts["untimed"] = n_untimed.into();
    written.facts["warnings"] = json!(warnings);
    Ok(Written { rows, file, ..written })
}

/// What came of it, in facts and words.
fn conclude(
    args: &Args,
    model: ModelName,
    lines: &[Lane],
    counts: &Counts,
    latencies: &[StageSeconds],
) -> Written {
    let symbols: BTreeSet<&str> = lines.iter().filter_map(Lane::name).collect();
    let (stages, words) = summarise(latencies);
    let traded = lines.iter().filter_map(|lane| match lane {
        // One without a price step has no ticks to count in.
        Lane::Line(line) => Some((&line.edge, line.steps.finish().map_or(f64::NAN, step_px))),
        Lane::Unseen | Lane::Unwanted => None,
    });
    let edge = EdgeMeter::edge(traded);
    let ahead = (SignalModelConfig::default().horizon, "updates");
    let facts = json!({
        "model": format!("{model:?}"),
        "stances": counts.facts(),
        "edge": edge_facts(&edge, args.fee_ticks, ahead),
        "symbols": symbols,
        "stages": stages,
    });
    let edge = edge_words(&edge, args.fee_ticks, ahead);
    let words = format!("{words}\n{}\n{edge}", counts.words());
    Written { rows: 0, file: None, facts, words }
}

/// Where a conversion would end a segment.
fn breaks(args: &Args) -> Breaks {
    let day_start_ns = args.day_start.map_or(0, DayStart::ns);
    Breaks::new(&ConvertConfig { day_start_ns, ..ConvertConfig::new("") })
}

/// Why no update came out; `seen` is an instrument that the file has and that is wanted.
fn nothing_written(args: &Args, seen: Option<&str>) -> anyhow::Error {
    let path = shown(args.source.display());
    match (&args.symbol, seen) {
        (_, Some(name)) => anyhow!(
            "`{path}` holds only a snapshot of the book of `{}`, and no event of the market after it",
            shown(name)
        ),
        (Some(name), None) => anyhow!("`{path}` holds no book update of `{}`", shown(name)),
        (None, None) => anyhow!("`{path}` holds no book update"),
    }
}

fn columns(args: &Args) -> Vec<Column> {
    let inputs = if args.indicators.is_empty() {
        const _: () = assert!(FEATURE_NAMES.len() == N_FEATURES);
        FEATURE_NAMES.map(|name| Column::new(name, ColumnKind::F32)).to_vec()
    } else {
        let names = args.indicators.iter().flat_map(lob_signals::Study::columns);
        names.map(|name| Column::new(name, ColumnKind::F64)).collect()
    };
    let mut columns = signal_columns(inputs);
    columns.push(Column::new("publisher_id", ColumnKind::U64));
    columns
}

/// What was traded at an update; nothing at most of them.
#[derive(Debug, Clone, Copy)]
struct Trade {
    price: Option<f64>,
    size: f64,
    signed_size: f64,
}

impl Trade {
    /// From a record's fields; the side of a trade is its aggressor's.
    fn of(action: std::ffi::c_char, side: std::ffi::c_char, size: u32, px: i64) -> Self {
        if action.cast_unsigned() != b'T' {
            return Self { price: None, size: 0.0, signed_size: 0.0 };
        }
        let size = f64::from(size);
        let signed_size = match side.cast_unsigned() {
            b'B' => size,
            b'A' => -size,
            _ => 0.0,
        };
        Self { price: Some(price(px)), size, signed_size }
    }
}

/// What indicators may see of a record: the mid as price and one-update bar, the trade as volume.
fn tick(update: &Update<'_>, trade: Trade) -> Tick {
    let levels = &update.record.levels;
    let quote = Quote {
        bid_px: price(levels[0].bid_px),
        ask_px: price(levels[0].ask_px),
        bid_sz: f64::from(levels[0].bid_sz),
        ask_sz: f64::from(levels[0].ask_sz),
    };
    let bid_depth_sz = levels.iter().map(|level| f64::from(level.bid_sz)).sum();
    let ask_depth_sz = levels.iter().map(|level| f64::from(level.ask_sz)).sum();
    let mid = quote.mid();
    Tick {
        price: mid,
        high: mid,
        low: mid,
        volume: trade.size,
        signed_volume: trade.signed_size,
        quote,
        bid_depth_sz,
        ask_depth_sz,
    }
}

/// A price as a number; NaN where there is none.
fn price(px: i64) -> f64 {
    if px == UNDEF_PRICE { f64::NAN } else { px as f64 / PRICE_SCALE as f64 }
}

/// A price step in the unit of quotes.
fn step_px(step: PriceStep) -> f64 {
    step.get() as f64 / PRICE_SCALE as f64
}

/// Percentiles of each stage and of their sum, for programs and for people.
fn summarise(latencies: &[StageSeconds]) -> (Value, String) {
    let mut stages = serde_json::Map::new();
    let mut words = String::new();
    let total = |seconds: &StageSeconds| seconds.iter().sum::<f64>();
    for (i, name) in STAGES.iter().copied().chain(["total"]).enumerate() {
        let samples: Vec<f64> =
            latencies.iter().map(|s| s.get(i).copied().unwrap_or_else(|| total(s))).collect();
        let Some(summary) = Summary::of(&samples) else { continue };
        let p999 = quantile(&samples, 0.999);
        stages.insert(
            name.to_owned(),
            json!({
                "n": summary.n,
                "p50_s": summary.median,
                "p99_s": summary.p99,
                "p999_s": p999,
                "max_s": summary.max,
                "sum_s": summary.mean * summary.n as f64,
            }),
        );
        if name == "total" {
            words = format!(
                "features, model and signal: p50 {}, p99 {} (service time)",
                Unit::Seconds.format(summary.median),
                Unit::Seconds.format(summary.p99)
            );
        }
    }
    (stages.into(), words)
}
