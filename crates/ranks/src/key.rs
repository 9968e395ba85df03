use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::RankError;

/// A secret that all ranks of a run share, so that nobody else joins it.
///
/// ```
/// use lob_ranks::JoinKey;
///
/// let key = JoinKey::new("71a3f0c2 7d2e88b0 55ee4b1f").unwrap();
/// assert_eq!(format!("{key:?}"), "JoinKey(..)");
/// assert!(JoinKey::new("short").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JoinKey(Vec<u8>);

impl JoinKey {
    /// Fewest bytes of a key. Whoever sees a greeting can try keys as fast as they can hash.
    pub const MIN_BYTES: usize = 16;

    /// A key of these bytes.
    ///
    /// # Errors
    /// [`RankError::Plan`] for fewer than [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, RankError> {
        let bytes = bytes.into();
        if bytes.len() < Self::MIN_BYTES {
            let expected = format!("at least {} bytes, drawn at random", Self::MIN_BYTES);
            let found = format!("{} bytes long", bytes.len());
            return Err(RankError::Plan { name: "join key", expected, found });
        }
        Ok(Self(bytes))
    }

    /// HMAC-SHA256 (RFC 2104) of several texts in a row.
    fn mac(&self, texts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        // A key may have any length: there is always a result.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        texts.iter().for_each(|text| mac.update(text));
        Some(mac)
    }

    /// The proof that somebody who knows the key has seen these texts.
    pub(crate) fn prove(&self, texts: &[&[u8]]) -> Option<[u8; 32]> {
        self.mac(texts).map(|mac| mac.finalize().into_bytes().into())
    }

    /// Whether `proof` is that of these texts, in a time that says nothing about where it differs.
    pub(crate) fn is_proof(&self, texts: &[&[u8]], proof: &[u8; 32]) -> bool {
        self.mac(texts).is_some_and(|mac| mac.verify_slice(proof).is_ok())
    }
}

/// Never shows the key.
impl std::fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinKey(..)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Test cases 3 and 6 of RFC 4231: a key below and one above the block of the hash.
    #[test]
    fn proofs_are_those_of_the_standard() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let found = JoinKey::new([0xaa; 20]).unwrap().prove(&[&[0xdd; 20], &[0xdd; 30]]).unwrap();
        let expected = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
        assert_eq!(hex(&found), expected);
        let key = JoinKey::new([0xaa; 131]).unwrap();
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let mut found = key.prove(&[text]).unwrap();
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hex(&found), expected);
        assert!(key.is_proof(&[text], &found));
        found[31] ^= 1;
        assert!(!key.is_proof(&[text], &found));
    }
}
