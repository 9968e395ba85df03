//! What a thread did over time, in stretches.

use super::doing::Doing;

/// Stretches kept of one thread; beyond, neighbours become one.
const MAX_STRETCHES: usize = 512;

/// Stretches of time, each with what was mostly done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    pub(super) from_s: f64,
    /// End of each, in order.
    pub(super) stretches: Vec<(f64, Doing)>,
}

impl Lane {
    pub(super) fn new(from_s: f64) -> Self {
        Self { from_s, stretches: Vec::new() }
    }

    /// Until `t_s`, this was done.
    pub(super) fn add(&mut self, t_s: f64, doing: Doing) {
        match self.stretches.last_mut() {
            Some((end, last)) if *last == doing => *end = t_s,
            _ => self.stretches.push((t_s, doing)),
        }
        if self.stretches.len() > MAX_STRETCHES {
            *self = self.coarser();
        }
    }

    /// With at most `most` stretches.
    pub(super) fn at_most(&self, most: usize) -> Self {
        let mut lane = self.clone();
        while lane.stretches.len() > most.max(1) {
            lane = lane.coarser();
        }
        lane
    }

    /// Every two neighbours become one that does what the longer one did.
    fn coarser(&self) -> Self {
        let mut out = Self::new(self.from_s);
        let mut from_s = self.from_s;
        for pair in self.stretches.chunks(2) {
            let (first, last) = (pair[0], pair[pair.len() - 1]);
            let longer = if first.0 - from_s >= last.0 - first.0 { first.1 } else { last.1 };
            from_s = last.0;
            match out.stretches.last_mut() {
                Some((end, doing)) if *doing == longer => *end = last.0,
                _ => out.stretches.push((last.0, longer)),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_and_many_become_few() {
        let mut lane = Lane::new(0.0);
        for (t_s, doing) in [(1.0, Doing::Running), (2.0, Doing::Running), (3.0, Doing::Disk)] {
            lane.add(t_s, doing);
        }
        assert_eq!(lane.stretches, [(2.0, Doing::Running), (3.0, Doing::Disk)]);
        assert_eq!(lane.at_most(1).stretches, [(3.0, Doing::Running)]);
        let mut long = Lane::new(0.0);
        for step in 0..10_000u32 {
            let doing = if step % 2 == 0 { Doing::Running } else { Doing::Timer };
            long.add(f64::from(step + 1), doing);
        }
        assert!(long.stretches.len() <= MAX_STRETCHES);
        assert!((long.stretches.last().unwrap().0 - 10_000.0).abs() < 1e-9, "to the end");
    }
}
