//! Parquet's `DELTA_BINARY_PACKED`: each value as its difference from the one before.

use super::hybrid::{pack, varint};

/// Values of a block and of its parts: the least that the format allows.
const BLOCK: usize = 128;
const PART: usize = 32;

/// Appends the low `bits`, 32 or 64, of `values`.
pub(super) fn encode(values: &[u64], bits: u32, to: &mut Vec<u8>) {
    let signed = |value: u64| {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the value")]
        let half = value as u32;
        if bits == 32 { half.cast_signed().into() } else { value.cast_signed() }
    };
    for head in [BLOCK, BLOCK / PART, values.len()] {
        varint(head as u64, to);
    }
    let Some(first) = values.first() else {
        zigzag(0, to);
        return;
    };
    zigzag(signed(*first), to);
    let mut deltas = [0_i64; BLOCK];
    let mut before = *first;
    for block in values[1..].chunks(BLOCK) {
        for (delta, value) in deltas.iter_mut().zip(block) {
            // Wraps around as the reader's sum does, in the column's type.
            *delta = signed(value.wrapping_sub(before));
            before = *value;
        }
        let deltas = &deltas[..block.len()];
        let least = deltas.iter().copied().min().unwrap_or_default();
        zigzag(least, to);
        let mut above = [0_u64; BLOCK];
        for (above, delta) in above.iter_mut().zip(deltas) {
            *above = delta.wrapping_sub(least).cast_unsigned();
        }
        let width = |part: &[u64]| u64::BITS - part.iter().fold(0, |a, b| a | b).leading_zeros();
        let parts = block.len().div_ceil(PART);
        // Parts without a value have no width and no bytes.
        to.extend(above.chunks(PART).map(|part| (width(part) & 0xff) as u8));
        for part in above.chunks(PART).take(parts) {
            pack(part.iter().copied(), width(part), to);
        }
    }
}

fn zigzag(number: i64, to: &mut Vec<u8>) {
    varint((number << 1 ^ number >> 63).cast_unsigned(), to);
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers, and values of which only the low half counts"
    )]

    use proptest::prelude::*;

    use super::*;

    /// Reads what the format says, and nothing more.
    struct Reader<'a>(&'a [u8]);

    impl Reader<'_> {
        fn varint(&mut self) -> u64 {
            let mut number = 0;
            for shift in (0..).step_by(7) {
                let byte = self.0[0];
                self.0 = &self.0[1..];
                number |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            number
        }

        fn zigzag(&mut self) -> i64 {
            let bits = self.varint();
            (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
        }

        fn values(mut self) -> Vec<i64> {
            let (block, parts) = (self.varint() as usize, self.varint() as usize);
            let n = self.varint() as usize;
            let mut value = self.zigzag();
            let mut values = Vec::from_iter((n > 0).then_some(value));
            while values.len() < n {
                let least = self.zigzag();
                let (widths, rest) = self.0.split_at(parts);
                self.0 = rest;
                for &width in widths {
                    let (packed, rest) = self.0.split_at(block / parts * usize::from(width) / 8);
                    self.0 = rest;
                    for at in 0..block / parts {
                        let bit = |bit: usize| {
                            let bit = at * usize::from(width) + bit;
                            u64::from(packed[bit / 8] >> (bit % 8) & 1)
                        };
                        let above: u64 = (0..usize::from(width)).map(|i| bit(i) << i).sum();
                        value = value.wrapping_add(least).wrapping_add(above.cast_signed());
                        if values.len() < n {
                            values.push(value);
                        }
                    }
                }
            }
            assert!(self.0.is_empty());
            values
        }
    }

    proptest! {
        #[test]
        fn values_come_back(
            values in prop::collection::vec((any::<u64>(), 0..64_u32), 0..700),
        ) {
            let long: Vec<u64> = values.iter().map(|(value, shift)| value >> shift).collect();
            let mut bytes = Vec::new();
            encode(&long, 64, &mut bytes);
            let expected: Vec<i64> = long.iter().map(|value| value.cast_signed()).collect();
            prop_assert_eq!(Reader(&bytes).values(), expected);

            let short: Vec<u32> = long.iter().map(|value| *value as u32).collect();
            let widened: Vec<u64> = short.iter().map(|value| u64::from(*value)).collect();
            bytes.clear();
            encode(&widened, 32, &mut bytes);
            let found: Vec<u32> = Reader(&bytes).values().iter().map(|v| *v as u32).collect();
            prop_assert_eq!(found, short);
        }
    }

    #[test]
    fn even_steps_take_a_few_bytes_a_block() {
        let values: Vec<u64> = (0..12_801).map(|n| 1_700_000_000_000_000_000 + n * 250).collect();
        let mut bytes = Vec::new();
        encode(&values, 64, &mut bytes);
        assert!(bytes.len() < 100 * 7 + 20, "{}", bytes.len());
    }
}
