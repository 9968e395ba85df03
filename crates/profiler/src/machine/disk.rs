//! How long the disk takes to promise that a small file is safe.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use lob_metrics::Summary;

use crate::Unavailable;

const BLOCK_BYTES: usize = 4096;
const MIN_WRITES: usize = 5;
const MAX_WRITES: usize = 500;

/// Median seconds to rewrite 4 KiB of a file in `dir` and fsync it.
pub(super) fn fsync_s(dir: &Path, seconds: f64) -> Result<f64, Unavailable> {
    let scratch = Scratch::create(dir)?;
    let mut file = &scratch.file;
    let failed = |e: std::io::Error| {
        Unavailable::new(format!("cannot write and sync `{}`: {e}", scratch.path.display()))
    };
    let (start, mut samples) = (Instant::now(), Vec::new());
    // The first write also allocates the block, so it is left out below.
    while samples.len() <= MIN_WRITES
        || (samples.len() < MAX_WRITES && start.elapsed().as_secs_f64() < seconds)
    {
        #[expect(clippy::cast_possible_truncation, reason = "any changing byte will do")]
        let block = [samples.len() as u8; BLOCK_BYTES];
        let from = Instant::now();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(&block).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        samples.push(from.elapsed().as_secs_f64());
    }
    Summary::of(&samples[1..])
        .map(|summary| summary.median)
        .ok_or_else(|| Unavailable::new("no fsync was timed"))
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
        assert!(fsync_s(&dir, 0.0).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
    }
}
