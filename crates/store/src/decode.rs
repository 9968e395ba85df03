//! Decoding a run of rows out of one data page, without touching the rows before it.

use crate::page::{PLAIN, RLE_DICTIONARY};

/// A stored number: its width in bytes and how to read it.
pub(crate) trait Value: Copy {
    const WIDTH: usize;
    /// Reads the first [`WIDTH`](Self::WIDTH) bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Reads value `index` of many.
    fn nth(bytes: &[u8], index: u32) -> Option<Self>;
}

macro_rules! value {
    ($type:ty, $width:literal) => {
        impl Value for $type {
            const WIDTH: usize = $width;
            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| Self::from_le_bytes(*chunk))
            }
            #[inline]
            fn nth(bytes: &[u8], index: u32) -> Option<Self> {
                let chunk = bytes.as_chunks::<$width>().0.get(index as usize)?;
                Some(Self::from_le_bytes(*chunk))
            }
        }
    };
}
value!(i32, 4);
value!(i64, 8);
value!(f64, 8);

/// A data page ready to decode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataPage<'a> {
    pub(crate) n_values: usize,
    pub(crate) n_nulls: usize,
    pub(crate) encoding: i32,
    /// Definition levels of a nullable column, one bit wide; empty for the others.
    pub(crate) levels: &'a [u8],
    pub(crate) values: &'a [u8],
    /// The chunk's dictionary, plain values; empty if it has none.
    pub(crate) dictionary: &'a [u8],
}

/// Buffers reused from page to page.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    indices: Vec<u32>,
    levels: Vec<u32>,
}

/// Calls `put(i, value)` for the rows `skip + i`, `i` in `0..n`; `None` as value is a null.
/// Returns what is wrong with the page otherwise.
pub(crate) fn decode<T: Value>(
    page: &DataPage<'_>,
    nullable: bool,
    skip: usize,
    n: usize,
    buffers: &mut Buffers,
    mut put: impl FnMut(usize, Option<T>),
) -> Result<(), &'static str> {
    if !nullable {
        return match page.n_nulls + page.levels.len() {
            0 => decode_present(page, skip, n, &mut buffers.indices, |i, v| put(i, Some(v))),
            _ => Err("nulls in a column without nulls"),
        };
    }
    // One run of ones over the whole page: the usual case for a deep book.
    if page.n_nulls == 0 {
        let mut runs = Runs { bytes: page.levels, width: 1 };
        return match runs.next() {
            Some(Run::Same { value: 1, n: n_run })
                if n_run >= page.n_values && runs.bytes.is_empty() =>
            {
                decode_present(page, skip, n, &mut buffers.indices, |i, v| put(i, Some(v)))
            }
            _ => Err("definition levels contradict the null count"),
        };
    }
    let Buffers { indices, levels } = buffers;
    levels.clear();
    levels.resize(page.n_values, 0);
    let rest = fill(page.levels, 1, 0, levels).ok_or("definition levels end too early")?;
    if !rest.is_empty() {
        return Err("definition levels longer than the page has rows");
    }
    let present = |levels: &[u32]| levels.iter().filter(|&&level| level == 1).count();
    if page.n_values - present(levels) != page.n_nulls {
        return Err("definition levels contradict the null count");
    }
    let before = present(&levels[..skip]);
    let inside = &levels[skip..skip + n];
    let mut rows = (0..n).filter(|&i| inside[i] == 1);
    for i in (0..n).filter(|&i| inside[i] != 1) {
        put(i, None);
    }
    decode_present(page, before, present(inside), indices, |_, value| {
        if let Some(row) = rows.next() {
            put(row, Some(value));
        }
    })
}

/// Decodes `n` values that are not null, after `skip` others.
fn decode_present<T: Value>(
    page: &DataPage<'_>,
    skip: usize,
    n: usize,
    indices: &mut Vec<u32>,
    mut put: impl FnMut(usize, T),
) -> Result<(), &'static str> {
    match page.encoding {
        PLAIN => {
            if page.values.len() != (page.n_values - page.n_nulls) * T::WIDTH {
                return Err("plain values of another total length");
            }
            let bytes = page.values.get(skip * T::WIDTH..(skip + n) * T::WIDTH);
            let bytes = bytes.ok_or("plain values end too early")?;
            for (i, value) in bytes.chunks_exact(T::WIDTH).enumerate() {
                put(i, T::read(value).ok_or("plain values end too early")?);
            }
            Ok(())
        }
        RLE_DICTIONARY => {
            // A page of nulls only may have no values at all.
            if n == 0 {
                return Ok(());
            }
            let (&width, runs) = page.values.split_first().ok_or("dictionary indices missing")?;
            if width > 32 {
                return Err("dictionary indices wider than 32 bits");
            }
            indices.clear();
            indices.resize(n, 0);
            fill(runs, u32::from(width), skip, indices)
                .ok_or("dictionary indices end too early")?;
            for (i, &index) in indices.iter().enumerate() {
                let value = T::nth(page.dictionary, index);
                put(i, value.ok_or("a dictionary index beyond the dictionary")?);
            }
            Ok(())
        }
        _ => Err("an encoding this format does not use"),
    }
}

/// A run of the RLE / bit-packing hybrid.
enum Run<'a> {
    Same { value: u32, n: usize },
    Packed { bytes: &'a [u8], n: usize },
}

struct Runs<'a> {
    bytes: &'a [u8],
    width: u32,
}

