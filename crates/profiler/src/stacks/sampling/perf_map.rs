//! Names of code that was compiled while the program ran: `/tmp/perf-PID.map`, which just-in-time
//! compilers write for profilers, a line for every piece: `START SIZE NAME`, in hexadecimal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// Bytes read of a file; what comes later is left out and said.
const MAX_BYTES: u64 = 64 << 20;
/// Characters kept of a name.
const MAX_NAME: usize = 1000;

/// Pieces of code by address; where pieces overlap, the later one has replaced the earlier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PerfMap {
    pieces: BTreeMap<u64, (u64, String)>,
    /// Lines of another form.
    pub(super) odd_lines: u64,
    /// Whether the file is longer than what was read of it.
    pub(super) cut: bool,
}

impl PerfMap {
    /// Reads an open file.
    pub(super) fn read(file: &File) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        let cut = bytes.len() as u64 > MAX_BYTES;
        bytes.truncate(usize::try_from(MAX_BYTES).unwrap_or(usize::MAX));
        Ok(Self { cut, ..Self::parse(&bytes) })
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for line in lines {
            match piece(line) {
                Some((start, end, name)) => map.insert(start, end, name),
                None => map.odd_lines += 1,
            }
        }
        map
    }

    fn insert(&mut self, start: u64, end: u64, name: String) {
        // A piece that begins before and reaches into this one ends where this one starts.
        if let Some((before, (its_end, its_name))) = self.pieces.range_mut(..start).next_back()
            && *its_end > start
        {
            debug_assert!(*before < start, "the range ends there");
            let rest = (*its_end > end).then(|| (*its_end, its_name.clone()));
            *its_end = start;
            if let Some(rest) = rest {
                self.pieces.insert(end, rest);
            }
        }
        while let Some((from, (its_end, _))) = self.pieces.range(start..end).next() {
            let (from, its_end) = (*from, *its_end);
            if let Some((_, its_name)) = self.pieces.remove(&from)
                && its_end > end
            {
                self.pieces.insert(end, (its_end, its_name));
            }
        }
        self.pieces.insert(start, (end, name));
    }

    /// The name of the code at an address.
    pub(super) fn name(&self, address: u64) -> Option<&str> {
        let (_, (end, name)) = self.pieces.range(..=address).next_back()?;
        (address < *end).then_some(name.as_str())
    }
}

fn piece(line: &[u8]) -> Option<(u64, u64, String)> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.trim_start().splitn(3, ' ');
    let hex = |word: &str| {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        u64::from_str_radix(digits, 16).ok()
    };
    let (start, size) = (hex(words.next()?)?, hex(words.next()?)?);
    let name: String = words.next()?.trim_end().chars().take(MAX_NAME).collect();
    let end = start.checked_add(size)?;
    (size > 0 && !name.is_empty()).then_some((start, end, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn later_pieces_replace_what_they_cover() {
        let text =
            b"1000 100 old\n1040 20 new one\n0x2000 0x10 hex\ngarbage\n10f0 20 over\n1000 0 none\n";
        let map = PerfMap::parse(text);
        let names =
            [0xfff, 0x1000, 0x1040, 0x105f, 0x1060, 0x10ef, 0x10f0, 0x110f, 0x1110, 0x200f, 0x2010];
        let found: Vec<Option<&str>> = names.iter().map(|at| map.name(*at)).collect();
        let (old, new, over) = (Some("old"), Some("new one"), Some("over"));
        let expected = [None, old, new, new, old, old, over, over, None, Some("hex"), None];
        assert_eq!(found, expected);
        assert_eq!((map.odd_lines, map.cut), (2, false));
    }

    proptest! {
        #[test]
        fn the_last_piece_over_an_address_names_it(
            pieces in proptest::collection::vec((0_u64..200, 1_u64..60), 0..40),
            address in 0_u64..280,
        ) {
            let lines: String = pieces
                .iter()
                .enumerate()
                .map(|(n, (start, size))| format!("{start:x} {size:x} f{n}\n"))
                .collect();
            let covers = |(start, size): &(u64, u64)| (*start..start + size).contains(&address);
            let last = pieces.iter().rposition(covers).map(|n| format!("f{n}"));
            let map = PerfMap::parse(lines.as_bytes());
            prop_assert_eq!(map.name(address), last.as_deref());
        }

        #[test]
        fn no_file_brings_the_reader_down(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = PerfMap::parse(&bytes);
        }
    }
}
