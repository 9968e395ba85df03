//! Rows that wait until there are enough of them for a row group: in memory in small pieces that go
//! round, and packed in the spool where memory is short.

use std::io::{Read, Write};

use lob_depth::{LEVELS, Level};
use lob_store::TickRow;

use super::super::spool::{Block, Spool};
use crate::ConvertError;

/// Rows of a piece: its 25 KiB fit the first-level cache.
pub(super) const PIECE_ROWS: usize = 64;
/// Bytes of a packed row.
const ROW_BYTES: usize = 8 * 3 + 4 * 4 + 2 + 5 + LEVELS * 32;
/// Empty pieces kept: 26 MiB.
const POOL_PIECES_MAX: usize = 1024;
/// Compression of packed rows: they are read back once.
const SPILL_ZSTD_LEVEL: i32 = 1;

/// Empty pieces for reuse: taking new memory for every row would cost more than filling it.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct RowPool {
    pieces: Vec<Vec<TickRow>>,
}

impl RowPool {
    fn take(&mut self) -> Vec<TickRow> {
        self.pieces.pop().unwrap_or_else(|| Vec::with_capacity(PIECE_ROWS))
    }

    /// Takes back pieces that are used up.
    pub(super) fn give(&mut self, pieces: Vec<Vec<TickRow>>) {
        for mut piece in pieces {
            if piece.capacity() >= PIECE_ROWS && self.pieces.len() < POOL_PIECES_MAX {
                piece.clear();
                self.pieces.push(piece);
            }
        }
    }
}

/// The rows of one part that no row group holds yet, in order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    spilled: Vec<(Block, usize)>,
    n_spilled: usize,
    held: Vec<Vec<TickRow>>,
    n_held: usize,
}

impl Rows {
    #[inline]
    pub(super) fn push(&mut self, row: TickRow, pool: &mut RowPool) {
        match self.held.last_mut() {
            Some(piece) if piece.len() < PIECE_ROWS => piece.push(row),
            // The first piece of an instrument grows as it needs: most have few rows.
            None => self.held.push(vec![row]),
            Some(_) => {
                let mut piece = pool.take();
                piece.push(row);
                self.held.push(piece);
            }
        }
        self.n_held += 1;
    }

    /// Rows in memory and in the spool.
    pub(super) fn n(&self) -> usize {
        self.n_spilled + self.n_held
    }

    /// Rows in memory.
    pub(super) fn n_held(&self) -> usize {
        self.n_held
    }

    /// Moves the rows in memory to the spool.
    pub(super) fn spill(&mut self, spool: &mut Spool) -> Result<(), ConvertError> {
        let packed = Vec::with_capacity(self.n_held * 32);
        let pack = || {
            let mut encoder = zstd::stream::write::Encoder::new(packed, SPILL_ZSTD_LEVEL)?;
            let mut bytes = Vec::with_capacity(PIECE_ROWS * ROW_BYTES);
            for piece in &self.held {
                bytes.clear();
                piece.iter().for_each(|row| pack_row(row, &mut bytes));
                encoder.write_all(&bytes)?;
            }
            encoder.finish()
        };
        let packed = pack().map_err(ConvertError::io(spool.path(), "pack rows for"))?;
        self.spilled.push((spool.put(&packed)?, self.n_held));
        self.n_spilled += self.n_held;
        self.n_held = 0;
        spool.rows.give(std::mem::take(&mut self.held));
        Ok(())
    }

    /// All rows; none is left. Give the pieces back when done.
    pub(super) fn take(&mut self, spool: &mut Spool) -> Result<Vec<Vec<TickRow>>, ConvertError> {
        let mut pieces = Vec::with_capacity(self.n().div_ceil(PIECE_ROWS) + self.spilled.len());
        for (block, n) in std::mem::take(&mut self.spilled) {
            let bytes = spool.get(block)?;
            let path = spool.path().to_owned();
            let mut decoder = zstd::stream::read::Decoder::new(&bytes[..])
                .map_err(ConvertError::io(&path, "unpack rows of"))?;
            let mut packed = vec![0; PIECE_ROWS * ROW_BYTES];
            let mut left = n;
            while left > 0 {
                let now = left.min(PIECE_ROWS);
                let packed = &mut packed[..now * ROW_BYTES];
                decoder.read_exact(packed).map_err(ConvertError::io(&path, "unpack rows of"))?;
                let mut piece = spool.rows.take();
                piece.extend(packed.chunks_exact(ROW_BYTES).map(unpack_row));
                pieces.push(piece);
                left -= now;
            }
        }
        pieces.append(&mut self.held);
        (self.n_spilled, self.n_held) = (0, 0);
        Ok(pieces)
    }
}

