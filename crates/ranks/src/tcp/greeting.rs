//! What is said before two ranks trust each other.
//!
//! A rank says who it is and a number drawn at random (`GREETING`), rank 0 answers with one of its
//! own (`CHALLENGE`). With a join key the rank proves that it has it by an HMAC over both, and
//! rank 0 does the same when it lets the rank in (`ADMITTED`). As both numbers are fresh, nothing
//! that was overheard helps another time; as the two proofs differ, none can be sent back.

use crate::{JoinKey, RankError};

/// First bytes of a greeting; the last one is the version of the protocol.
pub(super) const MAGIC: [u8; 8] = *b"lobrank\x02";

/// Magic, world size, rank, whether there is a key, and the rank's number.
pub(super) const GREETING_LEN: usize = 8 + 4 + 4 + 1 + NONCE_LEN;

pub(super) const NONCE_LEN: usize = 32;
pub(super) const PROOF_LEN: usize = 32;

/// Kinds of what rank 0 says: start, go away (with a reason), prove it (with a number), wait for the
/// others (with a proof where there is a key).
pub(super) const START: u8 = 0;
pub(super) const REFUSED: u8 = 1;
pub(super) const CHALLENGE: u8 = 2;
pub(super) const ADMITTED: u8 = 3;

/// A number that nobody can foresee.
pub(super) fn nonce() -> Result<[u8; NONCE_LEN], RankError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| RankError::Random { reason: error.to_string() })?;
    Ok(nonce)
}

/// Who wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) world_size: usize,
    pub(super) rank: usize,
    pub(super) has_key: bool,
    pub(super) nonce: [u8; NONCE_LEN],
}

impl Greeting {
    pub(super) fn encode(&self) -> [u8; GREETING_LEN] {
        let mut bytes = [0; GREETING_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        for (at, number) in [(8, self.world_size), (12, self.rank)] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[16] = self.has_key.into();
        bytes[17..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Reads a greeting whose magic is right.
    pub(super) fn decode(bytes: &[u8; GREETING_LEN]) -> Self {
        let number = |at: usize| {
            let number = u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        Self {
            world_size: number(8),
            rank: number(12),
            has_key: bytes[16] != 0,
            nonce: std::array::from_fn(|i| bytes[17 + i]),
        }
    }
}

/// Whose proof: each says another word first, so that one cannot stand for the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Guest,
    Host,
}

impl Side {
    fn texts<'a>(self, greeting: &'a [u8], challenge: &'a [u8]) -> [&'a [u8]; 3] {
        let word: &[u8] = match self {
            Self::Guest => b"lob-ranks guest",
            Self::Host => b"lob-ranks rank 0",
        };
        [word, greeting, challenge]
    }

    pub(super) fn prove(
        self,
        key: &JoinKey,
        greeting: &[u8; GREETING_LEN],
        challenge: &[u8; NONCE_LEN],
    ) -> Option<[u8; PROOF_LEN]> {
        key.prove(&self.texts(greeting, challenge))
    }

    pub(super) fn has_proved(
        self,
        key: &JoinKey,
        greeting: &[u8; GREETING_LEN],
        challenge: &[u8; NONCE_LEN],
        proof: &[u8; PROOF_LEN],
    ) -> bool {
        key.is_proof(&self.texts(greeting, challenge), proof)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_comes_back() {
        let greeting =
            Greeting { world_size: 4096, rank: 7, has_key: true, nonce: nonce().unwrap() };
        assert_eq!(Greeting::decode(&greeting.encode()), greeting);
        assert_ne!(greeting.nonce, nonce().unwrap());
    }

    #[test]
    fn a_proof_is_of_one_side_and_of_both_numbers() {
        let (key, other) = (JoinKey::new([1; 16]).unwrap(), JoinKey::new([2; 16]).unwrap());
        let (greeting, challenge) = ([3; GREETING_LEN], [4; NONCE_LEN]);
        let proof = Side::Guest.prove(&key, &greeting, &challenge).unwrap();
        assert!(Side::Guest.has_proved(&key, &greeting, &challenge, &proof));
        assert!(!Side::Host.has_proved(&key, &greeting, &challenge, &proof), "sent back");
        assert!(!Side::Guest.has_proved(&other, &greeting, &challenge, &proof), "another key");
        assert!(!Side::Guest.has_proved(&key, &greeting, &[5; NONCE_LEN], &proof), "replayed");
        assert!(!Side::Guest.has_proved(&key, &[5; GREETING_LEN], &challenge, &proof), "another");
    }
}
