//! An image straight from DBN records, in two passes: one to count and to find the price step, one
//! to bin. Memory stays at one image's bins, whatever the file's size.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use lob_convert::{
    Breaks, Clock, ConvertConfig, Instrument, Mbp10Levels, PriceStepChoice, RecordStream, Update,
    update_meta,
};
use lob_depth::{
    Bin, BinBuilder, BinColumns, BinRule, Geometry, NO_PRICE, PriceStep, RenderSpec, Renderer,
    StepDetector, UNDEF_PRICE, compat_row_bins,
};
use lob_metrics::shown;

use super::{Args, Rows};
use crate::command::mappings;

/// Book updates a bin when none are asked for.
const DEFAULT_TICKS_PER_BIN: u32 = 100;

/// The updates that a conversion would bin, and where it would begin a segment.
struct Timeline {
    clock: Clock,
    breaks: Breaks,
}

impl Timeline {
    fn of(stream: &RecordStream) -> Self {
        let clock = Clock::new(stream.metadata());
        Self { clock, breaks: Breaks::new(&ConvertConfig::new("")) }
    }

    /// Whether a segment begins with the update; `None` for what is no event of the market: a book
    /// that is put together, or a record without a usable time.
    fn begins_at(&mut self, update: &Update<'_>) -> Option<bool> {
        let ts = self.clock.place(update.record)?;
        let begins = self.breaks.is_before(update, ts);
        (!update.record.flags.is_snapshot()).then_some(begins)
    }
}

/// What the first pass finds.
struct Survey {
    /// Position of the instrument in the stream.
    index: u32,
    rows: Rows,
    step: PriceStep,
    /// Best prices of the last row, fixed point.
    last: (i64, i64),
    /// The file, read to its end.
    stream: RecordStream,
}

pub(super) fn image(args: &Args, spec: &RenderSpec) -> Result<Vec<f32>> {
    if args.index.is_some() {
        bail!(
            "`--index` was given for a DBN file\nhint: choose book updates with --rows START..END"
        );
    }
    let survey = survey(args)?;
    let ticks = args.ticks_per_bin.unwrap_or(DEFAULT_TICKS_PER_BIN);
    let n_rows = usize::try_from(survey.rows.end - survey.rows.start)?;
    let (per_bin, keep) = match spec.geometry {
        Geometry::Compat => {
            let rule = compat_row_bins(n_rows, spec.n_bins, usize::try_from(ticks)?)?;
            (u32::try_from(rule.rows_per_bin)?, Keep::First)
        }
        _ => (ticks, Keep::Last),
    };
    let bins = bin(args, &survey, spec.n_bins, per_bin, keep)?;
    if keep == Keep::Last && bins.len() < spec.n_bins {
        bail!(
            "{n_rows} book updates make at most {} bins of {ticks} without a break, {} are wanted\nhint: --bins {} \
             would fit, or a smaller --ticks-per-bin",
            bins.len(),
            spec.n_bins,
            bins.len()
        );
    }
    let mut columns = BinColumns::default();
    for bin in &bins {
        columns.push(bin);
    }
    let mut slice = columns.as_slice(0..columns.len());
    if spec.geometry == Geometry::Compat {
        // The reference centres on the last row of the whole input, binned or not.
        slice.last_bid = steps(survey.step, survey.last.0)?;
        slice.last_ask = steps(survey.step, survey.last.1)?;
    }
    let mut image = vec![0.0; spec.len()];
    Renderer::default().render(spec, slice, &mut image)?;
    Ok(image)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    First,
    Last,
}

