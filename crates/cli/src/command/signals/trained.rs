//! Signals of a trained encoder with its head, for every bin of a store or of DBN records.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use lob_contrastive::{Choice, Device, LiveModel, LiveWindow, ModelFile, StoreFacts, open_store};
use lob_convert::{
    Breaks, Clock, ConvertConfig, DayStart, Instrument, Mbp10Levels, RecordStream, event_near,
    update_meta,
};
use lob_depth::{Bin, BinBuilder, BinColumns, NO_PRICE, PRICE_SCALE, PriceStep};
use lob_metrics::shown;
use lob_signals::{EdgeMeter, GateConfig, Quote, SignalGate};
use lob_store::{Column, ColumnKind};
use serde_json::json;

use super::outcome::{Counts, Stances, edge_facts, edge_words};
use super::sheet::Sheet;
use super::{Args, Written, open_sheet, signal_columns};
use crate::command::mappings;
use crate::interrupt;

/// Rows of a store read at once.
const CHUNK_ROWS: u64 = 8192;

/// One instrument.
struct Lane {
    name: Arc<str>,
    id: u32,
    step_px: f64,
    window: LiveWindow,
    gate: SignalGate,
    edge: EdgeMeter,
    /// The stretch of the market that its newest bin is of.
    segment: u32,
}

/// A bin whose probabilities are not calculated yet.
struct Waiting {
    lane: usize,
    ts_event: u64,
    quote: Quote,
    has_window: bool,
    /// Whether nothing before it belongs to it.
    begins: bool,
}

/// A run over a source.
struct Run<'a> {
    args: &'a Args,
    model: LiveModel,
    facts: StoreFacts,
    /// Positions of the classes "down" and "up".
    direction: (usize, usize),
    /// Share of rises among the moves of training.
    base_rate: f32,
    lanes: Vec<Lane>,
    waiting: Vec<Waiting>,
    windows: Vec<f32>,
    sheet: Sheet,
    stances: Stances,
    counts: Counts,
    n_written: u64,
}

pub(super) fn run(args: &Args, path: &Path) -> Result<Written> {
    ensure!(
        args.indicators.is_empty(),
        "a trained model has no indicators\nhint: leave out --indicators"
    );
    let file = ModelFile::load(path)?;
    let model = LiveModel::new(&file, Device::Cpu)
        .with_context(|| format!("cannot use `{}`", shown(path.display())))?;
    let head = &model.head().facts;
    let direction = head.direction().ok_or_else(|| {
        anyhow!(
            "the head of `{}` tells `{}`, which is no direction\nhint: train with --head-label of a \
             label with the classes down and up, such as forward_10",
            shown(path.display()),
            shown(&head.label)
        )
    })?;
    let facts = file.training.and_then(|training| training.facts).unwrap_or_default();
    let (down, up) = (head.base_rates[direction.0], head.base_rates[direction.1]);
    ensure!(
        down > 0.0 && up > 0.0,
        "the head of `{}` has seen no window of class `{}`, so that it cannot tell a direction\nhint: \
         train on more days, or with --head-label of another label",
        shown(path.display()),
        if up > 0.0 { "down" } else { "up" }
    );
    let base_rate = single(up / (down + up));
    let sheet = open_sheet(args, columns(&head.classes))?;
    let mut run = Run {
        args,
        model,
        facts,
        direction,
        base_rate,
        lanes: Vec::new(),
        waiting: Vec::new(),
        windows: Vec::new(),
        sheet,
        stances: Stances::default(),
        counts: Counts::default(),
        n_written: 0,
    };
    let is_store = args.source.is_dir() || args.source.extension().is_some_and(|e| e == "parquet");
    let untimed = if is_store { run.of_store()? } else { run.of_records()? };
    run.flush()?;
    run.conclude(path, untimed)
}

#[expect(clippy::cast_possible_truncation, reason = "probabilities are single precision")]
fn single(x: f64) -> f32 {
    x as f32
}

fn columns(classes: &[String]) -> Vec<Column> {
    let of_classes =
        classes.iter().map(|name| Column::new(format!("p_{name}"), ColumnKind::F32)).collect();
    signal_columns(of_classes)
}

