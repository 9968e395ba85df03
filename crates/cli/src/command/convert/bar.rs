//! The progress bar: bytes of the inputs, records a second, time to go. Hidden when not on a
//! terminal (indicatif looks) or when asked to be quiet.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lob_convert::Progress;

use crate::interrupt;

pub(super) struct Bar {
    bar: ProgressBar,
    records: AtomicU64,
}

impl Bar {
    pub(super) fn new(hidden: bool) -> Self {
        let bar = ProgressBar::no_length();
        if hidden {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, records: AtomicU64::new(0) }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn started(&self, _inputs: usize, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn advanced(&self, path: &Path, bytes: u64, records: u64) {
        self.bar.inc(bytes);
        let total = self.records.fetch_add(records, Ordering::Relaxed) + records;
        let seconds = self.bar.elapsed().as_secs_f64().max(f64::EPSILON);
        let rate = lob_metrics::Unit::RecordsPerSecond.format(total as f64 / seconds);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        self.bar.set_message(format!("{rate} {}", lob_metrics::shown(name)));
    }

    fn warned(&self, warning: &str) {
        self.bar.suspend(|| eprintln!("warning: {}", lob_metrics::shown(warning)));
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}
