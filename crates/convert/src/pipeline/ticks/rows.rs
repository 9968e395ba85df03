//! Rows that wait until there are enough of them for a row group: in memory, and packed in the spool
//! where memory is short.

use lob_store::{TickLog, TickRow};

use super::super::spool::{Block, Spool};
use crate::ConvertError;

/// Compression of spilled rows: they are read back once.
const SPILL_ZSTD_LEVEL: i32 = 1;
/// Empty logs kept, and the memory of the smallest that is worth it: taking new memory for every row
/// group would cost as much as filling it.
const LOGS_KEPT_MAX: usize = 4;
const LOG_KEPT_BYTES_MIN: usize = 1 << 20;

/// Empty logs for reuse.
#[derive(Debug, Default)]
pub(super) struct LogPool {
    logs: Vec<TickLog>,
}

impl LogPool {
    /// Takes back logs that are used up.
    pub(super) fn give(&mut self, logs: Vec<TickLog>) {
        for mut log in logs {
            if log.capacity_bytes() >= LOG_KEPT_BYTES_MIN && self.logs.len() < LOGS_KEPT_MAX {
                log.clear();
                self.logs.push(log);
            }
        }
    }
}

/// The rows of one part that no row group holds yet, in order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where rows are in the spool, and how many.
    spilled: Vec<(Block, usize)>,
    n_spilled: usize,
    held: TickLog,
}

impl Rows {
    #[inline]
    pub(super) fn push(&mut self, row: &TickRow) {
        self.held.push(row);
    }

    /// Rows in memory and in the spool.
    pub(super) fn n(&self) -> usize {
        self.n_spilled + self.held.rows()
    }

    /// Bytes of the rows in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Moves the rows in memory to the spool.
    pub(super) fn spill(&mut self, spool: &mut Spool) -> Result<(), ConvertError> {
        let held = std::mem::take(&mut self.held);
        let packed = zstd::bulk::compress(&held.to_bytes(), SPILL_ZSTD_LEVEL)
            .map_err(ConvertError::io(spool.path(), "pack rows for"))?;
        self.spilled.push((spool.put(&packed)?, held.rows()));
        self.n_spilled += held.rows();
        Ok(())
    }

    /// All rows; none is left. Give the logs back when done.
    pub(super) fn take(
        &mut self,
        spool: &mut Spool,
        empty: &mut LogPool,
    ) -> Result<Vec<TickLog>, ConvertError> {
        let mut logs = Vec::with_capacity(self.spilled.len() + 1);
        for (block, n) in std::mem::take(&mut self.spilled) {
            let packed = spool.get(block)?;
            let log = zstd::stream::decode_all(&packed[..])
                .and_then(|bytes| TickLog::from_bytes(&bytes, n).ok_or_else(damaged));
            logs.push(log.map_err(ConvertError::io(spool.path(), "unpack rows of"))?);
        }
        self.n_spilled = 0;
        // Who had many rows will have more.
        let next = empty.logs.pop_if(|_| self.held.capacity_bytes() >= LOG_KEPT_BYTES_MIN);
        logs.push(std::mem::replace(&mut self.held, next.unwrap_or_default()));
        Ok(logs)
    }
}

fn damaged() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "rows that are not those written")
}

#[cfg(test)]
mod tests {
    use lob_depth::{LEVELS, Level};

    use super::*;

    fn row(n: u32) -> TickRow {
        TickRow {
            ts_recv: u64::from(n),
            ts_event: u64::MAX,
            rtype: 10,
            publisher_id: 7,
            action: b'A',
            side: b'B',
            depth: 9,
            price: i64::MIN + i64::from(n),
            size: n ^ 5,
            flags: 0x80,
            ts_in_delta: -3,
            sequence: !n,
            levels: [Level { bid_sz: n / 3, ..Level::EMPTY }; LEVELS],
        }
    }

    #[test]
    fn rows_come_back_in_order_from_spool_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::on_disk(folder.path().join("spool"));
        let mut rows = Rows::default();
        for n in 0..1_000 {
            rows.push(&row(n));
            if n == 10 || n == 500 {
                rows.spill(&mut spool).unwrap();
                assert_eq!((rows.held_bytes(), rows.n()), (0, n as usize + 1));
            }
        }
        let mut empty = LogPool::default();
        let logs = rows.take(&mut spool, &mut empty).unwrap();
        let found: Vec<_> = logs.iter().map(|log| (log.rows(), log.to_bytes())).collect();
        let expected = [0..11, 11..501, 501..1_000].map(|part| {
            let mut log = TickLog::default();
            part.for_each(|n| log.push(&row(n)));
            (log.rows(), log.to_bytes())
        });
        assert_eq!(found, expected);
        assert_eq!((rows.n(), rows.held_bytes()), (0, 0));
        empty.give(logs);
        assert!(empty.logs.is_empty(), "small logs are not worth it");
    }
}
