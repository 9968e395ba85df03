use std::ops::Range;

use lob_ranks::Collective;

use crate::ContrastiveError;

/// The ranks that train one model together, as the trainer sees them; one that is alone has nothing
/// to exchange.
pub(crate) struct Team<'a> {
    others: Option<&'a mut dyn Collective>,
    /// Bytes this rank has put into sums.
    sent_bytes: u64,
}

impl<'a> Team<'a> {
    /// A team for batches of `batch_size` pairs, of which each rank takes an equal share.
    pub(crate) fn new(
        collective: Option<&'a mut dyn Collective>,
        batch_size: usize,
    ) -> Result<Self, ContrastiveError> {
        let others = collective.filter(|collective| collective.world_size() > 1);
        let team = Self { others, sent_bytes: 0 };
        if !batch_size.is_multiple_of(team.size()) {
            let found = format!("{batch_size} for {} ranks", team.size());
            let expected = "a multiple of the number of ranks, which share it evenly";
            return Err(ContrastiveError::config("batch_size", expected, found));
        }
        Ok(team)
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.others.is_none()
    }

    /// Whether this rank writes files and evaluates.
    pub(crate) fn is_leader(&self) -> bool {
        self.rank() == 0
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    fn rank(&self) -> usize {
        self.others.as_ref().map_or(0, |others| others.rank())
    }

    fn size(&self) -> usize {
        self.others.as_ref().map_or(1, |others| others.world_size())
    }

    /// This rank's part of `n` pairs.
    pub(crate) fn share(&self, n: usize) -> Range<usize> {
        let each = n / self.size();
        self.rank() * each..(self.rank() + 1) * each
    }

    /// Adds up over all ranks, in place.
    pub(crate) fn sum(&mut self, values: &mut [f32]) -> Result<(), ContrastiveError> {
        let Some(others) = &mut self.others else { return Ok(()) };
        self.sent_bytes += size_of_val(values) as u64;
        others.all_reduce_sum(values).map_err(ContrastiveError::Ranks)
    }

    /// The leader's value on every rank.
    pub(crate) fn leaders(&mut self, value: f32) -> Result<f32, ContrastiveError> {
        let mut value = [if self.is_leader() { value } else { 0.0 }];
        self.sum(&mut value)?;
        Ok(value[0])
    }

    /// Makes sure that all ranks have the same of something, by a hash of it.
    pub(crate) fn agree(&mut self, what: &'static str, hash: Hash) -> Result<(), ContrastiveError> {
        if self.is_alone() {
            return Ok(());
        }
        // Each rank fills places of its own. Sixteen bits at a time are exact in single precision.
        let mut all = vec![0.0; 4 * self.size()];
        let own = &mut all[4 * self.rank()..][..4];
        for (place, bits) in own.iter_mut().zip(hash.0.to_le_bytes().as_chunks::<2>().0) {
            *place = f32::from(u16::from_le_bytes(*bits));
        }
        self.sum(&mut all)?;
        let (leader, others) = all.split_at(4);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let differ =
            others.chunks_exact(4).zip(1..).filter(|(other, _)| bits(other) != bits(leader));
        let ranks: Vec<usize> = differ.map(|(_, rank)| rank).collect();
        if ranks.is_empty() {
            return Ok(());
        }
        Err(ContrastiveError::RanksDiffer { what, ranks: lob_ranks::RankList(ranks) })
    }
}

/// A running FNV-1a hash (Fowler, Noll and Vo), a word at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // The product alone carries no bit downwards.
        self.0 ^= self.0 >> 29;
    }

    pub(crate) fn add_floats(&mut self, values: &[f32]) {
        for x in values {
            self.add(u64::from(x.to_bits()));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use lob_ranks::ThreadRanks;

    use super::*;

    #[test]
    fn shares_are_disjoint_complete_and_equal() {
        let mut group = ThreadRanks::group(3);
        let shares: Vec<Range<usize>> =
            group.iter_mut().map(|rank| Team::new(Some(rank), 12).unwrap().share(12)).collect();
        assert_eq!(shares, [0..4, 4..8, 8..12]);
        let alone = Team::new(None, 7).unwrap();
        assert_eq!((alone.share(7), alone.is_leader()), (0..7, true));
        let message = Team::new(Some(&mut group[0]), 13).err().unwrap().to_string();
        assert!(message.starts_with("`batch_size` is 13 for 3 ranks, expected a multiple"));
    }

    #[test]
    fn ranks_that_differ_are_named() {
        let check = |words: [u64; 3], expected: Option<&'static str>| {
            let threads = ThreadRanks::group(3).into_iter().zip(words).map(|(mut rank, word)| {
                std::thread::spawn(move || {
                    let mut team = Team::new(Some(&mut rank), 3).unwrap();
                    let mut hash = Hash::new();
                    hash.add(word);
                    let found = team.agree("weights", hash).map_err(|e| e.to_string());
                    // Kept until all are done.
                    (found, rank)
                })
            });
            for thread in threads.collect::<Vec<_>>() {
                let (found, _rank) = thread.join().unwrap();
                match expected {
                    None => assert_eq!(found, Ok(())),
                    Some(part) => assert!(found.as_ref().is_err_and(|e| e.contains(part))),
                }
            }
        };
        check([7, 7, 7], None);
        check([7, 7, 8], Some("the weights of rank 2 differ"));
        check([7, 1 << 63, 7 + (1 << 40)], Some("the weights of ranks 1, 2 differ"));
    }
}