impl<'a> Runs<'a> {
    fn next(&mut self) -> Option<Run<'a>> {
        let mut head = 0_u64;
        for shift in (0..35).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            head |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let n = usize::try_from(head >> 1).ok()?;
        if head & 1 == 1 {
            let n_bytes = n.checked_mul(self.width as usize)?;
            let (bytes, rest) = self.bytes.split_at_checked(n_bytes)?;
            self.bytes = rest;
            return Some(Run::Packed { bytes, n: n.checked_mul(8)? });
        }
        let (bytes, rest) = self.bytes.split_at_checked(self.width.div_ceil(8) as usize)?;
        self.bytes = rest;
        let value = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        Some(Run::Same { value, n })
    }
}

/// Fills `out` with the hybrid's values after the first `skip`; `None` if it ends too early, the
/// bytes after the last run used otherwise.
fn fill<'a>(bytes: &'a [u8], width: u32, mut skip: usize, mut out: &mut [u32]) -> Option<&'a [u8]> {
    let mut runs = Runs { bytes, width };
    while !out.is_empty() {
        let run = runs.next()?;
        let (Run::Same { n, .. } | Run::Packed { n, .. }) = run;
        if n <= skip {
            skip -= n;
            continue;
        }
        let (head, rest) = out.split_at_mut(out.len().min(n - skip));
        match run {
            Run::Same { value, .. } => head.fill(value),
            Run::Packed { bytes, .. } => unpack(bytes, width, skip, head),
        }
        out = rest;
        skip = 0;
    }
    Some(runs.bytes)
}

/// Reads values of `width` <= 32 bits, least significant bit first. `bytes` holds all of them.
fn unpack(bytes: &[u8], width: u32, skip: usize, out: &mut [u32]) {
    let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
    let mut bit = skip * width as usize;
    for value in out {
        let tail = bytes.get(bit / 8..).unwrap_or_default();
        let word = tail.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut padded = [0; 8];
            padded[..tail.len()].copy_from_slice(tail);
            padded
        });
        #[expect(clippy::cast_possible_truncation, reason = "the mask leaves at most 32 bits")]
        let unpacked = (u64::from_le_bytes(word) >> (bit % 8) & mask) as u32;
        *value = unpacked;
        bit += width as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], width: u32, expected: &[u32]) {
        for skip in 0..=expected.len() {
            for n in 0..=expected.len() - skip {
                let mut out = vec![u32::MAX; n];
                assert!(fill(bytes, width, skip, &mut out).is_some(), "{skip}+{n}");
                assert_eq!(out, expected[skip..skip + n], "{skip}+{n}");
            }
        }
    }

    #[test]
    fn hybrid_runs_decode_at_any_start() {
        // The example of the Parquet format description: 0 to 7 packed in 3 bits.
        check(&[0x03, 0x88, 0xc6, 0xfa], 3, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(&[0x0a, 0x02], 2, &[2; 5]);
        check(
            &[0x0a, 0x02, 0x03, 0x88, 0xc6, 0xfa, 0x04, 0x05],
            3,
            &[2, 2, 2, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 5, 5],
        );
        check(&[0x0a], 0, &[0; 5]);
        check(&[0x04, 0x78, 0x56, 0x34, 0x12], 32, &[0x1234_5678; 2]);
    }

    #[test]
    fn a_hybrid_that_ends_early_is_refused() {
        let mut out = [0; 9];
        assert_eq!(fill(&[0x03, 0x88, 0xc6, 0xfa], 3, 0, &mut out), None);
        assert_eq!(fill(&[0x03, 0x88, 0xc6], 3, 0, &mut out[..1]), None);
        assert_eq!(fill(&[], 1, 0, &mut out[..1]), None);
        assert_eq!(fill(&[0xff; 12], 8, 0, &mut out), None);
    }

    fn plain(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn rows(page: &DataPage<'_>, skip: usize, n: usize) -> Result<Vec<Option<i64>>, &'static str> {
        let mut out = vec![None; n];
        decode(page, true, skip, n, &mut Buffers::default(), |i, value| out[i] = value)?;
        Ok(out)
    }

    #[test]
    fn nulls_are_put_where_the_levels_say() {
        let values = plain(&[10, 20]);
        // Levels 0 1 0 0 1 as one packed group.
        let page = DataPage {
            n_values: 5,
            n_nulls: 3,
            encoding: PLAIN,
            levels: &[0x03, 0b1_0010],
            values: &values,
            dictionary: &[],
        };
        let all = [None, Some(10), None, None, Some(20)];
        for skip in 0..5 {
            for n in 0..=5 - skip {
                assert_eq!(rows(&page, skip, n).unwrap(), all[skip..skip + n]);
            }
        }
        let lie = DataPage { n_nulls: 2, ..page };
        assert_eq!(rows(&lie, 0, 5), Err("definition levels contradict the null count"));
        let short = DataPage { values: &values[..8], ..page };
        assert_eq!(rows(&short, 0, 5), Err("plain values of another total length"));
        let long = DataPage { levels: &[0x03, 0b1_0010, 0x02, 0x01], ..page };
        assert_eq!(rows(&long, 0, 5), Err("definition levels longer than the page has rows"));
    }

    #[test]
    fn a_dictionary_index_beyond_the_dictionary_is_refused() {
        let dictionary = plain(&[7, 8]);
        let page = DataPage {
            n_values: 3,
            n_nulls: 0,
            encoding: RLE_DICTIONARY,
            levels: &[0x06, 0x01],
            values: &[0x02, 0x06, 0x01],
            dictionary: &dictionary,
        };
        assert_eq!(rows(&page, 1, 2).unwrap(), [Some(8); 2]);
        let beyond = DataPage { values: &[0x02, 0x06, 0x02], ..page };
        assert_eq!(rows(&beyond, 1, 2), Err("a dictionary index beyond the dictionary"));
    }
}
