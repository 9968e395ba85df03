//! Runs of small numbers in Parquet's hybrid of run-length encoding and bit packing.

/// Numbers in a bit-packed stretch at most, a multiple of 8: its head is one byte.
const PACKED_MAX: usize = 63 * 8;

/// Appends `runs` of (number, how often) to `to`, numbers of `width` bits, 1 to 32.
pub(super) fn encode(runs: impl Iterator<Item = (u32, u32)>, width: u32, to: &mut Vec<u8>) {
    let mut packer = Packer { width, packed: [0; PACKED_MAX], n: 0, to };
    let mut open: Option<(u32, usize)> = None;
    for (number, n) in runs {
        match &mut open {
            Some((same, times)) if *same == number => *times += n as usize,
            _ => {
                if let Some((number, times)) = open.replace((number, n as usize)) {
                    packer.run(number, times);
                }
            }
        }
    }
    if let Some((number, times)) = open {
        packer.run(number, times);
    }
    packer.finish();
}

/// Bits that a number below or equal to `max` takes, at least 1.
pub(super) fn width(max: u32) -> u32 {
    (u32::BITS - max.leading_zeros()).max(1)
}

struct Packer<'a> {
    width: u32,
    /// Numbers of the open bit-packed stretch.
    packed: [u32; PACKED_MAX],
    n: usize,
    to: &'a mut Vec<u8>,
}

impl Packer<'_> {
    #[inline]
    fn run(&mut self, number: u32, times: usize) {
        if times < 8 {
            self.literal(number, times);
        } else {
            self.long_run(number, times);
        }
    }

    fn long_run(&mut self, number: u32, mut times: usize) {
        // Only a stretch of whole groups of 8 can end.
        let to_fill = (self.n.next_multiple_of(8) - self.n).min(times);
        self.literal(number, to_fill);
        times -= to_fill;
        // Two heads, the number, and what the stretch takes otherwise.
        let worth = 8.max(32 / self.width as usize);
        if times >= worth {
            self.end_stretch();
            varint((times as u64) << 1, self.to);
            let bytes = self.width.div_ceil(8) as usize;
            self.to.extend_from_slice(&number.to_le_bytes()[..bytes]);
        } else {
            self.literal(number, times);
        }
    }

    #[inline]
    fn literal(&mut self, number: u32, times: usize) {
        for _ in 0..times {
            self.packed[self.n] = number;
            self.n += 1;
            if self.n == PACKED_MAX {
                self.end_stretch();
            }
        }
    }

    /// Writes the open stretch.
    fn end_stretch(&mut self) {
        if self.n > 0 {
            let groups = self.n.div_ceil(8);
            // What fills up the last group of all is beyond the number of values.
            self.packed[self.n..groups * 8].fill(0);
            varint((groups as u64) << 1 | 1, self.to);
            let numbers = self.packed[..groups * 8].iter().map(|number| u64::from(*number));
            pack(numbers, self.width, self.to);
            self.n = 0;
        }
    }

    fn finish(mut self) {
        self.end_stretch();
    }
}

/// Appends numbers of `width` bits each, 0 to 64, lowest bits first. Together they must fill bytes.
#[inline]
pub(super) fn pack(numbers: impl Iterator<Item = u64>, width: u32, to: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut held, mut n) = (0_u64, 0);
    for number in numbers {
        held |= number << n;
        n += width;
        if n >= 64 {
            to.extend_from_slice(&held.to_le_bytes());
            n -= 64;
            held = if n == 0 { 0 } else { number >> (width - n) };
        }
    }
    to.extend_from_slice(&held.to_le_bytes()[..n.div_ceil(8) as usize]);
}

/// Appends an unsigned LEB128 number.
pub(super) fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push((number & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `n` numbers back as the format says.
    fn decode(mut bytes: &[u8], width: u32, n: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < n {
            let mut head = 0_usize;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                bytes = &bytes[1..];
                head |= usize::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            if head & 1 == 1 {
                let (packed, rest) = bytes.split_at((head >> 1) * width as usize);
                bytes = rest;
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                for at in 0..(head >> 1) * 8 {
                    let first = at * width as usize;
                    numbers.push((0..width as usize).map(|i| bit(first + i) << i).sum());
                }
            } else {
                let (number, rest) = bytes.split_at(width.div_ceil(8) as usize);
                bytes = rest;
                let mut le = [0; 4];
                le[..number.len()].copy_from_slice(number);
                numbers.extend(std::iter::repeat_n(u32::from_le_bytes(le), head >> 1));
            }
        }
        assert!(bytes.is_empty());
        // Only the last stretch may be filled up.
        assert!(numbers.len() < n + 8);
        numbers.truncate(n);
        numbers
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            width in 1..=32_u32,
            runs in prop::collection::vec((any::<u32>(), 1..60_u32), 0..200),
        ) {
            let runs: Vec<_> = runs.iter().map(|(x, n)| (x >> (32 - width), *n)).collect();
            let expected: Vec<u32> =
                runs.iter().flat_map(|(x, n)| std::iter::repeat_n(*x, *n as usize)).collect();
            let mut bytes = Vec::new();
            encode(runs.into_iter(), width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, expected.len()), expected);
        }
    }

    #[test]
    fn long_runs_take_few_bytes() {
        let size = |runs: &[(u32, u32)], width| {
            let mut bytes = Vec::new();
            encode(runs.iter().copied(), width, &mut bytes);
            bytes.len()
        };
        assert_eq!(size(&[(1, 30_000)], 1), 4);
        assert_eq!(size(&[(5, 10_000), (5, 10_000)], 8), 4, "equal neighbours are one run");
        assert_eq!(size(&[(5, 3), (6, 3)], 8), 1 + 8);
        assert_eq!([width(0), width(1), width(2), width(u32::MAX)], [1, 1, 2, 32]);
    }
}
