//! What happened to the conversions of a simulation.

/// What happened, over any number of seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Seeds run.
    pub seeds: u64,
    /// Conversions started: one for each writer of each attempt.
    pub runs: u64,
    /// Operations of the file system.
    pub operations: u64,
    /// Operations that were made to fail.
    pub failed: u64,
    /// Writes that took a part of what they were given.
    pub short_writes: u64,
    /// Crashes of the power, after which what was not synced is forgotten.
    pub power_losses: u64,
    /// Processes killed; what they had written stays.
    pub kills: u64,
    /// Writes of which a crash left a part.
    pub torn_writes: u64,
    /// Writes that a crash took away.
    pub lost_writes: u64,
    /// Renames that a crash took back.
    pub lost_renames: u64,
    /// Names of files and folders, made or removed, that a crash took back.
    pub lost_names: u64,
    /// Looks at the store by a reader, each of all its files.
    pub reads: u64,
}

impl Counts {
    /// Adds those of other seeds.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.seeds, other.seeds),
            (&mut self.runs, other.runs),
            (&mut self.operations, other.operations),
            (&mut self.failed, other.failed),
            (&mut self.short_writes, other.short_writes),
            (&mut self.power_losses, other.power_losses),
            (&mut self.kills, other.kills),
            (&mut self.torn_writes, other.torn_writes),
            (&mut self.lost_writes, other.lost_writes),
            (&mut self.lost_renames, other.lost_renames),
            (&mut self.lost_names, other.lost_names),
            (&mut self.reads, other.reads),
        ] {
            *to += from;
        }
    }
}
