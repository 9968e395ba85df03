//! The request log of a process that is killed in the middle of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lob_watch::{JsonLinesLog, LogLimits, LogReplay, ProductionMonitor};

/// Set for the copy of this test program that writes until it is killed.
const CHILD: &str = "LOB_TEST_LOG_WRITER";
const LIMITS: LogLimits = LogLimits { max_bytes: 20_000, max_files: 3 };

#[test]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let log = JsonLinesLog::open(Path::new(&path), LIMITS).unwrap();
    let monitor = ProductionMonitor::default().with_log(log);
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        monitor.record("work", Duration::from_millis(5));
    }
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_killed_writer_leaves_whole_lines_and_bounded_files() {
    let folder = std::env::temp_dir().join(format!("lob-kill-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("requests.jsonl");
    // Size and number of files tell that the writer is at work.
    let state = || (log_files(&folder).len(), path.metadata().map(|m| m.len()).ok());
    for round in 0..5u64 {
        let before = state();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "monitor::writes_until_it_is_killed"])
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed at another place each time, once it has rotated.
        while state().0 < 3 || state() == before {
            assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let total: u64 = log_files(&folder).iter().map(|f| f.metadata().unwrap().len()).sum();
        assert!(total <= 3 * LIMITS.max_bytes, "{total} bytes");
        // The next writer mends the end, and every line is a request again.
        let log = JsonLinesLog::open(&path, LIMITS).unwrap();
        ProductionMonitor::default().with_log(log).record("work", Duration::from_millis(5));
        for file in log_files(&folder) {
            let mut replay = LogReplay::new(&file, Duration::from_secs(2));
            assert!(replay.poll().unwrap() > 0, "{}", file.display());
            assert_eq!(replay.refused(), 0, "{}", file.display());
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