impl Run<'_> {
    fn lane(&self, name: &str, id: u32, step: i64) -> Result<Lane> {
        let args = self.args;
        let mut gate = SignalGate::new(GateConfig {
            enter: args.enter,
            exit: args.exit,
            max_position: args.max_position,
            ..GateConfig::default()
        })?;
        gate.set_base_rate(self.base_rate)?;
        Ok(Lane {
            name: name.into(),
            id,
            step_px: step as f64 / PRICE_SCALE as f64,
            window: LiveWindow::new(self.model.window()),
            gate,
            edge: EdgeMeter::new(self.horizon()),
            segment: 0,
        })
    }

    /// Bins that the label looks ahead; ten where it does not look ahead in bins.
    fn horizon(&self) -> usize {
        match self.model.head().facts.horizon_bins {
            0 => 10,
            n => usize::try_from(n).unwrap_or(usize::MAX),
        }
    }

    /// Takes in bin `i` of `columns`.
    fn push(
        &mut self,
        lane: usize,
        columns: &BinColumns,
        i: usize,
        ts_event: u64,
        begins: bool,
    ) -> Result<()> {
        let of = &mut self.lanes[lane];
        of.segment += u32::from(begins);
        of.window.push(columns, i, of.segment, ts_event);
        let px = |steps: i32| match steps {
            NO_PRICE => f64::NAN,
            steps => f64::from(steps) * of.step_px,
        };
        let (bid_px, ask_px) = (px(columns.last_bid[i]), px(columns.last_ask[i]));
        let quote = Quote { bid_px, ask_px, bid_sz: f64::NAN, ask_sz: f64::NAN };
        let has_window = of.window.append(self.model.scale(), &mut self.windows);
        self.waiting.push(Waiting { lane, ts_event, quote, has_window, begins });
        let n_inputs = self.model.window() * self.model.scale().len();
        if self.windows.len() >= self.model.at_once() * n_inputs
            || self.waiting.len() >= usize::try_from(CHUNK_ROWS)?
        {
            self.flush()?;
        }
        Ok(())
    }

    /// Calculates and writes what waits.
    fn flush(&mut self) -> Result<()> {
        ensure!(!interrupt::requested(), "interrupted after {} bins", self.n_written);
        let probabilities = self.model.probabilities(&self.windows)?;
        self.windows.clear();
        let n_classes = self.model.head().bias.len();
        let mut found = probabilities.chunks_exact(n_classes);
        let unknown = vec![f64::NAN; n_classes];
        for row in self.waiting.drain(..) {
            let lane = &mut self.lanes[row.lane];
            if row.begins {
                lane.gate.reset();
                lane.edge.break_off();
            }
            let p = if row.has_window { found.next().unwrap_or(&unknown) } else { &unknown };
            let (down, up) = (p[self.direction.0], p[self.direction.1]);
            let signal = lane.gate.update(&[], single(up / (up + down)));
            lane.edge.push(row.quote, signal.trade);
            let sheet = &mut self.sheet;
            sheet.u64_or_null(Some(row.ts_event).filter(|&ts| ts != u64::MAX));
            sheet.u64(u64::from(lane.id));
            sheet.text(&lane.name);
            sheet.f64(row.quote.bid_px);
            sheet.f64(row.quote.ask_px);
            p.iter().for_each(|p| sheet.f32(single(*p)));
            self.counts.add(signal);
            self.stances.write(sheet, signal);
            sheet.end_row()?;
            self.n_written += 1;
        }
        Ok(())
    }

    /// Every bin of the files of a store, which must be made as those of the model's.
    fn of_store(&mut self) -> Result<u64> {
        let args = self.args;
        let choice = Choice { symbols: args.symbol.iter().cloned().collect(), days: None };
        let store = open_store(&args.source, &choice)?;
        let mut columns = BinColumns::default();
        for file in store.files() {
            let meta = file.meta();
            for (what, own, known) in [
                ("bins", meta.bin_rule.to_string(), &self.facts.bin_rule),
                ("sizes", meta.size_aggregate.to_string(), &self.facts.size_aggregate),
            ] {
                ensure!(
                    known.as_ref().is_none_or(|known| *known == own),
                    "the {what} of `{}` are `{own}`, those of the model `{}`\nhint: convert with the \
                     settings of the training store",
                    shown(file.path().display()),
                    known.as_deref().unwrap_or_default()
                );
            }
            let same = |lane: &Lane| lane.id == meta.instrument_id && *lane.name == *meta.symbol;
            let lane = match self.lanes.iter().position(same) {
                Some(lane) => lane,
                None => {
                    let lane = self.lane(&meta.symbol, meta.instrument_id, meta.price_step)?;
                    self.lanes.push(lane);
                    self.lanes.len() - 1
                }
            };
            self.lanes[lane].step_px = meta.price_step as f64 / PRICE_SCALE as f64;
            let (mut first, mut before) = (0, None);
            while first < file.len() {
                let rows = first..file.len().min(first + CHUNK_ROWS);
                columns.clear();
                file.read(rows.clone(), &mut columns)?;
                let stored = file.labels(rows.clone())?;
                for i in 0..columns.len() {
                    let segment = Some(stored.segment[i]);
                    let begins = std::mem::replace(&mut before, segment) != segment;
                    self.push(lane, &columns, i, stored.ts_event[i], begins)?;
                }
                first = rows.end;
            }
        }
        Ok(0)
    }

    /// Bins of DBN records, made as a conversion makes them; the number of updates without a time.
    fn of_records(&mut self) -> Result<u64> {
        let args = self.args;
        let mut stream = RecordStream::open_cancellable(&args.source, &interrupt::requested)?;
        let day_start_ns = args.day_start.map_or(0, DayStart::ns);
        let mut breaks = Breaks::new(&ConvertConfig { day_start_ns, ..ConvertConfig::new("") });
        let mut clock = Clock::new(stream.metadata());
        // By position in the stream; an inner none is an instrument that is left out.
        let mut makers: Vec<Option<Option<Maker>>> = Vec::new();
        while let Some(update) = stream.next_update_unless_stopped(&interrupt::Stop)? {
            let Some(ts) = clock.place(update.record) else { continue };
            let begins = breaks.is_before(&update, ts);
            let index = usize::try_from(update.at.index)?;
            if makers.len() <= index {
                makers.resize_with(index + 1, || None);
            }
            let maker = match &mut makers[index] {
                Some(maker) => maker,
                empty => empty.insert(self.maker(update.instrument)?),
            };
            let Some(maker) = maker else { continue };
            if begins {
                let last = maker.builder.finish();
                self.push_bin(maker, last)?;
                maker.begins = true;
            }
            if update.record.flags.is_snapshot() {
                continue;
            }
            let mut meta = update_meta(update.record);
            meta.ts_event = event_near(meta.ts_event, ts);
            let bin = maker.builder.push(meta, &Mbp10Levels(update.record))?;
            self.push_bin(maker, bin)?;
        }
        for maker in makers.iter_mut().filter_map(|maker| maker.as_mut()?.as_mut()) {
            let last = maker.builder.finish();
            self.push_bin(maker, last)?;
        }
        mappings::warn(&stream, &args.source, args.symbol.as_deref());
        Ok(clock.n_unplaced())
    }

    fn push_bin(&mut self, maker: &mut Maker, bin: Option<Bin>) -> Result<()> {
        let Some(bin) = bin else { return Ok(()) };
        maker.columns.clear();
        maker.columns.push(&bin);
        let begins = std::mem::take(&mut maker.begins);
        self.push(maker.lane, &maker.columns, 0, bin.ts_event_last, begins)
    }

    /// What makes bins of an instrument; `None` for one that `--symbol` leaves out.
    fn maker(&mut self, instrument: &Instrument) -> Result<Option<Maker>> {
        if self.args.symbol.as_ref().is_some_and(|name| !instrument.answers_to(name)) {
            return Ok(None);
        }
        let facts = &self.facts;
        let (Some(rule), Some(aggregate)) = (&facts.bin_rule, &facts.size_aggregate) else {
            bail!(
                "the model does not say how its bins were made\nhint: convert the file, and give the \
                 store"
            );
        };
        let name = instrument.name();
        let Some(step) = facts.price_step(&name, instrument.instrument_id) else {
            let known = facts.price_steps.iter().map(|(symbol, id, _)| format!("{symbol}@{id}"));
            let known: Vec<String> = known.collect();
            bail!(
                "the model knows the price steps of {}, not that of {instrument}\nhint: convert the \
                 file and give the store, or choose a symbol with --symbol",
                shown(known.join(", "))
            );
        };
        let lane = self.lane(&name, instrument.instrument_id, step)?;
        let builder = BinBuilder::new(rule.parse()?, aggregate.parse()?, PriceStep::new(step)?)?;
        self.lanes.push(lane);
        let lane = self.lanes.len() - 1;
        Ok(Some(Maker { lane, builder, columns: BinColumns::default(), begins: true }))
    }

    fn conclude(self, path: &Path, untimed: u64) -> Result<Written> {
        ensure!(
            self.n_written > 0,
            "`{}` makes no bin of the wanted instruments",
            shown(self.args.source.display())
        );
        let ahead = (self.horizon(), "bins");
        let edge = EdgeMeter::edge(self.lanes.iter().map(|lane| (&lane.edge, lane.step_px)));
        let fee = self.args.fee_ticks;
        let symbols: std::collections::BTreeSet<&str> =
            self.lanes.iter().map(|lane| &*lane.name).collect();
        let facts = json!({
            "model": path.display().to_string(),
            "head": self.model.head().facts,
            "base_rate": self.base_rate,
            "stances": self.counts.facts(),
            "edge": edge_facts(&edge, fee, ahead),
            "symbols": symbols,
            "untimed": untimed,
        });
        let words = format!("bins\n{}\n{}", self.counts.words(), edge_words(&edge, fee, ahead));
        let (rows, file) = self.sheet.finish()?;
        Ok(Written { rows, file, facts, words })
    }
}

/// An instrument whose updates become bins.
struct Maker {
    lane: usize,
    builder: BinBuilder,
    columns: BinColumns,
    begins: bool,
}
