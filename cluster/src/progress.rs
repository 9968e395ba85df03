//! Progress of a job: the engine tells nothing until its end, the log of attempts does.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use crate::{attempts::Log, place::Place};

const INTERVAL: Duration = Duration::from_secs(2);

/// Writes lines of progress until it is dropped.
pub(crate) struct Progress {
    task: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Watches a job of this many files; `None` if nobody would see it.
    pub(crate) async fn start(out: &Place, files: usize, quiet: bool) -> Option<Self> {
        if quiet || !std::io::stderr().is_terminal() {
            return None;
        }
        // Those of earlier jobs do not count.
        let mut log = Log::new(out);
        let before = log.done().await.map_or(0, |done| done.len());
        let start = Instant::now();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Ok(done) = log.done().await else { continue };
                let done = done.len().saturating_sub(before).min(files);
                eprint!("\r\x1b[K{}", line(done, files, start.elapsed()));
                drop(std::io::stderr().flush());
            }
        });
        Some(Self { task })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        eprint!("\r\x1b[K");
    }
}

fn line(done: usize, files: usize, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
    let left = if rate > 0.0 && done < files {
        format!(", {:.0} s left", (files - done) as f64 / rate)
    } else {
        String::new()
    };
    format!("{done} of {files} files, {rate:.1} files/s{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let second = Duration::from_secs(1);
        assert_eq!(line(0, 4, second), "0 of 4 files, 0.0 files/s");
        assert_eq!(line(2, 4, second), "2 of 4 files, 2.0 files/s, 1 s left");
        assert_eq!(line(4, 4, second), "4 of 4 files, 4.0 files/s");
    }
}
