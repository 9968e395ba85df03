//! How long the disk takes to promise that a small file is safe.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use lob_scope::Unavailable;

const BLOCK_BYTES: usize = 4096;
const MIN_WRITES: usize = 5;
const MAX_WRITES: usize = 20_000;

/// Rewrites 4 KiB of a file and syncs it, again and again.
pub(super) struct Syncs {
    scratch: Scratch,
    /// Seconds of each; the first of all is not among them.
    samples: Vec<f64>,
    /// The fastest of each round.
    best: Vec<f64>,
    warm: bool,
}

/// What the disk takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct SyncTimes {
    /// Median of the rounds' fastest.
    pub(super) best_s: f64,
    /// Median of all.
    pub(super) median_s: f64,
    pub(super) p90_s: f64,
    /// Distance between the quartiles over the median.
    pub(super) spread: f64,
}

impl Syncs {
    pub(super) fn new(dir: &Path) -> Result<Self, Unavailable> {
        let scratch = Scratch::create(dir)?;
        Ok(Self { scratch, samples: Vec::new(), best: Vec::new(), warm: false })
    }

    /// Syncs for `seconds`, and a few times at least.
    pub(super) fn slice(&mut self, seconds: f64) -> Result<(), Unavailable> {
        let (start, mut writes, mut best_s) = (Instant::now(), 0, f64::INFINITY);
        while writes < MIN_WRITES
            || (self.samples.len() < MAX_WRITES && start.elapsed().as_secs_f64() < seconds)
        {
            let took_s = self.sync_once()?;
            // The first write also allocates the block.
            if self.warm {
                self.samples.push(took_s);
                best_s = best_s.min(took_s);
            }
            self.warm = true;
            writes += 1;
        }
        self.best.push(best_s);
        Ok(())
    }

    fn sync_once(&mut self) -> Result<f64, Unavailable> {
        let Scratch { file, path } = &mut self.scratch;
        let failed = |e: std::io::Error| {
            Unavailable::new(format!("cannot write and sync `{}`: {e}", path.display()))
        };
        #[expect(clippy::cast_possible_truncation, reason = "any changing byte will do")]
        let block = [self.samples.len() as u8; BLOCK_BYTES];
        let from = Instant::now();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(&block).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(from.elapsed().as_secs_f64())
    }

    pub(super) fn finish(self) -> Result<SyncTimes, Unavailable> {
        let times = || {
            let at = |q| quantile(&self.samples, q);
            let median_s = at(0.5)?;
            let spread = (at(0.75)? - at(0.25)?) / median_s;
            Some(SyncTimes {
                best_s: quantile(&self.best, 0.5)?,
                median_s,
                p90_s: at(0.9)?,
                spread,
            })
        };
        times().ok_or_else(|| Unavailable::new("no fsync was timed"))
    }
}

/// Nearest-rank quantile; `None` of nothing.
pub(super) fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the length is no longer than it"
    )]
    let index = (q.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted.get(index).copied()
}

/// A file that goes away with this value.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn create(dir: &Path) -> Result<Self, Unavailable> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!(".lob-fsync-{}-{number}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|e| {
            Unavailable::new(format!("cannot create a file in `{}`: {e}", dir.display()))
        })?;
        Ok(Self { path, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done about a scratch file that will not go.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_behind() {
        let dir = std::env::temp_dir().join(format!("lob-fsync-test-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut syncs = Syncs::new(&dir).unwrap();
        syncs.slice(0.0).unwrap();
        let times = syncs.finish().unwrap();
        assert!(times.best_s > 0.0 && times.best_s <= times.p90_s);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
    }
}
