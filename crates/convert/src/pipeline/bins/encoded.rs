//! Bins that wait for their labels: encoded, in memory up to a limit and in the spool beyond it.

use lob_depth::{Bin, LEVELS, OrderFlow, SLOTS};

use super::super::spool::{Block, Spool};
use crate::ConvertError;

/// Bytes of an encoded bin.
const BIN_BYTES: usize = 8 * 5 + 4 * 4 + SLOTS * (4 + 8 + 8 + 8) + FLOW_BYTES;
/// Bytes of its order flow, and what of it is known.
const FLOW_BYTES: usize = 8 * (1 + LEVELS + 3 + 3 * 2 + 2);

/// The bins of one partition, in order.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    blocks: Vec<Block>,
    held: Vec<u8>,
}

impl Encoded {
    /// Adds a bin in memory; its bytes.
    pub(super) fn push(&mut self, bin: &Bin, segment: u32) -> usize {
        encode(bin, segment, &mut self.held);
        BIN_BYTES
    }

    /// Moves what is in memory to the spool; how many bytes that were.
    pub(super) fn flush(&mut self, spool: &mut Spool) -> Result<usize, ConvertError> {
        if self.held.is_empty() {
            return Ok(0);
        }
        self.blocks.push(spool.put(&self.held)?);
        // The capacity goes too: a partition that is over needs it no more.
        Ok(std::mem::take(&mut self.held).len())
    }

    /// Hands out all bins in order, with their segments; how many bytes were in memory.
    pub(super) fn drain(
        self,
        spool: &mut Spool,
        mut each: impl FnMut(Bin, u32) -> Result<(), ConvertError>,
    ) -> Result<usize, ConvertError> {
        let mut all = |bytes: &[u8]| {
            bytes
                .chunks_exact(BIN_BYTES)
                .map(decode)
                .try_for_each(|(bin, segment)| each(bin, segment))
        };
        let mut bytes = Vec::new();
        for block in self.blocks {
            spool.get_into(block, &mut bytes)?;
            all(&bytes)?;
        }
        all(&self.held)?;
        Ok(self.held.len())
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
    encode_flow(bin.flow.as_ref(), out);
}

/// What is known goes by bit, numbers that are not are 0.
fn encode_flow(flow: Option<&OrderFlow>, out: &mut Vec<u8>) {
    let Some(flow) = flow else {
        out.resize(out.len() + FLOW_BYTES, 0);
        return;
    };
    let counts = [flow.adds, flow.cancels, flow.modifies];
    let reals = [flow.microprice_deviation, flow.queue_imbalance];
    let is_known = counts.iter().map(Option::is_some).chain(reals.iter().map(Option::is_some));
    let known = is_known.fold(1_u64, |bits, is_known| bits << 1 | u64::from(is_known));
    out.extend_from_slice(&known.to_le_bytes());
    flow.imbalance.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
    out.extend_from_slice(&flow.signed_volume.to_le_bytes());
    out.extend_from_slice(&flow.trades.to_le_bytes());
    out.extend_from_slice(&flow.signed_trades.to_le_bytes());
    for count in counts.into_iter().flat_map(Option::unwrap_or_default) {
        out.extend_from_slice(&count.to_le_bytes());
    }
    for real in reals {
        out.extend_from_slice(&real.unwrap_or_default().to_le_bytes());
    }
}

fn decode_flow(bytes: &mut &[u8]) -> Option<OrderFlow> {
    let known = u64::from_le_bytes(take(bytes));
    let imbalance = std::array::from_fn(|_| i64::from_le_bytes(take(bytes)));
    let signed_volume = i64::from_le_bytes(take(bytes));
    let trades = u64::from_le_bytes(take(bytes));
    let signed_trades = i64::from_le_bytes(take(bytes));
    let is_known = |bit: u32| known >> bit & 1 == 1;
    let mut counts = |bit| {
        let counts = std::array::from_fn(|_| u64::from_le_bytes(take(bytes)));
        is_known(bit).then_some(counts)
    };
    let (adds, cancels, modifies) = (counts(4), counts(3), counts(2));
    let mut real = |bit| {
        let real = f64::from_le_bytes(take(bytes));
        is_known(bit).then_some(real)
    };
    let (microprice_deviation, queue_imbalance) = (real(1), real(0));
    is_known(5).then_some(OrderFlow {
        imbalance,
        signed_volume,
        trades,
        signed_trades,
        adds,
        cancels,
        modifies,
        microprice_deviation,
        queue_imbalance,
    })
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
        flow: decode_flow(bytes),
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
            flow: (!seed.is_multiple_of(5)).then(|| OrderFlow {
                imbalance: std::array::from_fn(|i| {
                    i64::from(small) * i64::try_from(i).unwrap() - 9
                }),
                signed_volume: -i64::from(small),
                trades: seed,
                signed_trades: 3 - i64::from(small),
                adds: Some([seed, 2]),
                cancels: seed.is_multiple_of(2).then_some([seed, 4]),
                modifies: seed.is_multiple_of(3).then_some([5, seed]),
                microprice_deviation: seed.is_multiple_of(4).then(|| f64::from(small) / 7.0),
                queue_imbalance: (seed % 3 == 1).then(|| f64::from(small) / -3.0),
            }),
        }
    }

    #[test]
    fn bins_come_back_in_order_from_file_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::on_disk(folder.path().join("spool"));
        let mut parts = [Encoded::default(), Encoded::default()];
        let mut held = 0;
        for seed in 0..100_u64 {
            let part = usize::from(seed % 3 == 0);
            held += parts[part].push(&bin(seed), 4);
            if seed % 7 == 0 {
                held -= parts[part].flush(&mut spool).unwrap();
            }
        }
        for (part, bins) in parts.into_iter().enumerate() {
            let expected: Vec<_> =
                (0..100).filter(|seed| usize::from(seed % 3 == 0) == part).map(bin).collect();
            let mut seen = Vec::new();
            let collect = |bin, segment| {
                assert_eq!(segment, 4);
                seen.push(bin);
                Ok(())
            };
            held -= bins.drain(&mut spool, collect).unwrap();
            assert_eq!(seen, expected);
        }
        assert_eq!(held, 0);
    }
}