fn survey(args: &Args) -> Result<Survey> {
    let mut stream = RecordStream::open_unhashed(&args.source)?;
    let mut timeline = Timeline::of(&stream);
    let mut wanted: Option<(u32, Instrument)> = None;
    // By position in the stream.
    let mut seen: Vec<bool> = Vec::new();
    let mut found = 0;
    let mut detector = StepDetector::default();
    let mut last = (UNDEF_PRICE, UNDEF_PRICE);
    let range = args.rows.unwrap_or(Rows { start: 0, end: u64::MAX });
    while let Some(update) = stream.next_update()? {
        let index = update.at.index;
        let position = usize::try_from(index)?;
        if seen.len() <= position {
            seen.resize(position + 1, false);
        }
        if !std::mem::replace(&mut seen[position], true) {
            let instrument = update.instrument;
            if args.symbol.as_ref().is_none_or(|name| instrument.answers_to(name)) {
                match &wanted {
                    None => wanted = Some((index, instrument.clone())),
                    Some((_, first)) => tell_apart(args, first, instrument)?,
                }
            }
        }
        let is_event = timeline.begins_at(&update).is_some();
        if !is_event || wanted.as_ref().is_none_or(|(wanted, _)| *wanted != index) {
            continue;
        }
        let at = found;
        found += 1;
        if at >= range.start && at < range.end {
            for level in &update.record.levels {
                detector.push(level.bid_px);
                detector.push(level.ask_px);
            }
            let best = &update.record.levels[0];
            last = (best.bid_px, best.ask_px);
        }
    }
    let path = shown(args.source.display());
    mappings::warn(&stream, &args.source, args.symbol.as_deref());
    let (index, instrument) = wanted.with_context(|| match &args.symbol {
        Some(name) => format!("`{path}` holds no book update of `{}`", shown(name)),
        None => format!("`{path}` holds no book update"),
    })?;
    ensure!(
        found > 0,
        "`{path}` holds only a snapshot of the book of {instrument}, and no event of the market after it"
    );
    let rows =
        Rows { start: range.start, end: if args.rows.is_some() { range.end } else { found } };
    ensure!(
        rows.end <= found,
        "`{path}` holds {found} book updates of the instrument, rows {}..{} were asked for",
        rows.start,
        rows.end
    );
    let step = match args.price_step.unwrap_or_default() {
        PriceStepChoice::Fixed(step) => PriceStep::new(step)?,
        PriceStepChoice::Auto => detector.finish().context("hint: give --price-step")?,
    };
    Ok(Survey { index, rows, step, last, stream })
}

/// An image shows one instrument. Of publishers that differ in nothing else the first is taken.
fn tell_apart(args: &Args, first: &Instrument, other: &Instrument) -> Result<()> {
    let path = args.source.display();
    if (first.instrument_id, &first.symbol) == (other.instrument_id, &other.symbol) {
        eprintln!(
            "note: `{path}` holds {first} of publishers {} and {}; the image shows the first",
            first.publisher_id, other.publisher_id
        );
        return Ok(());
    }
    let hint = match (&args.symbol, &first.symbol) {
        (None, _) => "choose one with --symbol".to_owned(),
        (Some(_), _) if first.instrument_id == other.instrument_id => {
            "choose one by its symbol".to_owned()
        }
        (Some(_), Some(symbol)) => format!(
            "choose one by symbol and id, as in --symbol {}@{}",
            shown(symbol),
            first.instrument_id
        ),
        (Some(_), None) => "choose one by its id, as in --symbol 17077".to_owned(),
    };
    bail!("`{path}` holds several instruments, such as {first} and {other}\nhint: {hint}")
}

fn bin(
    args: &Args,
    survey: &Survey,
    n_bins: usize,
    per_bin: u32,
    keep: Keep,
) -> Result<VecDeque<Bin>> {
    let aggregate = args.size_aggregate.unwrap_or_default();
    let mut builder = BinBuilder::new(BinRule::Updates(per_bin), aggregate, survey.step)?;
    let mut stream = survey.stream.open_again(&|| false)?;
    let mut timeline = Timeline::of(&stream);
    let mut kept = Kept { bins: VecDeque::new(), longest: VecDeque::new(), n_bins, keep };
    let mut row = 0;
    while let Some(update) = stream.next_update()? {
        let begins = timeline.begins_at(&update);
        if update.at.index != survey.index {
            continue;
        }
        let Some(begins) = begins else { continue };
        if row >= survey.rows.start && row < survey.rows.end {
            if begins && keep == Keep::Last {
                builder.finish().into_iter().for_each(|bin| kept.take(bin));
                kept.end_segment();
            }
            builder
                .push(update_meta(update.record), &Mbp10Levels(update.record))?
                .into_iter()
                .for_each(|bin| kept.take(bin));
        }
        row += 1;
    }
    builder.finish().into_iter().for_each(|bin| kept.take(bin));
    kept.end_segment();
    Ok(kept.longest)
}

/// The bins of an image: the first of all, or the last that lie in one segment.
struct Kept {
    /// Of the open segment.
    bins: VecDeque<Bin>,
    /// Of the last segment that is long enough; of the longest while there is none.
    longest: VecDeque<Bin>,
    n_bins: usize,
    keep: Keep,
}

impl Kept {
    fn take(&mut self, bin: Bin) {
        match self.keep {
            Keep::First if self.bins.len() == self.n_bins => return,
            Keep::Last if self.bins.len() == self.n_bins => drop(self.bins.pop_front()),
            _ => {}
        }
        self.bins.push_back(bin);
    }

    fn end_segment(&mut self) {
        if self.bins.len() >= self.longest.len() {
            std::mem::swap(&mut self.bins, &mut self.longest);
        }
        self.bins.clear();
    }
}

fn steps(step: PriceStep, px: i64) -> Result<i32> {
    if px == UNDEF_PRICE { Ok(NO_PRICE) } else { Ok(step.to_steps(px)?) }
}
