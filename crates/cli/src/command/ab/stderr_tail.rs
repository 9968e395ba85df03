//! The last of what a command says on standard error.

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, Read};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes kept, however much is said.
const KEPT: usize = 4096;
/// Lines of them that are shown.
const LINES: usize = 12;
/// A process left in the background may hold the pipe for hours.
const PATIENCE: Duration = Duration::from_millis(200);

/// A pipe that is read to its end by a thread, so that nobody who writes to it has to wait.
pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    ended: Receiver<()>,
}

impl Tail {
    pub(super) fn new() -> std::io::Result<(Self, PipeWriter)> {
        let (reader, writer) = std::io::pipe()?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (tell, ended) = mpsc::channel();
        let theirs = Arc::clone(&kept);
        let body = move || {
            keep_last(reader, &theirs);
            // Nobody listens any more where patience has run out.
            let _ = tell.send(());
        };
        std::thread::Builder::new().name("lob-stderr".to_owned()).spawn(body)?;
        Ok((Self { kept, ended }, writer))
    }

    /// The last lines under a heading, for a message; empty when nothing was said.
    pub(super) fn text(self) -> String {
        // What is there after that time is what is shown.
        let _ = self.ended.recv_timeout(PATIENCE);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(kept.make_contiguous());
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let first = lines.len().saturating_sub(LINES);
        lines[first..].iter().map(|line| format!("\n  {}", lob_metrics::shown(line))).collect()
    }
}

fn keep_last(mut reader: PipeReader, kept: &Mutex<VecDeque<u8>>) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&chunk[n.saturating_sub(KEPT)..n]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Nothing more can be learned from it.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_the_last_lines_of_megabytes_are_kept() {
        let (tail, mut writer) = Tail::new().unwrap();
        for n in 0..200_000 {
            writeln!(writer, "line {n} \u{1b}[31m").unwrap();
        }
        drop(writer);
        let text = tail.text();
        assert!(text.ends_with("line 199999 \\u{1b}[31m"), "{text}");
        assert_eq!(text.lines().count(), 1 + LINES);
        let (silent, writer) = Tail::new().unwrap();
        drop(writer);
        assert_eq!(silent.text(), "");
        let (held, _writer) = Tail::new().unwrap();
        assert_eq!(held.text(), "", "whoever holds the pipe is not waited for");
    }
}
