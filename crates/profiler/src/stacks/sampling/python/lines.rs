//! Line tables of code objects.

/// The line of an instruction, in a table of 3.11 and later (`Objects/locations.md` of CPython):
/// `unit` counts 16-bit code units from the first instruction.
pub(super) fn of_unit(table: &[u8], first_line: i64, unit: u64) -> Option<u32> {
    let mut bytes = table.iter().copied();
    let (mut line, mut at) = (first_line, 0);
    loop {
        let head = bytes.next()?;
        let code = head >> 3 & 15;
        at += u64::from(head & 7) + 1;
        let mut known = true;
        match code {
            15 => known = false,
            14 => {
                line += signed(&mut bytes)?;
                (0..3).try_for_each(|_| number(&mut bytes).map(|_| ()))?;
            }
            13 => line += signed(&mut bytes)?,
            10..=12 => {
                line += i64::from(code) - 10;
                bytes.nth(1)?;
            }
            _ => {
                bytes.next()?;
            }
        }
        if unit < at {
            return known.then(|| u32::try_from(line).ok()).flatten();
        }
    }
}

/// A number in pieces of six bits, lowest first.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let byte = bytes.next()?;
        value |= u64::from(byte & 63).checked_shl(shift)?;
        shift += 6;
        if byte & 64 == 0 {
            return Some(value);
        }
    }
}

/// A number whose lowest bit is its sign.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = number(bytes)?;
    let size = i64::try_from(value >> 1).ok()?;
    Some(if value & 1 == 1 { -size } else { size })
}

/// The line of an instruction, in a table of 3.10 (PEP 626): `byte` counts from the first one.
pub(super) fn of_byte(table: &[u8], first_line: i64, byte: u64) -> Option<u32> {
    let (mut line, mut end) = (first_line, 0);
    for pair in table.chunks_exact(2) {
        let (length, change) = (u64::from(pair[0]), i8::from_ne_bytes([pair[1]]));
        end += length;
        let known = change != -128;
        line += if known { i64::from(change) } else { 0 };
        if byte < end {
            return known.then(|| u32::try_from(line).ok()).flatten();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_an_entry_is_read() {
        // Two units on the first line, one without a line, three by a jump of +5 with columns,
        // one by -2 without, one two lines on, one on the same line.
        let table = [
            0x80 | 1,
            0x11,
            0x80 | 15 << 3,
            0x80 | 14 << 3 | 2,
            5 << 1,
            0,
            1,
            2,
            0x80 | 13 << 3,
            2 << 1 | 1,
            0x80 | 12 << 3,
            0,
            4,
            0x80 | 3 << 3,
            0x22,
        ];
        let lines: Vec<Option<u32>> = (0..10).map(|unit| of_unit(&table, 100, unit)).collect();
        let expected = [100, 100, 0, 105, 105, 105, 103, 105, 105, 0].map(|l| (l > 0).then_some(l));
        assert_eq!(lines, expected);
        // 70 = 6 + 1 * 64, in two pieces.
        assert_eq!(number(&mut [64 | 6, 1].into_iter()), Some(70));
        assert_eq!(
            (signed(&mut [5].into_iter()), signed(&mut [4].into_iter())),
            (Some(-2), Some(2))
        );
    }

    #[test]
    fn pairs_of_the_older_table_are_read() {
        let table = [4, 1, 2, 0x80, 2, 0xff];
        let lines: Vec<Option<u32>> = (0..9).map(|byte| of_byte(&table, 10, byte)).collect();
        let expected = [11, 11, 11, 11, 0, 0, 10, 10, 0].map(|l| (l > 0).then_some(l));
        assert_eq!(lines, expected);
    }

    proptest! {
        #[test]
        fn no_table_brings_the_reader_down(
            table in proptest::collection::vec(any::<u8>(), 0..60),
            first in any::<i32>(),
            at in 0_u64..200,
        ) {
            let _ = of_unit(&table, i64::from(first), at);
            let _ = of_byte(&table, i64::from(first), at);
        }
    }
}
