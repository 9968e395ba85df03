//! Bins that wait for their labels, in memory up to a limit and in a temporary file beyond it.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use lob_depth::{Bin, SLOTS};
use lob_store::fs::{FileSystem, OpenFile, OpenMode, SharedFs};

use super::ticks::RowPool;
use crate::ConvertError;

/// Bytes of an encoded bin.
pub(super) const BIN_BYTES: usize = 8 * 5 + 4 * 4 + SLOTS * (4 + 8 + 8 + 8);
/// Encoded bins held in memory by one input before they go to the file.
const MEMORY_LIMIT_BYTES: usize = 32 << 20;

/// A stretch of encoded bins in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    offset: u64,
    bytes: usize,
}

/// The bins of one partition, in order.
#[derive(Debug, Default)]
pub(super) struct Bins {
    blocks: Vec<Block>,
    held: Vec<u8>,
    pub(super) n: u64,
}

/// The temporary file of one input.
#[derive(Debug)]
pub(super) struct Spool {
    fs: SharedFs,
    path: PathBuf,
    file: Option<Box<dyn OpenFile>>,
    end: u64,
    held_bytes: usize,
    /// Memory for rows of the layout of ticks.
    pub(super) rows: RowPool,
}

impl Spool {
    pub(super) fn new(fs: SharedFs, path: PathBuf) -> Self {
        Self { fs, path, file: None, end: 0, held_bytes: 0, rows: RowPool::default() }
    }

    #[cfg(test)]
    pub(super) fn on_disk(path: PathBuf) -> Self {
        Self::new(std::sync::Arc::new(lob_store::fs::DiskSystem), path)
    }

    /// Where it lies, and the store too.
    pub(super) fn fs(&self) -> &SharedFs {
        &self.fs
    }

    /// The temporary file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn push(&mut self, bins: &mut Bins, bin: &Bin, segment: u32) {
        encode(bin, segment, &mut bins.held);
        bins.n += 1;
        self.held_bytes += BIN_BYTES;
    }

    /// Whether the bins in memory should go to the file.
    pub(super) fn is_full(&self) -> bool {
        self.held_bytes >= MEMORY_LIMIT_BYTES
    }

    /// Moves the bins of a partition from memory to the file.
    pub(super) fn flush(&mut self, bins: &mut Bins) -> Result<(), ConvertError> {
        if bins.held.is_empty() {
            return Ok(());
        }
        bins.blocks.push(self.put(&bins.held)?);
        self.held_bytes -= bins.held.len();
        // The capacity goes too: a partition that is over needs it no more.
        bins.held = Vec::new();
        Ok(())
    }

    /// Writes bytes to the file.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Block, ConvertError> {
        let file = open(&*self.fs, &mut self.file, &self.path)?;
        file.seek(SeekFrom::Start(self.end))
            .and_then(|_| file.write_all(bytes))
            .map_err(ConvertError::io(&self.path, "write"))?;
        let block = Block { offset: self.end, bytes: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(block)
    }

    /// Reads back what [`put`](Self::put) wrote.
    pub(super) fn get(&mut self, block: Block) -> Result<Vec<u8>, ConvertError> {
        let mut bytes = vec![0; block.bytes];
        let file = open(&*self.fs, &mut self.file, &self.path)?;
        file.seek(SeekFrom::Start(block.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(ConvertError::io(&self.path, "read"))?;
        Ok(bytes)
    }

    /// Hands out all bins of a partition in order, with their segments.
    pub(super) fn drain(
        &mut self,
        bins: Bins,
        mut each: impl FnMut(Bin, u32) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let mut bytes = Vec::new();
        for block in bins.blocks {
            bytes.resize(block.bytes, 0);
            let file = open(&*self.fs, &mut self.file, &self.path)?;
            file.seek(SeekFrom::Start(block.offset))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(ConvertError::io(&self.path, "read"))?;
            for encoded in bytes.chunks_exact(BIN_BYTES) {
                let (bin, segment) = decode(encoded);
                each(bin, segment)?;
            }
        }
        for encoded in bins.held.chunks_exact(BIN_BYTES) {
            let (bin, segment) = decode(encoded);
            each(bin, segment)?;
        }
        self.held_bytes -= bins.held.len();
        Ok(())
    }
}

fn open<'a>(
    fs: &dyn FileSystem,
    file: &'a mut Option<Box<dyn OpenFile>>,
    path: &Path,
) -> Result<&'a mut Box<dyn OpenFile>, ConvertError> {
    match file {
        Some(file) => Ok(file),
        none => {
            let opened = fs.open(path, OpenMode::CreateNew);
            Ok(none.insert(opened.map_err(ConvertError::io(path, "create"))?))
        }
    }
}

