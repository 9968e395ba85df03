//! A look at every record's length before the state machine sees it.

/// Length unit of the header.
const UNIT_BYTES: usize = 4;
/// The header itself.
const LENGTH_MIN: u8 = 4;

/// Follows the records through the decoded bytes by their length bytes.
///
/// The state machine hands out references into its buffer, so every record must start at a
/// multiple of eight bytes. All sound ones do; a damaged length would move those behind it off
/// that grid, and they must not get there.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    /// Bytes until the next record's header.
    until_header: usize,
    bad: Option<BadLength>,
}

/// A length no record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadLength {
    pub(crate) bytes: usize,
    /// Type byte behind it, if it was read already.
    pub(crate) rtype: u8,
}

impl Framing {
    /// How many of the next bytes belong to records of possible lengths.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> usize {
        if self.bad.is_some() {
            return 0;
        }
        let mut at = self.until_header;
        while let Some(&length) = bytes.get(at) {
            if length < LENGTH_MIN || length % 2 == 1 {
                let rtype = bytes.get(at + 1).copied().unwrap_or_default();
                self.bad = Some(BadLength { bytes: usize::from(length) * UNIT_BYTES, rtype });
                return at;
            }
            at += usize::from(length) * UNIT_BYTES;
        }
        self.until_header = at - bytes.len();
        bytes.len()
    }

    /// The impossible length met, if any: the records before it are good.
    pub(crate) fn bad(&self) -> Option<BadLength> {
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_found_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for length in [4_u8, 92, 14, 4] {
            bytes.push(length);
            bytes.resize(bytes.len() + usize::from(length) * 4 - 1, 0);
        }
        let whole = bytes.len();
        bytes.extend([91, 10, 0, 0]);
        for piece in 1..bytes.len() {
            let mut framing = Framing::default();
            let good: usize = bytes.chunks(piece).map(|chunk| framing.check(chunk)).sum();
            assert_eq!(good, whole, "pieces of {piece}");
            assert_eq!(framing.bad().unwrap().bytes, 364);
        }
    }
}