fn pack_row(row: &TickRow, to: &mut Vec<u8>) {
    to.extend(row.ts_recv.to_le_bytes());
    to.extend(row.ts_event.to_le_bytes());
    to.extend(row.price.to_le_bytes());
    to.extend(row.instrument_id.to_le_bytes());
    to.extend(row.size.to_le_bytes());
    to.extend(row.ts_in_delta.to_le_bytes());
    to.extend(row.sequence.to_le_bytes());
    to.extend(row.publisher_id.to_le_bytes());
    to.extend([row.rtype, row.action, row.side, row.depth, row.flags]);
    for level in &row.levels {
        to.extend(level.bid_px.to_le_bytes());
        to.extend(level.ask_px.to_le_bytes());
        for number in [level.bid_sz, level.ask_sz, level.bid_ct, level.ask_ct] {
            to.extend(number.to_le_bytes());
        }
    }
}

/// The inverse of [`pack_row`], of exactly [`ROW_BYTES`].
fn unpack_row(mut bytes: &[u8]) -> TickRow {
    let bytes = &mut bytes;
    let (ts_recv, ts_event) = (u64::from_le_bytes(take(bytes)), u64::from_le_bytes(take(bytes)));
    let price = i64::from_le_bytes(take(bytes));
    let instrument_id = u32::from_le_bytes(take(bytes));
    let size = u32::from_le_bytes(take(bytes));
    let ts_in_delta = i32::from_le_bytes(take(bytes));
    let sequence = u32::from_le_bytes(take(bytes));
    let publisher_id = u16::from_le_bytes(take(bytes));
    let [rtype, action, side, depth, flags] = take(bytes);
    let levels = std::array::from_fn(|_| Level {
        bid_px: i64::from_le_bytes(take(bytes)),
        ask_px: i64::from_le_bytes(take(bytes)),
        bid_sz: u32::from_le_bytes(take(bytes)),
        ask_sz: u32::from_le_bytes(take(bytes)),
        bid_ct: u32::from_le_bytes(take(bytes)),
        ask_ct: u32::from_le_bytes(take(bytes)),
    });
    TickRow {
        ts_recv,
        ts_event,
        rtype,
        publisher_id,
        instrument_id,
        action,
        side,
        depth,
        price,
        size,
        flags,
        ts_in_delta,
        sequence,
        levels,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("packed rows are whole");
    *bytes = rest;
    *head
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "small numbers")]

    use super::*;

    fn row(n: u32) -> TickRow {
        let long = u64::from(n) * 0x1_0000_0001;
        TickRow {
            ts_recv: long,
            ts_event: u64::MAX - long,
            rtype: 10,
            publisher_id: 7,
            instrument_id: n,
            action: b'A',
            side: (n % 256) as u8,
            depth: 9,
            price: i64::MIN + i64::from(n),
            size: n ^ 5,
            flags: 0x80,
            ts_in_delta: -3,
            sequence: !n,
            levels: std::array::from_fn(|i| Level {
                bid_px: i64::from(n) - i as i64,
                ask_px: i64::MAX - i as i64,
                bid_sz: n + i as u32,
                ask_sz: 1,
                bid_ct: 2,
                ask_ct: u32::MAX,
            }),
        }
    }

    #[test]
    fn rows_come_back_in_order_from_spool_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::on_disk(folder.path().join("spool"));
        let mut rows = Rows::default();
        for n in 0..1_000 {
            rows.push(row(n), &mut spool.rows);
            if n == 10 || n == 500 {
                rows.spill(&mut spool).unwrap();
                assert_eq!((rows.n_held(), rows.n()), (0, n as usize + 1));
            }
        }
        let pieces = rows.take(&mut spool).unwrap();
        let found: Vec<_> = pieces.iter().flatten().copied().collect();
        assert_eq!(found, (0..1_000).map(row).collect::<Vec<_>>());
        assert_eq!(rows.n(), 0);
        spool.rows.give(pieces);
        assert!(!spool.rows.pieces.is_empty(), "pieces go round");
        assert_eq!(row(1).levels.len() * 32 + 47, ROW_BYTES);
    }
}