fn encode(bin: &Bin, segment: u32, out: &mut Vec<u8>) {
    for number in [
        bin.ts_event_first,
        bin.ts_event_last,
        bin.ts_recv_last,
        bin.traded_volume,
        bin.last_update,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&bin.n_updates.to_le_bytes());
    out.extend_from_slice(&segment.to_le_bytes());
    out.extend_from_slice(&bin.last_bid.to_le_bytes());
    out.extend_from_slice(&bin.last_ask.to_le_bytes());
    bin.px.iter().for_each(|px| out.extend_from_slice(&px.to_le_bytes()));
    bin.size.iter().for_each(|size| out.extend_from_slice(&size.to_le_bytes()));
    bin.size_variance.iter().for_each(|var| out.extend_from_slice(&var.to_le_bytes()));
    bin.order_count.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
}

/// The inverse of [`encode`], of exactly [`BIN_BYTES`].
fn decode(mut bytes: &[u8]) -> (Bin, u32) {
    let bytes = &mut bytes;
    let ts_event_first = u64::from_le_bytes(take(bytes));
    let ts_event_last = u64::from_le_bytes(take(bytes));
    let ts_recv_last = u64::from_le_bytes(take(bytes));
    let traded_volume = u64::from_le_bytes(take(bytes));
    let last_update = u64::from_le_bytes(take(bytes));
    let n_updates = u32::from_le_bytes(take(bytes));
    let segment = u32::from_le_bytes(take(bytes));
    let last_bid = i32::from_le_bytes(take(bytes));
    let last_ask = i32::from_le_bytes(take(bytes));
    let bin = Bin {
        ts_event_first,
        ts_event_last,
        ts_recv_last,
        n_updates,
        traded_volume,
        last_update,
        px: std::array::from_fn(|_| i32::from_le_bytes(take(bytes))),
        size: std::array::from_fn(|_| f64::from_le_bytes(take(bytes))),
        size_variance: std::array::from_fn(|_| f64::from_le_bytes(take(bytes))),
        order_count: std::array::from_fn(|_| u64::from_le_bytes(take(bytes))),
        last_bid,
        last_ask,
    };
    (bin, segment)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("blocks hold whole bins");
    *bytes = rest;
    *head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(seed: u64) -> Bin {
        let small = u32::try_from(seed % 1_000).unwrap();
        Bin {
            ts_event_first: seed,
            ts_event_last: seed + 1,
            ts_recv_last: u64::MAX - seed,
            n_updates: small,
            traded_volume: seed * 3,
            last_update: seed * 5,
            px: std::array::from_fn(|i| i32::MIN + i32::try_from(i).unwrap()),
            size: std::array::from_fn(|i| f64::from(small) + f64::from(u8::try_from(i).unwrap())),
            size_variance: [f64::from(small) / 3.0; SLOTS],
            order_count: std::array::from_fn(|i| seed + i as u64),
            last_bid: -7,
            last_ask: 9,
        }
    }

    #[test]
    fn bins_come_back_in_order_from_file_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::on_disk(folder.path().join("spool"));
        let mut parts = [Bins::default(), Bins::default()];
        for seed in 0..100_u64 {
            let part = usize::from(seed % 3 == 0);
            spool.push(&mut parts[part], &bin(seed), 4);
            if seed % 7 == 0 {
                spool.flush(&mut parts[part]).unwrap();
            }
        }
        for (part, bins) in parts.into_iter().enumerate() {
            let expected: Vec<_> =
                (0..100).filter(|seed| usize::from(seed % 3 == 0) == part).map(bin).collect();
            assert_eq!(bins.n, expected.len() as u64);
            let mut seen = Vec::new();
            let collect = |bin, segment| {
                assert_eq!(segment, 4);
                seen.push(bin);
                Ok(())
            };
            spool.drain(bins, collect).unwrap();
            assert_eq!(seen, expected);
        }
        assert_eq!(spool.held_bytes, 0);
    }
}
