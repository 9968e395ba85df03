use std::sync::Arc;

use lob_depth::{BinColumns, LEVELS, NO_PRICE, SLOTS};
use lob_store::{BinFile, StoreError};

use crate::{ContrastiveError, Mirror};

/// Bins read at a time.
const CHUNK_ROWS: u64 = 8192;

/// What a bin says to an encoder: each channel's name and what it becomes when bid and ask change
/// places. Sizes are compared as logarithms, so that one scale serves thin and deep books.
pub const BIN_CHANNELS: [(&str, Mirror); 12] = [
    ("mid_change_steps", Mirror::Negate),
    ("spread_steps", Mirror::Keep),
    ("touch_imbalance", Mirror::Negate),
    ("depth_imbalance", Mirror::Negate),
    ("touch_size_log", Mirror::Keep),
    ("depth_size_log", Mirror::Keep),
    ("order_count_log", Mirror::Keep),
    ("size_variance_log", Mirror::Keep),
    ("book_slope", Mirror::Keep),
    ("book_width_log", Mirror::Keep),
    ("mid_move_log", Mirror::Keep),
    ("duration_log", Mirror::Keep),
];

/// Where a row of a [`BinSeries`] comes from and what was stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct BinRow {
    /// Number of the file in the list given.
    pub file: usize,
    /// Row in that file.
    pub row: u64,
    /// Time of the bin's last update, ns since 1970; `u64::MAX` where unknown.
    pub ts_event: u64,
    /// Mid after the bin, in price steps.
    pub mid_steps: f64,
    /// Stored price movement around the row.
    pub movement: Option<f64>,
    /// Stored class of it.
    pub label: Option<i32>,
}

/// Bins of one or more store files as a series of [`BIN_CHANNELS`]; bins without both sides are
/// left out and end a segment.
#[derive(Debug, Clone, Default)]
pub struct BinSeries {
    /// Rows x channels.
    pub values: Vec<f32>,
    /// Segment of each row, counted over all files.
    pub segments: Vec<u32>,
    /// Origin of each row.
    pub rows: Vec<BinRow>,
    /// One-sided bins left out.
    pub n_skipped: u64,
}

/// The bin before the next one that comes live, and the number of segments so far.
#[derive(Debug, Default)]
pub(crate) struct LiveState(Option<Previous>, u32);

/// The bin before, where it belongs to the same segment.
#[derive(Debug, Clone, Copy)]
struct Previous {
    segment: u32,
    mid: f64,
    ts_event: u64,
}

impl BinSeries {
    /// Reads whole files.
    ///
    /// # Errors
    /// [`ContrastiveError::Source`] when a page is damaged.
    pub fn read(files: &[Arc<BinFile>]) -> Result<Self, ContrastiveError> {
        let mut series = Self::default();
        let mut next_segment = 0;
        for (number, file) in files.iter().enumerate() {
            let failed = |source: StoreError| ContrastiveError::Source {
                window: number,
                source: source.into(),
            };
            let (mut columns, mut previous) = (BinColumns::default(), None);
            let mut first = 0;
            while first < file.len() {
                let rows = first..file.len().min(first + CHUNK_ROWS);
                columns.clear();
                file.read(rows.clone(), &mut columns).map_err(failed)?;
                let stored = file.labels(rows.clone()).map_err(failed)?;
                for i in 0..columns.len() {
                    let row = BinRow {
                        file: number,
                        row: first + i as u64,
                        ts_event: stored.ts_event[i],
                        mid_steps: 0.0,
                        movement: stored.movement[i],
                        label: stored.label[i],
                    };
                    let segment = stored.segment[i];
                    previous = series.push(&columns, i, row, segment, previous, &mut next_segment);
                }
                first = rows.end;
            }
        }
        Ok(series)
    }

    /// What each channel becomes when the sides change places.
    #[must_use]
    pub fn channels() -> Vec<Mirror> {
        BIN_CHANNELS.iter().map(|(_, mirror)| *mirror).collect()
    }

