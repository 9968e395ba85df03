//! Decoded blocks of bins, shared by all workers, bounded in bytes.

use std::{
    collections::HashMap,
    mem::size_of,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lob_depth::{BinColumns, SLOTS};
use lob_store::{BinFile, Planes, StoreError};

/// Rows in a block.
const BLOCK_ROWS: u64 = 1024;

/// File and block number.
type Key = (usize, u64);

/// Blocks that were asked for at least twice, replaced by the clock rule.
#[derive(Debug)]
pub(crate) struct BlockCache {
    planes: Planes,
    /// Blocks that fit the budget; 0 switches the cache off.
    capacity: usize,
    inner: Mutex<Inner>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    slots: HashMap<Key, usize>,
    blocks: Vec<Slot>,
    hand: usize,
    /// Blocks missed lately, one place a hash: a block is decoded whole only on its second miss.
    /// A shuffled pass over a store far larger than the cache would otherwise decode whole blocks
    /// for single windows.
    missed: Vec<Option<Key>>,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    block: Arc<BinColumns>,
    is_recent: bool,
}

enum Found {
    Block(Arc<BinColumns>),
    First,
    Again,
}

impl BlockCache {
    pub(crate) fn new(planes: Planes, budget_bytes: usize) -> Self {
        let n_planes = [planes.size, planes.variance, planes.count].map(usize::from);
        let row_bytes = SLOTS
            * (size_of::<i32>() + n_planes.iter().sum::<usize>() * size_of::<f64>())
            + 2 * size_of::<i32>();
        let block_bytes = row_bytes * usize::try_from(BLOCK_ROWS).unwrap_or(usize::MAX);
        Self {
            planes,
            capacity: budget_bytes / block_bytes,
            inner: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Appends rows of file number `at` to `out`.
    pub(crate) fn read(
        &self,
        at: usize,
        file: &BinFile,
        rows: Range<u64>,
        out: &mut BinColumns,
    ) -> Result<(), StoreError> {
        let mut next = rows.start;
        while next < rows.end {
            let block = next / BLOCK_ROWS;
            let start = block * BLOCK_ROWS;
            let end = rows.end.min(start + BLOCK_ROWS);
            let found = match self.capacity {
                0 => Found::First,
                _ => self.find((at, block)),
            };
            let hit = matches!(found, Found::Block(_));
            let counter = if hit { &self.hits } else { &self.misses };
            counter.fetch_add(1, Ordering::Relaxed);
            let block = match found {
                Found::First => None,
                Found::Block(block) => Some(block),
                Found::Again => {
                    let mut columns = BinColumns::default();
                    let whole = start..file.len().min(start + BLOCK_ROWS);
                    file.read_planes(whole, self.planes, &mut columns)?;
                    let columns = Arc::new(columns);
                    self.insert((at, block), Arc::clone(&columns));
                    Some(columns)
                }
            };
            match block {
                Some(block) => append(out, &block, next - start..end - start),
                None => file.read_planes(next..end, self.planes, out)?,
            }
            next = end;
        }
        Ok(())
    }

    fn find(&self, key: Key) -> Found {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        if let Some(slot) = inner.slots.get(&key).and_then(|&at| inner.blocks.get_mut(at)) {
            slot.is_recent = true;
            return Found::Block(Arc::clone(&slot.block));
        }
        if inner.missed.is_empty() {
            inner.missed.resize(self.capacity, None);
        }
        let place = place(key, inner.missed.len());
        if inner.missed[place].replace(key) == Some(key) { Found::Again } else { Found::First }
    }

    fn insert(&self, key: Key, block: Arc<BinColumns>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        // Another worker may have been faster.
        if inner.slots.contains_key(&key) {
            return;
        }
        let slot = Slot { key, block, is_recent: false };
        if inner.blocks.len() < self.capacity {
            inner.slots.insert(key, inner.blocks.len());
            inner.blocks.push(slot);
            return;
        }
        // Each turn of the hand clears marks, so it stops within two.
        while std::mem::take(&mut inner.blocks[inner.hand].is_recent) {
            inner.hand = (inner.hand + 1) % inner.blocks.len();
        }
        let old = std::mem::replace(&mut inner.blocks[inner.hand], slot);
        inner.slots.remove(&old.key);
        inner.slots.insert(key, inner.hand);
        inner.hand = (inner.hand + 1) % inner.blocks.len();
    }
}

/// A place of `0..n` for a key (multiplicative hash, Knuth).
fn place((file, block): Key, n: usize) -> usize {
    let hash = (block ^ (file as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(hash).unwrap_or(0) % n
}

/// Appends rows of a block.
fn append(out: &mut BinColumns, block: &BinColumns, rows: Range<u64>) {
    // Rows of a block: far below the range of usize.
    let rows = usize::try_from(rows.start).unwrap_or(0)..usize::try_from(rows.end).unwrap_or(0);
    let slots = rows.start * SLOTS..rows.end * SLOTS;
    out.px.extend_from_slice(&block.px[slots.clone()]);
    for (to, from) in [
        (&mut out.size, &block.size),
        (&mut out.variance, &block.variance),
        (&mut out.count, &block.count),
    ] {
        // A plane that was not read is empty.
        to.extend_from_slice(from.get(slots.clone()).unwrap_or_default());
    }
    out.last_bid.extend_from_slice(&block.last_bid[rows.clone()]);
    out.last_ask.extend_from_slice(&block.last_ask[rows]);
}
