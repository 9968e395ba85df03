//! What the content of a file is known by.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use twox_hash::XxHash3_128;

use crate::InputHash;

/// The hash of some content; at most one of the two is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ContentHash {
    /// Lower-case hex.
    pub(crate) sha256: Option<String>,
    /// Lower-case hex.
    pub(crate) xxh3: Option<String>,
}

impl ContentHash {
    /// Whichever is there.
    pub(crate) fn any(&self) -> Option<&str> {
        self.sha256.as_deref().or(self.xxh3.as_deref())
    }

    /// Which of the two is there.
    pub(crate) fn kind(&self) -> InputHash {
        match self {
            Self { sha256: Some(_), .. } => InputHash::Sha256,
            Self { xxh3: Some(_), .. } => InputHash::Xxh3,
            _ => InputHash::None,
        }
    }
}

/// A hash in the making.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Xxh3(Box<XxHash3_128>),
    None,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Sha256",
            Self::Xxh3(_) => "Xxh3",
            Self::None => "None",
        })
    }
}

impl Hasher {
    pub(crate) fn new(kind: InputHash) -> Self {
        match kind {
            InputHash::Sha256 => Self::Sha256(Sha256::new()),
            InputHash::Xxh3 => Self::Xxh3(Box::new(XxHash3_128::new())),
            InputHash::None => Self::None,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Xxh3(hash) => hash.write(bytes),
            Self::None => {}
        }
    }

    /// The hash of what was seen so far.
    pub(crate) fn finish(&self) -> ContentHash {
        match self {
            Self::Sha256(hash) => {
                let digest = hash.clone().finalize();
                let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                ContentHash { sha256: Some(hex), xxh3: None }
            }
            Self::Xxh3(hash) => {
                ContentHash { sha256: None, xxh3: Some(format!("{:032x}", hash.finish_128())) }
            }
            Self::None => ContentHash::default(),
        }
    }
}

/// The fingerprint of an input in the making: XXH3-128 of its records as they stand in the
/// decompressed file, behind the header. It does not depend on how the file was compressed.
pub(crate) struct RecordHasher {
    hash: XxHash3_128,
    took: Duration,
}

/// What identifies the records of an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fingerprint {
    /// Lower-case hex of XXH3-128.
    pub(crate) hash: String,
    /// Time that computing it took, on whichever thread, in seconds by the clock.
    pub(crate) took_s: f64,
}

impl RecordHasher {
    pub(crate) fn new() -> Self {
        Self { hash: XxHash3_128::new(), took: Duration::ZERO }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // Once for some hundred records, so the clock costs nothing.
        let start = Instant::now();
        self.hash.write(bytes);
        self.took += start.elapsed();
    }

    /// The fingerprint of what was seen so far.
    pub(crate) fn finish(&self) -> Fingerprint {
        let hash = format!("{:032x}", self.hash.finish_128());
        Fingerprint { hash, took_s: self.took.as_secs_f64() }
    }
}

impl std::fmt::Debug for RecordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordHasher").field("took", &self.took).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_other_tools() {
        let of = |kind| {
            let mut hash = Hasher::new(kind);
            hash.update(b"a");
            hash.update(b"bc");
            hash.finish()
        };
        let sha256 = of(InputHash::Sha256).sha256.unwrap();
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        // `printf abc | xxhsum -H2`
        assert_eq!(of(InputHash::Xxh3).xxh3.unwrap(), "06b05ab6733a618578af5f94892f3950");
        assert_eq!(of(InputHash::None), ContentHash::default());
    }
}
