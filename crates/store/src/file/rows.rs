//! Whole rows, with all that was pushed to their writer.

use std::ops::Range;

use lob_depth::{Bin, BinColumns, LEVELS, OrderFlow, SLOTS};

use super::{BinFile, SCRATCH, time};
use crate::{LabelCell, LabelKind, StoreError, StoredBin, schema};

impl BinFile {
    /// Order flow of each bin of `rows`; `None` where nobody knows it: in files of version 1, and
    /// those written anew from them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn order_flow(&self, rows: Range<u64>) -> Result<Vec<Option<OrderFlow>>, StoreError> {
        const N: usize = schema::MICROPRICE_DEVIATION - schema::IMBALANCE;
        let n = self.check_rows(&rows)?;
        if self.meta.format_version == 1 {
            return Ok(vec![None; n]);
        }
        let mut cells = vec![[None; N]; n];
        let mut reals = vec![[None; 2]; n];
        SCRATCH.with_borrow_mut(|scratch| {
            let columns = schema::IMBALANCE..schema::MICROPRICE_DEVIATION;
            for (at, column) in columns.enumerate() {
                self.column(column, &rows, scratch, |i, value| cells[i][at] = value)?;
            }
            let columns = [schema::MICROPRICE_DEVIATION, schema::QUEUE_IMBALANCE];
            for (at, column) in columns.into_iter().enumerate() {
                self.reals(column, &rows, scratch, |i, value| reals[i][at] = value)?;
            }
            Ok(())
        })?;
        let rows = (rows.start..).zip(cells.iter().zip(reals));
        rows.map(|(row, (cells, reals))| self.flow_of(row, cells, reals)).collect()
    }

    fn flow_of(
        &self,
        row: u64,
        cells: &[Option<i64>],
        [microprice_deviation, queue_imbalance]: [Option<f64>; 2],
    ) -> Result<Option<OrderFlow>, StoreError> {
        if cells.iter().all(Option::is_none) {
            return Ok(None);
        }
        let cell = |column: usize| cells[column - schema::IMBALANCE];
        let number = |column: usize| {
            let odd = || self.odd_cell(column, row, "a number, as the row has order flow", None);
            cell(column).ok_or_else(odd)
        };
        let count = |column: usize, value: i64| {
            let odd = |_| self.odd_cell(column, row, "0 or more", Some(value));
            u64::try_from(value).map_err(odd)
        };
        let by_side = |first: usize| match (cell(first), cell(first + 1)) {
            (Some(bid), Some(ask)) => Ok(Some([count(first, bid)?, count(first + 1, ask)?])),
            (None, None) => Ok(None),
            (_, ask) => Err(self.odd_cell(first + 1, row, "both sides or neither", ask)),
        };
        let mut imbalance = [0; LEVELS];
        for (level, to) in imbalance.iter_mut().enumerate() {
            *to = number(schema::IMBALANCE + level)?;
        }
        Ok(Some(OrderFlow {
            imbalance,
            signed_volume: number(schema::SIGNED_VOLUME)?,
            trades: count(schema::TRADES, number(schema::TRADES)?)?,
            signed_trades: number(schema::SIGNED_TRADES)?,
            adds: by_side(schema::ADDS)?,
            cancels: by_side(schema::CANCELS)?,
            modifies: by_side(schema::MODIFIES)?,
            microprice_deviation,
            queue_imbalance,
        }))
    }

    /// All there is of `rows`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn rows(&self, rows: Range<u64>) -> Result<Vec<StoredBin>, StoreError> {
        let mut columns = BinColumns::default();
        self.read(rows.clone(), &mut columns)?;
        let labels = self.labels(rows.clone())?;
        let mut out = Vec::with_capacity(labels.segment.len());
        for (i, flow) in self.order_flow(rows.clone())?.into_iter().enumerate() {
            let slots = i * SLOTS..(i + 1) * SLOTS;
            let (px, size) = (&columns.px[slots.clone()], &columns.size[slots.clone()]);
            let variance = &columns.variance[slots];
            let bin = Bin {
                ts_event_first: 0,
                ts_event_last: labels.ts_event[i],
                ts_recv_last: 0,
                n_updates: 0,
                traded_volume: 0,
                last_update: 0,
                px: std::array::from_fn(|slot| px[slot]),
                size: std::array::from_fn(|slot| size[slot]),
                size_variance: std::array::from_fn(|slot| variance[slot]),
                order_count: [0; SLOTS],
                last_bid: columns.last_bid[i],
                last_ask: columns.last_ask[i],
                flow,
            };
            let (segment, movement, label) =
                (labels.segment[i], labels.movement[i], labels.label[i]);
            out.push(StoredBin { bin, segment, movement, label, others: Vec::new() });
        }
        self.read_counts(&rows, &mut out)?;
        self.read_others(&rows, &mut out)?;
        Ok(out)
    }

    /// Fills in the whole numbers of bins that images do not show.
    fn read_counts(&self, rows: &Range<u64>, out: &mut [StoredBin]) -> Result<(), StoreError> {
        let count = |value: Option<i64>| value.unwrap_or(0).cast_unsigned();
        SCRATCH.with_borrow_mut(|scratch| {
            self.column(schema::TS_EVENT_FIRST, rows, scratch, |i, ts| {
                out[i].bin.ts_event_first = time(ts);
            })?;
            self.column(schema::TS_RECV, rows, scratch, |i, ts| {
                out[i].bin.ts_recv_last = time(ts);
            })?;
            self.column(schema::UPDATE_IDX, rows, scratch, |i, value| {
                out[i].bin.last_update = count(value);
            })?;
            self.column(schema::TRADED_VOLUME, rows, scratch, |i, value| {
                out[i].bin.traded_volume = count(value);
            })?;
            self.column(schema::N_UPDATES, rows, scratch, |i, value: Option<i32>| {
                out[i].bin.n_updates = value.unwrap_or(0).cast_unsigned();
            })?;
            for slot in 0..SLOTS {
                self.column(schema::COUNT + slot, rows, scratch, |i, value| {
                    out[i].bin.order_count[slot] = count(value);
                })?;
            }
            Ok(())
        })
    }

    /// Fills in the labels besides the movement.
    fn read_others(&self, rows: &Range<u64>, out: &mut [StoredBin]) -> Result<(), StoreError> {
        let others = self.meta.labels.iter().filter(|label| label.kind != LabelKind::Reversal);
        for label in others {
            let place = self.label_place(&label.name)?;
            let mut cells = vec![LabelCell::default(); out.len()];
            let mut classes = vec![None; out.len()];
            SCRATCH.with_borrow_mut(|scratch| {
                let value = |i: usize, value| cells[i].value = value;
                self.label_cells(place, rows, scratch, value, |i, class| classes[i] = class)
            })?;
            for ((row, cell), class) in out.iter_mut().zip(cells).zip(classes) {
                row.others.push(LabelCell { class, ..cell });
            }
        }
        Ok(())
    }
}
