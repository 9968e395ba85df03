//! Where `lob serve` and `lob top` get their figures from.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use lob_scope::Unavailable;
use lob_watch::{LogReplay, MetricsPage, SystemMonitor, Watch, WatchedProcess};

use super::Watched;
use crate::version;

/// The machine, and the files of a running program.
pub(crate) struct Sources {
    system: SystemMonitor,
    files: Mutex<Files>,
    process: Option<WatchedProcess>,
}

struct Files {
    watches: Vec<Watch>,
    log: Option<LogReplay>,
    /// Files that could not be read the last time, with the reason.
    missing: Vec<(String, Unavailable)>,
}

impl Sources {
    /// Begins to look. The process to be watched must be there.
    pub(crate) fn start(watched: &Watched) -> Result<Self> {
        let process = watched.pid.map(WatchedProcess::find).transpose()?;
        let config = watched.config()?;
        let watch = |path: &std::path::PathBuf| Watch::new(&name(path), path);
        let files = Files {
            watches: watched.watch.iter().map(watch).collect(),
            log: watched.log.as_ref().map(|path| LogReplay::new(path, config.sla())),
            missing: Vec::new(),
        };
        let system = SystemMonitor::start(&config);
        // The first page shall have them; afterwards they are there.
        let _ = system.wait_for_values();
        Ok(Self { system, files: Mutex::new(files), process })
    }

    /// Everything as one page of Prometheus text.
    pub(crate) fn metrics_page(&self) -> String {
        let mut files = self.files();
        files.poll();
        let build = version::build();
        let mut page = MetricsPage::default()
            .build(env!("CARGO_PKG_VERSION"), build.revision.as_deref())
            .own_process()
            .system(&self.system);
        page = files.watches.iter().fold(page, |page, watch| page.watch(watch));
        page = files.log.iter().fold(page, |page, log| page.requests(log.monitor()));
        let missing = files.missing.iter();
        page = missing.fold(page, |page, (name, why)| page.missing_file(name, why));
        page = self.process.iter().fold(page, |page, process| page.process(process));
        page.finish()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // What a panic left is what the files said so far.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn poll(&mut self) {
        let mut missing = Vec::new();
        for watch in &mut self.watches {
            if let Err(why) = watch.poll() {
                missing.push((watch.name().to_owned(), why));
            }
        }
        if let Some(Err(why)) = self.log.as_mut().map(LogReplay::poll) {
            missing.push(("request log".to_owned(), why));
        }
        self.missing = missing;
    }
}

/// `run-7/metrics.jsonl`: enough to tell two runs apart.
fn name(path: &Path) -> String {
    let parts: Vec<String> =
        path.iter().rev().take(2).map(|part| part.to_string_lossy().into_owned()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}