    /// Takes in bin `i` of `columns` as the next one of one instrument, of its own stretch `segment`;
    /// whether it has both sides.
    pub(crate) fn push_live(
        &mut self,
        columns: &BinColumns,
        i: usize,
        row: BinRow,
        segment: u32,
        LiveState(previous, next_segment): &mut LiveState,
    ) -> bool {
        *previous = self.push(columns, i, row, segment, *previous, next_segment);
        previous.is_some()
    }

    /// Forgets the oldest rows.
    pub(crate) fn drop_first(&mut self, rows: usize) {
        self.values.drain(..rows * BIN_CHANNELS.len());
        self.segments.drain(..rows);
        self.rows.drain(..rows);
    }

    fn push(
        &mut self,
        columns: &BinColumns,
        i: usize,
        row: BinRow,
        segment: u32,
        previous: Option<Previous>,
        next_segment: &mut u32,
    ) -> Option<Previous> {
        let (bid, ask) = (columns.last_bid[i], columns.last_ask[i]);
        if bid == NO_PRICE || ask == NO_PRICE {
            self.n_skipped += 1;
            return None;
        }
        let mid = (f64::from(bid) + f64::from(ask)) / 2.0;
        let before = previous.filter(|p| p.segment == segment);
        if before.is_none() {
            *next_segment += 1;
        }
        let change = before.map_or(0.0, |p| mid - p.mid);
        let duration_s = before
            .filter(|p| p.ts_event != u64::MAX && row.ts_event != u64::MAX)
            .map_or(0.0, |p| nanoseconds(row.ts_event.saturating_sub(p.ts_event)) * 1e-9);
        let spread = f64::from(ask) - f64::from(bid);
        self.values.extend(channels(columns, i, spread, change, duration_s));
        self.segments.push(*next_segment);
        let ts_event = row.ts_event;
        self.rows.push(BinRow { mid_steps: mid, ..row });
        Some(Previous { segment, mid, ts_event })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pause is far below 2^52 ns")]
fn nanoseconds(ns: u64) -> f64 {
    ns as f64
}

#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn channels(
    columns: &BinColumns,
    i: usize,
    spread: f64,
    change: f64,
    duration_s: f64,
) -> [f32; BIN_CHANNELS.len()] {
    let slots = i * SLOTS..(i + 1) * SLOTS;
    let (bids, asks) = columns.size[slots.clone()].split_at(LEVELS);
    let counts: f64 = columns.count[slots.clone()].iter().sum();
    let variances: f64 = columns.variance[slots.clone()].iter().sum();
    let (bid_px, ask_px) = columns.px[slots].split_at(LEVELS);
    let (near_bid, near_ask) = (bids[0], asks[0]);
    let (deep_bid, deep_ask): (f64, f64) = (bids.iter().sum(), asks.iter().sum());
    let lean = |bid: f64, ask: f64| (bid - ask) / (bid + ask).max(1.0);
    // How far from the touch the size lies: 0 at the best level, 1 at the tenth.
    let weighted = |sizes: &[f64]| -> f64 {
        sizes.iter().zip(0_u32..).map(|(size, level)| size * f64::from(level)).sum()
    };
    let slope = (weighted(bids) + weighted(asks)) / (9.0 * (deep_bid + deep_ask)).max(1.0);
    let reach = |px: &[i32]| -> f64 {
        let known = || px.iter().copied().filter(|&px| px != NO_PRICE).map(f64::from);
        let (low, high) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
        if high >= low { high - low } else { 0.0 }
    };
    [
        change,
        spread,
        lean(near_bid, near_ask),
        lean(deep_bid, deep_ask),
        (near_bid + near_ask).ln_1p(),
        (deep_bid + deep_ask).ln_1p(),
        counts.ln_1p(),
        variances.ln_1p(),
        slope,
        (reach(bid_px) + reach(ask_px)).ln_1p(),
        change.abs().ln_1p(),
        (duration_s * 1e3).ln_1p(),
    ]
    .map(|v| v as f32)
}
